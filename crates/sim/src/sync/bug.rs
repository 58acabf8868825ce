//! Planted bugs: each breaks one promise that the worlds check. A world runs with one of them or with none; this is the only switch.
//! A checker is worth what it catches.

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    // Replica.
    /// A put replaces whatever stands there.
    PutLooksAtNothing,
    /// A removal takes whatever stands there.
    RemoveLooksAtNothing,
    /// A move takes whatever stands there.
    MoveLooksAtNothing,
    /// The executable bit is set on whatever stands there.
    ModeLooksAtNothing,
    /// A move replaces what stands at its target.
    MoveReplaces,
    /// A put makes no kept version.
    PutKeepsNothing,
    /// A removal makes no kept version.
    RemoveKeepsNothing,
    /// A folder is removed with all that stands in it.
    RemoveTakesFullFolder,
    /// A new folder takes the place of a file.
    FolderReplacesFile,
    /// A put takes the place of a name in another case.
    PutTakesOtherCase,
    /// A put shows half of the bytes for a moment.
    PutIsNotAtomic,
    /// A moved folder leaves behind what stood in it.
    MoveLeavesChildren,
    /// The last look compares lengths alone.
    LookComparesLengths,
    /// The last look compares times of change alone.
    LookComparesTimes,
    /// Staged bytes are not proved by their hash.
    StageProvesNothing,
    /// The last staged byte is lost after the proof.
    StageIsShort,
    /// A full disk shortens what is staged.
    FullDiskIsShort,
    /// Staged files lose the executable bit.
    StagedIsNotExecutable,
    /// Staged files lose their time of change.
    StagedHasNoTime,
    /// Setting the executable bit does nothing.
    ModeIsNotSet,
    /// A symbolic link loses most of its target.
    LinkIsShort,
    /// A put tells of what stood there before.
    DoneTellsWhatWas,
    /// What was kept is not told.
    DoneForgetsKept,
    /// A kept version replaces the one before it of the same path.
    KeptByPathAlone,
    /// Putting in order after a kill drops a kept version, too.
    RecoverDropsKept,
    /// Nothing is made durable.
    SettleDoesNothing,
    /// The remote side is not made durable.
    SettleForgetsRemote,
    /// Staged bytes are not made durable.
    SettleForgetsStaged,
    /// What is made durable becomes so only with the next settle.
    SettleIsLate,
    // Observation.
    /// An unplugged replica looks like an empty one.
    AwayLooksEmpty,
    /// A walk that fails looks like one that ended.
    WalkHidesItsEnd,
    /// A walk leaves out symbolic links.
    WalkSkipsLinks,
    /// A walk leaves out files that cannot be read.
    WalkSkipsLockedFiles,
    /// A walk leaves out an entry now and then.
    WalkSkipsSome,
    /// Places that cannot be seen look empty.
    BlindPlacesLookEmpty,
    /// A file that changes while it is hashed is believed.
    ChangingFileHashed,
    /// Only the first half of a file is hashed.
    HalfIsHashed,
    /// A time that the next change could have, too, is trusted.
    RacyStampTrusted,
    /// The time of change of metadata is not looked at.
    StampHasNoTime,
    /// The executable bit is not looked at.
    ExecutableUnseen,
    // Index.
    /// The base becomes what the local side has.
    AgreeLooksAtNothing,
    /// The base never moves.
    AgreeDoesNothing,
    /// The base is forgotten now and then.
    BaseForgotten,
    /// Moves are not remembered.
    MovedForgotten,
    /// What stands below a moved folder is not remembered.
    MovedTopAlone,
    /// What vanished is not remembered.
    VanishedForgotten,
    /// An observation is lost now and then.
    SomeObservationsLost,
    /// An observation goes to the other side now and then.
    ObservedOnWrongSide,
    /// Open conflicts are not remembered.
    ConflictsForgotten,
    /// Decisions are not remembered.
    ChoicesForgotten,
    /// A kept text loses its last byte.
    TextsCut,
    /// What was done is not remembered.
    DeedsForgotten,
    /// What was done is remembered of the other side.
    DeedsOnWrongSide,
    /// Only half of a transaction is applied.
    HalfIsApplied,
    /// The last difference is not told.
    LastDifferenceMissing,
    // Plan.
    /// The planner does not hear of places that could not be seen.
    BlindIgnored,
    /// The planner hears of the blind places of the local side alone.
    BlindRemoteIgnored,
    /// The planner does not hear which names a side cannot hold.
    NamesIgnored,
    /// The planner does not hear of decisions.
    ChoicesIgnored,
    /// A pair of one direction is kept the same in both.
    DirectionIgnored,
    /// A plan that is held is performed.
    HoldIgnored,
    /// Paths that are left out are planned.
    IgnoredIsPlanned,
    /// Conflicts of edits are decided for the local side without asking.
    LocalAlwaysWins,
    /// Conflicts with a deletion are decided for it without asking.
    DeletionAlwaysWins,
    /// Operations expect nothing.
    ExpectsNothing,
    /// Operations are performed in reverse order.
    ReversedOps,
    /// Each side performs the operations of the other.
    SwappedSides,
    /// Removals are left out.
    RemovalsDropped,
    /// New folders are left out.
    FoldersDropped,
    /// A put reads another path than it should.
    PutsFromElsewhere,
    /// The last operation is left out.
    LastOpDropped,
}

