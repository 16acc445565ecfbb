//! Bugs in the model that the checker must detect. Each one changes the table or Stream under the
//! real handlers.

use std::fmt;

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The call item is written only after the channel and the call exist at Stream.
    CallItemWrittenLast,
    /// The sweeper skips calls that are still `creating`.
    SweeperSkipsCreating,
    /// The channel's id does not follow from the call id.
    RandomChannelId,
    /// A call becomes active from any state.
    UnconditionalActivate,
    /// An ended call gets no cleanup recheck.
    NoCleanupRecheck,
    /// The channel is deleted before the call becomes `ending`.
    ChannelDeletedBeforeEnding,
    /// The id of an ended call can be reused.
    CallIdsReusable,
    /// A withdrawal removes the call of another attempt.
    UnconditionalWithdraw,
    /// An attempt replaces the open-call pointer of any call.
    UnconditionalSetPointer,
    /// A failed attempt clears the open-call pointer of another attempt.
    UnconditionalClearPointer,
    /// The end of a session ends the call.
    SessionEndEndsCall,
    /// The end of a call does not end the call at Stream.
    StreamCallNotEnded,
    /// A presence replaces one that it was not made from.
    UnconditionalPresence,
    /// A call ends although its presence has changed since the decision.
    EndIgnoresPresence,
    /// The creation of a call does not ring.
    CreateDoesNotRing,
    /// A ring of an open call does not ring.
    RingCallDoesNotRing,
    /// An update does not change the maximum duration at Stream.
    StreamLimitUnchanged,
    /// A changed maximum duration counts as confirmed before Stream has it.
    ExtendConfirmsLimit,
    /// A changed maximum duration does not increment the limit version.
    ExtendKeepsVersion,
    /// A changed maximum duration postpones the check of the call by this duration.
    ExtendPostponesCheck,
    /// An open call rings again whenever its members create a call.
    UnconditionalRing,
    /// A create does not check whether the callee is in another call.
    BusyCheckSkipped,
    /// A withdrawal leaves the call.
    WithdrawIgnored,
    /// Stream names the creator of a call as the user of each reject.
    RejectsByCreator,
    /// A leave has the time at which its event arrives.
    LeavesByArrival,
    /// The reason of a reject is lost.
    RejectReasonLost,
    /// The next check of a call is two minutes late.
    NextCheckTooLate,
    /// Stream lists no participants of a session.
    ParticipantsNotListed,
    /// The settlement of a call is not stored.
    SettlementLost,
    /// A call is settled whatever has changed since it was read.
    UnconditionalSettlement,
    /// The stored answer changes with the presence.
    FirstAnswerRecomputed,
    /// A call gets a score before it is settled.
    ScoreStoredEarly,
    /// An open call never rings again.
    RingRefused,
    /// A presence with fewer users is not stored.
    LeaveNotStored,
    /// A repeat of a create ignores the alias.
    AliasIgnored,
}

impl Mutant {
    /// All mutants.
    pub const ALL: [Self; 35] = [
        Self::CallItemWrittenLast,
        Self::SweeperSkipsCreating,
        Self::RandomChannelId,
        Self::UnconditionalActivate,
        Self::NoCleanupRecheck,
        Self::ChannelDeletedBeforeEnding,
        Self::CallIdsReusable,
        Self::UnconditionalWithdraw,
        Self::UnconditionalSetPointer,
        Self::UnconditionalClearPointer,
        Self::SessionEndEndsCall,
        Self::StreamCallNotEnded,
        Self::UnconditionalPresence,
        Self::EndIgnoresPresence,
        Self::CreateDoesNotRing,
        Self::RingCallDoesNotRing,
        Self::StreamLimitUnchanged,
        Self::ExtendConfirmsLimit,
        Self::ExtendKeepsVersion,
        Self::ExtendPostponesCheck,
        Self::UnconditionalRing,
        Self::BusyCheckSkipped,
        Self::WithdrawIgnored,
        Self::RejectsByCreator,
        Self::LeavesByArrival,
        Self::RejectReasonLost,
        Self::NextCheckTooLate,
        Self::ParticipantsNotListed,
        Self::SettlementLost,
        Self::UnconditionalSettlement,
        Self::FirstAnswerRecomputed,
        Self::ScoreStoredEarly,
        Self::RingRefused,
        Self::LeaveNotStored,
        Self::AliasIgnored,
    ];
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}"))
    }
}
