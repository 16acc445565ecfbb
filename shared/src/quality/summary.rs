//! The stored summary of a call: its computed quality, which makes a repeated read cheap
//! (`docs/adr/0025-stored-quality-summary.md`).
//!
//! The summary of a call that has not ended is reused for 5 seconds. The summary of an ended call is
//! reused until a write of quality data invalidates it. It contains the members of the call, so that
//! one item serves the request.

use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use futures_util::future::join;
use serde::{Deserialize, Serialize};

use crate::auth::Caller;
use crate::calls::timeouts::TOMBSTONE_TTL;
use crate::calls::{Call, CallState};
use crate::clock::{Timestamp, time_remaining};
use crate::ids::UserId;
use crate::quality::response::Quality;
use crate::quality::store::{StoredQualityData, SummaryInvalidator};
use crate::store::StoreError;

/// How long a summary is reused while the quality may change.
const MAX_STALENESS: Duration = Duration::from_secs(5);
/// How long a final summary is reused. Stream's data may change without a webhook.
const FINAL_REUSE: Duration = Duration::from_hours(1);
/// The longest time between the read of a call and the end of a write of its quality data, with a
/// margin: a function that writes runs for 10 seconds at most. The invalidation is concurrent with
/// the write, so only data that is read after this time includes the write with certainty.
pub(super) const SETTLE_TIME: Duration = Duration::from_secs(15);
/// A larger summary is not stored. An item of the table has at most 400 KB.
const MAX_CONTENT_BYTES: usize = 300 * 1024;
/// Writing a byte costs as much as reading this many bytes: a write unit has 1 KB, a read unit has
/// 4 KB, and a write unit costs five times as much.
const WRITE_COST: usize = 20;
/// A content with longer JSON is ignored, far above that of a call of a hundred users.
const MAX_JSON_BYTES: u64 = 8 * 1024 * 1024;
/// The version of the content. Increase it with each change of [`Quality`] or its computation.
const FORMAT: u32 = 2;

/// A stored summary.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) quality: Quality,
    access: Option<Access>,
}

/// The access to an ended call, so that a read of its final summary needs no read of the call. The
/// members of an ended call do not change, and an erasure of a member invalidates the summary.
#[derive(Debug, Serialize, Deserialize)]
struct Access {
    members: Vec<UserId>,
    /// The end of the retention of the call.
    expires_at: Timestamp,
}

#[derive(Serialize)]
struct NewContent<'a> {
    format: u32,
    access: Option<Access>,
    quality: &'a Quality,
}

#[derive(Deserialize)]
struct StoredContent {
    format: u32,
    access: Option<Access>,
    quality: Quality,
}

/// The content of a summary: compressed JSON.
pub(super) fn encode(quality: &Quality, call: &Call) -> io::Result<Vec<u8>> {
    let access = call.ended_at.filter(|_| is_final(quality, call)).map(|ended_at| Access {
        members: call.members.clone(),
        expires_at: ended_at.plus(TOMBSTONE_TTL),
    });
    let json = serde_json::to_vec(&NewContent { format: FORMAT, access, quality })?;
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&json)?;
    encoder.finish()
}

/// The JSON of a content; `None` if it is longer than [`MAX_JSON_BYTES`].
fn decompress(content: &[u8]) -> Option<Vec<u8>> {
    let mut json = Vec::new();
    let limit = MAX_JSON_BYTES + 1;
    let length = ZlibDecoder::new(content).take(limit).read_to_end(&mut json).ok()?;
    (u64::try_from(length).ok()? < limit).then_some(json)
}

/// The summary of a content; `None` if the content has another version.
pub(super) fn decode(content: &[u8]) -> Option<Summary> {
    let json = decompress(content)?;
    let StoredContent { format, access, quality } = serde_json::from_slice(&json).ok()?;
    (format == FORMAT).then_some(Summary { quality, access })
}

impl Summary {
    /// Whether the summary may be returned to this caller without a read of the call.
    pub(super) fn is_reusable_for(&self, caller: &Caller, now: Timestamp) -> bool {
        let has_access = self.access.as_ref().is_some_and(|access| {
            now < access.expires_at && (caller.is_service || access.members.contains(&caller.user))
        });
        has_access && is_younger_than(&self.quality, FINAL_REUSE, now)
    }
}

