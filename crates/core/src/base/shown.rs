//! Text from outside, made safe to show to people. Invariant: the output has no character that moves a cursor, begins a
//! control sequence or a line, changes the direction of text, or is invisible. Ordinary Unicode stays as it is, and so do
//! backslashes and quotes: showing a text twice gives what showing it once gives. Data (JSON, files, the wire) stays raw.

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

/// Shows what it holds with hidden characters escaped: `\u{1b}`, `\n`; bytes that are no UTF-8 as `\xff`.
#[derive(Clone, Copy, Debug)]
pub struct Shown<T>(pub T);

/// A value with text that another person or program may have chosen.
pub trait Outside {
    /// Writes the text through the escaping writer.
    fn write_to(&self, out: &mut Escaping<'_, '_>) -> fmt::Result;
}

impl<T: Outside> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write_to(&mut Escaping(f))
    }
}

/// Escapes the text that is written to it.
pub struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain_at = 0;
        for (at, hidden) in text.char_indices().filter(|(_, char)| is_hidden(*char)) {
            self.0.write_str(&text[plain_at..at])?;
            write!(self.0, "{}", hidden.escape_default())?;
            plain_at = at + hidden.len_utf8();
        }
        self.0.write_str(&text[plain_at..])
    }
}

impl Outside for str {
    fn write_to(&self, out: &mut Escaping<'_, '_>) -> fmt::Result {
        out.write_str(self)
    }
}

impl Outside for String {
    fn write_to(&self, out: &mut Escaping<'_, '_>) -> fmt::Result {
        out.write_str(self)
    }
}

impl Outside for fmt::Arguments<'_> {
    fn write_to(&self, out: &mut Escaping<'_, '_>) -> fmt::Result {
        out.write_fmt(*self)
    }
}

impl Outside for OsStr {
    fn write_to(&self, out: &mut Escaping<'_, '_>) -> fmt::Result {
        for chunk in self.as_encoded_bytes().utf8_chunks() {
            out.write_str(chunk.valid())?;
            chunk.invalid().iter().try_for_each(|byte| write!(out, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

impl Outside for OsString {
    fn write_to(&self, out: &mut Escaping<'_, '_>) -> fmt::Result {
        self.as_os_str().write_to(out)
    }
}

impl Outside for Path {
    fn write_to(&self, out: &mut Escaping<'_, '_>) -> fmt::Result {
        self.as_os_str().write_to(out)
    }
}

impl Outside for PathBuf {
    fn write_to(&self, out: &mut Escaping<'_, '_>) -> fmt::Result {
        self.as_os_str().write_to(out)
    }
}

impl<T: Outside + ?Sized> Outside for &T {
    fn write_to(&self, out: &mut Escaping<'_, '_>) -> fmt::Result {
        (**self).write_to(out)
    }
}

/// Whether a terminal acts on a character, or a reader cannot see it: control characters (C0, DEL, C1), line and paragraph
/// separators, marks that override or isolate a direction, and invisible characters.
pub fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn hidden_characters_are_escaped_and_all_others_stay() {
        for (text, shown) in [
            ("film.mkv", "film.mkv"),
            ("a b\\c\"d'`$(x)", "a b\\c\"d'`$(x)"),
            ("ünïcødé 日本語 🎬 שלום عربي e\u{301}", "ünïcødé 日本語 🎬 שלום عربي e\u{301}"),
            ("\x1b]0;evil\x07", "\\u{1b}]0;evil\\u{7}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\nb\rc\td\0\x7f", "a\\nb\\rc\\td\\u{0}\\u{7f}"),
            ("gpj.\u{202e}exe", "gpj.\\u{202e}exe"),
            ("\u{2066}a\u{2069}\u{200e}\u{200f}\u{61c}", "\\u{2066}a\\u{2069}\\u{200e}\\u{200f}\\u{61c}"),
            ("a\u{200b}b\u{200d}\u{feff}\u{2028}", "a\\u{200b}b\\u{200d}\\u{feff}\\u{2028}"),
        ] {
            assert_eq!(Shown(text).to_string(), shown);
            assert_eq!(Shown(Path::new(text)).to_string(), shown);
            assert_eq!(Shown(format_args!("{text}")).to_string(), shown);
            assert_eq!(Shown(shown).to_string(), shown, "twice is once");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_by_their_value() {
        let path = Path::new(OsStr::from_bytes(b"a\xffb\xc3\x1b"));
        assert_eq!(Shown(path).to_string(), "a\\xffb\\xc3\\u{1b}");
    }
}
