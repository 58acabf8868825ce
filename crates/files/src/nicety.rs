//! Optional operations on a target, beyond storing its bytes. A target may refuse each of them (exFAT has no executable
//! bit, a CIFS mount no `chmod`) and hold every byte nevertheless, so a refusal is reported once a fetch and never ends it.
//!
//! Every other operation of this crate is essential: opening, writing, lengths, names, and the sync of data.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::io::Errno;

use super::locked;
use swarm_core::base::Shown;

/// An operation that a target may refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nicety {
    /// The executable bit of a file.
    ExecutableBit,
    /// The sync of a folder, after the data in it was synced.
    FolderSync,
    /// The lock that keeps other processes away.
    Lock,
    /// A hole in place of zeros.
    Hole,
    /// Writes that bypass the page cache.
    Direct,
}

/// A refused operation whose effect the user may miss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreWarning {
    /// The operation.
    pub nicety: Nicety,
    /// The first file or folder for which it was refused.
    pub path: PathBuf,
    /// The error of the system.
    pub reason: Errno,
}

/// The optional operations of one target, with those it refused.
#[derive(Debug, Default)]
pub(super) struct Niceties(Mutex<Refused>);

#[derive(Debug, Default)]
struct Refused {
    /// Operations whose refusal was reported, or is not worth a report.
    known: BTreeSet<Nicety>,
    untold: Vec<StoreWarning>,
}

impl Niceties {
    /// Turns a refusal into a warning. Errors that are not refusals stay errors: no space, no descriptors, or a place that is gone
    /// or leads elsewhere.
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

    /// Notes that the target refused an operation: the first time becomes a warning if the user may miss its effect.
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

    /// Warnings that were not reported yet.
    pub(super) fn take(&self) -> Vec<StoreWarning> {
        std::mem::take(&mut locked(&self.0).untold)
    }
}

impl Nicety {
    /// Whether the user may miss the effect; the other operations cost only speed or space.
    fn is_missed(self, reason: Errno) -> bool {
        match self {
            Self::ExecutableBit | Self::Lock => true,
            // Some network file systems lack the call, because names are durable there once they are created.
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

/// Whether file systems, mounts and sandboxes report an unsupported operation by this error.
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

/// The path as a closure, for [`Niceties::tolerate`].
pub(super) fn at(path: &Path) -> impl FnOnce() -> PathBuf {
    move || path.to_owned()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn each_refusal_is_reported_once_and_other_errors_stay_errors() {
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
