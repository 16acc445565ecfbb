//! Calls, their states, and the protocol that keeps the table and Stream consistent.
//!
//! A call moves `creating → active → ending → ended` and never back, and a call id is used once.
//! The call item is written before the channel and the call at Stream, and outlives both. So every
//! resource at Stream has an item through which the sweeper removes it.

mod activate;
mod busy;
mod call;
mod call_score;
mod call_type;
mod clean_up;
mod command;
mod create;
mod creators;
pub mod dynamo;
mod end;
mod end_reason;
mod existing_call;
mod extend;
mod glare;
pub(crate) mod look;
mod members;
pub mod outcome;
pub mod presence;
pub(crate) mod presence_writer;
mod provision;
mod redial;
pub mod rejects;
mod remove_user;
mod reserve;
mod response;
mod rollback;
pub(crate) mod settle;
mod settlement;
mod store;
pub mod sweep;
pub mod timeouts;
mod view;

pub use call::{Call, CallState};
pub use call_score::{CallScore, Mos};
pub use call_type::{CallSettings, CallType};
pub use command::{CreateCall, NewCall, WhenBusy};
pub use create::CreateResult;
pub use creators::CallCreators;
pub use end::CallEnder;
pub use end_reason::{EndReason, SystemEndReason};
pub use extend::{CallExtender, ExtendCall};
pub use members::MemberSet;
pub use remove_user::{MemberRemover, RemoveUserResult};
pub use response::CallResponse;
pub use settlement::{SettledFrom, Settlement};
pub use store::{
    ActivateResult, Alias, BeginResult, CallCleanupStore, CallEndStore, CallEventStore,
    CallExtendStore, CallMemberStore, CallReader, CallStore, ConfirmLimitResult, EndRequest,
    EndResult, ExtendRequest, ExtendResult, OpenCallPointer, Precondition, PresenceUpdate,
    ReplaceMembersResult, SetOpenCallResult, TakeOverResult, UpdatePresenceResult, WithdrawResult,
};
pub use timeouts::CallTimeouts;
pub use view::CallView;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::{ApiError, Code};
use crate::ids::{CallId, CallTypeName, UserId};
use crate::random::Random;
use crate::stream::StreamClient;
use crate::users::MemberReader;

/// Creates calls.
#[derive(Clone)]
pub struct CallService {
    /// The call items.
    pub store: Arc<dyn CallStore>,
    /// The members of new calls.
    pub members: Arc<dyn MemberReader>,
    /// The Stream client.
    pub stream: StreamClient,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of ids.
    pub random: Arc<dyn Random>,
    /// The call type of new calls at Stream.
    pub call_type: CallTypeName,
    /// The user who creates the channels. No caller can sign in as that user, so no client has the
    /// rights of a channel's creator.
    pub service_user: UserId,
}

/// The error for a call that does not exist or that the caller may not access. The two cases are
/// the same, so that a caller cannot probe for ids.
#[must_use]
pub fn not_found() -> ApiError {
    ApiError::from_code(Code::CallNotFound)
}

/// The error while another attempt is creating the call.
fn not_active_yet() -> ApiError {
    ApiError::from_code(Code::CallNotActive).with_retry_after(Some(Duration::from_secs(1)))
}

impl CallService {
    /// Generates an id for a call whose request has none.
    #[must_use]
    pub fn generate_id(&self) -> CallId {
        CallId::from_uuid(self.random.uuid_v7(self.clock.now()))
    }

    /// Ends and cleans up calls that a create does not keep.
    fn ender(&self) -> CallEnder {
        CallEnder {
            store: self.store.clone(),
            stream: self.stream.clone(),
            clock: self.clock.clone(),
            service_user: self.service_user.clone(),
        }
    }
}

/// Reads a call. A call for which `is_authorized` returns false counts as missing.
///
/// # Errors
///
/// `call_not_found`, `store_unavailable`.
pub async fn get_authorized(
    calls: &dyn CallReader,
    id: &CallId,
    is_authorized: impl FnOnce(&Call) -> bool + Send,
) -> Result<Call, ApiError> {
    calls.get(id).await?.filter(is_authorized).ok_or_else(not_found)
}
