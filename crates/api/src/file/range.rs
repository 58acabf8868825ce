//! The header Range (RFC 9110, section 14). Invariant: a range lies in the file; what is not understood, or is too much, is the whole file.

use crate::limits::RANGES_MAX;

/// Bytes from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ranges {
    /// The whole file.
    All,
    /// These ranges; at least one.
    Some(Vec<Range>),
    /// No range that it names lies in the file.
    None,
}

impl Range {
    pub(super) fn len(self) -> u64 {
        self.last - self.first + 1
    }
}

impl Ranges {
    pub(super) fn parse(header: &str, len: u64) -> Self {
        let Some(specs) = header.trim().strip_prefix("bytes=") else { return Self::All };
        let mut ranges = Vec::new();
        for (count, spec) in specs.split(',').map(str::trim).filter(|spec| !spec.is_empty()).enumerate() {
            if count >= RANGES_MAX {
                return Self::All;
            }
            match parse_one(spec, len) {
                Ok(range) => ranges.extend(range),
                Err(NotUnderstood) => return Self::All,
            }
        }
        let sum: u64 = ranges.iter().map(|range: &Range| range.len()).sum();
        match ranges.len() {
            0 => Self::None,
            // Overlapping ranges would cost more than the file.
            2.. if sum > len => Self::All,
            _ => Self::Some(ranges),
        }
    }
}

struct NotUnderstood;

fn parse_one(spec: &str, len: u64) -> Result<Option<Range>, NotUnderstood> {
    let number = |text: &str| -> Result<u64, NotUnderstood> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { Ok(text.parse().unwrap_or(u64::MAX)) } else { Err(NotUnderstood) }
    };
    let (first, last) = spec.split_once('-').ok_or(NotUnderstood)?;
    if first.is_empty() {
        let count = number(last)?.min(len);
        return Ok((count > 0).then(|| Range { first: len - count, last: len - 1 }));
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return Err(NotUnderstood);
    }
    Ok((first < len).then(|| Range { first, last: last.min(len - 1) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_has_them() {
        let check = |header: &str, expected: &[(u64, u64)]| {
            let ranges = expected.iter().map(|(first, last)| Range { first: *first, last: *last }).collect();
            assert_eq!(Ranges::parse(header, 100), Ranges::Some(ranges), "{header}");
        };
        check("bytes=0-0", &[(0, 0)]);
        check("bytes=10-19", &[(10, 19)]);
        check("bytes=90-", &[(90, 99)]);
        check("bytes=90-1000", &[(90, 99)]);
        check("bytes=-10", &[(90, 99)]);
        check("bytes=-1000", &[(0, 99)]);
        check("bytes=0-1, 98-99", &[(0, 1), (98, 99)]);
        check("bytes=0-1,200-300", &[(0, 1)]);
        check("bytes=99-99999999999999999999999", &[(99, 99)]);
    }

    #[test]
    fn what_is_not_understood_is_the_whole_file() {
        let many = format!("bytes={}", ["0-0"; RANGES_MAX + 1].join(","));
        let odd = [
            "lines=1-2",
            "bytes 1-2",
            "bytes=a-b",
            "bytes=5-4",
            "bytes=1",
            "bytes=--1",
            "bytes=+1-2",
            "bytes=0-99,0-99",
            &many,
        ];
        for header in odd {
            assert_eq!(Ranges::parse(header, 100), Ranges::All, "{header}");
        }
    }

    #[test]
    fn ranges_beyond_the_end_are_none() {
        for (header, len) in
            [("bytes=100-", 100), ("bytes=0-0", 0), ("bytes=-0", 100), ("bytes=-5", 0), ("bytes=", 100)]
        {
            assert_eq!(Ranges::parse(header, len), Ranges::None, "{header} {len}");
        }
    }
}