/// Whether to store a summary: if it fits in an item, and is final or costs no more than another
/// read of the data.
pub(super) fn is_worth_storing(
    quality: &Quality,
    content: &[u8],
    data_bytes: usize,
    call: &Call,
) -> bool {
    content.len() <= MAX_CONTENT_BYTES
        && (is_final(quality, call) || content.len() * WRITE_COST <= data_bytes)
}

/// The approximate size of the data in the table, as `docs/DATA.md` states it.
pub(super) fn data_bytes(data: &StoredQualityData) -> usize {
    const BATCH_BYTES: usize = 250;
    const SAMPLE_BYTES: usize = 23;
    let batches = data.batches.iter().map(|batch| BATCH_BYTES + SAMPLE_BYTES * batch.samples.len());
    let reports = data.reports.iter().filter_map(|report| Some(report.stats_json.as_ref()?.len()));
    batches.chain(reports).sum()
}

/// Whether a stored quality may be returned instead of a new one.
pub(super) fn is_reusable(quality: &Quality, call: &Call, now: Timestamp) -> bool {
    // The last minute describes an active call only.
    if quality.recent.is_some() && call.state != CallState::Active {
        return false;
    }
    let max_age = if is_final(quality, call) { FINAL_REUSE } else { MAX_STALENESS };
    is_younger_than(quality, max_age, now)
}

fn is_younger_than(quality: &Quality, max_age: Duration, now: Timestamp) -> bool {
    time_remaining(Some(quality.timestamp), max_age, now).is_some()
}

/// Whether every later write invalidates the summary. Writes during a call do not.
fn is_final(quality: &Quality, call: &Call) -> bool {
    let has_settled = |ended_at: Timestamp| ended_at.plus(SETTLE_TIME) <= quality.timestamp;
    call.state == CallState::Ended
        && call.ended_at.is_some_and(has_settled)
        && quality.stream.reachable
}

