//! How much of a library is here, as figures. Absent: which files are wanted (the caller counts those alone).

/// Files and bytes that are here, of all that are wanted. Invariant: no more is here than there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    files: u64,
    files_here: u64,
    bytes: u64,
    bytes_here: u64,
    /// Files that are here and are to be deleted.
    pub deletions_to_do: u64,
}

impl Completion {
    /// Takes figures; `None` if more is here than there is.
    pub fn of(
        (files_here, files): (u64, u64),
        (bytes_here, bytes): (u64, u64),
        deletions_to_do: u64,
    ) -> Option<Self> {
        let is_good = files_here <= files && bytes_here <= bytes;
        is_good.then_some(Self { files, files_here, bytes, bytes_here, deletions_to_do })
    }

    /// Counts a file of `len` bytes, of which `here_len` are here; it is here itself if all of them are and `is_here` says so.
    pub fn add(&mut self, len: u64, here_len: u64, is_here: bool) {
        self.files += 1;
        self.files_here += u64::from(is_here);
        self.bytes = self.bytes.saturating_add(len);
        self.bytes_here = self.bytes_here.saturating_add(if is_here { len } else { here_len.min(len) });
    }

    /// All files.
    pub fn files(&self) -> u64 {
        self.files
    }

    /// Files that are here.
    pub fn files_here(&self) -> u64 {
        self.files_here
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that are here.
    pub fn bytes_here(&self) -> u64 {
        self.bytes_here
    }

    /// Whether nothing is left to fetch or to delete.
    pub fn is_complete(&self) -> bool {
        self.files_here == self.files && self.bytes_here == self.bytes && self.deletions_to_do == 0
    }

    /// Whole percent of the bytes, or of the files where they have none. It is 100 only if all is here, and 0 only if nothing is.
    pub fn percent(&self) -> u8 {
        let (here, all) = match self.bytes {
            0 => (self.files_here, self.files),
            bytes => (self.bytes_here, bytes),
        };
        let is_all = self.files_here == self.files && self.bytes_here == self.bytes;
        match (here, all) {
            _ if is_all => 100,
            (0, _) | (_, 0) => 0,
            (here, all) => ((u128::from(here) * 100 / u128::from(all)) as u8).clamp(1, 99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_tells_none_some_and_all_apart() {
        let check = |files, bytes, expected| {
            let completion = Completion::of(files, bytes, 0).expect("valid");
            assert_eq!(completion.percent(), expected, "{files:?} {bytes:?}");
            assert_eq!(completion.is_complete(), expected == 100);
        };
        check((0, 0), (0, 0), 100);
        check((0, 3), (0, 9), 0);
        check((0, 3), (1, 1_000_000), 1);
        check((2, 3), (999_999, 1_000_000), 99);
        check((2, 3), (9, 9), 99);
        check((1, 2), (0, 0), 50);
        check((u64::MAX, u64::MAX), (u64::MAX, u64::MAX), 100);
        assert_eq!(Completion::of((2, 1), (0, 0), 0), None);
        assert_eq!(Completion::of((1, 1), (2, 1), 0), None);
    }

    #[test]
    fn files_add_up_and_a_file_is_here_when_it_is_said_to_be() {
        let mut completion = Completion::default();
        completion.add(10, 4, false);
        completion.add(5, 0, true);
        completion.add(3, 9, false);
        let bytes = (completion.bytes_here(), completion.bytes());
        assert_eq!((completion.files_here(), completion.files(), bytes), (1, 3, (12, 18)));
        completion.add(u64::MAX, u64::MAX, true);
        assert_eq!(completion.bytes(), u64::MAX);
        let deleting = Completion { deletions_to_do: 1, ..Completion::default() };
        assert!(!deleting.is_complete() && deleting.percent() == 100);
    }
}
