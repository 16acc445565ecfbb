//! Ways in which the code could be wrong, each behind one of the doors that the handlers go
//! through: the checker has to notice every one of them.

use std::fmt;

/// One way to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The mapping is written when everything exists at Stream.
    CallItemWrittenLast,
    /// The sweeper does not see calls that were never finished.
    SweeperSkipsCreating,
    /// A channel's id is made up.
    RandomChannelId,
    /// A call becomes active whatever it is.
    UnconditionalActivate,
    /// An ended call is not looked at again.
    NoCleanupRecheck,
    /// An end deletes the channel before it says that the call is ending.
    ChannelDeletedBeforeEnding,
    /// The id of an ended call is free again.
    CallIdsReusable,
    /// An ended call is looked at again after 10 seconds.
    CleanupRecheckTooEarly,
    /// A withdrawal takes the call whoever has it in hand.
    UnconditionalWithdraw,
    /// A mark is taken from whatever call has it.
    UnconditionalSetPointer,
    /// An attempt that fails takes the mark off its call, whoever has set it.
    UnconditionalClearPointer,
    /// The end of a session ends its call.
    SessionEndEndsCall,
    /// A call that ends at Stream is not ended there by its end here.
    StreamCallNotEnded,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::CallItemWrittenLast,
        Self::SweeperSkipsCreating,
        Self::RandomChannelId,
        Self::UnconditionalActivate,
        Self::NoCleanupRecheck,
        Self::ChannelDeletedBeforeEnding,
        Self::CallIdsReusable,
        Self::CleanupRecheckTooEarly,
        Self::UnconditionalWithdraw,
        Self::UnconditionalSetPointer,
        Self::UnconditionalClearPointer,
        Self::SessionEndEndsCall,
        Self::StreamCallNotEnded,
    ];
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}"))
    }
}
