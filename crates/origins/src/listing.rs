//! What a server lists. Invariant: a list is read up to a number of files, and each path up to a length; a digest that is none counts as not told.

use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};

use crate::error::OriginError;
use crate::limits::{FILES_MAX, PATH_LEN_MAX};

/// The files of a library at a server.
#[derive(Clone, Debug, PartialEq)]
pub enum Listing {
    /// They are as they were when its tag was given.
    Same,
    /// All of them.
    Files {
        /// In the order of the server.
        files: Vec<ListedFile>,
        /// To ask by whether they changed.
        tag: Option<String>,
    },
}

/// A file, as a server lists it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ListedFile {
    /// In the library, as in `/video/a.mov`.
    pub path: String,
    /// In bytes.
    pub length: u64,
    /// When it was modified.
    #[serde(default)]
    pub mtime: Option<Modified>,
    /// SHA-256 of it.
    #[serde(default, deserialize_with = "digest")]
    pub sha256: Option<[u8; 32]>,
    /// BLAKE3 of it.
    #[serde(default, deserialize_with = "digest")]
    pub blake3: Option<[u8; 32]>,
}

/// When a file was modified.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Modified {
    /// As in `2026-01-31T12:00:00.5Z`.
    Text(String),
    /// Seconds since 1970.
    Seconds(f64),
}

struct Files(Vec<ListedFile>);

impl ListedFile {
    /// The files of a list.
    ///
    /// # Errors
    /// If it is none, or has too many.
    pub(crate) fn list(bytes: &[u8]) -> Result<Vec<Self>, OriginError> {
        let Files(mut files) = serde_json::from_slice(bytes).map_err(|error| {
            if error.is_data() && error.to_string().contains(TOO_MANY) {
                return OriginError::TooLong(FILES_MAX);
            }
            OriginError::Odd(format!("no list of files: {error}"))
        })?;
        files.retain(|file| file.path.len() <= PATH_LEN_MAX);
        Ok(files)
    }
}

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded;
        impl<'de> Visitor<'de> for Bounded {
            type Value = Files;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of files")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Files, A::Error> {
                let mut files = Vec::new();
                while let Some(file) = seq.next_element()? {
                    if files.len() == FILES_MAX {
                        return Err(A::Error::custom(TOO_MANY));
                    }
                    files.push(file);
                }
                Ok(Files(files))
            }
        }
        deserializer.deserialize_seq(Bounded)
    }
}

fn digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[u8; 32]>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let decoded = text.and_then(|text| HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok());
    Ok(decoded.and_then(|bytes| bytes.try_into().ok()))
}

const TOO_MANY: &str = "too many files";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_with_what_is_told_and_without_the_rest() {
        let sha256 = "AB".repeat(32);
        let text = format!(
            r#"[{{"path": "/a b.mov", "length": 3, "mtime": "2026-01-31T12:00:00Z", "sha256": "{sha256}", "blake3": null, "more": [1]}},
                {{"path": "c", "length": 0, "mtime": 1.5, "blake3": "xyz"}}]"#
        );
        let files = ListedFile::list(text.as_bytes()).expect("it is one");
        assert_eq!(
            (files[0].path.as_str(), files[0].sha256, files[0].blake3),
            ("/a b.mov", Some([0xab; 32]), None)
        );
        assert_eq!(files[0].mtime, Some(Modified::Text("2026-01-31T12:00:00Z".to_owned())));
        assert_eq!((files[1].mtime.clone(), files[1].blake3), (Some(Modified::Seconds(1.5)), None));
    }

    #[test]
    fn what_is_no_list_is_said_to_be_none() {
        for bad in ["", "{}", "<html>", r#"[{"path": "a"}]"#, r#"[{"path": "a", "length": -1}]"#, "[1]"] {
            let error = ListedFile::list(bad.as_bytes()).expect_err(bad);
            assert!(error.to_string().contains("no list of files"), "{bad}: {error}");
        }
        let long = format!(r#"[{{"path": "{}", "length": 1}}]"#, "a".repeat(PATH_LEN_MAX + 1));
        assert_eq!(ListedFile::list(long.as_bytes()), Ok(Vec::new()));
    }
}
