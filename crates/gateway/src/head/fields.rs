//! Header fields that stay where they were read.
//!
//! Of most fields of a request that passes by, nobody wants to know more than whether they are there, and a map of all of
//! them costs more than everything else that is done to its head.

use std::cell::RefCell;
use std::fmt;

use anypod_proto::header::{Found, Headers};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::http1::{FIELDS, frames, name_of, place, write_field};

/// Header fields: those that were read, and behind them those that were added.
#[derive(Default)]
pub(crate) struct Fields {
    /// What they were read from.
    text: Bytes,
    read: Vec<Place>,
    added: Vec<Added>,
}

/// Where a field begins and ends in a text: its name, and its value.
#[derive(Clone, Copy)]
struct Place {
    name: [u32; 2],
    value: [u32; 2],
}

type Added = (HeaderName, HeaderValue);

/// How many lists a thread keeps for reuse.
const SPARES: usize = 64;
/// The longest name of a field that the library takes.
const LONGEST_NAME: usize = u16::MAX as usize;

thread_local! {
    /// Empty lists: their memory is wanted again at once.
    static SPARE: RefCell<Vec<(Vec<Place>, Vec<Added>)>> = const { RefCell::new(Vec::new()) };
}

impl Fields {
    /// Those of a head that was read from `text`, which follows by [`Self::stand_in`], but for what says how it was framed and
    /// whether its connection is kept: that was for who reads it. `None` if there are too many, or one is too long or too far in.
    pub(crate) fn note(text: &[u8], headers: &[httparse::Header<'_>]) -> Option<Self> {
        let (mut read, added) = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
        if headers.len() > FIELDS {
            return None;
        }
        read.reserve(headers.len());
        for header in headers.iter().filter(|header| !frames(header.name.as_bytes())) {
            if header.name.len() > LONGEST_NAME {
                return None;
            }
            let bounds = |part: &[u8]| {
                let place = place(text, part);
                Some([u32::try_from(place.start).ok()?, u32::try_from(place.end).ok()?])
            };
            read.push(Place { name: bounds(header.name.as_bytes())?, value: bounds(header.value)? });
        }
        Some(Self { text: Bytes::new(), read, added })
    }

    /// Keeps the text that the fields were noted in.
    pub(crate) fn stand_in(&mut self, text: Bytes) {
        self.text = text;
    }

    /// The names and values, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let read = self.read.iter().map(|place| (self.part(place.name), self.part(place.value)));
        read.chain(self.added.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())))
    }

    /// The values of all fields of this name, in their order.
    pub(crate) fn all<'h>(&'h self, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
        let wanted = name.as_str().as_bytes();
        let read = self.read.iter().filter(move |place| self.is(place, wanted)).map(|place| self.part(place.value));
        let added = self.added.iter().filter(move |(added, _)| added.as_str().as_bytes() == wanted);
        read.chain(added.map(|(_, value)| value.as_bytes()))
    }

    /// Whether there is one of this name.
    pub(crate) fn has(&self, name: &HeaderName) -> bool {
        self.all(name).next().is_some()
    }

    /// The value of the only field of this name.
    pub(crate) fn value(&self, name: &HeaderName) -> Option<HeaderValue> {
        match self.find(name) {
            Found::One(value) => HeaderValue::from_maybe_shared(self.shared(value)).ok(),
            Found::Nothing | Found::Several => None,
        }
    }

    /// Puts a field in, in the place of all of this name.
    pub(crate) fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        self.remove(&name);
        self.added.push((name, value));
    }

    /// Takes all fields of this name out.
    pub(crate) fn remove(&mut self, name: &HeaderName) {
        let Self { text, read, added } = self;
        let wanted = name.as_str().as_bytes();
        // Mostly there is none, and lists that stay as they are need not be written.
        if read.iter().any(|place| is(text, place, wanted)) {
            read.retain(|place| !is(text, place, wanted));
        }
        if added.iter().any(|(added, _)| added == name) {
            added.retain(|(added, _)| added != name);
        }
    }

    /// Writes them, but for those that say how the message is framed: whoever frames it says so.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in self.iter() {
            if !frames(name) {
                write_field(out, name, value);
            }
        }
    }

    /// As a map.
    pub(crate) fn into_map(mut self) -> HeaderMap {
        let mut headers = crate::http1::spare_map();
        headers.reserve(self.read.len() + self.added.len());
        for place in &self.read {
            // What was read as a name and a value is one.
            if let Some(name) = name_of(self.part(place.name))
                && let Ok(value) = HeaderValue::from_maybe_shared(self.shared(self.part(place.value)))
            {
                headers.append(name, value);
            }
        }
        for (name, value) in self.added.drain(..) {
            headers.append(name, value);
        }
        headers
    }

    /// The same, and they stay.
    pub(crate) fn to_map(&self) -> HeaderMap {
        let copy = Self { text: self.text.clone(), read: self.read.clone(), added: self.added.clone() };
        copy.into_map()
    }

    fn is(&self, place: &Place, name: &[u8]) -> bool {
        is(&self.text, place, name)
    }

    fn part(&self, bounds: [u32; 2]) -> &[u8] {
        part(&self.text, bounds)
    }

    /// A value that need not be copied if it stands in the text.
    fn shared(&self, value: &[u8]) -> Bytes {
        match self.text.as_ptr_range().contains(&value.as_ptr()) {
            true => self.text.slice_ref(value),
            false => Bytes::copy_from_slice(value),
        }
    }
}

