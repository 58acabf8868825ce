//! Lengths and rates as people write them: `10MiB`, `1.5GB`, `20MB/s`, `100mbit`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteLen(pub u64);

/// Bytes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(pub u64);

/// A string that is not a length or a rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseUnitError {
    /// Not a length.
    #[error("`{0}` is not a length: write a number and B, KB, MB, GB, TB, KiB, MiB, GiB or TiB, as in 64MiB")]
    Len(String),
    /// Not a rate.
    #[error("`{0}` is not a rate: write bytes as in 20MB/s or bits as in 100mbit")]
    Rate(String),
}

impl Rate {
    /// The rate that transferred `len` bytes in `time`; zero if `time` is zero.
    pub fn over(len: u64, time: Duration) -> Self {
        let nanos = time.as_nanos();
        if nanos == 0 {
            return Self(0);
        }
        Self(u64::try_from(u128::from(len) * 1_000_000_000 / nanos).unwrap_or(u64::MAX))
    }

    /// Time that `len` bytes take at this rate; an hour at a rate of zero.
    pub fn time_for(self, len: u64) -> Duration {
        if self.0 == 0 {
            return Duration::from_secs(3600);
        }
        Duration::from_secs_f64((len as f64 / self.0 as f64).min(1e9))
    }

    /// Bytes that this rate transfers in `time`.
    pub fn len_in(self, time: Duration) -> u64 {
        (self.0 as f64 * time.as_secs_f64()) as u64
    }
}

impl FromStr for ByteLen {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let bad = || ParseUnitError::Len(text.to_owned());
        let (number, unit) = split(text);
        let scale = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            "t" | "tib" => 1 << 40,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err(bad()),
        };
        Ok(Self(scaled(number, scale).ok_or_else(bad)?))
    }
}

impl FromStr for Rate {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        let bad = || ParseUnitError::Rate(text.to_owned());
        let (number, unit) = split(text);
        let unit = unit.to_ascii_lowercase();
        let (unit, bits) =
            match unit.strip_suffix("bit/s").or(unit.strip_suffix("bit")).or(unit.strip_suffix("bps")) {
                Some(prefix) => (prefix.to_owned(), true),
                None => (unit.strip_suffix("/s").unwrap_or(&unit).to_owned(), false),
            };
        if bits {
            let scale = match unit.as_str() {
                "" => 1,
                "k" => 1_000,
                "m" => 1_000_000,
                "g" => 1_000_000_000,
                _ => return Err(bad()),
            };
            let bits = scaled(number, scale).ok_or_else(bad)?;
            return if bits < 8 { Err(bad()) } else { Ok(Self(bits / 8)) };
        }
        let ByteLen(bytes) = format!("{number}{unit}").parse().map_err(|_| bad())?;
        if bytes == 0 { Err(bad()) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for ByteLen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = match self.0 {
            0..1_000 => format!("{} B", self.0),
            1_000..1_000_000 => format!("{:.1} kB", self.0 as f64 / 1e3),
            1_000_000..1_000_000_000 => format!("{:.1} MB", self.0 as f64 / 1e6),
            1_000_000_000..1_000_000_000_000 => format!("{:.2} GB", self.0 as f64 / 1e9),
            _ => format!("{:.2} TB", self.0 as f64 / 1e12),
        };
        f.pad(&shown)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/s", ByteLen(self.0)))
    }
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

fn scaled(number: &str, scale: u64) -> Option<u64> {
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(scale);
    }
    let value = number.parse::<f64>().ok()? * scale as f64;
    (value.is_finite() && value < u64::MAX as f64).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_people_write_them() {
        for (text, len) in [
            ("0", 0),
            ("10MiB", 10 << 20),
            ("1.5 GB", 1_500_000_000),
            ("64k", 64 << 10),
            ("2TB", 2_000_000_000_000),
            ("7B", 7),
        ] {
            assert_eq!(text.parse(), Ok(ByteLen(len)), "{text}");
        }
        for text in ["", "MiB", "ten", "1.2.3MB", "-5", "10XB", "99999999999999999999", "1e3"] {
            assert!(text.parse::<ByteLen>().is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_read_in_bytes_and_in_bits() {
        for (text, rate) in [
            ("20MB/s", 20_000_000),
            ("100mbit", 12_500_000),
            ("1Gbit/s", 125_000_000),
            ("512KiB", 512 << 10),
            ("8bps", 1),
        ] {
            assert_eq!(text.parse(), Ok(Rate(rate)), "{text}");
        }
        for text in ["", "0", "0mbit", "fast", "10mibit", "1 bit"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_rate_and_its_time_agree() {
        let rate = Rate::over(3_000_000, Duration::from_millis(1500));
        assert_eq!(rate, Rate(2_000_000));
        assert_eq!(rate.time_for(1_000_000), Duration::from_millis(500));
        assert_eq!(Rate::over(1, Duration::ZERO), Rate(0));
    }
}