/// Runs a write of quality data. If the call has ended, invalidates its summary concurrently.
///
/// # Errors
///
/// Those of the write and of the table.
pub async fn write_and_invalidate<T, E: From<StoreError>>(
    summaries: &dyn SummaryInvalidator,
    call: &Call,
    now: Timestamp,
    write: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    if call.state != CallState::Ended {
        return write.await;
    }
    let (written, invalidated) =
        join(write, summaries.invalidate_summary(&call.call_id, now)).await;
    let written = written?;
    invalidated?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{START, active_call, quality as fixtures, user_id};

    fn quality_at(timestamp: Timestamp, reachable: bool) -> Quality {
        let mut quality = fixtures::quality();
        quality.timestamp = timestamp;
        quality.stream.reachable = reachable;
        quality
    }

    fn after(seconds: u64) -> Timestamp {
        START.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn summary_of_an_open_call_is_reused_for_five_seconds() {
        let call = active_call(&["alice"], START);
        let ending = Call { state: CallState::Ending, ending_at: Some(after(50)), ..call.clone() };
        // The summary is from the first seconds after the end.
        let ended = Call { state: CallState::Ended, ended_at: Some(after(86)), ..ending.clone() };
        for call in [call, ending, ended] {
            for (now, is_expected) in [(99, false), (100, true), (104, true), (105, false)] {
                let quality = quality_at(after(100), true);
                assert_eq!(is_reusable(&quality, &call, after(now)), is_expected, "{now}");
            }
        }
    }

    #[test]
    fn last_minute_is_not_reused_after_the_call() {
        let call = active_call(&["alice"], START);
        let ending = Call { state: CallState::Ending, ending_at: Some(after(101)), ..call.clone() };
        let ended = Call { state: CallState::Ended, ended_at: Some(after(101)), ..ending.clone() };
        let mut quality = quality_at(after(100), true);
        quality.recent = Some(crate::quality::response::CallRecent {
            from: after(40),
            to: after(100),
            worst_participant: None,
            assessment: quality.assessment.clone(),
        });
        for (call, is_expected) in [(call, true), (ending, false), (ended, false)] {
            assert_eq!(is_reusable(&quality, &call, after(102)), is_expected, "{:?}", call.state);
        }
    }

    #[test]
    fn summary_of_an_ended_call_is_reused_for_an_hour() {
        let call = active_call(&["alice"], START);
        let ended = Call { state: CallState::Ended, ended_at: Some(after(85)), ..call };
        for (now, reachable, is_expected) in [
            (104, true, true),
            (3_699, true, true),
            (3_700, true, false),
            // Without Stream's data the summary is not final.
            (104, false, true),
            (105, false, false),
        ] {
            let quality = quality_at(after(100), reachable);
            assert_eq!(is_reusable(&quality, &ended, after(now)), is_expected, "{now}");
        }
    }

    #[test]
    fn summary_of_an_open_call_is_stored_if_it_is_cheaper_than_the_data() {
        let open = active_call(&["alice"], START);
        let ended = Call { state: CallState::Ended, ended_at: Some(after(0)), ..open.clone() };
        let quality = quality_at(after(100), true);
        for (content_bytes, data_bytes, is_stored_open, is_stored_ended) in [
            (1_000, 20_000, true, true),
            (1_001, 20_000, false, true),
            (MAX_CONTENT_BYTES, 16_000_000, true, true),
            (MAX_CONTENT_BYTES + 1, 16_000_000, false, false),
        ] {
            let content = vec![0; content_bytes];
            let is_stored = |call| is_worth_storing(&quality, &content, data_bytes, call);
            let expected = (is_stored_open, is_stored_ended);
            assert_eq!((is_stored(&open), is_stored(&ended)), expected, "{content_bytes}");
        }
    }

    #[test]
    fn final_summary_is_reused_without_the_call() {
        let open = active_call(&["alice", "bob"], START);
        let ended = Call { state: CallState::Ended, ended_at: Some(after(85)), ..open.clone() };
        let retained = TOMBSTONE_TTL.as_secs();
        let late = after(85 + retained - 10);
        for (call, computed_at, reachable, user, now, is_expected) in [
            (&ended, after(100), true, "alice", after(3_699), true),
            (&ended, after(100), true, "bob", after(3_699), true),
            (&ended, after(100), true, "carol", after(200), false),
            (&ended, after(100), true, "alice", after(3_700), false),
            // The call has expired.
            (&ended, late, true, "alice", after(85 + retained - 1), true),
            (&ended, late, true, "alice", after(85 + retained), false),
            // Later writes do not invalidate these.
            (&ended, after(99), true, "alice", after(101), false),
            (&ended, after(100), false, "alice", after(101), false),
            (&open, after(100), true, "alice", after(101), false),
        ] {
            let content = encode(&quality_at(computed_at, reachable), call).unwrap();
            let summary = decode(&content).unwrap();
            let mut caller = caller(user);
            assert_eq!(summary.is_reusable_for(&caller, now), is_expected, "{user} {now}");
            caller.is_service = true;
            let is_stranger = user == "carol";
            assert_eq!(summary.is_reusable_for(&caller, now), is_expected || is_stranger);
        }
    }

    fn caller(user: &str) -> Caller {
        Caller { user: user_id(user), role: None, is_service: false, session_started_at: None }
    }

    #[test]
    fn long_content_is_not_decompressed() {
        let max = usize::try_from(MAX_JSON_BYTES).unwrap();
        for (length, is_valid) in [(max, true), (max + 1, false), (4 * max, false)] {
            let content = compress(&vec![0; length]);
            assert!(content.len() < 100_000);
            assert_eq!(
                decompress(&content).map(|json| json.len() == length),
                is_valid.then_some(true)
            );
        }
    }

    #[test]
    fn content_of_another_version_is_ignored() {
        let quality = fixtures::quality();
        let content = encode(&quality, &active_call(&["alice"], START)).unwrap();
        assert!(content.len() < 10_000, "{}", content.len());
        assert!(decode(&content).is_some());
        assert!(decode(&content[1..]).is_none());
        assert!(decode(b"").is_none());
        for format in [FORMAT - 1, FORMAT + 1] {
            let json = serde_json::json!({"format": format, "quality": quality}).to_string();
            assert!(decode(&compress(json.as_bytes())).is_none(), "{format}");
        }
    }

    fn compress(json: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(json).unwrap();
        encoder.finish().unwrap()
    }
}
