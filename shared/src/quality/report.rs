//! Taking in what the apps measure.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::Caller;
use crate::calls::{self, Call, CallState, CallStore};
use crate::clock::{Clock, Timestamp};
use crate::error::{ApiError, Code};
use crate::ids::{BatchId, CallId};
use crate::limits::Admission;
use crate::quality::batch::{Batch, Platform, Samples, Slot};
use crate::quality::evidence::{EvidenceStore, Kept};

/// How far ahead of ours a phone's clock may be. How far behind does not matter: what counts is
/// when a batch comes, and how far apart its samples are.
const SKEW: Duration = Duration::from_mins(5);
/// How far apart the samples of a batch may be.
const APART: Duration = Duration::from_hours(1);

/// A batch as an app sends it.
#[derive(Clone, Debug)]
pub struct SampleReport {
    /// By which a repeat is known; without one it is known by its samples.
    pub batch: Option<BatchId>,
    /// What it was measured on.
    pub platform: Option<Platform>,
    /// The samples.
    pub samples: Samples,
}

/// Whoever takes batches in.
#[derive(Clone)]
pub struct Reports {
    /// The calls that they belong to.
    pub calls: Arc<dyn CallStore>,
    /// Where they are kept.
    pub evidence: Arc<dyn EvidenceStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl Reports {
    /// Keeps a batch of a member's, during the call and after it; how many samples are kept now,
    /// which is none of a batch that was kept before.
    ///
    /// # Errors
    ///
    /// `too_many_requests`, `call_not_found`, `call_not_active`, `call_ended` where it never was
    /// active, `invalid_body` for samples that cannot be of this call, `too_many_batches`,
    /// `store_unavailable`.
    pub async fn keep(
        &self,
        caller: &Caller,
        id: &CallId,
        report: SampleReport,
        admission: Admission<'_>,
    ) -> Result<usize, ApiError> {
        let call = admission.beside(self.find(caller, id)).await?;
        let now = self.clock.now();
        check(&call, &report.samples, now)?;
        let SampleReport { batch, platform, samples } = report;
        let batch = Batch {
            id: batch.unwrap_or_else(|| BatchId::of(&samples)),
            user: caller.user.clone(),
            platform,
            received_at: now,
            samples: samples.into_vec(),
        };
        for slot in Slot::of(&batch.id) {
            match self.evidence.keep_batch(id, &batch, slot).await? {
                Kept::New => return Ok(batch.samples.len()),
                Kept::Before => return Ok(0),
                Kept::Taken => {}
            }
        }
        Err(ApiError::plain(Code::TooManyBatches))
    }

    /// The call, if the caller is in it.
    async fn find(&self, caller: &Caller, id: &CallId) -> Result<Call, ApiError> {
        calls::find(&*self.calls, id, |call| call.has(&caller.user)).await
    }
}

/// Whether these can be samples of the call.
fn check(call: &Call, samples: &Samples, now: Timestamp) -> Result<(), ApiError> {
    match call.state {
        CallState::Creating => return Err(ApiError::plain(Code::CallNotActive)),
        _ if call.active_at.is_none() => return Err(ApiError::plain(Code::CallEnded)),
        _ => {}
    }
    let last = call.ending_at.unwrap_or(now).min(now).plus(SKEW);
    let first = samples.as_slice().iter().map(|sample| sample.at).min().unwrap_or(last);
    for (place, sample) in samples.as_slice().iter().enumerate() {
        let refused = |reason: &'static str| {
            Err(ApiError::field(format!("/samples/{place}/timestamp"), reason))
        };
        if sample.at > last {
            return refused("is later than the call, or than now");
        }
        if sample.at.since(first) > APART {
            return refused("is more than an hour after another sample of the batch");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::calls::{CallType, NewCall};
    use crate::ids::UserId;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_767_225_600 + seconds)
    }

    fn call() -> Call {
        let alice = UserId::try_from("alice".to_owned()).unwrap();
        let new = NewCall {
            id: CallId::try_from("c1".to_owned()).unwrap(),
            owner: alice.clone(),
            members: vec![alice],
            call_type: CallType::Video,
            fingerprint: "f".to_owned(),
            parallel: false,
            attempt: "a".to_owned(),
            at: at(0),
        };
        Call { state: CallState::Active, active_at: Some(at(1)), ..Call::begun(&new) }
    }

    fn samples(seconds: i64) -> Samples {
        let good = json!({"timestamp": at(10).as_millis()});
        let other = json!({"timestamp": at(seconds).as_millis()});
        serde_json::from_value(json!([good, other])).unwrap()
    }

    #[test]
    fn samples_are_not_from_the_future() {
        let over =
            Call { state: CallState::Ended, ending_at: Some(at(600)), ended_at: None, ..call() };
        let cases = [
            // the call, the sample's time, now, whether it is taken
            (call(), -3_590, 20, true),
            (call(), -3_591, 20, false),
            (call(), 320, 20, true),
            (call(), 321, 20, false),
            (over.clone(), 900, 4_000, true),
            (over, 901, 4_000, false),
        ];
        for (call, sample, now, taken) in cases {
            let found = check(&call, &samples(sample), at(now));
            assert_eq!(found.is_ok(), taken, "{sample} {now}");
            if let Err(error) = found {
                assert_eq!(error, "invalid_body");
            }
        }
    }

    #[test]
    fn a_call_that_nobody_could_be_in_has_no_samples() {
        let creating = Call { state: CallState::Creating, active_at: None, ..call() };
        let never = Call { state: CallState::Ended, ..creating.clone() };
        for (call, code) in [(creating, "call_not_active"), (never, "call_ended")] {
            assert_eq!(check(&call, &samples(10), at(20)).unwrap_err(), code);
        }
    }

    impl PartialEq<&str> for ApiError {
        fn eq(&self, code: &&str) -> bool {
            self.code().as_str() == *code
        }
    }
}
