//! Calls: what one is, the states that it goes through, and the protocol that keeps our table and
//! Stream in step.
//!
//! `creating → active → ending → ended`, never back, and a call id is used once. The mapping in
//! the table is written before anything exists at Stream and outlives all of it, so nothing at
//! Stream is ever without an entry that will remove it.

mod ask;
mod call;
mod create;
pub mod dynamo;
mod end;
mod glare;
mod hear;
pub mod limits;
mod members;
mod store;
pub mod sweep;
mod verdict;
mod view;

pub use ask::Ask;
pub use call::{Call, CallSettings, CallState, CallType, EndReason, Reason};
pub use create::Created;
pub use hear::Hearing;
pub use limits::Limits;
pub use members::MemberSet;
pub use store::{
    Activated, Begun, CallStore, EndRequest, Ending, LEASE, LOOK, MARK, Mark, Marked, NewCall,
    RETRY_END, SECOND_LOOK, Seen, TOMBSTONE, TakenOver, Withdrawn,
};
pub use view::CallView;

use std::sync::Arc;

use crate::clock::Clock;
use crate::error::{ApiError, Code};
use crate::ids::CallId;
use crate::random::Random;
use crate::stream::Stream;
use crate::users::UserStore;

/// Everything that the life of a call needs of the world.
#[derive(Clone)]
pub struct Calls {
    /// The mappings.
    pub store: Arc<dyn CallStore>,
    /// Who is known.
    pub users: Arc<dyn UserStore>,
    /// Stream.
    pub stream: Stream,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids of our own.
    pub random: Arc<dyn Random>,
}

/// The answer for a call that is not there, and for one that the caller has no part in: the two
/// must look alike.
#[must_use]
pub fn not_found() -> ApiError {
    ApiError::plain(Code::CallNotFound)
}

impl Calls {
    /// An id for a call that nobody else has named.
    #[must_use]
    pub fn fresh_id(&self) -> CallId {
        CallId::from_uuid(self.random.uuid_v7(self.clock.now()))
    }
}

/// The call, if there is one that `allowed` lets the caller know of.
///
/// # Errors
///
/// `call_not_found`, `store_unavailable`.
pub async fn find(
    store: &dyn CallStore,
    id: &CallId,
    allowed: impl FnOnce(&Call) -> bool + Send,
) -> Result<Call, ApiError> {
    store.get(id).await?.filter(allowed).ok_or_else(not_found)
}
