//! A small disk: a tmpfs, where this user may mount one.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted tmpfs; unmounted when dropped.
pub(crate) struct Tmpfs {
    at: PathBuf,
}

impl Tmpfs {
    /// Mounts one; `None`, with a line that says so, where that is not allowed.
    #[expect(clippy::print_stderr, reason = "a test that did not run says so")]
    pub(crate) fn mount(at: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a folder");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "swarm-test"]).arg(at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self { at: at.to_owned() });
        }
        eprintln!("NOT RUN: this user may not mount a tmpfs, so nothing is known about small disks");
        None
    }

    /// Changes its options.
    pub(crate) fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = Command::new("mount").args(["-o", &options]).arg(&self.at).status();
        assert!(status.expect("mount is there").success());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.at.join(name)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a process that the test is about to kill may still be in there.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