fn part(text: &[u8], [start, end]: [u32; 2]) -> &[u8] {
    text.get(start as usize..end as usize).unwrap_or_default()
}

fn is(text: &[u8], place: &Place, name: &[u8]) -> bool {
    let [start, end] = place.name;
    (end - start) as usize == name.len() && part(text, place.name).eq_ignore_ascii_case(name)
}

impl Headers for Fields {
    fn find(&self, name: &HeaderName) -> Found<'_> {
        let mut all = self.all(name);
        match (all.next(), all.next()) {
            (None, _) => Found::Nothing,
            (Some(value), None) => Found::One(value),
            (Some(_), Some(_)) => Found::Several,
        }
    }

    fn each<'h>(&'h self, name: &HeaderName, see: &mut dyn FnMut(&'h [u8])) {
        self.all(name).for_each(see);
    }
}

impl From<HeaderMap> for Fields {
    fn from(headers: HeaderMap) -> Self {
        let mut fields = Self::default();
        fields.added.reserve(headers.len());
        let mut last = None;
        for (name, value) in headers {
            // Of several of one name, the first has it.
            let Some(name) = name.or_else(|| last.clone()) else { continue };
            last = Some(name.clone());
            fields.added.push((name, value));
        }
        fields
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        let (mut read, mut added) = (std::mem::take(&mut self.read), std::mem::take(&mut self.added));
        if read.capacity() == 0 || read.capacity() > FIELDS || added.capacity() > FIELDS {
            return;
        }
        read.clear();
        added.clear();
        // Gone where the thread ends.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARES {
                spare.push((read, added));
            }
        });
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be credentials.
        f.debug_list().entries(self.iter().map(|(name, _)| String::from_utf8_lossy(name))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Fields {
        let mut headers = [httparse::EMPTY_HEADER; FIELDS];
        let (_, headers) = httparse::parse_headers(text.as_bytes(), &mut headers).unwrap().unwrap();
        let mut fields = Fields::note(text.as_bytes(), headers).unwrap();
        fields.stand_in(Bytes::from_static(text.as_bytes()));
        fields
    }

    fn written(fields: &Fields) -> String {
        let mut out = Vec::new();
        fields.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    const A: HeaderName = HeaderName::from_static("a");
    const B: HeaderName = HeaderName::from_static("b");

    #[test]
    fn what_frames_a_message_is_for_who_reads_it() {
        let fields = read("Content-Length: 1\r\nA: b\r\nconnection: close\r\nContent-Lengths: 2\r\n\r\n");
        assert_eq!(written(&fields), "A: b\r\nContent-Lengths: 2\r\n");
        let names: Vec<_> = fields.into_map().keys().map(|name| name.as_str().to_owned()).collect();
        assert_eq!(names, ["a", "content-lengths"]);
        let map = HeaderMap::from_iter([(http::header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"))]);
        assert_eq!(written(&map.into()), "");
    }

    #[test]
    fn finds_names_in_any_case_among_those_read_and_those_added() {
        let mut fields = read("A: 1\r\nab: 2\r\n\r\n");
        assert_eq!(fields.find(&A), Found::One(b"1"));
        assert_eq!(fields.find(&B), Found::Nothing);
        fields.added.push((A, HeaderValue::from_static("3")));
        assert_eq!(fields.find(&A), Found::Several);
        assert_eq!(fields.all(&A).collect::<Vec<_>>(), [b"1", b"3"]);
        assert!(fields.has(&A) && fields.value(&A).is_none());
    }

    #[test]
    fn what_is_put_in_takes_the_place_of_all_of_its_name() {
        let mut fields = read("A: 1\r\nb: 2\r\na: 3\r\n\r\n");
        fields.insert(A, HeaderValue::from_static("4"));
        fields.insert(A, HeaderValue::from_static("5"));
        assert_eq!(written(&fields), "b: 2\r\na: 5\r\n");
        assert_eq!(fields.value(&B).unwrap(), "2");
        fields.remove(&B);
        assert_eq!(written(&fields), "a: 5\r\n");
    }

    #[test]
    fn becomes_a_map_and_comes_of_one() {
        let fields = read("a: 1\r\nB: 2\r\nA: 3\r\n\r\n");
        let map = fields.to_map();
        assert_eq!(map.get_all(A).iter().collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(map[B], "2");
        assert_eq!(Fields::from(map.clone()).into_map(), map);
        assert_eq!(fields.into_map(), map);
    }

    /// Nothing that was read is lost on the way into a map.
    #[test]
    fn what_is_read_as_a_name_or_a_value_is_one() {
        for byte in 0..=u8::MAX {
            for text in [[b"a", &[byte][..], b": b\r\n\r\n"].concat(), [b"a: b", &[byte][..], b"c\r\n\r\n"].concat()] {
                let mut headers = [httparse::EMPTY_HEADER; 4];
                let Ok(httparse::Status::Complete((_, headers))) = httparse::parse_headers(&text, &mut headers) else {
                    continue;
                };
                let mut fields = Fields::note(&text, headers).unwrap();
                fields.stand_in(Bytes::copy_from_slice(&text));
                assert_eq!(fields.iter().count(), headers.len());
                assert_eq!(fields.into_map().len(), headers.len(), "{text:?}");
            }
        }
    }

    #[test]
    fn does_not_show_values() {
        assert_eq!(format!("{:?}", read("authorization: Bearer x\r\n\r\n")), r#"["authorization"]"#);
    }
}
