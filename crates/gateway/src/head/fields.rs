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
    looks: Looks,
}

/// Where a field begins and ends in a text: its name, and its value.
#[derive(Clone, Copy)]
struct Place {
    look: Look,
    name: [u32; 2],
    value: [u32; 2],
    /// Whether it stands there as it would be written.
    written: bool,
}

/// What a name looks like at a glance: its length and how it begins. Few names look alike.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look(u32);

/// What the names that there are, or were, look like. Most names that are asked for are not there, and need not be looked for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Looks(u64);

type Added = (HeaderName, HeaderValue);

/// What stands between the name of a field and its value, and behind it.
const COLON: &[u8] = b": ";
const END: &[u8] = b"\r\n";
/// How many lists a thread keeps for reuse.
const SPARES: usize = 64;
/// The longest name of a field that the library takes.
const LONGEST_NAME: usize = u16::MAX as usize;

thread_local! {
    /// Empty lists: their memory is wanted again at once.
    static SPARE: RefCell<Vec<(Vec<Place>, Vec<Added>)>> = const { RefCell::new(Vec::new()) };
}

impl Look {
    fn of(name: &[u8]) -> Self {
        let begins = name.first().map_or(0, u8::to_ascii_lowercase);
        Self((name.len() as u32) << 8 | u32::from(begins))
    }
}

impl Looks {
    const fn bit(look: Look) -> u64 {
        1 << (look.0.wrapping_mul(0x9E37_79B1) >> 26)
    }

    const fn add(&mut self, look: Look) {
        self.0 |= Self::bit(look);
    }

    const fn may_have(self, look: Look) -> bool {
        self.0 & Self::bit(look) != 0
    }
}

impl<'n> FromIterator<&'n HeaderName> for Looks {
    fn from_iter<I: IntoIterator<Item = &'n HeaderName>>(names: I) -> Self {
        let mut looks = Self::default();
        names.into_iter().for_each(|name| looks.add(Look::of(name.as_str().as_bytes())));
        looks
    }
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
        let mut looks = Looks::default();
        for header in headers.iter().filter(|header| !frames(header.name.as_bytes())) {
            if header.name.len() > LONGEST_NAME {
                return None;
            }
            let bounds = |part: &[u8]| {
                let place = place(text, part);
                Some([u32::try_from(place.start).ok()?, u32::try_from(place.end).ok()?])
            };
            let name = header.name.as_bytes();
            let look = Look::of(name);
            looks.add(look);
            let (name, value) = (bounds(name)?, bounds(header.value)?);
            let written = part(text, [name[1], value[0]]) == COLON && part(text, [value[1], value[1] + 2]) == END;
            read.push(Place { look, name, value, written });
        }
        Some(Self { text: Bytes::new(), read, added, looks })
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
        let look = Look::of(wanted);
        let (read, added) = match self.looks.may_have(look) {
            true => (&self.read[..], &self.added[..]),
            false => (&[][..], &[][..]),
        };
        let read = read.iter().filter(move |place| place.look == look && is(&self.text, place, wanted));
        let added = added.iter().filter(move |(added, _)| added.as_str().as_bytes() == wanted);
        read.map(|place| self.part(place.value)).chain(added.map(|(_, value)| value.as_bytes()))
    }

    /// Whether there may be one of several names, by their looks.
    pub(crate) const fn may_have_any(&self, looks: Looks) -> bool {
        self.looks.0 & looks.0 != 0
    }

    /// Whether there is one of this name.
    pub(crate) fn has(&self, name: &HeaderName) -> bool {
        self.find(name) != Found::Nothing
    }

    /// The fields whose names begin like this, which has no capitals.
    pub(crate) fn beginning_with(&self, prefix: &str) -> impl Iterator<Item = Added> {
        let begins =
            |name: &[u8]| name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix.as_bytes()));
        let found = self.iter().filter(move |(name, _)| begins(name));
        found.filter_map(|(name, value)| {
            Some((name_of(name)?, HeaderValue::from_maybe_shared(self.shared(value)).ok()?))
        })
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
        self.add(name, value);
    }

    /// Puts a field in, behind what there is of its name.
    pub(crate) fn add(&mut self, name: HeaderName, value: HeaderValue) {
        self.looks.add(Look::of(name.as_str().as_bytes()));
        self.added.push((name, value));
    }

    /// Takes all fields of this name out.
    pub(crate) fn remove(&mut self, name: &HeaderName) {
        let Self { text, read, added, looks } = self;
        let wanted = name.as_str().as_bytes();
        let look = Look::of(wanted);
        if looks.may_have(look) {
            read.retain(|place| place.look != look || !is(text, place, wanted));
            added.retain(|(added, _)| added != name);
        }
    }

    /// Writes them, but for those that say how the message is framed: whoever frames it says so.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        // Most stand one behind the other, and as they are to be written: these are copied together.
        let mut run = [0, 0];
        for place in &self.read {
            let line = [place.name[0], place.value[1] + END.len() as u32];
            if place.written && line[0] == run[1] {
                run[1] = line[1];
                continue;
            }
            out.extend_from_slice(self.part(run));
            run = line;
            if !place.written {
                write_field(out, self.part(place.name), self.part(place.value));
                run[0] = run[1];
            }
        }
        out.extend_from_slice(self.part(run));
        for (name, value) in &self.added {
            if !frames(name.as_str().as_bytes()) {
                write_field(out, name.as_str().as_bytes(), value.as_bytes());
            }
        }
    }

    /// As a map.
    pub(crate) fn into_map(mut self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(self.read.len() + self.added.len());
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
        let (text, read, added) = (self.text.clone(), self.read.clone(), self.added.clone());
        Self { text, read, added, looks: self.looks }.into_map()
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
    alike(part(text, place.name), name)
}

