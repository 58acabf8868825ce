//! Limits by local time, as `limits.schedule` of `config.json` says. Invariant: of several entries whose time it is, the first one counts; a rate that it does
//! not name is as usual. Knows no clock: the time comes as an argument. Absent here: who slows down (`swarm-daemon`).

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;
use swarm_core::base::Rate;

use crate::json::quoted;
use crate::values::{Limits, Parsed, plain};

/// Limits between two times of day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The days on which it begins, Monday first.
    pub days: [bool; 7],
    /// Minutes after midnight, local time.
    pub from: u16,
    /// The minute at which it ends: on the next day if that is not after `from`.
    pub to: u16,
    /// To others; a rate of zero is a pause.
    pub up: Option<Rate>,
    /// From others.
    pub down: Option<Rate>,
}

/// A minute of a week of this machine's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalMinute {
    /// 0 is Monday.
    day: usize,
    /// After midnight.
    minute: u16,
}

/// An entry of `schedule` as it stands in a file.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "schedule")]
pub(crate) struct FileWindow {
    /// The days on which it begins: "mon", "tue", "wed", "thu", "fri", "sat", "sun". Without it: every day.
    days: Option<Vec<Parsed<Day>>>,
    /// The first minute, local time, as in "08:00".
    from: Parsed<TimeOfDay>,
    /// The minute at which it ends; on the next day if that is not after `from`.
    to: Parsed<TimeOfDay>,
    /// Upload no faster than this meanwhile; "0" is a pause. Without it: as usual.
    up: Option<Parsed<PausableRate>>,
    /// Download no faster than this meanwhile; "0" is a pause. Without it: as usual.
    down: Option<Parsed<PausableRate>>,
}

#[derive(Clone, Copy, Debug)]
struct Day(usize);

#[derive(Clone, Copy, Debug)]
struct TimeOfDay(u16);

#[derive(Clone, Copy, Debug)]
struct PausableRate(Rate);

impl LocalMinute {
    /// Of an instant, milliseconds since 1970.
    pub fn of_ms(ms: u64) -> Self {
        Self::in_zone(ms, TimeZone::system())
    }

    fn in_zone(ms: u64, zone: TimeZone) -> Self {
        let at = jiff::Timestamp::from_millisecond(i64::try_from(ms).unwrap_or(i64::MAX)).unwrap_or_default();
        let local = at.to_zoned(zone);
        let day = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
        let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        Self { day, minute }
    }
}

impl Window {
    fn holds(&self, now: LocalMinute) -> bool {
        let LocalMinute { day, minute } = now;
        let before = (day + self.days.len() - 1) % self.days.len();
        if self.from < self.to {
            self.days[day] && (self.from..self.to).contains(&minute)
        } else {
            (self.days[day] && minute >= self.from) || (self.days[before] && minute < self.to)
        }
    }
}

impl Limits {
    /// The limits at a time: those of the first window that holds, and where it names none, these. A rate of zero is a pause.
    #[must_use]
    pub fn at(self, now: LocalMinute, schedule: &[Window]) -> Self {
        let window = schedule.iter().find(|window| window.holds(now));
        let named = window.map(|window| (window.up, window.down)).unwrap_or_default();
        Self { up: named.0.or(self.up), down: named.1.or(self.down) }
    }
}

impl FileWindow {
    pub(crate) fn window(self) -> Window {
        let days = self.days.map_or([true; 7], |named| {
            let mut days = [false; 7];
            for Parsed(Day(day)) in named {
                days[day] = true;
            }
            days
        });
        let (Parsed(TimeOfDay(from)), Parsed(TimeOfDay(to))) = (self.from, self.to);
        let rate = |rate| plain(rate).map(|PausableRate(rate)| rate);
        Window { days, from, to, up: rate(self.up), down: rate(self.down) }
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "expected one of \"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\", found {}",
                quoted(text)
            )
        };
        DAYS.iter().position(|day| *day == text).map(Self).ok_or_else(wrong)
    }
}

impl FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str, below: u16| {
            let is_two = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|number| is_two && *number < below)
        };
        let wrong = || format!("expected a time of day from \"00:00\" to \"23:59\", found {}", quoted(text));
        let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
        let (hours, minutes) = number(hours, 24).zip(number(minutes, 60)).ok_or_else(wrong)?;
        Ok(Self(hours * 60 + minutes))
    }
}

impl FromStr for PausableRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "0" {
            return Ok(Self(Rate(0)));
        }
        text.parse().map(Self).map_err(|error| format!("{error}, or \"0\" for a pause"))
    }
}

impl fmt::Display for LocalMinute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:02}:{:02}", DAYS[self.day], self.minute / 60, self.minute % 60)
    }
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[usize], from: u16, to: u16, up: u64) -> Window {
        let is_on = |day| days.contains(&day);
        Window {
            days: std::array::from_fn(is_on),
            from: from * 60,
            to: to * 60,
            up: Some(Rate(up)),
            down: None,
        }
    }

    #[test]
    fn the_first_window_that_holds_decides_and_the_rest_is_as_usual() {
        let schedule = [
            window(&[0, 1, 2, 3, 4], 8, 18, 1),
            window(&[0, 5], 17, 19, 0),
            // From Saturday evening to Sunday morning, and all of Sunday's 24 hours from noon.
            window(&[5], 22, 6, 3),
            window(&[6], 12, 12, 4),
        ];
        let usual = Limits { up: Some(Rate(9)), down: Some(Rate(8)) };
        for (day, time, up) in [
            (0, "07:59", 4),
            (0, "08:00", 1),
            (0, "17:30", 1),
            (0, "18:00", 0),
            (0, "19:00", 9),
            (5, "08:00", 9),
            (5, "17:00", 0),
            (5, "22:00", 3),
            (6, "05:59", 3),
            (6, "06:00", 9),
            (6, "12:00", 4),
            (0, "05:00", 4),
            (0, "11:59", 1),
            (1, "05:00", 9),
        ] {
            let TimeOfDay(minute) = time.parse().expect("a time");
            let now = LocalMinute { day, minute };
            let expected = Limits { up: Some(Rate(up)), down: Some(Rate(8)) };
            assert_eq!(usual.at(now, &schedule), expected, "{now}");
        }
    }

    #[test]
    fn an_instant_is_a_minute_of_the_week_of_its_zone() {
        // Thursday, 1 January 1970, and a Sunday in a zone that is ahead.
        let shown = |ms, hours| {
            let zone = TimeZone::fixed(jiff::tz::Offset::from_hours(hours).expect("hours"));
            LocalMinute::in_zone(ms, zone).to_string()
        };
        assert_eq!(shown(0, 0), "thu 00:00");
        assert_eq!(shown(1_796_000_340_000, 0), "mon 00:59");
        assert_eq!(shown(1_796_000_340_000, -1), "sun 23:59");
        assert_eq!(shown(u64::MAX, 0), "thu 00:00", "no time that there is");
    }
}
