//! Properties of event streams.

use anypod_proto::sse::{Decoder, Event, Limits, Received, SseError, encode_comment, encode_event};
use proptest::collection::vec;
use proptest::prelude::*;

const LIMITS: Limits = Limits { line: 24, data: 32 };

/// The events up to the first error, and the error.
fn read<'a>(limits: Limits, chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Received>, Option<SseError>) {
    let mut decoder = Decoder::new(limits);
    let mut events = Vec::new();
    for mut chunk in chunks {
        loop {
            match decoder.read(&mut chunk) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
    }
    (events, None)
}

/// Whole fields and line ends are more likely to meet than bytes.
const PIECES: &[&str] =
    &["\n", "\r", "\r\n", "\n\n", "data", "data:", "data: a", "id: 1", "event: e", "retry: 5", ":", " "];

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => proptest::sample::select(PIECES).prop_map(|text| text.as_bytes().to_vec()),
        1 => Just("\u{feff}é\0".as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..12),
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn how_a_stream_is_cut_makes_no_difference(bytes in stream(), cuts in vec(0..64usize, 0..8)) {
        let whole = read(LIMITS, std::iter::once(&bytes[..]));
        prop_assert_eq!(&read(LIMITS, bytes.chunks(1)), &whole);
        let mut rest = &bytes[..];
        let mut parts = Vec::new();
        for cut in cuts {
            let (part, after) = rest.split_at(cut.min(rest.len()));
            parts.push(part);
            rest = after;
        }
        parts.push(rest);
        prop_assert_eq!(&read(LIMITS, parts.into_iter()), &whole);
    }

    #[test]
    fn reads_what_it_writes(
        data in r"([a-z:é ]|\n){0,40}", id in proptest::option::of("[^\r\n\0]{1,8}"),
        event in proptest::option::of("[^\r\n]{1,8}"), comment: String,
    ) {
        let mut out = Vec::new();
        encode_comment(&mut out, &comment);
        encode_event(&mut out, &Event { id: id.as_deref(), event: event.as_deref(), data: &data, retry: None });
        let (events, error) = read(Limits::default(), std::iter::once(&out[..]));
        prop_assert_eq!(error, None);
        prop_assert_eq!(events, [Received { id, event, data }]);
    }

    #[test]
    fn no_field_can_write_another(id: String, event: String, data: String) {
        let mut out = Vec::new();
        encode_event(&mut out, &Event { id: Some(&id), event: Some(&event), data: &data, retry: None });
        let (events, error) = read(Limits::default(), std::iter::once(&out[..]));
        prop_assert_eq!(error, None);
        prop_assert_eq!(events.len(), 1);
        prop_assert_eq!(&events[0].data, &data.replace("\r\n", "\n").replace('\r', "\n"));
    }
}
