//! Ways in which the code could be wrong, each behind one of the doors that the handlers go
//! through: the checker has to notice every one of them.

use std::fmt;

/// One way to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The mapping is written when everything exists at Stream.
    MappingWrittenLast,
    /// The sweeper does not see calls that were never finished.
    SweeperSkipsCreating,
    /// A channel's id is made up.
    RandomChannelId,
    /// A call becomes active whatever it is.
    UnconditionalActivate,
    /// An ended call is not looked at again.
    NoSecondLook,
    /// An end deletes the channel before it says that the call is ending.
    ChannelDeletedBeforeEnding,
    /// The id of an ended call is free again.
    IdsReusable,
    /// An ended call is looked at again after 10 seconds.
    SecondLookTooEarly,
    /// A withdrawal takes the call whoever has it in hand.
    WithdrawsAnything,
    /// A mark is taken from whatever call has it.
    MarkTakenFromAnybody,
    /// An attempt that fails takes the mark off its call, whoever has set it.
    UnmarksAnybody,
    /// The end of a session ends its call.
    SessionEndEndsTheCall,
    /// A call that ends at Stream is not ended there by its end here.
    CallNotMarkedEnded,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::MappingWrittenLast,
        Self::SweeperSkipsCreating,
        Self::RandomChannelId,
        Self::UnconditionalActivate,
        Self::NoSecondLook,
        Self::ChannelDeletedBeforeEnding,
        Self::IdsReusable,
        Self::SecondLookTooEarly,
        Self::WithdrawsAnything,
        Self::MarkTakenFromAnybody,
        Self::UnmarksAnybody,
        Self::SessionEndEndsTheCall,
        Self::CallNotMarkedEnded,
    ];
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}"))
    }
}
