//! Reads files that users name or keep: regular files of a sensible length alone. A pipe would be waited for, a device has no end.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

/// All bytes of a regular file of at most `len_max` bytes.
pub(crate) fn read(path: &Path, len_max: u64) -> io::Result<Vec<u8>> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(len_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > len_max {
        return Err(io::Error::new(ErrorKind::InvalidData, format!("it is longer than {len_max} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_refused_and_a_long_file_is_too() {
        assert!(read(Path::new("/dev/zero"), 10).is_err());
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "12345").expect("written");
        assert_eq!(read(file.path(), 5).expect("short enough"), b"12345");
        assert!(read(file.path(), 4).is_err());
    }
}
