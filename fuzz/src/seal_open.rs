//! Sealed tokens: nothing opens but what was sealed, and only unchanged.

use anypod_proto::seal::{KEY_LEN, NONCE_LEN, OpenError, Purpose, Ring, Seal, UnixSeconds};

const NOW: UnixSeconds = UnixSeconds(1_795_000_000);

/// Opens `data` as a token and reads it as a key file; then seals it and opens that, once changed at
/// the place that its first two bytes say.
pub fn run(data: &[u8]) {
    let ring = Ring::from_keys([1; KEY_LEN], [[2; KEY_LEN]]);
    if let Ok(text) = std::str::from_utf8(data) {
        let opened = Purpose::ALL.map(|purpose| bound(purpose).open(&ring, NOW, text).is_ok());
        assert!(opened.into_iter().filter(|opened| *opened).count() <= 1);
        if let Ok(read) = Ring::parse(text) {
            assert_eq!(Ring::parse(&read.to_text()).map(|ring| ring.to_text()), Ok(read.to_text()));
        }
    }
    if let Some((place, payload)) = data.split_first_chunk::<2>() {
        seal_and_change(&ring, usize::from(u16::from_le_bytes(*place)), payload);
    }
}

fn bound(purpose: Purpose) -> Seal<'static> {
    Seal { purpose, audience: "/mcp", principal: None, context: &[] }
}

fn seal_and_change(ring: &Ring, place: usize, payload: &[u8]) {
    let seal = bound(Purpose::ALL[place % Purpose::ALL.len()]);
    let Ok(token) = seal.seal(ring, [3; NONCE_LEN], UnixSeconds(NOW.0 + 1), payload) else { return };
    assert_eq!(seal.open(ring, NOW, &token).as_deref(), Ok(payload));
    let mut changed = token.into_bytes();
    let at = place / 8 % changed.len();
    // Tokens are ASCII, and stay so without their highest bit.
    changed[at] ^= 1 << (place % 7);
    let changed = String::from_utf8(changed).expect("ASCII");
    let refused = seal.open(ring, NOW, &changed);
    assert!(matches!(refused, Err(OpenError::Malformed | OpenError::UnknownKey | OpenError::Forged)), "{refused:?}");
}
