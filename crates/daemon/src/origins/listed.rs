//! What an origin lists of a library, by path and by hash. Invariant: a path is listed once. Pure.

use std::collections::BTreeMap;

use swarm_origins::ListedFile;
use swarm_sync::ContentHash;

/// A list, and where each hash is in it.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// By path.
    pub(super) files: Vec<ListedFile>,
    /// To ask by whether it changed.
    pub(super) tag: Option<String>,
    /// Entries that are left out because they are none.
    pub(super) unread: usize,
    by_blake3: BTreeMap<[u8; 32], usize>,
    by_sha256: BTreeMap<[u8; 32], usize>,
}

impl Listed {
    pub(super) fn new(mut files: Vec<ListedFile>, tag: Option<String>) -> Self {
        files.sort_by(|one, other| place(&one.path).cmp(place(&other.path)));
        // Of a path that is listed twice, the first one counts.
        files.dedup_by(|second, first| place(&second.path) == place(&first.path));
        let mut listed = Self { tag, ..Self::default() };
        for (at, file) in files.iter().enumerate() {
            match (file.blake3, file.sha256) {
                (Some(blake3), _) => drop(listed.by_blake3.insert(blake3, at)),
                (None, Some(sha256)) => drop(listed.by_sha256.insert(sha256, at)),
                (None, None) => {}
            }
        }
        Self { files, ..listed }
    }

    /// The file at a path.
    pub(super) fn at(&self, path: &str) -> Option<&ListedFile> {
        let at = self.files.binary_search_by(|file| place(&file.path).cmp(place(path))).ok()?;
        self.files.get(at)
    }

    /// A file with this content, of this length if one is known. By SHA-256 where the origin tells no BLAKE3.
    pub(super) fn find(
        &self,
        hash: &ContentHash,
        sha256: Option<&[u8; 32]>,
        len: Option<u64>,
    ) -> Option<&ListedFile> {
        let by_sha256 = || self.by_sha256.get(sha256?);
        let at = self.by_blake3.get(&hash.0).or_else(by_sha256)?;
        self.files.get(*at).filter(|file| len.is_none_or(|len| file.length == len))
    }

    /// Whether it has any file that is told by SHA-256 alone.
    pub(super) fn needs_sha256(&self) -> bool {
        !self.by_sha256.is_empty()
    }
}

/// Paths are listed with a slash at the beginning, or without.
fn place(path: &str) -> &str {
    path.trim_start_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, length: u64, sha256: Option<u8>, blake3: Option<u8>) -> ListedFile {
        let digest = |byte: Option<u8>| byte.map(|byte| [byte; 32]);
        ListedFile {
            path: path.to_owned(),
            length,
            mtime: None,
            sha256: digest(sha256),
            blake3: digest(blake3),
        }
    }

    #[test]
    fn a_file_is_found_by_blake3_and_where_that_is_not_told_by_sha256_and_length() {
        let files = vec![
            file("both", 1, Some(1), Some(2)),
            file("sha256", 3, Some(4), None),
            file("none", 5, None, None),
        ];
        let listed = Listed::new(files, None);
        let check = |blake3: u8, sha256: Option<u8>, len, expected: Option<&str>| {
            let sha256 = sha256.map(|byte| [byte; 32]);
            let found = listed.find(&ContentHash([blake3; 32]), sha256.as_ref(), Some(len));
            assert_eq!(found.map(|file| file.path.as_str()), expected, "{blake3} {sha256:?} {len}");
        };
        check(2, None, 1, Some("both"));
        check(2, None, 2, None);
        check(9, Some(1), 1, None);
        check(9, Some(4), 3, Some("sha256"));
        check(9, Some(4), 4, None);
        check(9, None, 3, None);
    }

    #[test]
    fn of_a_path_that_is_listed_twice_the_first_one_counts() {
        let files =
            vec![file("/b", 1, Some(1), None), file("a", 2, Some(2), None), file("b", 3, Some(3), None)];
        let listed = Listed::new(files, None);
        assert_eq!(listed.files.len(), 2);
        assert_eq!(listed.at("b").map(|file| file.length), Some(1));
        assert_eq!(listed.at("/a").map(|file| file.length), Some(2));
        assert_eq!(listed.at("c"), None);
    }
}
