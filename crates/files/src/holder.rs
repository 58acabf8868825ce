//! Finds the process that holds the lock of a file, as far as the system tells. Decides nothing: every lock is respected.

use super::file::File;
#[cfg(target_os = "linux")]
use super::identity::Identity;

/// The process that holds the file's lock; `None` if the system does not tell, or the process is in another container or machine.
#[cfg(target_os = "linux")]
pub(super) fn holder_of(file: &File) -> Option<u32> {
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    find(&locks, file.identity())
}

/// The process that holds the file's lock: this system does not tell.
#[cfg(not(target_os = "linux"))]
pub(super) fn holder_of(_file: &File) -> Option<u32> {
    None
}

/// Finds a line like `1: FLOCK  ADVISORY  WRITE 4242 fd:01:131 0 EOF`. Its device numbers are those of the mount, which on
/// overlay and btrfs differ from the file's: they only decide between files of the same inode number.
#[cfg(target_os = "linux")]
fn find(locks: &str, identity: Identity) -> Option<u32> {
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, place, ..] = fields.as_slice() else { return None };
        let (device, inode) = place.rsplit_once(':')?;
        let (major, minor) = device.split_once(':')?;
        let number = |hex: &str| u32::from_str_radix(hex, 16).ok();
        let device = rustix::fs::makedev(number(major)?, number(minor)?);
        let pid = pid.parse::<u32>().ok().filter(|pid| *pid > 0)?;
        (inode.parse() == Ok(identity.inode())).then_some((device == identity.device(), pid))
    };
    let found: Vec<(bool, u32)> = locks.lines().filter_map(parse).collect();
    let exact = found.iter().find(|(is_same_device, _)| *is_same_device);
    exact.or(if found.len() == 1 { found.first() } else { None }).map(|(_, pid)| *pid)
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_that_holds_a_lock_is_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let [held, other] = [(); 2].map(|()| {
            super::File::untapped(std::fs::File::options().read(true).write(true).open(file.path()).unwrap())
        });
        assert_eq!(super::holder_of(&other), None);
        held.lock().unwrap();
        assert!(other.is_locked_elsewhere());
        assert_eq!(super::holder_of(&other), Some(std::process::id()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn locks_of_other_kinds_files_and_containers_are_passed_over() {
        let file = super::File::untapped(tempfile::tempfile().unwrap());
        let (inode, device) = (file.identity().inode(), file.identity().device());
        let place = |inode: u64| {
            format!("{:02x}:{:02x}:{inode}", rustix::fs::major(device), rustix::fs::minor(device))
        };
        let check = |lines: &[String], pid: Option<u32>| {
            assert_eq!(super::find(&lines.join("\n"), file.identity()), pid, "{lines:?}");
        };
        let line = |kind: &str, pid: u32, place: &str| format!("1: {kind} {pid} {place} 0 EOF");
        check(&[line("POSIX  ADVISORY  WRITE", 7, &place(inode))], None);
        check(&[line("FLOCK  ADVISORY  WRITE", 7, &place(inode + 1))], None);
        check(&[line("FLOCK  ADVISORY  WRITE", 0, &place(inode))], None);
        check(&[format!("1: -> {}", &line("FLOCK  ADVISORY  WRITE", 7, &place(inode))[3..])], None);
        // A device number that differs from the file's.
        check(&[line("FLOCK  ADVISORY  WRITE", 7, &format!("ff:ff:{inode}"))], Some(7));
        let both =
            ["ff:ff:", "ff:fe:"].map(|device| line("FLOCK  ADVISORY  WRITE", 7, &format!("{device}{inode}")));
        check(&both, None);
        check(&[both[0].clone(), line("FLOCK  ADVISORY  WRITE", 8, &place(inode))], Some(8));
    }
}
