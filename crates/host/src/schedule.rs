//! Which limits hold at which time of day. Knows no clock: the minute comes as an argument.

use std::fmt;
use std::str::FromStr;

use swarm_core::base::Rate;

/// A time of day, minutes after midnight, local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

/// A string that is not a time of day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time of day: write HH:MM, from 00:00 to 23:59")]
pub struct TimeOfDayError(String);

/// Limits between two times of day; past midnight if `to` comes before `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first minute.
    pub from: TimeOfDay,
    /// The first minute after it.
    pub to: TimeOfDay,
    /// What it changes.
    pub rates: Rates,
}

/// Limits on payload, all peers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Sent.
    pub up: Option<Rate>,
    /// Received.
    pub down: Option<Rate>,
}

impl TimeOfDay {
    /// So many minutes after midnight.
    pub fn of_minute(minute: u16) -> Self {
        Self(minute % MINUTES)
    }
}

impl FromStr for TimeOfDay {
    type Err = TimeOfDayError;

    fn from_str(text: &str) -> Result<Self, TimeOfDayError> {
        let bad = || TimeOfDayError(text.chars().filter(|c| !c.is_control()).take(20).collect());
        let (hours, minutes) = text.split_once(':').ok_or_else(bad)?;
        let number = |digits: &str, below: u16| {
            let is_two = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|number| is_two && *number < below)
        };
        let (hours, minutes) = number(hours, 24).zip(number(minutes, 60)).ok_or_else(bad)?;
        Ok(Self(hours * 60 + minutes))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Window {
    fn holds(&self, now: TimeOfDay) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&now)
        } else {
            now >= self.from || now < self.to
        }
    }
}

/// The limits at a time of day: those of the first window that holds, and where it names none, the usual ones.
pub(super) fn rates_at(now: TimeOfDay, windows: &[Window], usual: Rates) -> Rates {
    let window = windows.iter().find(|window| window.holds(now)).map_or(usual, |window| window.rates);
    Rates { up: window.up.or(usual.up), down: window.down.or(usual.down) }
}

const MINUTES: u16 = 24 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: &str, to: &str, up: u64) -> Window {
        let time = |text: &str| text.parse().expect("a time");
        Window { from: time(from), to: time(to), rates: Rates { up: Some(Rate(up)), down: None } }
    }

    #[test]
    fn the_first_window_that_holds_decides_and_the_rest_is_as_usual() {
        let windows = [window("08:00", "18:00", 1), window("17:00", "19:00", 2), window("23:30", "06:00", 3)];
        let usual = Rates { up: Some(Rate(9)), down: Some(Rate(8)) };
        for (now, up) in [
            ("07:59", 9),
            ("08:00", 1),
            ("17:59", 1),
            ("18:00", 2),
            ("19:00", 9),
            ("23:30", 3),
            ("00:00", 3),
            ("05:59", 3),
            ("06:00", 9),
        ] {
            let rates = rates_at(now.parse().expect("a time"), &windows, usual);
            assert_eq!(rates, Rates { up: Some(Rate(up)), down: Some(Rate(8)) }, "at {now}");
        }
    }

    #[test]
    fn times_of_day_have_two_digits_each() {
        assert_eq!("23:59".parse(), Ok(TimeOfDay(23 * 60 + 59)));
        assert_eq!(TimeOfDay::of_minute(8 * 60 + 5).to_string(), "08:05");
        for text in ["24:00", "12:60", "8:00", "08:0", "0800", "", "+1:00", "08:00:00"] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
    }
}
