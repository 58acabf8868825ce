//! A [`Json`] as a source for serde: says what was expected and found in the words of somebody who writes JSON, and notes the
//! keys that nothing reads.

use std::cell::RefCell;
use std::fmt::Display;

use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Unexpected, Visitor};

use crate::json::{Json, Value, quoted};
use crate::key_path::KeyPath;
use crate::limits::QUOTE_LEN_MAX;

/// What is wrong, or worth a warning, at one place of a document.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Wrong {
    /// `None` until the reader adds it.
    pub(crate) at: Option<KeyPath>,
    pub(crate) message: String,
}

/// Reads a shape from a document. Also gives a warning for each unknown key.
pub(crate) fn read<T: de::DeserializeOwned>(json: &Json) -> Result<(T, Vec<Wrong>), Wrong> {
    let unknown = RefCell::new(Vec::new());
    let value = Reader { json, at: KeyPath::default(), unknown: &unknown }.value(std::marker::PhantomData)?;
    Ok((value, unknown.into_inner()))
}

impl Wrong {
    pub(crate) fn new(at: KeyPath, message: impl Into<String>) -> Self {
        Self { at: Some(at), message: message.into() }
    }
}

impl de::Error for Wrong {
    fn custom<T: Display>(message: T) -> Self {
        Self { at: None, message: message.to_string() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("expected {expected}, found {}", unexpected(&found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Self {
        let expected: Vec<String> = expected.iter().map(|name| quoted(name)).collect();
        Self::custom(format_args!("expected {}, found {}", expected.join(" or "), shortened(&quoted(found))))
    }

    fn missing_field(key: &'static str) -> Self {
        Self::custom(format_args!("key {} is missing", quoted(key)))
    }
}

#[derive(Clone)]
struct Reader<'a> {
    json: &'a Json,
    at: KeyPath,
    unknown: &'a RefCell<Vec<Wrong>>,
}

impl<'a> Reader<'a> {
    /// Reads what `seed` wants, and adds the place to what is wrong.
    fn value<'de, S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Wrong> {
        let at = self.at.clone();
        seed.deserialize(self).map_err(|wrong| Wrong { at: Some(wrong.at.unwrap_or(at)), ..wrong })
    }

    fn child(&self, json: &'a Json, at: KeyPath) -> Self {
        Self { json, at, unknown: self.unknown }
    }

    fn entries(&self) -> Vec<(&'a str, Self)> {
        let child = |(key, json): &'a (String, Json)| (key.as_str(), self.child(json, self.at.key(key)));
        self.json.members().iter().map(child).collect()
    }

    fn not(&self, expected: &str) -> Wrong {
        let found = found(self.json.value(), self.at.is_secret());
        Wrong::new(self.at.clone(), format!("expected {expected}, found {found}"))
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.json.value() {
            Value::Null => visitor.visit_unit(),
            Value::Bool(is) => visitor.visit_bool(*is),
            Value::Number(text) => number(text, visitor),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.json.value() {
            Value::Bool(is) => visitor.visit_bool(*is),
            _ => Err(self.not("true or false")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.json.as_str() {
            Some(text) => visitor.visit_str(text),
            None => Err(self.not("a string")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if *self.json.value() == Value::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let Value::List(items) = self.json.value() else { return Err(self.not("a list")) };
        let child = |(index, json)| self.child(json, self.at.index(index));
        visitor.visit_seq(Items(items.iter().enumerate().map(child)))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let Value::Object(_) = self.json.value() else { return Err(self.not("an object")) };
        visitor.visit_map(Members { rest: self.entries().into_iter(), value: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let (entries, unknown): (Vec<_>, Vec<_>) =
            self.entries().into_iter().partition(|(key, _)| known.contains(key));
        let names: Vec<&str> = unknown.iter().map(|(key, _)| *key).collect();
        let told = unknown.into_iter().map(|(key, _)| Wrong {
            // The key itself is in the message: the place is the object that it stands in, but on its own line.
            at: Some(self.at.key(key)),
            message: unknown_key(key, known),
        });
        self.unknown.borrow_mut().extend(told);
        let Value::Object(_) = self.json.value() else { return Err(self.not("an object")) };
        let read = visitor.visit_map(Members { rest: entries.into_iter(), value: None });
        // A wrong value knows its place: without one it is the object that lacks a key.
        read.map_err(|wrong| if wrong.at.is_none() { lacking(wrong, &names) } else { wrong })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let text = self.json.as_str().ok_or_else(|| self.not("a string"))?;
        visitor.visit_enum(text.into_deserializer())
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct newtype_struct tuple
        tuple_struct identifier ignored_any
    }
}

struct Items<I>(I);

impl<'a, 'de, I: Iterator<Item = Reader<'a>>> de::SeqAccess<'de> for Items<I> {
    type Error = Wrong;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Wrong> {
        self.0.next().map(|reader| reader.value(seed)).transpose()
    }
}

struct Members<'a> {
    rest: std::vec::IntoIter<(&'a str, Reader<'a>)>,
    value: Option<Reader<'a>>,
}

impl<'de> de::MapAccess<'de> for Members<'_> {
    type Error = Wrong;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Wrong> {
        let Some((key, reader)) = self.rest.next() else { return Ok(None) };
        self.value = Some(reader);
        seed.deserialize(de::value::StrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Wrong> {
        self.value.take().expect("serde asks for a value after its key").value(seed)
    }
}

fn number<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, Wrong> {
    if let Ok(number) = text.parse() {
        return visitor.visit_u64(number);
    }
    if let Ok(number) = text.parse() {
        return visitor.visit_i64(number);
    }
    visitor.visit_f64(text.parse().expect("the grammar of JSON's numbers is a part of Rust's"))
}

/// A value as a message names it.
fn found(value: &Value, is_secret: bool) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Bool(is) => is.to_string(),
        Value::Number(_) if is_secret => "a number".to_owned(),
        Value::Text(_) if is_secret => "a string".to_owned(),
        Value::Number(text) => shortened(text),
        Value::Text(text) => shortened(&quoted(text)),
    }
}

fn unexpected(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Str(text) => shortened(&quoted(text)),
        Unexpected::Bool(is) => is.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Float(number) => number.to_string(),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "an object".to_owned(),
        other => other.to_string(),
    }
}

pub(crate) fn shortened(text: &str) -> String {
    shortened_to(text, QUOTE_LEN_MAX)
}

pub(crate) fn shortened_to(text: &str, len_max: usize) -> String {
    let mut short: String = text.chars().take(len_max).collect();
    if short.len() < text.len() {
        short.push_str("..");
    }
    short
}

/// Names a key that nothing reads beside the one that is missing: most likely it is meant.
fn lacking(wrong: Wrong, unknown: &[&str]) -> Wrong {
    match unknown.first() {
        Some(key) => Wrong {
            message: format!("{}, and {} is unknown", wrong.message, shortened(&quoted(key))),
            ..wrong
        },
        None => wrong,
    }
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    let near = known.iter().map(|name| (distance(key, name), name)).min();
    let near = near.filter(|(distance, name)| *distance <= 2 && *distance < name.len());
    let key = shortened(&quoted(key));
    match near {
        Some((_, name)) => format!("key {key} is unknown; did you mean {}?", quoted(name)),
        None => format!("key {key} is unknown and has no effect"),
    }
}

/// Letters to insert, take out or replace (Levenshtein) without regard to case.
fn distance(a: &str, b: &str) -> usize {
    // Long keys are no slip of a finger, and their table would be big.
    let [a, b] = [a, b].map(|text| text.chars().take(64).map(|c| c.to_ascii_lowercase()).collect::<Vec<_>>());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = before + usize::from(x != y);
            before = row[j + 1];
            row[j + 1] = replaced.min(before + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
