//! How people steer single fetches: a part of a content is paused, skipped, or fetched before others. Invariant: what was said of a part holds, over
//! every plan of its library and over a restart, until it is said otherwise or the part is here. Absent here: what follows for the engine (`jobs`).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use swarm_core::base::ContentId;
use swarm_engine::Rank;
use swarm_library::LibraryKey;
use swarm_sync::ContentHash;

use crate::limits::{FILE_JOB_LEN_MIN, STEERED_MAX};
use crate::transfers::{Action, Priority};

/// What is one job: a long file, or the rest of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// A file that is fetched by itself, in whichever content.
    File(ContentHash),
    /// The files of a content that are none of these; all files of one that is fetched whole.
    Rest(ContentId),
    /// A content that is fetched by a ticket.
    Ticket(ContentId),
}

/// What was said of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Steer {
    pub(crate) hold: Option<Hold>,
    pub(crate) priority: Priority,
}

/// Why a part is not fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Hold {
    /// For now.
    Paused,
    /// It is not wanted on this disk until somebody says so.
    Skipped,
}

/// All that was said, as it stands on disk.
#[derive(Debug, Default)]
pub(crate) struct Steers {
    file: PathBuf,
    of: BTreeMap<(LibraryKey, Part), Steer>,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    /// Its key.
    library: String,
    part: String,
    #[serde(flatten)]
    steer: Steer,
}

impl Part {
    /// The part of a content that a file is of.
    pub(crate) fn of(content: ContentId, file: ContentHash, len: u64) -> Self {
        if len >= FILE_JOB_LEN_MIN { Self::File(file) } else { Self::Rest(content) }
    }

    /// From the text of an id.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(content) = text.strip_prefix(REST) {
            return content.parse().ok().map(Self::Rest);
        }
        if let Some(content) = text.strip_prefix(TICKET) {
            return content.parse().ok().map(Self::Ticket);
        }
        ContentHash::from_hex(text.strip_prefix(FILE)?).map(Self::File)
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file) => write!(f, "{FILE}{file}"),
            Self::Rest(content) => write!(f, "{REST}{content}"),
            Self::Ticket(content) => write!(f, "{TICKET}{content}"),
        }
    }
}

impl Steer {
    /// As the engine takes it.
    pub(crate) fn rank(self) -> Rank {
        match (self.hold, self.priority) {
            (Some(Hold::Paused | Hold::Skipped), _) => Rank::Held,
            (None, Priority::High) => Rank::High,
            (None, Priority::Normal) => Rank::Normal,
            (None, Priority::Low) => Rank::Low,
        }
    }

    fn steered(self, action: Option<Action>, priority: Option<Priority>) -> Self {
        let hold = match action {
            None => self.hold,
            Some(Action::Resume) => None,
            Some(Action::Pause) => Some(Hold::Paused),
            Some(Action::Cancel) => Some(Hold::Skipped),
        };
        Self { hold, priority: priority.unwrap_or(self.priority) }
    }
}

impl Steers {
    /// What stands in the state of a daemon. A file that cannot be read says nothing.
    pub(crate) fn read(state: &Path) -> Self {
        let file = state.join(NAME);
        let lines: Vec<Line> =
            serde_json::from_slice(&std::fs::read(&file).unwrap_or_default()).unwrap_or_default();
        let said = lines.into_iter().take(STEERED_MAX).filter_map(|line| {
            let library = ContentHash::from_hex(&line.library)?;
            Some(((LibraryKey::from_slice(&library.0)?, Part::parse(&line.part)?), line.steer))
        });
        Self { of: said.collect(), file }
    }

    /// Whether nothing was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// What was said of a part.
    pub(crate) fn of(&self, library: LibraryKey, part: Part) -> Steer {
        self.of.get(&(library, part)).copied().unwrap_or_default()
    }

    /// What was said of a file in a content: of itself, or of the rest that it is of.
    pub(crate) fn part_of(
        &self,
        library: LibraryKey,
        content: ContentId,
        (file, len): (ContentHash, u64),
    ) -> (Part, Steer) {
        let part = Part::of(content, file, len);
        match self.of.get(&(library, Part::File(file))) {
            // The length may not be known yet.
            Some(steer) if len == 0 => (Part::File(file), *steer),
            _ => (part, self.of(library, part)),
        }
    }

