//! Ingestion of the apps' samples.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::Caller;
use crate::calls::{self, Call, CallReader, CallState};
use crate::clock::Clock;
use crate::error::{ApiError, Code};
use crate::ids::{BatchId, CallId, DeviceId};
use crate::quality::batch::{Batch, Platform, Samples, Slot};
use crate::quality::sample::Sample;
use crate::quality::store::{BatchStore, StoreBatchResult};
use crate::rate_limiter::Permit;
use crate::users::{self, AccountReader};

/// The maximum time between two samples of a batch. A phone's clock needs no limit, because samples
/// are aligned to the time of receipt.
const MAX_BATCH_SPAN: Duration = Duration::from_hours(1);

/// A batch from an app.
#[derive(Clone, Debug)]
pub struct NewBatch {
    /// Identifies a repeated batch. If it is missing, the samples identify the batch.
    pub batch_id: Option<BatchId>,
    /// The platform that measured the samples.
    pub platform: Option<Platform>,
    /// The installation that measured the samples.
    pub device_id: Option<DeviceId>,
    /// The samples.
    pub samples: Samples,
}

/// Validates and stores batches.
#[derive(Clone)]
pub struct SampleIngest {
    /// The calls.
    pub calls: Arc<dyn CallReader>,
    /// The accounts of users.
    pub accounts: Arc<dyn AccountReader>,
    /// The store of batches.
    pub batches: Arc<dyn BatchStore>,
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
        validate(&call, &new_batch.samples)?;
        let NewBatch { batch_id, platform, device_id, samples } = new_batch;
        let batch = Batch {
            id: batch_id.unwrap_or_else(|| BatchId::from_samples(&samples)),
            user: caller.user.clone(),
            platform,
            device_id,
            received_at: now,
            samples: samples.into_vec(),
        };
        let stored = self.store(id, &batch).await?;
        // A repeat changes nothing, and must not cost the summary.
        if stored > 0 && call.state == CallState::Ended {
            self.batches.invalidate_summary(id, now).await?;
        }
        Ok(stored)
    }

    /// Stores a batch in the first slot that is empty or has the same batch.
    async fn store(&self, id: &CallId, batch: &Batch) -> Result<usize, ApiError> {
        for slot in Slot::probe_sequence(&batch.id) {
            match self.batches.store_batch(id, batch, slot).await? {
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

/// Checks the state of the call and the span of the samples' timestamps.
fn validate(call: &Call, samples: &Samples) -> Result<(), ApiError> {
    match call.state {
        CallState::Creating => return Err(ApiError::from_code(Code::CallNotActive)),
        _ if call.active_at.is_none() => return Err(ApiError::from_code(Code::CallEnded)),
        _ => {}
    }
    let samples = samples.as_slice();
    let earliest = samples.iter().map(|sample| sample.at).min();
    let is_too_late = |sample: &Sample| {
        earliest.is_some_and(|earliest| sample.at.since(earliest) > MAX_BATCH_SPAN)
    };
    match samples.iter().position(is_too_late) {
        Some(index) => Err(ApiError::invalid_field(
            format!("/samples/{index}/timestamp"),
            "must be within an hour of the other samples of the batch",
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;
    use crate::test_support::active_call;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_767_225_600 + seconds)
    }

    fn call() -> Call {
        Call { active_at: Some(at(1)), ..active_call(&["alice"], at(0)) }
    }

    /// Two samples at these seconds of the phone's clock.
    fn samples(first: i64, second: i64) -> Samples {
        let sample = |seconds: i64| json!({"timestamp": at(seconds).as_millis()});
        serde_json::from_value(json!([sample(first), sample(second)])).unwrap()
    }

    #[test]
    fn samples_of_any_clock_are_accepted_within_an_hour() {
        let ended_call =
            Call { state: CallState::Ended, ending_at: Some(at(600)), ended_at: None, ..call() };
        let year = 365 * 24 * 60 * 60;
        let cases = [
            // time of the second sample after the first one, is accepted
            (3_600, true),
            (3_601, false),
            (-3_600, true),
            (-3_601, false),
        ];
        for call in [call(), ended_call] {
            for clock_lead in [-year, 0, 600, year] {
                for (span, is_accepted) in cases {
                    let result = validate(&call, &samples(clock_lead, clock_lead + span));
                    assert_eq!(result.is_ok(), is_accepted, "{clock_lead} {span}");
                    if let Err(error) = result {
                        assert_eq!(error, "invalid_body");
                    }
                }
            }
        }
    }

    #[test]
    fn samples_of_a_never_active_call_are_rejected() {
        let creating_call = Call { state: CallState::Creating, active_at: None, ..call() };
        let never_active_call = Call { state: CallState::Ended, ..creating_call.clone() };
        for (call, code) in [(creating_call, "call_not_active"), (never_active_call, "call_ended")]
        {
            assert_eq!(validate(&call, &samples(10, 20)).unwrap_err(), code);
        }
    }

    impl PartialEq<&str> for ApiError {
        fn eq(&self, code: &&str) -> bool {
            self.code().as_str() == *code
        }
    }
}
