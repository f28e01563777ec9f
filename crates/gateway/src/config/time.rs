//! Times as people write them: `500ms`, `10s`, `5min`, `1h`, `30d`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time, written as a whole number and a unit: `ms`, `s`, `min`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(Duration);

/// The units, largest first, with their lengths in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("ms", 1), ("s", 1000)];

impl Time {
    /// So many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// As the standard library has it.
    pub const fn get(self) -> Duration {
        self.0
    }
}

/// The longest time that can be written: ten years. Clocks can add it without overflow.
const LONGEST_MILLIS: u64 = 3650 * 86_400_000;

/// Why a text is no [`Time`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time: write a whole number and a unit, such as 500ms, 10s, 5min, 1h or 30d, and 3650d at most")]
pub struct NoTime(String);

impl FromStr for Time {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Self, NoTime> {
        let no_time = || NoTime(text.chars().take(64).collect());
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let (_, millis) = UNITS.into_iter().find(|(unit, _)| *unit == &text[digits.len()..]).ok_or_else(no_time)?;
        let number: u64 = digits.trim_end().parse().map_err(|_| no_time())?;
        let millis = number.checked_mul(millis).filter(|millis| *millis <= LONGEST_MILLIS).ok_or_else(no_time)?;
        Ok(Self::from_millis(millis))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let [days, hours, minutes, ms, s] = UNITS;
        let fits = |(_, length): &(&str, u64)| millis >= *length && millis.is_multiple_of(*length);
        let (unit, length) =
            [days, hours, minutes, s].into_iter().find(fits).unwrap_or(if millis == 0 { s } else { ms });
        write!(f, "{}{unit}", millis / length)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A span of time: a whole number and a unit, such as `500ms`, `10s`, `5min`, `1h` or `30d`.",
            "type": "string",
            "pattern": "^[0-9]+ ?(ms|s|min|h|d)$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_it_is_read() {
        for text in ["0s", "1ms", "1500ms", "10s", "5min", "1h", "30d", "3650d"] {
            assert_eq!(text.parse::<Time>().unwrap().to_string(), text);
        }
        assert_eq!("90 s".parse(), Ok(Time::from_secs(90)));
        assert_eq!("60s".parse::<Time>().unwrap().to_string(), "1min");
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in ["", "s", "10", "1.5s", "-1s", "10m", "10 seconds", "3651d", "99999999999999999999d"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }
}
