//! What a server lists. Invariant: a list is read up to a number of files, and each text up to a length; a digest or time that is none counts as not
//! told, and an entry that is none is left out and counted: one that is bad does not cost the others.

use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};

use crate::error::{OriginError, shown};
use crate::limits::{FILES_MAX, PATH_LEN_MAX, TIME_LEN_MAX};

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
        /// Entries that are none.
        unread: usize,
    },
}

/// A file, as a server lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedFile {
    /// In the library, as in `/video/a.mov`.
    pub path: String,
    /// In bytes.
    pub length: u64,
    /// When it was modified.
    pub mtime: Option<Modified>,
    /// SHA-256 of it.
    pub sha256: Option<[u8; 32]>,
    /// BLAKE3 of it.
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

/// What was read of a list.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ReadList {
    pub(crate) files: Vec<ListedFile>,
    pub(crate) unread: usize,
    /// An entry says that the library is sealed.
    pub(crate) is_sealed: bool,
}

/// An entry as it is written.
#[derive(Deserialize)]
struct FileText {
    path: String,
    length: u64,
    #[serde(default)]
    mtime: Option<Lenient<Modified>>,
    #[serde(default)]
    sha256: Option<Lenient<String>>,
    #[serde(default)]
    blake3: Option<Lenient<String>>,
    #[serde(default)]
    sealed: bool,
}

/// Something, or anything else in its place.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient<T> {
    Some(T),
    Other(IgnoredAny),
}

impl<T> Lenient<T> {
    fn known(self) -> Option<T> {
        match self {
            Self::Some(known) => Some(known),
            Self::Other(_) => None,
        }
    }
}

impl FileText {
    /// The file; `None` if its path is too long.
    fn file(self) -> Option<ListedFile> {
        let is_short = |modified: &Modified| match modified {
            Modified::Text(text) => text.len() <= TIME_LEN_MAX,
            Modified::Seconds(_) => true,
        };
        Some(ListedFile {
            path: Some(self.path).filter(|path| path.len() <= PATH_LEN_MAX)?,
            length: self.length,
            mtime: self.mtime.and_then(Lenient::known).filter(is_short),
            sha256: self.sha256.and_then(Lenient::known).and_then(|text| digest(&text)),
            blake3: self.blake3.and_then(Lenient::known).and_then(|text| digest(&text)),
        })
    }
}

impl ReadList {
    /// The files of a list.
    ///
    /// # Errors
    /// If it is none, or has too many.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, OriginError> {
        let read: Self = serde_json::from_slice(bytes).map_err(|error| {
            if error.is_data() && error.to_string().contains(TOO_MANY) {
                return OriginError::TooLong(FILES_MAX);
            }
            OriginError::Odd(format!("no list of files: {}", shown(&error.to_string())))
        })?;
        if read.files.is_empty() && read.unread > 0 {
            return Err(OriginError::Odd(format!(
                "no list of files: none of its {} entries is one",
                read.unread
            )));
        }
        Ok(read)
    }
}

impl<'de> Deserialize<'de> for ReadList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded;
        impl<'de> Visitor<'de> for Bounded {
            type Value = ReadList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of files")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ReadList, A::Error> {
                let mut read = ReadList::default();
                while let Some(entry) = seq.next_element::<Lenient<FileText>>()? {
                    if read.files.len() + read.unread == FILES_MAX {
                        return Err(A::Error::custom(TOO_MANY));
                    }
                    let text = entry.known();
                    read.is_sealed |= text.as_ref().is_some_and(|text| text.sealed);
                    match text.and_then(FileText::file) {
                        Some(file) => read.files.push(file),
                        None => read.unread += 1,
                    }
                }
                Ok(read)
            }
        }
        deserializer.deserialize_seq(Bounded)
    }
}

fn digest(text: &str) -> Option<[u8; 32]> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

const TOO_MANY: &str = "too many files";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ReadList {
        ReadList::of(text.as_bytes()).expect("it is one")
    }

    #[test]
    fn a_list_is_read_with_what_is_told_and_without_the_rest() {
        let sha256 = "AB".repeat(32);
        let ReadList { files, unread, is_sealed } = read(&format!(
            r#"[{{"path": "/a b.mov", "length": 3, "mtime": "2026-01-31T12:00:00Z", "sha256": "{sha256}", "blake3": null, "more": [1]}},
                {{"path": "c", "length": 0, "mtime": 1.5, "blake3": "xyz"}}]"#
        ));
        assert_eq!(
            (files[0].path.as_str(), files[0].sha256, files[0].blake3),
            ("/a b.mov", Some([0xab; 32]), None)
        );
        assert_eq!(files[0].mtime, Some(Modified::Text("2026-01-31T12:00:00Z".to_owned())));
        assert_eq!((files[1].mtime.clone(), files[1].blake3), (Some(Modified::Seconds(1.5)), None));
        assert_eq!((unread, is_sealed), (0, false));
    }

    #[test]
    fn a_bad_entry_does_not_cost_the_others() {
        let (long_path, long_time) = ("a".repeat(PATH_LEN_MAX + 1), "1".repeat(TIME_LEN_MAX + 1));
        let list = read(&format!(
            r#"[1, {{"path": "a"}}, {{"path": "b", "length": -1}}, {{"path": "{long_path}", "length": 1}},
                {{"path": "c", "length": 1, "mtime": {{}}, "sha256": 7}}, {{"path": "d", "length": 1, "mtime": "{long_time}"}}]"#
        ));
        let names: Vec<&str> = list.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!((names, list.unread), (vec!["c", "d"], 4));
        assert!(list.files.iter().all(|file| file.mtime.is_none() && file.sha256.is_none()));
    }

    #[test]
    fn that_a_library_is_sealed_is_read() {
        assert!(read(r#"[{"path": "a", "length": 1, "sealed": true}]"#).is_sealed);
        assert_eq!(read("[]"), ReadList::default());
    }

    #[test]
    fn what_is_no_list_is_said_to_be_none() {
        for bad in ["", "{}", "<html>", r#"[{"path": "a"}]"#, r#"[{"path": "a", "length": -1}]"#, "[1]"] {
            let error = ReadList::of(bad.as_bytes()).expect_err(bad);
            assert!(error.to_string().contains("no list of files"), "{bad}: {error}");
        }
    }
}
