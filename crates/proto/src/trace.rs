//! W3C trace context: where a request stands in a distributed trace.
//!
//! Spec: basic/index, "OpenTelemetry trace context"; formats by W3C Trace Context and W3C Baggage.
//! What is not valid is absent: a broken trace must never break a request.

use std::fmt;

/// The longest `tracestate` that is passed on, in bytes. W3C asks to pass on at least this much.
pub const MAX_TRACESTATE_LEN: usize = 512;
/// The most members of a `tracestate`.
pub const MAX_TRACESTATE_MEMBERS: usize = 32;
/// The longest `baggage` that is passed on, in bytes.
pub const MAX_BAGGAGE_LEN: usize = 8192;
/// The most members of a `baggage`.
pub const MAX_BAGGAGE_MEMBERS: usize = 180;

/// What a request says about the trace that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext<'a> {
    /// The trace and the span that sent the request.
    pub traceparent: TraceParent,
    /// What tracing systems add for themselves; valid, to be passed on as it is.
    pub tracestate: Option<&'a str>,
    /// What the application adds; valid, to be passed on as it is.
    pub baggage: Option<&'a str>,
}

/// The `traceparent` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The version of the format that the field was written in. Never 255.
    pub version: u8,
    /// Names the trace. Never all zero.
    pub trace_id: [u8; 16],
    /// Names the sending span. Never all zero.
    pub parent_id: [u8; 8],
    /// Bit 0: the sender records the trace.
    pub flags: u8,
}

impl<'a> TraceContext<'a> {
    /// Reads the three fields. `None` without a valid `traceparent`, since `tracestate` means nothing
    /// then; [`baggage`] stands alone and can be asked for by itself.
    pub fn parse(traceparent: &str, tracestate: Option<&'a str>, baggage: Option<&'a str>) -> Option<Self> {
        Some(Self {
            traceparent: TraceParent::parse(traceparent)?,
            tracestate: tracestate.filter(|text| is_tracestate(text)),
            baggage: baggage.and_then(self::baggage),
        })
    }
}

impl TraceParent {
    /// The flag that says that the sender records the trace.
    pub const SAMPLED: u8 = 1;
    const LEN: usize = 55;

    /// Reads the field. `None` if it is not valid.
    ///
    /// A later version may have more after the flags, behind a `-`, which is passed over.
    pub fn parse(text: &str) -> Option<Self> {
        let (fields, rest) = text.as_bytes().split_at_checked(Self::LEN)?;
        if [fields[2], fields[35], fields[52]] != [b'-'; 3] {
            return None;
        }
        let version = hex::<1>(&fields[..2])?[0];
        let valid_rest = match version {
            0 => rest.is_empty(),
            255 => false,
            1..=254 => rest.is_empty() || rest[0] == b'-',
        };
        let trace_id = hex(&fields[3..35])?;
        let parent_id = hex(&fields[36..52])?;
        let [flags] = hex(&fields[53..])?;
        let valid = valid_rest && trace_id != [0; 16] && parent_id != [0; 8];
        valid.then_some(Self { version, trace_id, parent_id, flags })
    }

    /// The field of a span below this one: the same trace, in the version that we write.
    #[must_use]
    pub fn child(self, parent_id: [u8; 8]) -> Self {
        // Of flags that later versions may define we cannot vouch for the meaning.
        Self { version: 0, parent_id, flags: self.flags & Self::SAMPLED, ..self }
    }

    /// Whether the sender records the trace.
    pub const fn is_sampled(self) -> bool {
        self.flags & Self::SAMPLED != 0
    }
}

/// Writes the field, without what a later version may have had after the flags.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace_id = u128::from_be_bytes(self.trace_id);
        let parent_id = u64::from_be_bytes(self.parent_id);
        write!(f, "{:02x}-{trace_id:032x}-{parent_id:016x}-{:02x}", self.version, self.flags)
    }
}

/// The `baggage` field, if it is valid and within bounds.
pub fn baggage(text: &str) -> Option<&str> {
    let valid = text.len() <= MAX_BAGGAGE_LEN
        && text.split(',').count() <= MAX_BAGGAGE_MEMBERS
        && text.split(',').all(is_baggage_member);
    valid.then_some(text)
}

/// Empty members are allowed, but not a field of nothing else.
fn is_tracestate(text: &str) -> bool {
    let members = || text.split(',').map(trim).filter(|member| !member.is_empty());
    text.len() <= MAX_TRACESTATE_LEN
        && (1..=MAX_TRACESTATE_MEMBERS).contains(&members().count())
        && members().all(|member| member.split_once('=').is_some_and(|(key, value)| is_key(key) && is_value(value)))
        && !has_repeated_key(members())
}

