//! Ingestion of the apps' samples.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::Caller;
use crate::calls::{self, Call, CallState, CallStore};
use crate::clock::{Clock, Timestamp};
use crate::error::{ApiError, Code};
use crate::ids::{BatchId, CallId};
use crate::quality::batch::{Batch, Platform, Samples, Slot};
use crate::quality::store::{QualityStore, StoreBatchResult};
use crate::rate_limiter::Permit;
use crate::users::{self, AccountStore};

/// The maximum lead of a phone's clock over the server's clock. A lag needs no limit, because
/// samples are aligned to the time of receipt.
const MAX_CLOCK_SKEW: Duration = Duration::from_mins(5);
/// The maximum time between two samples of a batch.
const MAX_BATCH_SPAN: Duration = Duration::from_hours(1);

/// A batch from an app.
#[derive(Clone, Debug)]
pub struct NewBatch {
    /// Identifies a repeated batch. If it is missing, the samples identify the batch.
    pub batch_id: Option<BatchId>,
    /// The platform that measured the samples.
    pub platform: Option<Platform>,
    /// The samples.
    pub samples: Samples,
}

/// Validates and stores batches.
#[derive(Clone)]
pub struct SampleIngest {
    /// The calls.
    pub calls: Arc<dyn CallStore>,
    /// The accounts of users.
    pub accounts: Arc<dyn AccountStore>,
    /// The store of quality data.
    pub quality_store: Arc<dyn QualityStore>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl SampleIngest {
    /// Stores a member's batch, during the call or after it. Returns the number of stored samples,
    /// 0 for a repeated batch.
    ///
    /// # Errors
    ///
    /// `too_many_requests`, `user_deactivated`, `user_banned`, `user_deleted`, `call_not_found`,
    /// `call_not_active`, `call_ended` for a call that never was active, `invalid_body` for timestamps out of range, `too_many_batches`,
    /// `store_unavailable`.
    pub async fn ingest(
        &self,
        caller: &Caller,
        id: &CallId,
        new_batch: NewBatch,
        permit: Permit<'_>,
    ) -> Result<usize, ApiError> {
        let call = permit.consume_alongside(self.find_call(caller, id)).await?;
        let now = self.clock.now();
        validate(&call, &new_batch.samples, now)?;
        let NewBatch { batch_id, platform, samples } = new_batch;
        let batch = Batch {
            id: batch_id.unwrap_or_else(|| BatchId::from_samples(&samples)),
            user: caller.user.clone(),
            platform,
            received_at: now,
            samples: samples.into_vec(),
        };
        for slot in Slot::probe_sequence(&batch.id) {
            match self.quality_store.store_batch(id, &batch, slot).await? {
                StoreBatchResult::Stored => return Ok(batch.samples.len()),
                StoreBatchResult::Duplicate => return Ok(0),
                StoreBatchResult::SlotTaken => {}
            }
        }
        Err(ApiError::from_code(Code::TooManyBatches))
    }

    /// The call, if the caller is active and a member.
    async fn find_call(&self, caller: &Caller, id: &CallId) -> Result<Call, ApiError> {
        let get_call = calls::get_authorized(&*self.calls, id, |call| call.is_member(&caller.user));
        let now = self.clock.now();
        users::require_active_alongside(&*self.accounts, caller, now, get_call).await
    }
}

/// Checks the state of the call and the samples' timestamps.
fn validate(call: &Call, samples: &Samples, now: Timestamp) -> Result<(), ApiError> {
    match call.state {
        CallState::Creating => return Err(ApiError::from_code(Code::CallNotActive)),
        _ if call.active_at.is_none() => return Err(ApiError::from_code(Code::CallEnded)),
        _ => {}
    }
    let latest = call.ending_at.unwrap_or(now).min(now).plus(MAX_CLOCK_SKEW);
    let earliest = samples.as_slice().iter().map(|sample| sample.at).min().unwrap_or(latest);
    for (index, sample) in samples.as_slice().iter().enumerate() {
        let invalid = |reason: &'static str| {
            Err(ApiError::invalid_field(format!("/samples/{index}/timestamp"), reason))
        };
        if sample.at > latest {
            return invalid("must be at most 5 minutes after the call's end and the current time");
        }
        if sample.at.since(earliest) > MAX_BATCH_SPAN {
            return invalid("must be within an hour of the other samples of the batch");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::calls::CallState;
    use crate::test_support::active_call;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_767_225_600 + seconds)
    }

    fn call() -> Call {
        Call { active_at: Some(at(1)), ..active_call(&["alice"], at(0)) }
    }

    fn samples(seconds: i64) -> Samples {
        let good = json!({"timestamp": at(10).as_millis()});
        let other = json!({"timestamp": at(seconds).as_millis()});
        serde_json::from_value(json!([good, other])).unwrap()
    }

    #[test]
    fn future_samples_are_rejected() {
        let ended_call =
            Call { state: CallState::Ended, ending_at: Some(at(600)), ended_at: None, ..call() };
        let cases = [
            // call, time of the second sample, current time, is accepted
            (call(), -3_590, 20, true),
            (call(), -3_591, 20, false),
            (call(), 320, 20, true),
            (call(), 321, 20, false),
            (ended_call.clone(), 900, 4_000, true),
            (ended_call, 901, 4_000, false),
        ];
        for (call, sample_second, now, is_accepted) in cases {
            let result = validate(&call, &samples(sample_second), at(now));
            assert_eq!(result.is_ok(), is_accepted, "{sample_second} {now}");
            if let Err(error) = result {
                assert_eq!(error, "invalid_body");
            }
        }
    }

    #[test]
    fn samples_of_a_never_active_call_are_rejected() {
        let creating_call = Call { state: CallState::Creating, active_at: None, ..call() };
        let never_active_call = Call { state: CallState::Ended, ..creating_call.clone() };
        for (call, code) in [(creating_call, "call_not_active"), (never_active_call, "call_ended")]
        {
            assert_eq!(validate(&call, &samples(10), at(20)).unwrap_err(), code);
        }
    }

    impl PartialEq<&str> for ApiError {
        fn eq(&self, code: &&str) -> bool {
            self.code().as_str() == *code
        }
    }
}
