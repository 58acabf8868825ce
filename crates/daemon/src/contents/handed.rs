//! What the worker of a library was handed. Its wishes are a moment old when they are looked up: by then what it wished for may have come, and be
//! on its way to it. Invariant: nothing is fetched a second time because the worker has not seen yet that it came. Pure.

use std::collections::BTreeMap;

use swarm_core::base::ContentId;
use swarm_sync::ContentHash;

/// What was handed to a worker and what it may not have seen, by the number under which it was handed.
#[derive(Debug, Default)]
pub(super) struct Handed {
    last: u64,
    files: BTreeMap<ContentHash, u64>,
    /// The same files by that number: those of one number are forgotten without going through all of them.
    batches: BTreeMap<u64, Vec<ContentHash>>,
    contents: BTreeMap<ContentId, u64>,
    /// How far the worker was when it told the wishes that are being looked up.
    looked_up: Vec<u64>,
}

impl Handed {
    /// Notes whole files; returns the number to hand them under.
    pub(super) fn files(&mut self, files: &[ContentHash]) -> u64 {
        self.last += 1;
        self.files.extend(files.iter().map(|file| (*file, self.last)));
        self.batches.insert(self.last, files.to_vec());
        self.last
    }

    /// Notes a content that is complete; returns the number to hand it under.
    pub(super) fn content(&mut self, content: ContentId) -> u64 {
        self.last += 1;
        self.contents.insert(content, self.last);
        self.last
    }

    /// Wishes of the worker are looked up from now on. It had taken what has numbers up to `taken` when it told them.
    pub(super) fn begin(&mut self, taken: u64) {
        self.looked_up.push(taken);
    }

    /// They were looked up.
    pub(super) fn end(&mut self, taken: u64) {
        if let Some(at) = self.looked_up.iter().position(|known| *known == taken) {
            self.looked_up.swap_remove(at);
        }
        let seen = self.looked_up.iter().copied().min().unwrap_or(taken).min(taken);
        let later = self.batches.split_off(&(seen + 1));
        for (number, files) in std::mem::replace(&mut self.batches, later) {
            for file in files {
                // It may have been handed again since.
                if self.files.get(&file) == Some(&number) {
                    self.files.remove(&file);
                }
            }
        }
        self.contents.retain(|_, number| *number > seen);
    }

    /// Whether files came that the worker may not have put into their places yet.
    pub(super) fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// Whether a file came that the worker had not seen when it had taken what has numbers up to `taken`.
    pub(super) fn has_file(&self, file: &ContentHash, taken: u64) -> bool {
        self.files.get(file).is_some_and(|number| *number > taken)
    }

    /// The same of a content.
    pub(super) fn has_content(&self, content: &ContentId, taken: u64) -> bool {
        self.contents.get(content).is_some_and(|number| *number > taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: ContentHash = ContentHash([1; 32]);

    #[test]
    fn a_wish_that_was_told_before_the_worker_saw_the_file_is_none() {
        let mut handed = Handed::default();
        handed.begin(0);
        let number = handed.files(&[FILE]);
        assert!(handed.has_file(&FILE, 0), "it came while the wish was looked up");
        // A later wish, told after the file was seen, is looked up sooner.
        handed.begin(number);
        assert!(!handed.has_file(&FILE, number), "it was seen, and is wanted anyway");
        handed.end(number);
        assert!(handed.has_file(&FILE, 0));
        handed.end(0);
        assert!(handed.has_file(&FILE, 0), "nobody told of it yet");
        handed.begin(number);
        handed.end(number);
        assert!(handed.files.is_empty() && handed.batches.is_empty(), "what was seen is forgotten");
    }

    #[test]
    fn contents_and_files_are_numbered_together() {
        let (mut handed, content) = (Handed::default(), ContentId::from_bytes([2; 32]));
        let file = handed.files(&[FILE]);
        let number = handed.content(content);
        assert!(number > file && handed.has_content(&content, file) && !handed.has_content(&content, number));
    }
}
