//! JSON text to values with lines. Strict (RFC 8259), and refuses a key that is written twice. Recursion is bounded by
//! [`DEPTH_MAX`], memory by the length of the text.

use std::collections::BTreeMap;

use super::{Json, SyntaxError, Value, quoted};
use crate::key_path::is_secret;
use crate::limits::DEPTH_MAX;

/// The value that a text is.
pub(super) fn document(text: &str) -> Result<Json, SyntaxError> {
    let mut parser = Parser { rest: text, line: 1, depth: 0, is_secret: false };
    parser.skip_space();
    if parser.rest.is_empty() {
        return Err(parser.error("the file is empty"));
    }
    let json = parser.value()?;
    parser.skip_space();
    if parser.rest.is_empty() { Ok(json) } else { Err(parser.unexpected("the end of the file")) }
}

struct Parser<'a> {
    rest: &'a str,
    line: u32,
    depth: usize,
    /// Whether a password is expected, which no message may quote.
    is_secret: bool,
}

impl Parser<'_> {
    fn value(&mut self) -> Result<Json, SyntaxError> {
        let line = self.line;
        let value = match self.peek() {
            Some('{') => self.nested(Self::object)?,
            Some('[') => self.nested(Self::list)?,
            Some('"') => Value::Text(self.string()?),
            Some('-' | '0'..='9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Json { value, line, is_inline: self.line == line })
    }

    fn nested(
        &mut self,
        read: impl Fn(&mut Self) -> Result<Value, SyntaxError>,
    ) -> Result<Value, SyntaxError> {
        if self.depth >= DEPTH_MAX {
            return Err(self.error(&format!("it is nested more than {DEPTH_MAX} deep")));
        }
        self.depth += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn list(&mut self) -> Result<Value, SyntaxError> {
        let mut items = Vec::new();
        self.bump();
        self.skip_space();
        if self.take(']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value()?);
            if !self.goes_on(']')? {
                return Ok(Value::List(items));
            }
        }
    }

    fn object(&mut self) -> Result<Value, SyntaxError> {
        let mut members = Vec::new();
        // By key, the line on which it stood first.
        let mut lines = BTreeMap::new();
        self.bump();
        self.skip_space();
        if self.take('}') {
            return Ok(Value::Object(members));
        }
        loop {
            let line = self.line;
            let key = self.key()?;
            if let Some(first) = lines.insert(key.clone(), line) {
                let message = format!("key {} is written twice, first in line {first}", quoted(&key));
                return Err(SyntaxError { line, message });
            }
            self.is_secret = is_secret(&key);
            let value = self.value()?;
            self.is_secret = false;
            members.push((key, value));
            if !self.goes_on('}')? {
                return Ok(Value::Object(members));
            }
        }
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<String, SyntaxError> {
        if self.peek() != Some('"') {
            return Err(self.unexpected("a key in double quotes"));
        }
        let key = self.string()?;
        self.skip_space();
        if !self.take(':') {
            return Err(self.unexpected(&format!("a colon after key {}", quoted(&key))));
        }
        self.skip_space();
        Ok(key)
    }

    /// Whether another item comes before the closing bracket.
    fn goes_on(&mut self, close: char) -> Result<bool, SyntaxError> {
        self.skip_space();
        if self.take(close) {
            return Ok(false);
        }
        if !self.take(',') {
            return Err(self.unexpected(&format!("a comma or {close}")));
        }
        self.skip_space();
        if self.peek() == Some(close) {
            return Err(self.error(&format!("a comma stands before {close}: take it out")));
        }
        Ok(true)
    }

    fn word(&mut self) -> Result<Value, SyntaxError> {
        for (word, value) in
            [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)]
        {
            let follows = self.rest.strip_prefix(word).map(|rest| rest.chars().next());
            if follows.is_some_and(|next| !next.is_some_and(char::is_alphanumeric)) {
                self.rest = &self.rest[word.len()..];
                return Ok(value);
            }
        }
        Err(self.unexpected("a value"))
    }

    fn number(&mut self) -> Result<Value, SyntaxError> {
        let is_part = |c: char| matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E');
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let text = &self.rest[..end];
        if !is_number(text) {
            return Err(self.unexpected("a number"));
        }
        self.rest = &self.rest[end..];
        Ok(Value::Number(text.to_owned()))
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                // The line break has been counted: the string began one line above.
                Some('\n') => return Err(SyntaxError { line: self.line - 1, message: UNCLOSED.to_owned() }),
                Some(c) if u32::from(c) < 0x20 => {
                    return Err(self.error("a control character in a string: write it as \\u00XX"));
                }
                Some(c) => text.push(c),
                None => return Err(self.error(UNCLOSED)),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        match self.bump() {
            Some(c @ ('"' | '\\' | '/')) => Ok(c),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => self.unicode(),
            _ => Err(self.error("a backslash in a string: write it as \\\\")),
        }
    }

    /// What follows `\u`: one unit of UTF-16, or a pair of surrogates.
    fn unicode(&mut self) -> Result<char, SyntaxError> {
        let bad = "\\u in a string is not followed by four hex digits of a character";
        let first = self.hex().ok_or_else(|| self.error(bad))?;
        let mut units = vec![first];
        if (0xd800..0xdc00).contains(&first) && self.rest.starts_with("\\u") {
            self.rest = &self.rest[2..];
            units.push(self.hex().ok_or_else(|| self.error(bad))?);
        }
        let mut decoded = char::decode_utf16(units);
        match (decoded.next(), decoded.next()) {
            (Some(Ok(c)), None) => Ok(c),
            _ => Err(self.error(bad)),
        }
    }

    fn hex(&mut self) -> Option<u16> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let unit = u16::from_str_radix(digits, 16).ok()?;
        self.rest = &self.rest[4..];
        Some(unit)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\r' | '\n')) {
            self.bump();
        }
    }

    fn take(&mut self, expected: char) -> bool {
        let is_there = self.peek() == Some(expected);
        if is_there {
            self.bump();
        }
        is_there
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        self.line += u32::from(c == '\n');
        Some(c)
    }

    fn unexpected(&self, expected: &str) -> SyntaxError {
        if self.rest.starts_with("//") || self.rest.starts_with("/*") || self.rest.starts_with('#') {
            return self.error("JSON has no comments: take it out");
        }
        let word = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric()).take(20).collect::<String>();
        let found = match (word(self.rest), self.peek()) {
            (_, Some(_)) if self.is_secret => "something else".to_owned(),
            (word, _) if !word.is_empty() => word,
            (_, Some(c)) => c.to_string(),
            (_, None) => "the end of the file".to_owned(),
        };
        self.error(&format!("expected {expected}, found {found}"))
    }

    fn error(&self, message: &str) -> SyntaxError {
        SyntaxError { line: self.line, message: message.to_owned() }
    }
}

