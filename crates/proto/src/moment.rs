//! Seconds of UTC, as RFC 3339 has them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const DAY: u64 = 86_400;
/// 9999-12-31T23:59:59Z, beyond which RFC 3339 has no way to write a year.
const LAST: u64 = 253_402_300_799;

/// A second of UTC, written as RFC 3339 has it: `2026-07-28T09:30:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// So many seconds after 1970-01-01; at most the end of the year 9999.
    pub fn from_unix(seconds: u64) -> Self {
        Self(seconds.min(LAST))
    }

    /// How many seconds after 1970-01-01.
    pub const fn unix(self) -> u64 {
        self.0
    }

    /// How long before `later`; nothing if it is not before it.
    pub const fn until(self, later: Self) -> Duration {
        Duration::from_secs(later.0.saturating_sub(self.0))
    }

    /// How long ago it was at `now`, for people: `4 min`.
    pub fn age(self, now: Self) -> String {
        words(self.until(now))
    }
}

/// A time in its largest unit, cut.
pub fn words(time: Duration) -> String {
    match time.as_secs() {
        secs @ ..60 => format!("{secs} s"),
        secs @ 60..3600 => format!("{} min", secs / 60),
        secs @ 3600..DAY => format!("{} h", secs / 3600),
        secs => format!("{} d", secs / DAY),
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0 / DAY);
        let second = self.0 % DAY;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Year, month and day of a day after 1970-01-01, counted from a first of March, so that a leap day is the last of its
/// year and the lengths of months follow one line.
const fn date(days: u64) -> (u64, u64, u64) {
    // 719,468 days are from 0000-03-01 to 1970-01-01; 146,097 are in 400 years.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// The other way round.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let of_era = year % 400 * 365 + year % 400 / 4 - year % 400 / 100 + of_year;
    year / 400 * 146_097 + of_era - 719_468
}

/// Why a text is no [`Moment`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("that is no moment such as 2026-01-31T09:30:00Z")]
pub struct NoMoment;

impl FromStr for Moment {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        let number = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse().ok());
        let numbers = [number(0, 4), number(5, 7), number(8, 10), number(11, 13), number(14, 16), number(17, 19)];
        let [Some(year), Some(month), Some(day), Some(hour), Some(minute), Some(second)] = numbers else {
            return Err(NoMoment);
        };
        if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(NoMoment);
        }
        let moment = Self(days(year, month, day) * DAY + hour * 3600 + minute * 60 + second);
        // Whatever else is wrong, such as a sign, a 31st of February or an hour of 25, is not written like that.
        if moment.to_string() == text { Ok(moment) } else { Err(NoMoment) }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_moment_is_written_as_rfc_3339_has_it() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_785_231_000, "2026-07-28T09:30:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Moment::from_unix(unix).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2026-07-28",
            "2026-07-28T09:30:00",
            "2026-07-28 09:30:00Z",
            "2026-02-30T09:30:00Z",
            "2026-07-28T24:00:00Z",
            "+026-07-28T09:30:00Z",
            "2026-07-28T09:30:00Zé",
            "2026-00-28T09:30:00Z",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(text.parse::<Moment>(), Err(NoMoment), "{text}");
        }
    }

    #[test]
    fn ages_are_cut_to_their_largest_unit() {
        for (secs, expected) in [(0, "0 s"), (59, "59 s"), (119, "1 min"), (7199, "1 h"), (DAY * 30, "30 d")] {
            assert_eq!(words(Duration::from_secs(secs)), expected);
        }
    }

    proptest! {
        #[test]
        fn a_moment_is_read_as_it_is_written(unix in 0..=LAST) {
            let moment = Moment::from_unix(unix);
            prop_assert_eq!(moment.to_string().parse(), Ok(moment));
        }
    }
}
