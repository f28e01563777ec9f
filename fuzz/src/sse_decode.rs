//! Event streams: chunks make no difference, and what was read can be written and read again.

use anypod_proto::sse::{Decoder, Event, Limits, Received, SseError, encode_event};

/// Reads `data` in one piece, and in chunks as long as its first byte says.
pub fn run(data: &[u8]) {
    let chunk = data.first().map_or(1, |byte| usize::from(*byte) % 16 + 1);
    let limits = Limits { line: 64, data: 128 };
    let whole = read(limits, std::iter::once(data));
    assert_eq!(read(limits, data.chunks(chunk)), whole);
    whole.0.iter().for_each(round_trip);
}

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

fn round_trip(event: &Received) {
    let mut bytes = Vec::new();
    let written = Event { id: event.id.as_deref(), event: event.event.as_deref(), data: &event.data, retry: None };
    encode_event(&mut bytes, &written);
    let (again, error) = read(Limits::default(), std::iter::once(&bytes[..]));
    assert_eq!((again.as_slice(), error), (std::slice::from_ref(event), None));
}