impl Bug {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::PutLooksAtNothing,
        Self::RemoveLooksAtNothing,
        Self::MoveLooksAtNothing,
        Self::ModeLooksAtNothing,
        Self::MoveReplaces,
        Self::PutKeepsNothing,
        Self::RemoveKeepsNothing,
        Self::RemoveTakesFullFolder,
        Self::FolderReplacesFile,
        Self::PutTakesOtherCase,
        Self::PutIsNotAtomic,
        Self::MoveLeavesChildren,
        Self::LookComparesLengths,
        Self::LookComparesTimes,
        Self::StageProvesNothing,
        Self::StageIsShort,
        Self::FullDiskIsShort,
        Self::StagedIsNotExecutable,
        Self::StagedHasNoTime,
        Self::ModeIsNotSet,
        Self::LinkIsShort,
        Self::DoneTellsWhatWas,
        Self::DoneForgetsKept,
        Self::KeptByPathAlone,
        Self::RecoverDropsKept,
        Self::SettleDoesNothing,
        Self::SettleForgetsRemote,
        Self::SettleForgetsStaged,
        Self::SettleIsLate,
        Self::AwayLooksEmpty,
        Self::WalkHidesItsEnd,
        Self::WalkSkipsLinks,
        Self::WalkSkipsLockedFiles,
        Self::WalkSkipsSome,
        Self::BlindPlacesLookEmpty,
        Self::ChangingFileHashed,
        Self::HalfIsHashed,
        Self::RacyStampTrusted,
        Self::StampHasNoTime,
        Self::ExecutableUnseen,
        Self::AgreeLooksAtNothing,
        Self::AgreeDoesNothing,
        Self::BaseForgotten,
        Self::MovedForgotten,
        Self::MovedTopAlone,
        Self::VanishedForgotten,
        Self::SomeObservationsLost,
        Self::ObservedOnWrongSide,
        Self::ConflictsForgotten,
        Self::ChoicesForgotten,
        Self::TextsCut,
        Self::DeedsForgotten,
        Self::DeedsOnWrongSide,
        Self::HalfIsApplied,
        Self::LastDifferenceMissing,
        Self::BlindIgnored,
        Self::BlindRemoteIgnored,
        Self::NamesIgnored,
        Self::ChoicesIgnored,
        Self::DirectionIgnored,
        Self::HoldIgnored,
        Self::IgnoredIsPlanned,
        Self::LocalAlwaysWins,
        Self::DeletionAlwaysWins,
        Self::ExpectsNothing,
        Self::ReversedOps,
        Self::SwappedSides,
        Self::RemovalsDropped,
        Self::FoldersDropped,
        Self::PutsFromElsewhere,
        Self::LastOpDropped,
    ];

    /// The bug in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::PutLooksAtNothing => "a put replaces whatever stands there",
            Self::RemoveLooksAtNothing => "a removal takes whatever stands there",
            Self::MoveLooksAtNothing => "a move takes whatever stands there",
            Self::ModeLooksAtNothing => "the executable bit is set on whatever stands there",
            Self::MoveReplaces => "a move replaces what stands at its target",
            Self::PutKeepsNothing => "a put makes no kept version",
            Self::RemoveKeepsNothing => "a removal makes no kept version",
            Self::RemoveTakesFullFolder => "a folder is removed with all that stands in it",
            Self::FolderReplacesFile => "a new folder takes the place of a file",
            Self::PutTakesOtherCase => "a put takes the place of a name in another case",
            Self::PutIsNotAtomic => "a put shows half of the bytes for a moment",
            Self::MoveLeavesChildren => "a moved folder leaves behind what stood in it",
            Self::LookComparesLengths => "the last look compares lengths alone",
            Self::LookComparesTimes => "the last look compares times of change alone",
            Self::StageProvesNothing => "staged bytes are not proved by their hash",
            Self::StageIsShort => "the last staged byte is lost after the proof",
            Self::FullDiskIsShort => "a full disk shortens what is staged",
            Self::StagedIsNotExecutable => "staged files lose the executable bit",
            Self::StagedHasNoTime => "staged files lose their time of change",
            Self::ModeIsNotSet => "setting the executable bit does nothing",
            Self::LinkIsShort => "a symbolic link loses most of its target",
            Self::DoneTellsWhatWas => "a put tells of what stood there before",
            Self::DoneForgetsKept => "what was kept is not told",
            Self::KeptByPathAlone => "a kept version replaces the one before it of the same path",
            Self::RecoverDropsKept => "putting in order after a kill drops a kept version, too",
            Self::SettleDoesNothing => "nothing is made durable",
            Self::SettleForgetsRemote => "the remote side is not made durable",
            Self::SettleForgetsStaged => "staged bytes are not made durable",
            Self::SettleIsLate => "what is made durable becomes so only with the next settle",
            Self::AwayLooksEmpty => "an unplugged replica looks like an empty one",
            Self::WalkHidesItsEnd => "a walk that fails looks like one that ended",
            Self::WalkSkipsLinks => "a walk leaves out symbolic links",
            Self::WalkSkipsLockedFiles => "a walk leaves out files that cannot be read",
            Self::WalkSkipsSome => "a walk leaves out an entry now and then",
            Self::BlindPlacesLookEmpty => "places that cannot be seen look empty",
            Self::ChangingFileHashed => "a file that changes while it is hashed is believed",
            Self::HalfIsHashed => "only the first half of a file is hashed",
            Self::RacyStampTrusted => "a time that the next change could have, too, is trusted",
            Self::StampHasNoTime => "the time of change of metadata is not looked at",
            Self::ExecutableUnseen => "the executable bit is not looked at",
            Self::AgreeLooksAtNothing => "the base becomes what the local side has",
            Self::AgreeDoesNothing => "the base never moves",
            Self::BaseForgotten => "the base is forgotten now and then",
            Self::MovedForgotten => "moves are not remembered",
            Self::MovedTopAlone => "what stands below a moved folder is not remembered",
            Self::VanishedForgotten => "what vanished is not remembered",
            Self::SomeObservationsLost => "an observation is lost now and then",
            Self::ObservedOnWrongSide => "an observation goes to the other side now and then",
            Self::ConflictsForgotten => "open conflicts are not remembered",
            Self::ChoicesForgotten => "decisions are not remembered",
            Self::TextsCut => "a kept text loses its last byte",
            Self::DeedsForgotten => "what was done is not remembered",
            Self::DeedsOnWrongSide => "what was done is remembered of the other side",
            Self::HalfIsApplied => "only half of a transaction is applied",
            Self::LastDifferenceMissing => "the last difference is not told",
            Self::BlindIgnored => "the planner does not hear of places that could not be seen",
            Self::BlindRemoteIgnored => "the planner hears of the blind places of the local side alone",
            Self::NamesIgnored => "the planner does not hear which names a side cannot hold",
            Self::ChoicesIgnored => "the planner does not hear of decisions",
            Self::DirectionIgnored => "a pair of one direction is kept the same in both",
            Self::HoldIgnored => "a plan that is held is performed",
            Self::IgnoredIsPlanned => "paths that are left out are planned",
            Self::LocalAlwaysWins => "conflicts of edits are decided for the local side without asking",
            Self::DeletionAlwaysWins => "conflicts with a deletion are decided for it without asking",
            Self::ExpectsNothing => "operations expect nothing",
            Self::ReversedOps => "operations are performed in reverse order",
            Self::SwappedSides => "each side performs the operations of the other",
            Self::RemovalsDropped => "removals are left out",
            Self::FoldersDropped => "new folders are left out",
            Self::PutsFromElsewhere => "a put reads another path than it should",
            Self::LastOpDropped => "the last operation is left out",
        }
    }
}