    /// Parts of a library that are held.
    pub(crate) fn held(&self) -> impl Iterator<Item = (LibraryKey, Part, Steer)> + '_ {
        let held = self.of.iter().filter(|(_, steer)| steer.hold.is_some());
        held.map(|((library, part), steer)| (*library, *part, *steer))
    }

    /// Takes over what is said of a part.
    ///
    /// # Errors
    /// The disk does not take it; it is not said then. So it is if there is too much to remember.
    pub(crate) fn say(
        &mut self,
        library: LibraryKey,
        part: Part,
        (action, priority): (Option<Action>, Option<Priority>),
    ) -> io::Result<()> {
        let before = self.of.clone();
        let steer = self.of(library, part).steered(action, priority);
        if steer == Steer::default() {
            self.of.remove(&(library, part));
        } else {
            self.of.insert((library, part), steer);
        }
        let said = if self.of.len() > STEERED_MAX {
            Err(io::Error::other(format!("{STEERED_MAX} transfers have a pause or a priority of their own")))
        } else {
            self.write()
        };
        said.inspect_err(|_| self.of = before)
    }

    /// Forgets what was said of parts that are here, or that nobody wants any more.
    pub(crate) fn forget(&mut self, library: LibraryKey, is_over: impl Fn(&Part) -> bool) {
        let before = self.of.len();
        self.of.retain(|(known, part), _| *known != library || !is_over(part));
        if self.of.len() < before
            && let Err(error) = self.write()
        {
            tracing::warn!(%error, "cannot forget the pause of a transfer that is over");
        }
    }

    fn write(&self) -> io::Result<()> {
        let line = |((library, part), steer): (&(LibraryKey, Part), &Steer)| Line {
            library: ContentHash(*library.as_bytes()).to_string(),
            part: part.to_string(),
            steer: *steer,
        };
        let lines: Vec<Line> = self.of.iter().map(line).collect();
        let new = self.file.with_extension("new");
        std::fs::write(&new, serde_json::to_vec_pretty(&lines)?)?;
        std::fs::rename(new, &self.file)
    }
}

const NAME: &str = "transfers.json";
/// The first letter of an id tells what it is of.
const FILE: char = 'f';
const REST: char = 'c';
const TICKET: char = 't';

#[cfg(test)]
mod tests {
    use super::*;

    const FILE_PART: Part = Part::File(ContentHash([3; 32]));

    fn library(n: u8) -> LibraryKey {
        LibraryKey::from_slice(&[n; 32]).expect("32 bytes")
    }

    #[test]
    fn what_was_said_of_a_part_holds_over_a_restart_until_it_is_resumed() {
        let folder = tempfile::tempdir().expect("a folder");
        let rest = Part::Rest(ContentId::from_bytes([4; 32]));
        let mut steers = Steers::read(folder.path());
        steers.say(library(1), FILE_PART, (Some(Action::Pause), Some(Priority::High))).expect("written");
        steers.say(library(1), rest, (Some(Action::Cancel), None)).expect("written");
        let mut again = Steers::read(folder.path());
        let paused = Steer { hold: Some(Hold::Paused), priority: Priority::High };
        assert_eq!(again.of(library(1), FILE_PART), paused);
        assert_eq!(again.of(library(1), rest).hold, Some(Hold::Skipped));
        assert_eq!(again.of(library(2), FILE_PART), Steer::default(), "of another library");
        assert_eq!((paused.rank(), again.held().count()), (Rank::Held, 2));
        again.say(library(1), FILE_PART, (Some(Action::Resume), None)).expect("written");
        assert_eq!(Steers::read(folder.path()).of(library(1), FILE_PART).rank(), Rank::High);
        again.forget(library(1), |_| true);
        assert_eq!(Steers::read(folder.path()).of, BTreeMap::new());
    }

    #[test]
    fn what_the_disk_does_not_take_is_not_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut steers = Steers::read(&folder.path().join("nowhere"));
        assert!(steers.say(library(1), FILE_PART, (Some(Action::Pause), None)).is_err());
        assert_eq!(steers.of(library(1), FILE_PART), Steer::default());
    }

    #[test]
    fn ids_of_parts_are_read_as_they_are_written() {
        let content = ContentId::from_bytes([0xcc; 32]);
        let parts =
            [FILE_PART, Part::File(ContentHash([0xcc; 32])), Part::Rest(content), Part::Ticket(content)];
        for part in parts {
            assert_eq!(Part::parse(&part.to_string()), Some(part));
        }
        for wrong in ["", "c", "x", "c12"] {
            assert_eq!(Part::parse(wrong), None);
        }
    }

    #[test]
    fn a_long_file_is_a_part_and_short_ones_are_one_together() {
        let (steers, content) = (Steers::default(), ContentId::from_bytes([4; 32]));
        let part = |len| steers.part_of(library(1), content, (ContentHash([3; 32]), len)).0;
        assert_eq!(part(FILE_JOB_LEN_MIN), FILE_PART);
        assert_eq!([part(FILE_JOB_LEN_MIN - 1), part(0)], [Part::Rest(content); 2]);
    }
}
