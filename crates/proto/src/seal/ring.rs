//! The keys that seal and open: a current one, and older ones that still open.

use super::Purpose;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use hkdf::Hkdf;
use sha2::Sha256;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroize as _;

/// The length of a ring's key in bytes.
pub const KEY_LEN: usize = 32;

/// The most keys in a ring. Tokens live for hours and keys for weeks: more is a mistake.
pub const MAX_KEYS: usize = 16;

pub(super) const ID_LEN: usize = 4;

/// The version of the token format goes into every derivation: a later format shares no key with this.
const SALT: &[u8] = b"anypod seal v1";

/// A current key and older ones. Cloning shares the keys; the last owner wipes them.
#[derive(Clone)]
pub struct Ring {
    /// Never empty; the first is current.
    keys: Arc<[Key]>,
}

/// Names a key without telling anything about it. The same key has the same fingerprint everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; ID_LEN]);

impl Ring {
    /// A ring that seals with `current` and opens with it and `older`, newest first.
    ///
    /// A key that occurs twice counts once. Keys beyond [`MAX_KEYS`] are left out.
    pub fn from_keys(current: [u8; KEY_LEN], older: impl IntoIterator<Item = [u8; KEY_LEN]>) -> Self {
        let mut keys = vec![Key::derive(current)];
        for bytes in older {
            if keys.len() == MAX_KEYS {
                break;
            }
            if keys.iter().all(|key| key.bytes != bytes) {
                keys.push(Key::derive(bytes));
            }
        }
        Self { keys: keys.into() }
    }

    /// A ring of one key, from 32 bytes of a secure source of randomness.
    ///
    /// Fine for one process; replicas need the same ring.
    pub fn generate(random: [u8; KEY_LEN]) -> Self {
        Self::from_keys(random, [])
    }

    /// A ring with `key` as its current key, in which `keep` of the other keys still open.
    ///
    /// A key that is already in the ring, because it was [staged](Self::stage), moves to the front.
    #[must_use]
    pub fn rotate(&self, key: [u8; KEY_LEN], keep: usize) -> Self {
        let others = self.bytes().filter(|bytes| *bytes != key);
        Self::from_keys(key, others.take(keep))
    }

    /// A ring that also opens with `key`, but does not seal with it yet.
    ///
    /// In a fleet, stage a key everywhere before rotating to it anywhere: else the first replica that
    /// rotates seals what the others cannot open. A full ring drops its last key for it.
    #[must_use]
    pub fn stage(&self, key: [u8; KEY_LEN]) -> Self {
        let others = self.bytes().skip(1).filter(|bytes| *bytes != key);
        let older = std::iter::once(key).chain(others);
        Self::from_keys(self.current().bytes, older)
    }

    /// A ring in which the [staged](Self::stage) key, the one behind the current key, is current and `keep` of
    /// the other keys still open. `None` if there is only one key.
    #[must_use]
    pub fn promote(&self, keep: usize) -> Option<Self> {
        Some(self.rotate(self.keys.get(1)?.bytes, keep))
    }

    /// Names the keys, the current one first.
    pub fn fingerprints(&self) -> impl Iterator<Item = Fingerprint> {
        self.keys.iter().map(|key| Fingerprint(key.id))
    }

    pub(super) fn current(&self) -> &Key {
        &self.keys[0]
    }

