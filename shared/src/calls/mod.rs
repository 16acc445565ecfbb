//! Calls: what one is, the states that it goes through, and the protocol that keeps our table and
//! Stream in step.
//!
//! `creating → active → ending → ended`, never back, and a call id is used once. The mapping in
//! the table is written before anything exists at Stream and outlives all of it, so nothing at
//! Stream is ever without an entry that will remove it.

mod activate;
mod call;
mod call_type;
mod clean_up;
mod command;
mod create;
mod decision;
pub mod dynamo;
mod end;
mod end_reason;
mod existing_call;
mod glare;
mod members;
mod provision;
mod reserve;
mod response;
mod rollback;
mod store;
pub mod sweep;
pub mod timeouts;

pub use call::{Call, CallState};
pub use call_type::{CallSettings, CallType};
pub use command::{CreateCall, NewCall};
pub use create::CreateResult;
pub use end_reason::{EndReason, SystemEndReason};
pub use members::MemberSet;
pub use response::CallResponse;
pub use store::{
    ActivateResult, BeginResult, CallStore, EndRequest, EndResult, OpenCallPointer, Precondition,
    SetOpenCallResult, TakeOverResult, WithdrawResult,
};
pub use timeouts::{CallTimeouts, CreateTimeouts};

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::{ApiError, Code};
use crate::ids::CallId;
use crate::random::Random;
use crate::stream::StreamClient;
use crate::users::UserStore;

/// Everything that the life of a call needs of the world.
#[derive(Clone)]
pub struct CallService {
    /// The mappings.
    pub store: Arc<dyn CallStore>,
    /// Who is known.
    pub users: Arc<dyn UserStore>,
    /// Stream.
    pub stream: StreamClient,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids of our own.
    pub random: Arc<dyn Random>,
}

/// The error for a call that does not exist, and for one that the caller may not access. The two
/// are the same, so that a caller cannot tell them apart.
#[must_use]
pub fn not_found() -> ApiError {
    ApiError::from_code(Code::CallNotFound)
}

/// The error while another attempt is creating the call.
fn not_active_yet() -> ApiError {
    ApiError::from_code(Code::CallNotActive).with_retry_after(Some(Duration::from_secs(1)))
}

impl CallService {
    /// An id for a call that nobody else has named.
    #[must_use]
    pub fn generate_id(&self) -> CallId {
        CallId::from_uuid(self.random.uuid_v7(self.clock.now()))
    }
}

/// The call, if there is one that `allowed` lets the caller know of.
///
/// # Errors
///
/// `call_not_found`, `store_unavailable`.
pub async fn get_authorized(
    store: &dyn CallStore,
    id: &CallId,
    is_authorized: impl FnOnce(&Call) -> bool + Send,
) -> Result<Call, ApiError> {
    store.get(id).await?.filter(is_authorized).ok_or_else(not_found)
}
