//! Where a merged list goes on.
//!
//! All lists of all upstreams are fetched before the first page is cut, because whether a name is public depends on all of
//! them. So a page is a piece of one list that is there as a whole, and a position in it could be a number. It is the last
//! item that was sent instead, by upstream and own name:
//! - Replicas fetch at different times. With a number, one more tool somewhere shifts all that follows, and an item is sent
//!   twice or never. With a number and a digest of the list, a client that alternates between replicas which do not see
//!   quite the same, because an upstream is away or writes the time into a description, begins again for ever.
//! - After an item, only that item has to be there still; what changes elsewhere, or is away, costs itself only. If it is gone,
//!   the client is told to start again. If its whole upstream is away, so are the items that would follow: the list goes on
//!   with the next upstream.
//! - A walk along the upstreams' own cursors would need no whole list. But names on its first page would depend on pages that
//!   nobody has asked for.
//!
//! A position is meant to be sealed, bound to route and principal: what is opened has been written here.

use super::page::{LONGEST_KEY, ListKind};

/// The longest name of an upstream in a cursor, in bytes.
const LONGEST_UPSTREAM: usize = u8::MAX as usize;

/// A place in a merged list: behind this item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    /// Which list it is a place in.
    pub(crate) kind: ListKind,
    /// The upstream of the item, by name: places change when the configuration does.
    pub(crate) upstream: Box<str>,
    /// The own name, URI or template of the item.
    pub(crate) own: Box<str>,
}

impl Position {
    /// Kind (1 byte), length of the upstream's name (1 byte), that name, own name.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let upstream = &self.upstream.as_bytes()[..self.upstream.len().min(LONGEST_UPSTREAM)];
        let mut bytes = Vec::with_capacity(2 + upstream.len() + self.own.len());
        bytes.push(letter(self.kind));
        bytes.extend(u8::try_from(upstream.len()));
        bytes.extend_from_slice(upstream);
        bytes.extend_from_slice(self.own.as_bytes());
        bytes
    }

    /// The position that was encoded. `None` if these bytes are none of a list of that kind.
    pub(crate) fn decode(kind: ListKind, bytes: &[u8]) -> Option<Self> {
        let (found, bytes) = bytes.split_first()?;
        let (length, bytes) = bytes.split_first()?;
        let (upstream, own) = bytes.split_at_checked(usize::from(*length))?;
        if *found != letter(kind) || own.len() > LONGEST_KEY {
            return None;
        }
        let text = |bytes| std::str::from_utf8(bytes).ok().map(Box::from);
        Some(Self { kind, upstream: text(upstream)?, own: text(own)? })
    }
}

/// The kind on the wire. A cursor of one list is none of another.
const fn letter(kind: ListKind) -> u8 {
    match kind {
        ListKind::Tools => b't',
        ListKind::Prompts => b'p',
        ListKind::Resources => b'r',
        ListKind::ResourceTemplates => b'm',
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(kind: ListKind, upstream: &str, own: &str) -> Position {
        Position { kind, upstream: upstream.into(), own: own.into() }
    }

    #[test]
    fn a_cursor_of_one_list_is_none_of_another() {
        for kind in ListKind::ALL {
            let bytes = position(kind, "db", "x").encode();
            for other in ListKind::ALL {
                assert_eq!(Position::decode(other, &bytes).is_some(), other == kind);
            }
        }
    }

    #[test]
    fn what_is_cut_off_broken_or_too_long_is_no_position() {
        let long = position(ListKind::Tools, "db", &"x".repeat(LONGEST_KEY + 1)).encode();
        for bytes in [&b""[..], b"t", b"t\x03db", b"x\x02dbx", b"t\x02\xff\xffx", b"t\x02db\xff", b"\x02dbx", &long] {
            assert_eq!(Position::decode(ListKind::Tools, bytes), None, "{bytes:?}");
        }
        let longest = position(ListKind::Tools, "db", &"x".repeat(LONGEST_KEY));
        assert_eq!(Position::decode(ListKind::Tools, &longest.encode()), Some(longest));
    }

    proptest! {
        #[test]
        fn a_position_comes_back_as_it_was(upstream in "[a-z][a-z0-9-]{0,31}", own in any::<String>(), kind in 0..4_usize) {
            let position = position(ListKind::ALL[kind], &upstream, &own);
            prop_assert_eq!(Position::decode(position.kind, &position.encode()), Some(position));
        }

        #[test]
        fn any_bytes_are_read_as_what_they_are_written_as_or_not_at_all(bytes: Vec<u8>) {
            if let Some(position) = Position::decode(ListKind::Tools, &bytes) {
                prop_assert_eq!(position.encode(), bytes);
            }
        }
    }
}
