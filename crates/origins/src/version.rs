//! Which version of a file an answer is of. Invariant: a range is taken only if the server names the place and length that were asked for, and no
//! other version. Pure.

use std::ops::Range;

use crate::error::{OriginError, shown};

/// A version of a file, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// In bytes.
    pub len: u64,
    /// Its strong ETag, once the server named one.
    pub tag: Option<String>,
}

/// The head of an answer, as far as it matters here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head<'a> {
    pub(crate) is_partial: bool,
    pub(crate) tag: Option<&'a str>,
    pub(crate) content_range: Option<&'a str>,
    pub(crate) content_len: Option<u64>,
}

impl Version {
    /// Whether the body of an answer is the range that was asked for. Returns the strong tag that the server named.
    ///
    /// # Errors
    /// [`OriginError::Changed`] for another version, [`OriginError::NoRange`] if the body is the whole file.
    pub(crate) fn check(&self, range: &Range<u64>, head: &Head<'_>) -> Result<Option<String>, OriginError> {
        let named = head.tag.filter(|tag| is_strong(tag)).map(str::to_owned);
        if let (Some(known), Some(named)) = (&self.tag, &named)
            && known != named
        {
            return Err(OriginError::Changed);
        }
        if !head.is_partial {
            if head.content_len.is_some_and(|len| len != self.len) {
                return Err(OriginError::Changed);
            }
            // Without a tag it may be another version: its hash tells.
            return if *range == (0..self.len) { Ok(named) } else { Err(OriginError::NoRange) };
        }
        let odd =
            || OriginError::Odd(format!("content-range {}", shown(head.content_range.unwrap_or_default())));
        let (first, last, len) = head.content_range.and_then(parsed).ok_or_else(odd)?;
        if len.is_some_and(|len| len != self.len) {
            return Err(OriginError::Changed);
        }
        if first != range.start || last.checked_add(1) != Some(range.end) {
            return Err(odd());
        }
        Ok(named)
    }
}

/// A weak tag may be that of two versions that differ.
fn is_strong(tag: &str) -> bool {
    tag.len() <= crate::limits::TAG_LEN_MAX && tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"')
}

/// `bytes 0-9/100`, or `bytes 0-9/*`.
fn parsed(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, len) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let len = if len == "*" { None } else { Some(len.parse().ok()?) };
    Some((first.parse().ok()?, last.parse().ok()?, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tag: Option<&str>, head: &Head<'_>, expected: Result<Option<&str>, OriginError>) {
        let version = Version { len: 100, tag: tag.map(str::to_owned) };
        let expected = expected.map(|tag| tag.map(str::to_owned));
        assert_eq!(version.check(&(10..20), head), expected, "{version:?} {head:?}");
    }

    fn partial<'a>(tag: Option<&'a str>, content_range: &'a str) -> Head<'a> {
        Head { is_partial: true, tag, content_range: Some(content_range), content_len: None }
    }

    #[test]
    fn a_range_is_of_the_version_that_was_asked_for() {
        check(None, &partial(None, "bytes 10-19/100"), Ok(None));
        check(None, &partial(Some("\"a\""), "bytes 10-19/100"), Ok(Some("\"a\"")));
        check(Some("\"a\""), &partial(Some("\"a\""), "bytes 10-19/*"), Ok(Some("\"a\"")));
        check(Some("\"a\""), &partial(Some("\"b\""), "bytes 10-19/100"), Err(OriginError::Changed));
        check(None, &partial(None, "bytes 10-19/101"), Err(OriginError::Changed));
        // A weak tag proves nothing.
        check(Some("\"a\""), &partial(Some("W/\"b\""), "bytes 10-19/100"), Ok(None));
    }

    #[test]
    fn another_range_is_no_answer() {
        for bad in ["bytes 0-9/100", "bytes 10-18/100", "bytes 10-19", "items 10-19/100", ""] {
            let odd = OriginError::Odd(format!("content-range {bad}"));
            check(None, &partial(None, bad), Err(odd));
        }
    }

    #[test]
    fn the_whole_file_in_place_of_a_range_is_told_from_another_version() {
        let whole = |tag, len| Head { is_partial: false, tag, content_range: None, content_len: len };
        check(None, &whole(None, Some(100)), Err(OriginError::NoRange));
        check(Some("\"a\""), &whole(Some("\"b\""), Some(100)), Err(OriginError::Changed));
        check(None, &whole(None, Some(99)), Err(OriginError::Changed));
        let version = Version { len: 100, tag: None };
        assert_eq!(version.check(&(0..100), &whole(Some("\"a\""), None)), Ok(Some("\"a\"".to_owned())));
    }
}