    pub(super) fn find(&self, id: [u8; ID_LEN]) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }

    pub(super) fn bytes(&self) -> impl Iterator<Item = [u8; KEY_LEN]> {
        self.keys.iter().map(|key| key.bytes)
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ring")?;
        f.debug_list().entries(self.fingerprints()).finish()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// One key of a ring with all that follows from it, derived once.
pub(super) struct Key {
    id: [u8; ID_LEN],
    bytes: [u8; KEY_LEN],
    /// In the order of [`Purpose::ALL`]. Each wipes its own key.
    ciphers: [XChaCha20Poly1305; Purpose::ALL.len()],
}

impl Key {
    fn derive(bytes: [u8; KEY_LEN]) -> Self {
        let hkdf = Hkdf::<Sha256>::new(Some(SALT), &bytes);
        let ciphers = Purpose::ALL.map(|purpose| {
            let mut key = expand::<KEY_LEN>(&hkdf, purpose.label());
            let cipher = XChaCha20Poly1305::new(&key.into());
            key.zeroize();
            cipher
        });
        Self { id: readable_id(&expand(&hkdf, "key id")), bytes, ciphers }
    }

    pub(super) fn id(&self) -> [u8; ID_LEN] {
        self.id
    }

    pub(super) fn cipher(&self, purpose: Purpose) -> &XChaCha20Poly1305 {
        &self.ciphers[purpose as usize]
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// The first id on offer that puts no `_` into its tokens. Every token starts with its key's id, and some
/// gateways do not pass on session ids with a `_`, so that one key in fourteen would never get through.
fn readable_id(offered: &[u8; 16 * ID_LEN]) -> [u8; ID_LEN] {
    // The sixth character of a token holds bits of the nonce as well, and changes with it.
    let readable = |id: &&[u8; ID_LEN]| !URL_SAFE_NO_PAD.encode(id)[..5].contains('_');
    let (ids, _) = offered.as_chunks::<ID_LEN>();
    *ids.iter().find(readable).unwrap_or(&ids[0])
}

fn expand<const N: usize>(hkdf: &Hkdf<Sha256>, info: &str) -> [u8; N] {
    let mut out = [0; N];
    hkdf.expand(info.as_bytes(), &mut out).expect("HKDF-SHA256 gives up to 8160 bytes");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_finds_its_own_place() {
        for (place, purpose) in Purpose::ALL.into_iter().enumerate() {
            assert_eq!(purpose as usize, place);
        }
    }

    #[test]
    fn no_key_puts_an_underscore_into_all_its_tokens() {
        for byte in 0..=255 {
            let id = Key::derive([byte; KEY_LEN]).id;
            assert!(!URL_SAFE_NO_PAD.encode(id)[..5].contains('_'), "{id:?}");
        }
    }

    #[test]
    fn debug_shows_fingerprints_and_no_key() {
        let ring = Ring::from_keys([0xab; KEY_LEN], [[0xcd; KEY_LEN]]);
        let names: Vec<_> = ring.fingerprints().map(|name| name.to_string()).collect();
        assert_eq!(format!("{ring:?}"), format!("Ring[{}]", names.join(", ")));
        assert!(names.iter().all(|name| name.len() == 8));
    }

    #[test]
    fn a_key_counts_once_and_a_ring_is_bounded() {
        let twice = Ring::from_keys([1; KEY_LEN], [[2; KEY_LEN], [1; KEY_LEN], [2; KEY_LEN]]);
        assert_eq!(twice.fingerprints().count(), 2);
        let many = Ring::from_keys([0; KEY_LEN], (1..100).map(|byte| [byte; KEY_LEN]));
        assert_eq!(many.fingerprints().count(), MAX_KEYS);
    }

    #[test]
    fn rotating_to_a_staged_key_keeps_what_it_replaces() {
        let ring = Ring::generate([1; KEY_LEN]).stage([2; KEY_LEN]);
        let staged: Vec<_> = ring.bytes().collect();
        assert_eq!(staged, [[1; KEY_LEN], [2; KEY_LEN]]);
        let rotated: Vec<_> = ring.rotate([2; KEY_LEN], 1).bytes().collect();
        assert_eq!(rotated, [[2; KEY_LEN], [1; KEY_LEN]]);
        let alone: Vec<_> = ring.rotate([3; KEY_LEN], 0).bytes().collect();
        assert_eq!(alone, [[3; KEY_LEN]]);
    }
}