fn has_repeated_key<'a>(members: impl Iterator<Item = &'a str>) -> bool {
    let mut keys: Vec<_> = members.map(|member| member.split('=').next()).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

/// `simple-key`, or tenant and system around an `@`.
fn is_key(key: &str) -> bool {
    let part = |text: &str, max: usize, first: fn(&u8) -> bool| {
        (1..=max).contains(&text.len())
            && text.as_bytes().first().is_some_and(first)
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/'))
    };
    match key.split_once('@') {
        None => part(key, 256, u8::is_ascii_lowercase),
        Some((tenant, system)) => {
            part(tenant, 241, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                && part(system, 14, u8::is_ascii_lowercase)
        }
    }
}

/// Up to 256 printable characters without `,` and `=`. The member was trimmed, so no space at the end.
fn is_value(value: &str) -> bool {
    (1..=256).contains(&value.len()) && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b",=".contains(&byte))
}

/// `key = value`, then properties behind `;`, each a key or `key = value`.
fn is_baggage_member(member: &str) -> bool {
    let mut parts = member.split(';').map(trim);
    let pair = |part: &str| {
        part.split_once('=').is_some_and(|(key, value)| is_token(trim(key)) && is_baggage_value(trim(value)))
    };
    parts.next().is_some_and(pair) && parts.all(|part| pair(part) || is_token(part))
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn is_baggage_value(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte))
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Lower case only, as the format demands.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

    fn tracestate(text: &str) -> Option<&str> {
        TraceContext::parse(VALID, Some(text), None)?.tracestate
    }

    #[test]
    fn reads_and_writes_a_traceparent() {
        let parent = TraceParent::parse(VALID).expect("valid");
        assert_eq!(parent.trace_id[..2], [0x0a, 0xf7]);
        assert_eq!(parent.parent_id[6..], [0x02, 0xb7]);
        assert!(parent.is_sampled());
        assert_eq!(parent.to_string(), VALID);
    }

    #[test]
    fn a_child_keeps_the_trace_and_drops_flags_it_does_not_know() {
        let later = VALID.replace("00-0af", "cc-0af").replace("-01", "-ff");
        let child = TraceParent::parse(&later).expect("valid").child([1; 8]);
        assert_eq!(child.to_string(), "00-0af7651916cd43dd8448eb211c80319c-0101010101010101-01");
    }

    #[test]
    fn every_broken_traceparent_is_absent() {
        for at in 0..VALID.len() {
            assert_eq!(TraceParent::parse(&VALID[..at]), None);
            for bad in ["g", "A", " ", "_", "é"] {
                let broken = format!("{}{bad}{}", &VALID[..at], &VALID[at + 1..]);
                assert_eq!(TraceParent::parse(&broken), None, "{broken}");
            }
        }
        for broken in [
            VALID.replace("00-0af", "ff-0af"),
            VALID.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            VALID.replace("00f067aa0ba902b7", &"0".repeat(16)),
            format!("{VALID}-more"),
            format!("{VALID}0"),
            format!(" {VALID}"),
        ] {
            assert_eq!(TraceParent::parse(&broken), None, "{broken}");
        }
    }

    #[test]
    fn a_later_version_may_say_more_behind_a_dash() {
        let later = VALID.replace("00-0af", "01-0af");
        assert!(TraceParent::parse(&later).is_some());
        assert!(TraceParent::parse(&format!("{later}-more")).is_some());
        assert!(TraceParent::parse(&format!("{later}more")).is_none());
    }

    #[test]
    fn passes_a_valid_tracestate_on_and_drops_a_broken_one() {
        for good in ["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a=1, b=2 ,,0t@sys=x y", "a=!"] {
            assert_eq!(tracestate(good), Some(good));
        }
        for bad in ["", " ", "a", "a=", "=1", "A=1", "0a=1", "a=1,a=2", "a=1=2", "a@=1", "a@0=1", "a=é", "a=\u{7f}"] {
            assert_eq!(tracestate(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_tracestate_is_bounded_in_length_and_members() {
        let members = |count: usize| (0..count).map(|at| format!("k{at}=1")).collect::<Vec<_>>().join(",");
        assert!(tracestate(&members(MAX_TRACESTATE_MEMBERS)).is_some());
        assert!(tracestate(&members(MAX_TRACESTATE_MEMBERS + 1)).is_none());
        let two = |len: usize| format!("a={},b={}", "x".repeat(256), "y".repeat(len - 261));
        assert!(tracestate(&two(MAX_TRACESTATE_LEN)).is_some());
        assert!(tracestate(&two(MAX_TRACESTATE_LEN + 1)).is_none());
    }

    #[test]
    fn passes_valid_baggage_on_and_drops_what_is_not() {
        for good in ["userId=Am%C3%A9lie,serverNode=DF%2028,isProduction=false", "k = v ; p ; q = 1 , l=", "k=a=b"] {
            assert_eq!(baggage(good), Some(good));
        }
        for bad in ["", "k", "=v", "k=v,", "k=v;", "k k=v", "k=\"v\"", "k=é", "k=a b", "k=a\\b"] {
            assert_eq!(baggage(bad), None, "{bad}");
        }
        assert!(baggage(&format!("k={}", "v".repeat(MAX_BAGGAGE_LEN - 2))).is_some());
        assert!(baggage(&format!("k={}", "v".repeat(MAX_BAGGAGE_LEN - 1))).is_none());
        assert!(baggage(&["k=v"; MAX_BAGGAGE_MEMBERS].join(",")).is_some());
        assert!(baggage(&["k=v"; MAX_BAGGAGE_MEMBERS + 1].join(",")).is_none());
    }
}
