//! A JSON document that remembers how it was written: the order of keys, the text of numbers, the line of each value, and
//! which lists and objects stood on one line. Invariant: keys of an object are distinct. Knows no file and no meaning.

mod parse;
mod print;

use std::str::FromStr;

use crate::key_path::{KeyPath, Step};

pub(crate) use print::quoted;

/// A value, and where it stood. Equal if the values are.
#[derive(Clone)]
pub struct Json {
    value: Value,
    /// The line on which it begins, from 1; 0 if it was not read.
    line: u32,
    /// Whether it goes on one line if it fits.
    is_inline: bool,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, by its text.
    Number(String),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

/// Why a text is not JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct SyntaxError {
    /// From 1.
    pub line: u32,
    /// What was expected, and what stands there.
    pub message: String,
}

impl Json {
    /// An object with these keys. A key that comes twice has the last of its values.
    pub fn object<K: Into<String>>(members: impl IntoIterator<Item = (K, Self)>) -> Self {
        let mut object = Self::from(Value::Object(Vec::new()));
        members.into_iter().for_each(|(key, value)| object.set(&key.into(), value));
        object
    }

    /// A list of these values.
    pub fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Value::List(items.into_iter().collect()).into()
    }

    /// What it is.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The string that it is.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Object(_) => None,
        }
    }

    /// The values of a list; none of anything else.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Object(_) => &[],
        }
    }

    /// The list that it is, to change.
    pub fn items_mut(&mut self) -> Option<&mut Vec<Self>> {
        match &mut self.value {
            Value::List(items) => Some(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Object(_) => None,
        }
    }

    /// The keys and values of an object, in order; none of anything else.
    pub fn members(&self) -> &[(String, Self)] {
        match &self.value {
            Value::Object(members) => members,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => &[],
        }
    }

    /// The value at a key of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.members().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The value at a key of an object, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        self.members_mut()?.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Sets a key of an object; a new one comes last. Does nothing to what is not an object.
    pub fn set(&mut self, key: &str, value: Self) {
        if let Some(old) = self.get_mut(key) {
            *old = value;
        } else if let Some(members) = self.members_mut() {
            members.push((key.to_owned(), value));
        }
    }

    /// Takes a key out of an object.
    pub fn remove(&mut self, key: &str) -> Option<Self> {
        let members = self.members_mut()?;
        let at = members.iter().position(|(name, _)| name == key)?;
        Some(members.remove(at).1)
    }

    /// Changes it as a JSON Merge Patch says (RFC 7396): members of objects are merged at every depth, `null` takes a key out, and all
    /// else replaces what was there.
    pub fn merge(&mut self, patch: &Self) {
        let Value::Object(changes) = &patch.value else {
            *self = patch.clone();
            return;
        };
        if self.members_mut().is_none() {
            *self = Value::Object(Vec::new()).into();
        }
        for (key, change) in changes {
            if change.value == Value::Null {
                self.remove(key);
                continue;
            }
            if self.get(key).is_none() {
                self.set(key, Value::Null.into());
            }
            if let Some(member) = self.get_mut(key) {
                member.merge(change);
            }
        }
    }

    /// Gives a key another name and value, in the same place. Does nothing if there is no such key.
    pub fn replace(&mut self, key: &str, new_key: &str, value: Self) {
        if key != new_key {
            self.remove(new_key);
        }
        let found = self.members_mut().and_then(|members| members.iter_mut().find(|(name, _)| name == key));
        if let Some(member) = found {
            *member = (new_key.to_owned(), value);
        }
    }

    /// The line of what stands at a path, or of the deepest that exists on the way to it.
    pub(crate) fn line_at(&self, path: &KeyPath) -> u32 {
        let mut at = self;
        for step in path.steps() {
            let next = match step {
                Step::Key(key) => at.get(key),
                Step::Index(index) => at.items().get(*index),
            };
            let Some(next) = next else { break };
            at = next;
        }
        at.line
    }

    fn members_mut(&mut self) -> Option<&mut Vec<(String, Self)>> {
        match &mut self.value {
            Value::Object(members) => Some(members),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => None,
        }
    }
}

/// Without what it holds: that may be a password.
impl std::fmt::Debug for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Json(line {}, ..)", self.line)
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self { value, line: 0, is_inline: true }
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned()).into()
    }
}

impl From<bool> for Json {
    fn from(is: bool) -> Self {
        Value::Bool(is).into()
    }
}

impl From<i64> for Json {
    fn from(number: i64) -> Self {
        Value::Number(number.to_string()).into()
    }
}

/// From the text of a whole document.
impl FromStr for Json {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        parse::document(text)
    }
}

/// As a whole document, indented by two spaces, with a newline at its end.
impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&print::document(self))
    }
}

#[cfg(test)]
mod tests {
    use super::Json;

    /// The examples of RFC 7396, appendix A.
    #[test]
    fn merges_as_the_rfc_says() {
        let check = |target: &str, patch: &str, expected: &str| {
            let mut json: Json = target.parse().expect("JSON");
            json.merge(&patch.parse().expect("JSON"));
            assert_eq!(json, expected.parse().expect("JSON"), "{target} {patch} is {json}");
        };
        check(r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#);
        check(r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#);
        check(r#"{"a":"b"}"#, r#"{"a":null}"#, "{}");
        check(r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#);
        check(r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#);
        check(r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#);
        check(r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#);
        check(r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#);
        check(r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#);
        check(r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#);
        check(r#"{"a":"foo"}"#, "null", "null");
        check(r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#);
        check("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#);
        check("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#);
    }
}
