//! What is to change in how a library is kept: all of it is one edit of its file. Invariant: a change that is refused in part changes nothing. Absent here:
//! which file that is (`edits`).

use crate::edits::{ApprovalsChange, Followed, set_or_remove, texts};
use crate::error::EditError;
use crate::json::Json;
use crate::values::Public;
use crate::{DaemonFolder, Reloaded};

/// What is to change; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LibraryChange {
    /// Whether nothing is sent and fetched.
    pub paused: Option<bool>,
    /// From -100 to 100.
    pub priority: Option<i8>,
    /// How many must agree to what.
    pub approvals: Option<ApprovalsChange>,
    /// How long kept versions stay.
    pub retention: RetentionChange,
    /// Who sees it in a browser without a name here.
    pub public: Option<Public>,
    /// Patterns of paths to fetch, of a subscription; none means all.
    pub include: Option<Vec<String>>,
    /// Patterns of paths to leave out, of a subscription.
    pub exclude: Option<Vec<String>>,
}

/// What is to change in how long kept versions stay; `Some(None)` takes a limit away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionChange {
    /// Days.
    pub days: Option<Option<u32>>,
    /// Versions of one path.
    pub count: Option<Option<u32>>,
    /// Bytes of all kept versions of the library.
    pub bytes: Option<Option<u64>>,
}

impl DaemonFolder {
    /// Changes how a library is kept.
    pub fn change_library(
        &mut self,
        which: Followed<'_>,
        change: &LibraryChange,
    ) -> Result<Reloaded, EditError> {
        self.edit(which.file(), |json| {
            change.make(which.entry_in(json)?);
            Ok(())
        })
    }
}

impl LibraryChange {
    fn make(&self, library: &mut Json) {
        if let Some(paused) = self.paused {
            set_or_remove(library, "paused", paused.then(|| true.into()));
        }
        if let Some(priority) = self.priority {
            library.set("priority", i64::from(priority).into());
        }
        if let Some(approvals) = &self.approvals {
            approvals.make(library);
        }
        self.retention.make(library);
        if let Some(public) = self.public {
            let value = match public {
                Public::No => None,
                Public::Yes => Some(true.into()),
                Public::Indexed => Some("indexed".into()),
            };
            set_or_remove(library, "public", value);
        }
        for (key, list) in [("include", &self.include), ("exclude", &self.exclude)] {
            if let Some(list) = list {
                set_or_remove(library, key, texts(list));
            }
        }
    }
}

impl RetentionChange {
    fn make(self, library: &mut Json) {
        if self == Self::default() {
            return;
        }
        let mut retention = library.get("retention").cloned().unwrap_or_else(|| Json::object::<&str>([]));
        let number = |number: u32| i64::from(number).into();
        let bytes = |bytes: u64| len_words(bytes).as_str().into();
        for (key, value) in [
            ("days", self.days.map(|days| days.map(number))),
            ("count", self.count.map(|count| count.map(number))),
            ("bytes", self.bytes.map(|len| len.map(bytes))),
        ] {
            if let Some(value) = value {
                set_or_remove(&mut retention, key, value);
            }
        }
        set_or_remove(library, "retention", (!retention.members().is_empty()).then_some(retention));
    }
}

/// Exactly so many bytes, as people write it.
fn len_words(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, len)| bytes > 0 && bytes.is_multiple_of(*len));
    unit.map_or_else(|| format!("{bytes}B"), |(name, len)| format!("{}{name}", bytes / len))
}

const UNITS: [(&str, u64); 6] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("KB", 1_000),
];

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::base::ByteLen;

    #[test]
    fn a_length_is_written_as_people_write_it_and_read_as_it_was() {
        let cases = [
            (100_000_000_000, "100GB"),
            (3 << 30, "3GiB"),
            (2_000_000_000_000, "2TB"),
            (1_234, "1234B"),
            (0, "0B"),
        ];
        for (bytes, text) in cases {
            assert_eq!(len_words(bytes), text);
            assert_eq!(text.parse(), Ok(ByteLen(bytes)));
        }
    }
}
