//! Text files that people write with any editor: UTF-8, with or without a byte order mark. UTF-16 is refused by name, because
//! a list in it looks right in the editor that wrote it.

/// Why bytes are not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// UTF-16, which some editors and shells write by default.
    #[error("it is UTF-16 text: save it as UTF-8")]
    Utf16,
    /// Any other encoding, or binary data: the offset of the first byte that is not UTF-8.
    #[error("it is not UTF-8 text from byte {0} on: save it as UTF-8")]
    NotUtf8(usize),
}

/// The bytes behind a byte order mark, if there is one.
pub fn without_mark(bytes: &[u8]) -> Result<&[u8], TextError> {
    let is_utf16 = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        // Without a mark: every second byte of ASCII in UTF-16 is zero.
        [first, second, ..] => (*first == 0) != (*second == 0),
        [] | [_] => false,
    };
    if is_utf16 { Err(TextError::Utf16) } else { Ok(bytes.strip_prefix(MARK).unwrap_or(bytes)) }
}

/// The text behind a byte order mark, if there is one.
pub fn text_of(bytes: &[u8]) -> Result<&str, TextError> {
    let bytes = without_mark(bytes)?;
    std::str::from_utf8(bytes).map_err(|error| TextError::NotUtf8(error.valid_up_to()))
}

const MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        assert_eq!(text_of(b"\xef\xbb\xbfone\r\n"), Ok("one\r\n"));
        assert_eq!(text_of(b"one"), Ok("one"));
        assert_eq!(text_of(b""), Ok(""));
    }

    #[test]
    fn utf16_and_other_encodings_are_told_apart() {
        assert_eq!(text_of(b"\xff\xfea\0"), Err(TextError::Utf16));
        assert_eq!(text_of(b"\xfe\xff\0a"), Err(TextError::Utf16));
        assert_eq!(text_of(b"a\0b\0"), Err(TextError::Utf16));
        assert_eq!(text_of(b"caf\xe9"), Err(TextError::NotUtf8(3)));
    }
}
