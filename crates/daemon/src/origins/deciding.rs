//! What becomes of a file that a trusted origin lists: whether it is taken over, and what may stand in its place. Invariant: what somebody changed
//! or deleted here stays as it is. Pure.

use super::taken::Taken;

/// The digests of a file: those that are known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) blake3: Option<[u8; 32]>,
    pub(super) sha256: Option<[u8; 32]>,
}

/// What stands at the path in the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Here {
    Nothing,
    /// Nothing any more: somebody deleted this file.
    Deleted(Digests),
    /// A file, and whether this node made it.
    File {
        digests: Digests,
        is_own: bool,
    },
    /// A folder or a link.
    Other,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is here.
    Same,
    /// It is taken over, where nothing stands or a file with this BLAKE3.
    Take { replaces: Option<[u8; 32]> },
    /// It was changed or deleted here, or comes from others.
    Leave,
    /// It was changed at both.
    Conflict,
}

impl Digests {
    /// Whether two are of the same bytes; what cannot be compared is not.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self.blake3.zip(other.blake3), self.sha256.zip(other.sha256)) {
            (Some((one, another)), _) | (None, Some((one, another))) => one == another,
            (None, None) => false,
        }
    }

    /// Whether it can be told that they are of the same bytes, or of others.
    fn is_comparable(&self, other: &Self) -> bool {
        self.blake3.and(other.blake3).or(self.sha256.and(other.sha256)).is_some()
    }
}

/// What becomes of a file that is `listed` now, and of which `taken` was taken over last.
pub(super) fn decide(listed: &Digests, here: &Here, taken: Option<&Taken>) -> Decision {
    let is_known = taken.is_some_and(|taken| taken.digests().is_same(listed));
    match (here, taken) {
        (Here::File { digests, .. }, _) if digests.is_same(listed) => Decision::Same,
        // It was changed, moved or deleted here, and is as it was at the origin.
        _ if is_known => Decision::Leave,
        // Whoever deleted it may know nothing of the origin.
        (Here::Deleted(digests), _) if digests.is_same(listed) => Decision::Leave,
        (Here::Nothing, None) => Decision::Take { replaces: None },
        (Here::Deleted(digests), None) if digests.is_comparable(listed) => Decision::Take { replaces: None },
        (Here::Nothing | Here::Deleted(_) | Here::Other, _) | (Here::File { is_own: true, .. }, None) => {
            Decision::Conflict
        }
        (Here::File { digests, .. }, Some(taken)) => match digests.blake3 {
            Some(blake3) if taken.digests().is_same(digests) => Decision::Take { replaces: Some(blake3) },
            _ => Decision::Conflict,
        },
        (Here::File { is_own: false, .. }, None) => Decision::Leave,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(byte: u8) -> Digests {
        Digests { blake3: Some([byte; 32]), sha256: Some([byte; 32]) }
    }

    /// `listed` at the origin, `here` in the library, `taken` from the origin before: a byte each, 0 for nothing.
    fn check(listed: u8, here: u8, taken: u8, expected: Decision) {
        let stands =
            if here == 0 { Here::Nothing } else { Here::File { digests: digests(here), is_own: true } };
        let known = (taken != 0).then(|| Taken::of(&digests(taken)));
        assert_eq!(decide(&digests(listed), &stands, known.as_ref()), expected, "{listed} {here} {taken}");
    }

    #[test]
    fn what_is_new_or_changed_at_the_origin_alone_is_taken_over() {
        check(1, 0, 0, Decision::Take { replaces: None });
        check(2, 1, 1, Decision::Take { replaces: Some([1; 32]) });
        check(1, 1, 0, Decision::Same);
        check(2, 2, 1, Decision::Same);
    }

    #[test]
    fn what_was_changed_or_deleted_here_stays() {
        check(1, 2, 1, Decision::Leave);
        check(1, 0, 1, Decision::Leave);
    }

    #[test]
    fn what_was_changed_at_both_is_a_conflict() {
        check(3, 2, 1, Decision::Conflict);
        check(2, 0, 1, Decision::Conflict);
        check(2, 1, 0, Decision::Conflict);
        assert_eq!(decide(&digests(1), &Here::Other, None), Decision::Conflict);
        let others = Here::File { digests: digests(1), is_own: false };
        assert_eq!(decide(&digests(2), &others, None), Decision::Leave);
    }

    #[test]
    fn what_others_deleted_does_not_come_back() {
        let deleted = Here::Deleted(digests(1));
        assert_eq!(decide(&digests(1), &deleted, None), Decision::Leave);
        assert_eq!(decide(&digests(1), &deleted, Some(&Taken::of(&digests(2)))), Decision::Leave);
        assert_eq!(decide(&digests(2), &deleted, None), Decision::Take { replaces: None }, "another file");
        assert_eq!(decide(&digests(2), &deleted, Some(&Taken::of(&digests(1)))), Decision::Conflict);
        let unknown = Here::Deleted(Digests { blake3: Some([1; 32]), sha256: None });
        let listed = Digests { blake3: None, sha256: Some([1; 32]) };
        assert_eq!(decide(&listed, &unknown, None), Decision::Conflict, "nobody can tell");
    }

    #[test]
    fn an_origin_that_tells_sha256_alone_is_compared_by_that() {
        let listed = Digests { blake3: None, sha256: Some([1; 32]) };
        let here = Here::File { digests: digests(1), is_own: true };
        assert_eq!(decide(&listed, &here, None), Decision::Same);
        let unknown = Here::File { digests: Digests { blake3: Some([1; 32]), sha256: None }, is_own: true };
        assert_eq!(decide(&listed, &unknown, None), Decision::Conflict);
    }
}
