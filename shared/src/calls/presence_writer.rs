//! Changes the presence and the rejects of a call by read, change and conditional write.

use crate::calls::{Call, CallEventStore, PresenceUpdate, UpdatePresenceResult};
use crate::clock::Timestamp;
use crate::store::StoreError;

/// The number of attempts while other writers change the same call.
const MAX_ATTEMPTS: u32 = 5;

/// Applies `change` to the call, which returns whether the presence or the rejects have changed, and
/// stores them. After a conflict, `change` is applied to the newer call. Returns the call as it is
/// stored, or `None` if the call does not exist any more, or did not exist at the time `at`.
///
/// # Errors
///
/// Those of the table, and `Unavailable` after [`MAX_ATTEMPTS`] conflicts.
pub(crate) async fn write_presence(
    store: &dyn CallEventStore,
    mut call: Call,
    at: Timestamp,
    change: impl Fn(&mut Call) -> bool + Send + Sync,
) -> Result<Option<Call>, StoreError> {
    let cid = call.cid();
    for _ in 0..MAX_ATTEMPTS {
        if call.cid() != cid || !call.existed_at(at) {
            return Ok(None);
        }
        if call.settlement.is_some() {
            return Ok(Some(call));
        }
        let expected_version = call.presence.version();
        if !change(&mut call) {
            return Ok(Some(call));
        }
        if call.presence.version() == expected_version {
            call.presence.increment_version();
        }
        let started_at = [call.started_at, call.presence.started_at()].into_iter().flatten().min();
        let update = PresenceUpdate {
            expected_version,
            presence: &call.presence,
            rejects: &call.rejects,
            started_at,
            first_answered_at: call.first_answered_at.or_else(|| call.answered_at()),
            at,
        };
        match store.update_presence(&cid, update).await? {
            UpdatePresenceResult::Updated(call) => return Ok(Some(call)),
            UpdatePresenceResult::Conflict(current) => call = current,
            UpdatePresenceResult::Missing => return Ok(None),
        }
    }
    Err(StoreError::Unavailable("other writers keep changing the call".into()))
}