/// Whether two names are equal in any case. Word by word: the library goes byte by byte.
fn alike(one: &[u8], other: &[u8]) -> bool {
    const WORD: usize = size_of::<u64>();
    const ONES: u64 = u64::MAX / 255;
    /// What capitals lack. It makes no bytes of names alike but these, and `^` and `~`.
    const SMALL: u64 = ONES * 0x20;
    let word = |name: &[u8], at: usize| name.get(at..)?.first_chunk().map(|word| u64::from_ne_bytes(*word) | SMALL);
    if one.len() != other.len() || one.len() < WORD {
        return one.eq_ignore_ascii_case(other);
    }
    // The last word may overlap the one before.
    for at in (0..one.len() - WORD).step_by(WORD).chain([one.len() - WORD]) {
        let (Some(one_word), Some(other_word)) = (word(one, at), word(other, at)) else { return false };
        let tildes = one_word ^ (ONES * u64::from(b'~'));
        if one_word != other_word {
            return false;
        }
        if tildes.wrapping_sub(ONES) & !tildes & (ONES * 0x80) != 0 {
            return one.eq_ignore_ascii_case(other);
        }
    }
    true
}

impl Headers for Fields {
    fn find(&self, name: &HeaderName) -> Found<'_> {
        let wanted = name.as_str().as_bytes();
        let look = Look::of(wanted);
        let mut found = Found::Nothing;
        if !self.looks.may_have(look) {
            return found;
        }
        for place in &self.read {
            if place.look == look && is(&self.text, place, wanted) {
                found = found.and(self.part(place.value));
            }
        }
        for (added, value) in &self.added {
            if added == name {
                found = found.and(value.as_bytes());
            }
        }
        found
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
            fields.add(name, value);
        }
        fields
    }
}

impl From<Vec<Added>> for Fields {
    fn from(added: Vec<Added>) -> Self {
        let mut fields = Self::default();
        fields.looks = added.iter().map(|(name, _)| name).collect();
        fields.added = added;
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

    /// Readers differ in what they take for white space and for the end of a line; of what goes on there is one spelling.
    #[test]
    fn what_is_written_is_spelled_in_one_way() {
        let fields = read("A: 1\r\nb:2\r\nc: 3\nd:\t 4 \r\ne: 5\r\nf: 6\r\nG: \r\nh:\r\ni: 7\r\n\r\n");
        assert_eq!(written(&fields), "A: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\ne: 5\r\nf: 6\r\nG: \r\nh: \r\ni: 7\r\n");
        let mut fields = read("a: 1\r\nb: 2\r\nContent-Length: 3\r\nc: 4\r\nd: 5\r\n\r\n");
        assert_eq!(written(&fields), "a: 1\r\nb: 2\r\nc: 4\r\nd: 5\r\n");
        fields.remove(&B);
        fields.insert(B, HeaderValue::from_static("6"));
        assert_eq!(written(&fields), "a: 1\r\nc: 4\r\nd: 5\r\nb: 6\r\n");
        fields.remove(&A);
        assert_eq!(written(&fields), "c: 4\r\nd: 5\r\nb: 6\r\n");
    }

    #[test]
    fn finds_names_in_any_case_among_those_read_and_those_added() {
        let mut fields = read("A: 1\r\nab: 2\r\n\r\n");
        assert_eq!(fields.find(&A), Found::One(b"1"));
        assert_eq!(fields.find(&B), Found::Nothing);
        fields.add(A, HeaderValue::from_static("3"));
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
    fn names_are_alike_in_any_case_and_in_nothing_else() {
        let name = "mcp-param-x1_a.b";
        assert!(alike(name.to_uppercase().as_bytes(), name.as_bytes()));
        for length in 0..=name.len() {
            let small = &name.as_bytes()[..length];
            assert!(alike(&small.to_ascii_uppercase(), small));
        }
        // Of all bytes that a name may have.
        let is_of_names = |byte: &u8| HeaderName::from_bytes(&[*byte]).is_ok();
        for (one, other) in
            (0..=u8::MAX).filter(is_of_names).flat_map(|one| (0..=u8::MAX).map(move |other| (one, other)))
        {
            for at in 0..9 {
                let (mut a, mut b) = (*b"aaaaaaaaa", *b"aaaaaaaaa");
                (a[at], b[at]) = (one, other);
                if is_of_names(&other) {
                    assert_eq!(alike(&a, &b), a.eq_ignore_ascii_case(&b), "{one} {other}");
                }
            }
        }
    }

    #[test]
    fn does_not_show_values() {
        assert_eq!(format!("{:?}", read("authorization: Bearer x\r\n\r\n")), r#"["authorization"]"#);
    }
}
