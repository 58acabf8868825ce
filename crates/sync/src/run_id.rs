//! The name of a run: when it began. It names the folder of the versions that the run displaced, so it sorts by time and reads as one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// When a run began, in milliseconds since 1970. The caller takes care that no two runs of a pair have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(u64);

/// A text that names no run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run is named like 20261129T101500.123Z: see `swarm changes`")]
pub struct NotARun;

impl RunId {
    /// The run that began so many milliseconds after 1970.
    pub const fn at_ms(at_ms: u64) -> Self {
        Self(if at_ms < LAST_MS { at_ms } else { LAST_MS })
    }

    /// When it began, in milliseconds since 1970.
    pub fn ms(self) -> u64 {
        self.0
    }

    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Result<Self, NotARun> {
        let bytes = text.as_bytes();
        let is_shaped = bytes.len() == 20 && bytes[8] == b'T' && bytes[15] == b'.' && bytes[19] == b'Z';
        let digits = |from: usize, to: usize| -> Result<u64, NotARun> {
            let part = text.get(from..to).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
            part.and_then(|part| part.parse().ok()).ok_or(NotARun)
        };
        if !is_shaped {
            return Err(NotARun);
        }
        let days = days_of(digits(0, 4)?, digits(4, 6)?, digits(6, 8)?).ok_or(NotARun)?;
        let secs = days * 86_400 + digits(9, 11)? * 3600 + digits(11, 13)? * 60 + digits(13, 15)?;
        let run = Self::at_ms(secs * 1000 + digits(16, 19)?);
        // A text such as 20260231T... names another day: only what `Display` writes is a name.
        if run.to_string() == text { Ok(run) } else { Err(NotARun) }
    }
}

/// `20261129T101500.123Z`: the time in UTC, to the millisecond.
impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, ms) = (self.0 / 1000, self.0 % 1000);
        let (year, month, day) = date_of(secs / 86_400);
        let of_day = secs % 86_400;
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{ms:03}Z")
    }
}

impl TryFrom<String> for RunId {
    type Error = NotARun;

    fn try_from(text: String) -> Result<Self, NotARun> {
        Self::parse(&text)
    }
}

impl From<RunId> for String {
    fn from(run: RunId) -> Self {
        run.to_string()
    }
}

/// Year, month and day, so many days after 1970-01-01 (proleptic Gregorian).
fn date_of(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01: the leap day is the last of its year then.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// Days from 1970-01-01 to a date; `None` before that.
fn days_of(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    (era * 146_097 + of_era).checked_sub(719_468)
}

/// 9999-12-31T23:59:59.999Z: a year has four digits.
const LAST_MS: u64 = 253_402_300_799_999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_reads_as_its_time_and_is_read_again() {
        let check = |ms: u64, text: &str| {
            assert_eq!(RunId::at_ms(ms).to_string(), text);
            assert_eq!(RunId::parse(text), Ok(RunId::at_ms(ms)));
        };
        check(0, "19700101T000000.000Z");
        check(951_782_400_000, "20000229T000000.000Z");
        check(1_795_947_300_123, "20261129T101500.123Z");
        check(u64::MAX, "99991231T235959.999Z");
        for text in
            ["", "20260231T000000.000Z", "20261129T101500.123", "2026-11-29T10:15:00Z", "2026112éT101500.12Z"]
        {
            assert_eq!(RunId::parse(text), Err(NotARun), "{text}");
        }
    }
}
