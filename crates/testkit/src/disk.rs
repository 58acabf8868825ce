//! A small disk: a tmpfs, where this user may mount one.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted tmpfs; unmounted when dropped.
pub struct Tmpfs {
    at: PathBuf,
}

impl Tmpfs {
    /// Mounts one; `None`, with a line on stderr, where that is not allowed.
    #[expect(clippy::print_stderr, reason = "a test that did not run says so")]
    pub fn mount(at: &Path, options: &str) -> Option<Self> {
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
    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = Command::new("mount").args(["-o", &options]).arg(&self.at).status();
        assert!(status.expect("mount is there").success());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.at.join(name)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // A lazy unmount: a process that the test is about to kill may still use it.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

/// An image of a foreign file system; unmounted when dropped.
pub struct OddDisk {
    at: PathBuf,
    device: String,
}

impl OddDisk {
    /// File systems that refuse names which Linux accepts: in the kernel, or by a program in user space.
    pub const KINDS: [&'static str; 4] = ["exfat", "vfat", "exfat-fuse", "ntfs-3g"];

    /// Creates and mounts one of `mib` MiB; `None` where this machine or user cannot.
    pub fn mount(kind: &str, at: &Path, mib: u64) -> Option<Self> {
        let image = at.with_extension("img");
        std::fs::create_dir_all(at).expect("a folder");
        std::fs::File::create(&image).and_then(|file| file.set_len(mib << 20)).expect("a file");
        let succeeds = |program: &str, args: &[&str]| {
            Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
        };
        let (image, place) = (image.to_str()?, at.to_str()?);
        let is_made = match kind {
            "vfat" => succeeds("mkfs.vfat", &[image]),
            "ntfs-3g" => succeeds("mkfs.ntfs", &["-F", "-q", image]),
            _ => succeeds("mkfs.exfat", &[image]),
        };
        let output = Command::new("losetup").args(["-f", "--show", image]).output().ok()?;
        let device = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        if !is_made || device.is_empty() {
            return None;
        }
        let disk = Self { at: at.to_owned(), device };
        let is_mounted = match kind {
            "exfat-fuse" => succeeds("mount.exfat-fuse", &[&disk.device, place]),
            "ntfs-3g" => succeeds("ntfs-3g", &["-o", "windows_names", &disk.device, place]),
            kind => succeeds("mount", &["-t", kind, &disk.device, place]),
        };
        is_mounted.then_some(disk)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.at.join(name)
    }
}

impl Drop for OddDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).output();
        let _ = Command::new("losetup").args(["-d", &self.device]).status();
    }
}

/// A disk of its own in an image, of which a test can damage what stands on it without the file system seeing a change. It keeps its device: under
/// another number its files would be others.
pub struct RottingDisk {
    at: PathBuf,
    image: PathBuf,
    device: String,
}

impl RottingDisk {
    /// Creates and mounts one of `mib` MiB; `None`, with a line on stderr, where that is not allowed.
    #[expect(clippy::print_stderr, reason = "a test that did not run says so")]
    pub fn mount(at: &Path, mib: u64) -> Option<Self> {
        let image = at.with_extension("img");
        std::fs::create_dir_all(at).expect("a folder");
        std::fs::File::create(&image).and_then(|file| file.set_len(mib << 20)).expect("a file");
        let disk = succeeds(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))
            .then(|| Command::new("losetup").args(["-f", "--show"]).arg(&image).output().ok())
            .flatten()
            .filter(|output| output.status.success())
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
            .map(|device| Self { at: at.to_owned(), image, device });
        if let Some(disk) = disk.filter(Self::is_mounted_now) {
            return Some(disk);
        }
        eprintln!("NOT RUN: this user may not mount an image, so nothing is known about disks that rot");
        None
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.at.join(name)
    }

    /// Flips a bit of every block that holds these bytes, which begin a block: one may be left of a file that was removed. Nothing on the disk may
    /// be open.
    pub fn rot(&self, bytes: &[u8]) {
        assert!(succeeds(Command::new("umount").arg(&self.at)), "nothing is open on the disk");
        // All is in the image then, and nothing of it is remembered beside.
        assert!(succeeds(Command::new("blockdev").arg("--flushbufs").arg(&self.device)), "it is a disk");
        let mut image = std::fs::read(&self.image).expect("a file");
        let blocks = image.chunks_mut(bytes.len().min(BLOCK_LEN)).filter(|block| bytes.starts_with(block));
        let rotten = blocks.map(|block| block[7] ^= 1).count();
        assert!(rotten > 0, "they are on the disk");
        // In place: the device has the image open.
        let file = std::fs::File::options().write(true).open(&self.image).expect("a file");
        file.write_all_at(&image, 0).and_then(|()| file.sync_all()).expect("a file");
        assert!(succeeds(Command::new("blockdev").arg("--flushbufs").arg(&self.device)), "it is a disk");
        assert!(self.is_mounted_now(), "it was mounted before");
    }

    fn is_mounted_now(&self) -> bool {
        succeeds(Command::new("mount").arg(&self.device).arg(&self.at))
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

impl Drop for RottingDisk {
    fn drop(&mut self) {
        // A lazy unmount: a process that the test is about to kill may still use it. The device goes with its last use.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
        let _ = Command::new("losetup").args(["-d", &self.device]).status();
    }
}

/// Of ext4, on images of this size.
const BLOCK_LEN: usize = 1024;
