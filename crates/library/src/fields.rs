//! Fields that several codecs read and write.

use bytes::Bytes;

/// A hash, key or id.
pub(crate) fn bytes32(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.try_into().ok()
}

/// The same where nothing stands for none.
pub(crate) fn optional32<E>(bytes: &[u8], error: E) -> Result<Option<[u8; 32]>, E> {
    if bytes.is_empty() { Ok(None) } else { bytes32(bytes).map(Some).ok_or(error) }
}

/// Copies a hash, key or id into a message.
pub(crate) fn to_bytes(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// A text of another node: no longer than `len_max` bytes, and without what a terminal acts on.
pub(crate) fn text(text: String, len_max: usize) -> Option<String> {
    (text.len() <= len_max && !text.chars().any(char::is_control)).then_some(text)
}

/// The start of a text, so that [`text`] accepts it at the other end.
pub(crate) fn cut(text: &str, len_max: usize) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let mut cut = String::new();
    for c in text.chars().map(shown) {
        if cut.len() + c.len_utf8() > len_max {
            break;
        }
        cut.push(c);
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_is_accepted() {
        let check = |given: &str, len_max, expected: &str| {
            assert_eq!(cut(given, len_max), expected);
            assert_eq!(text(cut(given, len_max), len_max), Some(expected.to_owned()));
        };
        check("abc", 3, "abc");
        check("abcd", 3, "abc");
        check("ä-ö", 4, "ä-");
        check("a\nb\u{1b}c", 9, "a b c");
        assert_eq!(text("abcd".to_owned(), 3), None);
        assert_eq!(text("a\nb".to_owned(), 3), None);
    }
}
