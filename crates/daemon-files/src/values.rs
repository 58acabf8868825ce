//! Values that more than one file has. Each is valid once it exists: text from a file is checked where it is read.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use swarm_core::base::{Rate, is_hidden};

use crate::limits::{GUID_LEN_MAX, NAME_LEN_MAX};
use crate::read::shortened;

/// A password, which no log shows.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

/// What a user, or a node in a library, may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Role {
    /// Reads and carries contents onward; sees neither users, peers nor votes.
    Mirror,
    /// Reads.
    Viewer,
    /// Reads and changes libraries.
    Editor,
    /// Changes settings, peers and users, too.
    Admin,
}

/// The name of a library among all nodes: 1 to 64 of the characters A-Z a-z 0-9 _ -.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(String);

/// A string that is not a GUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {GUID_LEN_MAX} of the characters A-Z a-z 0-9 _ -, found \"{0}\"")]
pub struct GuidError(String);

/// How fast bytes may move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// To others, bytes a second; `None` for no limit.
    pub up: Option<Rate>,
    /// From others.
    pub down: Option<Rate>,
}

/// `limits` as it stands in a file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "limits")]
pub(crate) struct FileLimits {
    /// Upload no faster than this: "20MB/s", "100mbit". Without it: no limit.
    pub(crate) up: Option<Parsed<Rate>>,
    /// Download no faster than this. Without it: no limit.
    pub(crate) down: Option<Parsed<Rate>>,
}

/// `scrub` as it stands in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FileScrub {
    /// `true` is the default, `false` never.
    Is(bool),
    Every(u32),
}

/// `scrub` with days.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "scrub")]
struct FileScrubDays {
    /// Days from one reading to the next.
    days: Within<0, 36_500>,
}

/// Who sees a library in a browser without a name here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Public {
    /// Nobody.
    #[default]
    No,
    /// Everybody who has its address.
    Yes,
    /// Everybody, and search engines.
    Indexed,
}

/// A value that is written as a string.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parsed<T>(pub(crate) T);

/// A whole number between two others, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Within<const MIN: i64, const MAX: i64>(i64);

/// The entries of an object in the order in which they stand.
#[derive(Debug)]
pub(crate) struct InOrder<T>(pub(crate) Vec<(String, T)>);

/// A priority: higher goes first.
pub(crate) type Priority = Within<-100, 100>;
/// A number of which zero would make no sense.
pub(crate) type Positive = Within<1, 1_000_000_000>;

impl Secret {
    /// The password itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(password: String) -> Self {
        Self(password)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Role {
    /// As it is written in a file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mirror => "mirror",
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }
}

impl Guid {
    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Guid {
    type Err = GuidError;

    fn from_str(text: &str) -> Result<Self, GuidError> {
        let is_guid = (1..=GUID_LEN_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if is_guid { Ok(Self(text.to_owned())) } else { Err(GuidError(shortened(text))) }
    }
}

impl Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<FileLimits> for Limits {
    fn from(FileLimits { up, down }: FileLimits) -> Self {
        Self { up: plain(up), down: plain(down) }
    }
}

impl FileScrub {
    /// Days from one reading to the next; zero for never.
    pub(crate) fn days(scrub: Option<Self>) -> u32 {
        match scrub {
            None | Some(Self::Is(true)) => SCRUB_DAYS,
            Some(Self::Is(false)) => 0,
            Some(Self::Every(days)) => days,
        }
    }
}

impl<'de> Deserialize<'de> for FileScrub {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScrubVisitor)
    }
}

struct ScrubVisitor;

impl<'de> Visitor<'de> for ScrubVisitor {
    type Value = FileScrub;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("false, or {\"days\": 30}")
    }

    fn visit_bool<E: Error>(self, is_on: bool) -> Result<FileScrub, E> {
        Ok(FileScrub::Is(is_on))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FileScrub, A::Error> {
        let FileScrubDays { days } = FileScrubDays::deserialize(MapAccessDeserializer::new(map))?;
        Ok(FileScrub::Every(days.get()))
    }
}

impl JsonSchema for FileScrub {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "scrub".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "boolean" }, generator.subschema_for::<FileScrubDays>()] })
    }
}

impl<'de> Deserialize<'de> for Public {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PublicVisitor)
    }
}

struct PublicVisitor;

impl Visitor<'_> for PublicVisitor {
    type Value = Public;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or \"indexed\"")
    }

    fn visit_bool<E: Error>(self, is_public: bool) -> Result<Public, E> {
        Ok(if is_public { Public::Yes } else { Public::No })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Public, E> {
        if text == "indexed" {
            Ok(Public::Indexed)
        } else {
            Err(E::invalid_value(Unexpected::Str(text), &self))
        }
    }
}

impl JsonSchema for Public {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "public".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "boolean" }, { "const": "indexed" }] })
    }
}

impl<const MIN: i64, const MAX: i64> Within<MIN, MAX> {
    /// The number in a type that its caller knows to be wide enough for MIN and MAX.
    pub(crate) fn get<T: TryFrom<i64>>(self) -> T {
        T::try_from(self.0).ok().expect("the type holds MIN to MAX")
    }
}

/// What a name of a person, node or library must not be, as the end of a sentence; `None` if it is fine.
pub(crate) fn name_fault(name: &str) -> Option<String> {
    let is_fine =
        (1..=NAME_LEN_MAX).contains(&name.len()) && !name.chars().any(is_hidden) && name.trim() == name;
    let expected = || {
        format!("expected a name of 1 to {NAME_LEN_MAX} bytes without control characters or space around it")
    };
    (!is_fine).then(expected)
}

pub(crate) fn plain<T>(value: Option<Parsed<T>>) -> Option<T> {
    value.map(|Parsed(value)| value)
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ParsedVisitor(PhantomData))
    }
}

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Within<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(WithinVisitor)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for InOrder<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrderVisitor(PhantomData))
    }
}

struct ParsedVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err: Display>> Visitor<'_> for ParsedVisitor<T> {
    type Value = Parsed<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Parsed<T>, E> {
        text.parse().map(Parsed).map_err(E::custom)
    }
}

struct WithinVisitor<const MIN: i64, const MAX: i64>;

impl<const MIN: i64, const MAX: i64> Visitor<'_> for WithinVisitor<MIN, MAX> {
    type Value = Within<MIN, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        let is_within = (MIN..=MAX).contains(&number);
        let wrong = || E::invalid_value(serde::de::Unexpected::Signed(number), &self);
        if is_within { Ok(Within(number)) } else { Err(wrong()) }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => Err(E::invalid_value(serde::de::Unexpected::Unsigned(number), &self)),
        }
    }
}

struct InOrderVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrderVisitor<T> {
    type Value = InOrder<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InOrder<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(InOrder(entries))
    }
}

impl<T> JsonSchema for Parsed<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "string".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

impl<const MIN: i64, const MAX: i64> JsonSchema for Within<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "number".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

impl<T: JsonSchema> JsonSchema for InOrder<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "object".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<T>() })
    }
}

/// Days from one reading of all files to the next, where nothing is said.
const SCRUB_DAYS: u32 = 30;
