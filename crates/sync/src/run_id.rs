//! The name of a run: when it began. It names the folder of the versions that the run displaced, so it sorts by time and reads as one.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

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
        let part = |from: usize, to: usize| text.get(from..to).ok_or(NotARun);
        let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
        let (hour, minute, rest) = (part(9, 11)?, part(11, 13)?, part(13, text.len())?);
        let moment = format!("{year}-{month}-{day}T{hour}:{minute}:{rest}");
        let Timestamp(at_ns) = moment.parse().map_err(|_| NotARun)?;
        let run = Self::at_ms(u64::try_from(at_ns / NS_PER_MS).map_err(|_| NotARun)?);
        // Only what `Display` writes is a name: there are further ways to write a moment.
        if run.to_string() == text { Ok(run) } else { Err(NotARun) }
    }
}

/// `20261129T101500.123Z`: the time in UTC, to the millisecond.
impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs_ns = self.0.cast_signed() / 1000 * 1000 * NS_PER_MS;
        let moment = Timestamp(secs_ns).to_string().replace(['-', ':', 'Z'], "");
        write!(f, "{moment}.{:03}Z", self.0 % 1000)
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

const NS_PER_MS: i64 = 1_000_000;
/// 2262-04-11T23:47:16.854Z: the last moment that is a number of nanoseconds.
const LAST_MS: u64 = i64::MAX.cast_unsigned() / NS_PER_MS.cast_unsigned();

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
        check(LAST_MS, "22620411T234716.854Z");
        assert_eq!(RunId::at_ms(u64::MAX), RunId::at_ms(LAST_MS));
        for text in
            ["", "20260231T000000.000Z", "20261129T101500.123", "2026-11-29T10:15:00Z", "2026112éT101500.12Z"]
        {
            assert_eq!(RunId::parse(text), Err(NotARun), "{text}");
        }
    }
}
