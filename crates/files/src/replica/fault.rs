//! What an error of the system means for an operation of a replica.

use rustix::io::Errno;
use swarm_sync::{ReplicaError, TreePath};

/// The failure of an operation on one entry. That something else stands there than a moment ago, or that a folder above it is gone, says
/// that somebody changed the tree meanwhile.
pub(super) fn fault(path: &TreePath, op: &'static str, errno: Errno) -> ReplicaError {
    let path = path.clone();
    match errno {
        Errno::ACCESS | Errno::PERM => ReplicaError::Denied { path, op },
        Errno::NOSPC | Errno::DQUOT => ReplicaError::Full { path },
        Errno::ROFS => ReplicaError::ReadOnly,
        Errno::NAMETOOLONG | Errno::ILSEQ | Errno::INVAL => ReplicaError::Name { path },
        Errno::NOENT
        | Errno::NOTDIR
        | Errno::LOOP
        | Errno::EXIST
        | Errno::NOTEMPTY
        | Errno::ISDIR
        | Errno::NXIO => ReplicaError::Changed { path },
        errno => ReplicaError::Io { path: path.to_string(), op, why: words(errno) },
    }
}

/// The failure of an operation on bytes or metadata, for which no name is at fault.
pub(super) fn io_fault(path: &TreePath, op: &'static str, error: &std::io::Error) -> ReplicaError {
    match Errno::from_io_error(error) {
        Some(errno) if errno != Errno::INVAL => fault(path, op, errno),
        _ => ReplicaError::Io { path: path.to_string(), op, why: error.to_string() },
    }
}

/// The system's words.
pub(super) fn words(errno: Errno) -> String {
    std::io::Error::from(errno).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_system_says_what_to_do() {
        let path = TreePath::new("a/b").expect("a good path");
        let check = |errno, shown: &str| assert_eq!(fault(&path, "rename", errno).to_string(), shown);
        check(Errno::ACCESS, "cannot rename `a/b`: permission denied");
        check(Errno::DQUOT, "no space is left for `a/b`");
        check(Errno::ROFS, "the file system is read-only");
        check(Errno::NAMETOOLONG, "the file system cannot hold the name of `a/b`");
        check(Errno::NOENT, "`a/b` changed meanwhile");
        check(Errno::NOTEMPTY, "`a/b` changed meanwhile");
        check(Errno::STALE, "cannot rename `a/b`: Stale file handle (os error 116)");
        let invalid = std::io::Error::from(Errno::INVAL);
        assert_eq!(
            io_fault(&path, "read", &invalid).to_string(),
            "cannot read `a/b`: Invalid argument (os error 22)"
        );
    }
}
