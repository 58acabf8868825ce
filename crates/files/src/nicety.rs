//! Niceties: what a fetch does to a target beyond keeping its bytes. A target may refuse each of them (exFAT has no executable
//! bit, a CIFS mount no `chmod`) and hold every byte nevertheless, so a refusal is told once a fetch and never ends it.
//!
//! Every other operation of this room is essential: opening, writing, lengths, names, and the sync of data.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::io::Errno;

use super::locked;
use swarm_core::base::Shown;

/// Something that a target may refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nicety {
    /// The executable bit of a file.
    ExecutableBit,
    /// The sync of a folder, after the data in it was synced.
    FolderSync,
    /// The lock that keeps a second process away.
    Lock,
    /// Holes where a file is all zeros.
    Hole,
    /// Writes that pass the page cache by.
    Direct,
}

/// A nicety that the target refused and that a person may miss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreWarning {
    /// What.
    pub nicety: Nicety,
    /// The file or folder where it was refused first.
    pub path: PathBuf,
    /// What the system said.
    pub reason: Errno,
}

/// The niceties of one target.
#[derive(Debug, Default)]
pub(super) struct Niceties(Mutex<Refused>);

#[derive(Debug, Default)]
struct Refused {
    /// Told, or not worth telling: each once.
    known: BTreeSet<Nicety>,
    untold: Vec<StoreWarning>,
}

impl Niceties {
    /// Takes a refusal for a warning. What no target means by "I cannot do that" stays an error: no space, no descriptors, or
    /// that the place is gone or leads elsewhere.
    pub(super) fn tolerate(
        &self,
        nicety: Nicety,
        path: impl FnOnce() -> PathBuf,
        done: Result<(), Errno>,
    ) -> Result<(), Errno> {
        match done {
            Err(reason) if is_refusal(reason) => {
                self.note(nicety, path, reason);
                Ok(())
            }
            done => done,
        }
    }

    /// The target refused this: told if it is the first time, and a person may miss it.
    pub(super) fn note(&self, nicety: Nicety, path: impl FnOnce() -> PathBuf, reason: Errno) {
        let mut refused = locked(&self.0);
        if !refused.known.insert(nicety) {
            return;
        }
        let path = path();
        tracing::debug!(?nicety, path = %Shown(&path), %reason, "the target refuses a nicety");
        if nicety.is_missed(reason) {
            refused.untold.push(StoreWarning { nicety, path, reason });
        }
    }

    /// Warnings that were not told yet.
    pub(super) fn take(&self) -> Vec<StoreWarning> {
        std::mem::take(&mut locked(&self.0).untold)
    }
}

impl Nicety {
    /// Whether a person may miss it; the others cost speed or space alone.
    fn is_missed(self, reason: Errno) -> bool {
        match self {
            Self::ExecutableBit | Self::Lock => true,
            // Some network file systems have no call for it: names are durable there when they are made.
            Self::FolderSync => !matches!(reason, Errno::INVAL | Errno::NOTSUP | Errno::NOSYS),
            Self::Hole | Self::Direct => false,
        }
    }
}

impl fmt::Display for StoreWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, reason) = (Shown(&self.path), std::io::Error::from(self.reason));
        match self.nicety {
            Nicety::ExecutableBit => write!(
                f,
                "`{path}` is complete but cannot be made executable: {reason}; set the bit where it is copied to (chmod +x)"
            ),
            Nicety::FolderSync => write!(
                f,
                "cannot sync the folder `{path}`: {reason}; its data is synced, but run the same command again after a power cut"
            ),
            Nicety::Lock => write!(
                f,
                "`{path}` cannot be locked: {reason}; start no second fetch into this folder meanwhile"
            ),
            Nicety::Hole | Nicety::Direct => {
                write!(
                    f,
                    "`{path}` takes more space or time than elsewhere: {reason}; nothing needs to be done"
                )
            }
        }
    }
}

/// Whether this is how file systems, mounts and sandboxes say that they do not do something.
fn is_refusal(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::PERM
            | Errno::ACCESS
            | Errno::INVAL
            | Errno::NOTSUP
            | Errno::NOSYS
            | Errno::NOTTY
            | Errno::ROFS
            | Errno::IO
    )
}

/// A path at hand, for [`Niceties::tolerate`].
pub(super) fn at(path: &Path) -> impl FnOnce() -> PathBuf {
    move || path.to_owned()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn each_refusal_is_told_once_and_what_is_no_refusal_stays_an_error() {
        let niceties = Niceties::default();
        let tolerate = |nicety, errno| niceties.tolerate(nicety, at(Path::new("out/run")), Err(errno));
        for errno in [Errno::PERM, Errno::ACCESS, Errno::NOTSUP, Errno::INVAL, Errno::IO, Errno::NOSYS] {
            assert_eq!(tolerate(Nicety::ExecutableBit, errno), Ok(()), "{errno:?}");
            assert_eq!(tolerate(Nicety::Direct, errno), Ok(()), "{errno:?}");
        }
        for errno in [Errno::NOSPC, Errno::DQUOT, Errno::MFILE, Errno::NFILE, Errno::NOENT, Errno::LOOP] {
            assert_eq!(tolerate(Nicety::FolderSync, errno), Err(errno));
        }
        tolerate(Nicety::FolderSync, Errno::IO).expect("a nicety");
        niceties.note(Nicety::Lock, at(Path::new("out/.swarm.journal")), Errno::NOTSUP);
        let told: Vec<String> = niceties.take().iter().map(ToString::to_string).collect();
        expect![[r"
            `out/run` is complete but cannot be made executable: Operation not permitted (os error 1); set the bit where it is copied to (chmod +x)
            cannot sync the folder `out/run`: Input/output error (os error 5); its data is synced, but run the same command again after a power cut
            `out/.swarm.journal` cannot be locked: Operation not supported (os error 95); start no second fetch into this folder meanwhile"]]
        .assert_eq(&told.join("\n"));
        assert!(niceties.take().is_empty());
    }
}
