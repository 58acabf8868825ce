//! The name of a site or provider. Exists only within its cap and without control characters.

use std::fmt;
use std::str::FromStr;

use super::limits::ZONE_LEN_MAX;

/// Where a node stands, in its operator's own words: nodes of one zone are near each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(String);

/// A string that names no zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a zone is a name of 1 to {ZONE_LEN_MAX} bytes, without control characters")]
pub struct ZoneError;

impl Zone {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    fn from_str(text: &str) -> Result<Self, ZoneError> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for Zone {
    type Error = ZoneError;

    fn try_from(name: String) -> Result<Self, ZoneError> {
        let is_zone = (1..=ZONE_LEN_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
        if is_zone { Ok(Self(name)) } else { Err(ZoneError) }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_a_short_name_without_control_characters() {
        let longest = "x".repeat(ZONE_LEN_MAX);
        for good in ["lab", "Zürich 2", " ", longest.as_str()] {
            assert_eq!(good.parse::<Zone>().expect(good).as_str(), good);
        }
        for bad in ["", "a\nb", "\u{1b}[2J", "\u{7f}", &format!("{longest}x")] {
            assert_eq!(bad.parse::<Zone>(), Err(ZoneError), "{bad:?}");
        }
    }
}
