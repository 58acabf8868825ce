//! Planted bugs of teams: each breaks one promise that the worlds check. A world runs with one of them or with none; this is the only switch.

macro_rules! bugs {
    ($($name:ident $words:literal)*) => {
        /// A planted bug of a team.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum TeamBug {
            $(#[doc = $words] $name,)*
        }

        impl TeamBug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The bug in words.
            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)*
                }
            }
        }
    };
}

bugs! {
    // Who counts.
    UntrustedCounts "records of authors that are not trusted are taken"
    UntrustedVotesCount "votes of voters that are not trusted count"
    RelayCounts "records count if the peer that sent them is trusted"
    RevokedCounts "an author whose trust was taken back still counts"
    CarriesNothing "commits of authors that are not trusted are not kept"
    CarriedForgotten "commits that were carried are not taken when their author becomes trusted"
    CarriedNotMarked "a carried commit that is taken is not marked as taken"
    // What waits.
    NothingIsHeld "changes that need votes are taken at once"
    OwnIsNeverHeld "a daemon's own changes never wait for votes"
    AuthorsPolicy "changes wait by the policy of their author"
    DisguisedMoves "a deletion that another record names as its origin is taken for a move"
    OneVoteLess "one vote less than needed is enough"
    VotesOfOtherCommits "votes about other commits count"
    AuthorCountsTwice "the yes of an author counts beside its signature"
    NoIsYes "a no counts as a yes"
    FirstVoteStands "a voter cannot change its mind"
    ApprovedForgotten "the records of an approved proposal are forgotten"
    RefusedIsTaken "the records of a refused proposal are taken"
    RowsNotRestored "what a refused proposal did to the view stays"
    EndedBeforeRestored "a proposal ends before what it did to the view is taken back"
    PolicyForgetsHeld "a new policy forgets what waits"
    // Commits.
    CommitsTakenTwice "a commit that is known is taken again"
    GapsIgnored "a commit is taken before those that come before it"
    ForkFollowed "a second history of an author is not noticed"
    HalfIsTaken "only the first half of a commit is taken"
    SeqReused "a commit of one's own is not stored before it is sent"
    LastCommitNotAsked "the last commit of an author is not asked for"
    // Versions.
    LastVersionWins "a version replaces all others, whatever it includes"
    DeletionWins "a deletion wins against a version that excludes it"
    OwnWins "a daemon prefers its own version"
    RowsForgotten "another version wins, and the view stays as it was"
    BaseForgotten "a version of one's own that lost is no conflict"
    FoldersNotImplied "a folder that was deleted is gone, whatever others put in it"
    // Drafts.
    OwnNotSettled "the trees are not made to tell of one's own commits after a kill"
    VectorForgetsOthers "a new version does not include the one it was made from"
    DeletionsNotSigned "deletions beside other changes are not signed"
    DraftsForgotten "drafts are not signed"
    LostNotSettled "a version that lost stays disputed after its author followed the winner"
    NothingIsParked "paths are planned whose bytes nobody has"
}
