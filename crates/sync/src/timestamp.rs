//! Moments as RFC 3339 texts in UTC: `2026-11-29T10:00:00.5Z`. Absent here: clocks, zones, and calendars other than the Gregorian one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A moment, nanoseconds since 1970. It reaches from 1677 to 2262, so a year has four digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(pub i64);

/// A text that is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time: write one such as 2026-11-29T10:00:00Z")]
pub struct BadTimestamp(pub String);

const NANOS_PER_SEC: i64 = 1_000_000_000;
const SECS_PER_DAY: i64 = 86_400;
/// Every 400 years, the calendar repeats.
const DAYS_PER_CYCLE: i64 = 146_097;
/// Days from 1 March of the year 0 to 1 January 1970. Years begin in March here: a leap day is then a year's last.
const EPOCH_DAYS: i64 = 719_468;

/// A day of the Gregorian calendar.
struct Date {
    year: i64,
    month: i64,
    day: i64,
}

impl Date {
    fn of_days_since_1970(days: i64) -> Self {
        let days = days + EPOCH_DAYS;
        let (cycle, day) = (days.div_euclid(DAYS_PER_CYCLE), days.rem_euclid(DAYS_PER_CYCLE));
        // Takes out the leap days: one in 4 years, none in 100, one in 400.
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        // From March on, months have 31 30 31 30 31 days, over and over: 153 days in 5 months.
        let months = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * months + 2) / 5 + 1;
        let month = if months < 10 { months + 3 } else { months - 9 };
        Self { year: 400 * cycle + year + i64::from(month <= 2), month, day }
    }

    fn days_since_1970(&self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
        let months = (self.month + 9) % 12;
        let day_of_year = (153 * months + 2) / 5 + self.day - 1;
        cycle * DAYS_PER_CYCLE + 365 * year + year / 4 - year / 100 + day_of_year - EPOCH_DAYS
    }

    /// Whether the calendar has it.
    fn exists(&self) -> bool {
        let same = Self::of_days_since_1970(self.days_since_1970());
        (1..=12).contains(&self.month) && (same.month, same.day) == (self.month, self.day)
    }
}

/// RFC 3339 in UTC, with as many digits of a second as it takes.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, nanos) = (self.0.div_euclid(NANOS_PER_SEC), self.0.rem_euclid(NANOS_PER_SEC));
        let Date { year, month, day } = Date::of_days_since_1970(secs.div_euclid(SECS_PER_DAY));
        let secs = secs.rem_euclid(SECS_PER_DAY);
        let (hour, minute, second) = (secs / 3600, secs / 60 % 60, secs % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if nanos > 0 {
            let digits = format!("{nanos:09}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

impl FromStr for Timestamp {
    type Err = BadTimestamp;

    /// Only UTC is read: other zones are for those who know the user's.
    fn from_str(text: &str) -> Result<Self, BadTimestamp> {
        parse(text).map(Self).ok_or_else(|| BadTimestamp(text.into()))
    }
}

fn parse(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z')?;
    let (text, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let date = Date { year, month, day };
    if !date.exists() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let secs = date.days_since_1970() * SECS_PER_DAY + 3600 * hour + 60 * minute + second;
    let nanos = nanos_of(fraction)?;
    i64::try_from(i128::from(secs) * i128::from(NANOS_PER_SEC) + i128::from(nanos)).ok()
}

fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        *number = digits_of(parts.next().filter(|part| part.len() == digits)?)?;
    }
    parts.next().is_none().then_some(numbers)
}

fn nanos_of(fraction: &str) -> Option<i64> {
    (fraction.len() <= 9)
        .then(|| digits_of(&format!("{fraction:0<9}")))
        .flatten()
        .filter(|_| !fraction.is_empty())
}

/// Digits alone: a sign is none.
fn digits_of(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl TryFrom<String> for Timestamp {
    type Error = BadTimestamp;

    fn try_from(text: String) -> Result<Self, BadTimestamp> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(at_ns: i64, text: &str) {
        assert_eq!(Timestamp(at_ns).to_string(), text);
        assert_eq!(text.parse(), Ok(Timestamp(at_ns)));
    }

    /// Seconds as `date -u -d TEXT +%s` tells them.
    #[test]
    fn known_dates_are_written_and_read() {
        check(0, "1970-01-01T00:00:00Z");
        check(951_782_400 * NANOS_PER_SEC, "2000-02-29T00:00:00Z");
        check(951_868_799 * NANOS_PER_SEC, "2000-02-29T23:59:59Z");
        check(951_868_800 * NANOS_PER_SEC, "2000-03-01T00:00:00Z");
        check(1_709_164_800 * NANOS_PER_SEC, "2024-02-29T00:00:00Z");
        check(1_735_689_599 * NANOS_PER_SEC, "2024-12-31T23:59:59Z");
        check(1_795_946_400 * NANOS_PER_SEC, "2026-11-29T10:00:00Z");
        check(4_107_542_400 * NANOS_PER_SEC, "2100-03-01T00:00:00Z");
        check(-2_203_977_600 * NANOS_PER_SEC, "1900-02-28T00:00:00Z");
        check(-2_203_891_200 * NANOS_PER_SEC, "1900-03-01T00:00:00Z");
    }

    #[test]
    fn the_first_and_the_last_moment_are_written_and_read() {
        check(i64::MIN, "1677-09-21T00:12:43.145224192Z");
        check(i64::MAX, "2262-04-11T23:47:16.854775807Z");
        check(-1, "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn a_part_of_a_second_has_the_digits_that_it_takes() {
        check(500_000_000, "1970-01-01T00:00:00.5Z");
        check(1, "1970-01-01T00:00:00.000000001Z");
    }

    #[test]
    fn every_day_follows_the_day_before() {
        let mut previous = Date::of_days_since_1970(-110_000);
        for days in -109_999..110_000 {
            let date = Date::of_days_since_1970(days);
            assert_eq!(date.days_since_1970(), days);
            let is_next_day =
                (date.year, date.month, date.day) == (previous.year, previous.month, previous.day + 1);
            assert!(is_next_day || date.day == 1 && previous.day >= 28, "day {days}");
            previous = date;
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-11-29",
            "2026-11-29T10:00:00",
            "2026-02-29T10:00:00Z",
            "2026-13-01T10:00:00Z",
            "2026-00-10T10:00:00Z",
            "2026-11-31T10:00:00Z",
            "2026-11-29T24:00:00Z",
            "2026-11-29T10:00:00.Z",
            "2026-11-29T10:00:00.0000000001Z",
            "2026-11-29T10:00:+1Z",
            "2026-1-29T10:00:00Z",
            "2400-01-01T00:00:00Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(BadTimestamp(text.into())));
        }
    }
}