/// By the grammar of RFC 8259: no leading zero or plus, digits on both sides of a point.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let exponent = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
    is_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(is_digits)
        && exponent.is_none_or(is_digits)
}

const UNCLOSED: &str = "a string has no closing quote";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = document(text).map_or_else(|error| error.to_string(), |json| json.to_string());
        assert_eq!(shown.trim_end(), expected, "{text:?}");
    }

    #[test]
    fn values_keep_their_text_and_order() {
        check("1", "1");
        check(" -0.50e+3 ", "-0.50e+3");
        check("\"a\\u00e9\\ud83c\\udfac\\n\\\"\"", "\"aé🎬\\n\\\"\"");
        check(
            "{\"z\":1,\"a\":null,\"m\":[true,false]}",
            "{\n  \"z\": 1,\n  \"a\": null,\n  \"m\": [true, false]\n}",
        );
        check("[]", "[]");
        check("{}", "{}");
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, expected) in [
            ("", "line 1: the file is empty"),
            ("\n\n", "line 3: the file is empty"),
            ("[1,\n]", "line 2: a comma stands before ]: take it out"),
            ("[1\n2]", "line 2: expected a comma or ], found 2"),
            ("{\"a\" 1}", "line 1: expected a colon after key \"a\", found 1"),
            ("{a: 1}", "line 1: expected a key in double quotes, found a"),
            ("{\"a\": 1,\n\"a\": 2}", "line 2: key \"a\" is written twice, first in line 1"),
            ("{\n// note\n}", "line 2: JSON has no comments: take it out"),
            ("[\"a\n\"]", "line 1: a string has no closing quote"),
            ("[\"C:\\dir\"]", "line 1: a backslash in a string: write it as \\\\"),
            ("[01]", "line 1: expected a number, found 01"),
            ("[1.]", "line 1: expected a number, found 1"),
            ("[tru]", "line 1: expected a value, found tru"),
            ("[nullx]", "line 1: expected a value, found nullx"),
            ("[1] x", "line 1: expected the end of the file, found x"),
            ("[\"\\ud83c\"]", "line 1: \\u in a string is not followed by four hex digits of a character"),
            ("[", "line 1: expected a value, found the end of the file"),
        ] {
            check(text, expected);
        }
        check(&"[".repeat(1 << 20), "line 1: it is nested more than 32 deep");
    }
}
