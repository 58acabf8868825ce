//! A class of bytes: `[a-z]`, `[!.]`, `[[:digit:]_]`. Never matches a slash.

use super::PatternFault;

/// A set of bytes, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Class([u64; 4]);

impl Class {
    /// Reads a class from what stands behind its `[`. Also returns what stands behind its `]`.
    pub(super) fn parse(text: &[u8]) -> Result<(Self, &[u8]), PatternFault> {
        let (is_negated, mut rest) = match text {
            [b'!' | b'^', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let mut class = Self::default();
        let mut is_first = true;
        // What a `-` behind it would begin a range from.
        let mut previous = None;
        while is_first || rest.first() != Some(&b']') {
            is_first = false;
            (previous, rest) = class.take_item(previous, rest)?;
        }
        if is_negated {
            class.0 = class.0.map(|bits| !bits);
        }
        let (word, bit) = place(b'/');
        class.0[word] &= !bit;
        Ok((class, &rest[1..]))
    }

    /// Whether the byte is in the class.
    pub(super) fn has(self, byte: u8) -> bool {
        let (word, bit) = place(byte);
        self.0[word] & bit != 0
    }

    fn take_item<'a>(&mut self, previous: Option<u8>, text: &'a [u8]) -> Result<Item<'a>, PatternFault> {
        match (text, previous) {
            ([b'[', b':', rest @ ..], _) => match named_class(rest) {
                Some((name, rest)) => self.add_named(name).map(|()| (None, rest)),
                None if !rest.contains(&b']') => Err(PatternFault::OpenClass),
                None => Ok(self.add_byte(b'[', &text[1..])),
            },
            ([b'-', last, rest @ ..], Some(first)) if *last != b']' => {
                let (last, rest) = unescaped(*last, rest)?;
                (first..=last).for_each(|byte| self.add(byte));
                Ok((None, rest))
            }
            ([byte, rest @ ..], _) => {
                let (byte, rest) = unescaped(*byte, rest)?;
                Ok(self.add_byte(byte, rest))
            }
            ([], _) => Err(PatternFault::OpenClass),
        }
    }

    fn add_byte<'a>(&mut self, byte: u8, rest: &'a [u8]) -> Item<'a> {
        self.add(byte);
        (Some(byte), rest)
    }

    fn add(&mut self, byte: u8) {
        let (word, bit) = place(byte);
        self.0[word] |= bit;
    }

    fn add_named(&mut self, name: &[u8]) -> Result<(), PatternFault> {
        let is_member: fn(&u8) -> bool = match name {
            b"alnum" => u8::is_ascii_alphanumeric,
            b"alpha" => u8::is_ascii_alphabetic,
            b"blank" => |byte| matches!(byte, b' ' | b'\t'),
            b"cntrl" => u8::is_ascii_control,
            b"digit" => u8::is_ascii_digit,
            b"graph" => u8::is_ascii_graphic,
            b"lower" => u8::is_ascii_lowercase,
            b"print" => |byte| *byte == b' ' || byte.is_ascii_graphic(),
            b"punct" => u8::is_ascii_punctuation,
            // With the vertical tab, which Rust does not count.
            b"space" => |byte| byte.is_ascii_whitespace() || *byte == 0x0b,
            b"upper" => u8::is_ascii_uppercase,
            b"xdigit" => u8::is_ascii_hexdigit,
            _ => return Err(PatternFault::UnknownClass),
        };
        (0..=u8::MAX).filter(is_member).for_each(|byte| self.add(byte));
        Ok(())
    }
}

/// The word and the bit of a byte.
fn place(byte: u8) -> (usize, u64) {
    (usize::from(byte / 64), 1 << (byte % 64))
}

/// The byte that was read, if a range can begin with it, and what stands behind it.
type Item<'a> = (Option<u8>, &'a [u8]);

/// `digit` of `digit:]`, and what stands behind it.
fn named_class(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|&byte| byte == b']')?;
    Some((text[..end].strip_suffix(b":")?, &text[end + 1..]))
}

/// The byte itself, or the one behind it if it is a backslash.
fn unescaped(byte: u8, rest: &[u8]) -> Result<(u8, &[u8]), PatternFault> {
    match (byte, rest) {
        (b'\\', [escaped, rest @ ..]) => Ok((*escaped, rest)),
        (b'\\', []) => Err(PatternFault::OpenClass),
        _ => Ok((byte, rest)),
    }
}
