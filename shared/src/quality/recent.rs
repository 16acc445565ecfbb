//! The last minute of an active call. Apps send a batch a minute, so the minute of each participant
//! ends with the newest sample.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::calls::{Call, CallState};
use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::quality::assess::{assess_direction, worse_direction};
use crate::quality::model::{Inputs, mean_inputs, rate};
use crate::quality::response::{Assessment, CallRecent, Metrics, Participant, Recent};
use crate::quality::track::{AlignedSample, ParticipantTrack};
use crate::score_model::ScoreModel;

/// The length of the window.
const WINDOW: Duration = Duration::from_mins(1);
/// The maximum age of a participant's newest sample: a batch interval and the delivery of a batch.
const MAX_AGE: Duration = Duration::from_secs(90);

/// Assesses the last minute of an active call, and stores each participant's in `participants`.
/// `None` if the call is not active, or without a recent sample.
pub(super) fn assess(
    call: &Call,
    tracks: &BTreeMap<UserId, ParticipantTrack>,
    participants: &mut [Participant],
    now: Timestamp,
) -> Option<CallRecent> {
    if call.state != CallState::Active {
        return None;
    }
    let mut scored: Vec<(Inputs, f64, String)> = Vec::new();
    for participant in participants.iter_mut() {
        let user = UserId::try_from(participant.user_id.clone()).ok();
        let track = user.and_then(|user| tracks.get(&user));
        let assessed = track.and_then(|track| assess_track(call.score_model, track, now));
        if let Some((recent, Some(inputs))) = &assessed
            && let Some(r) = recent.assessment.r
        {
            scored.push((*inputs, r, participant.user_id.clone()));
        }
        participant.recent = assessed.map(|(recent, _)| recent);
    }
    let recents = || participants.iter().filter_map(|participant| participant.recent.as_ref());
    let from = recents().map(|recent| recent.from).min()?;
    let to = recents().map(|recent| recent.to).max()?;
    let inputs: Vec<Inputs> = scored.iter().map(|(inputs, ..)| *inputs).collect();
    let missing = recents().find_map(|recent| recent.assessment.reason);
    let ratings = rate(call.score_model, &mean_inputs(&inputs));
    Some(CallRecent {
        from,
        to,
        worst_participant: scored
            .into_iter()
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(.., user)| user),
        assessment: Assessment::new(call.score_model, &ratings, missing),
    })
}

/// The last minute of a participant, and the inputs of its score if it has one.
fn assess_track(
    model: ScoreModel,
    track: &ParticipantTrack,
    now: Timestamp,
) -> Option<(Recent, Option<Inputs>)> {
    let to = track.samples().map(|sample| sample.at).max()?;
    if now.since(to) > MAX_AGE {
        return None;
    }
    let from = to.minus(WINDOW);
    let assess = |samples: &[AlignedSample]| {
        let start = samples.partition_point(|sample| sample.at <= from);
        let window = samples.get(start..).filter(|window| !window.is_empty())?;
        // Stream's metrics have no time.
        Some(assess_direction(model, window, &Metrics::default()))
    };
    let (inbound, outbound) = (assess(&track.inbound), assess(&track.outbound));
    let (direction, (quality, inputs)) = worse_direction(inbound.as_ref(), outbound.as_ref())?;
    let assessment = quality.assessment.clone();
    Some((Recent { from, to, direction: Some(direction), assessment }, *inputs))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ids::BatchId;
    use crate::quality::batch::{Batch, Samples};
    use crate::quality::{Quality, StoredQualityData, StreamStats, merge};
    use crate::test_support::{active_call, user_id};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_767_225_600 + seconds)
    }

    fn call() -> Call {
        active_call(&["alice", "bob"], at(0))
    }

    /// A sample every five seconds up to the end. From `bad_from` on, a tenth of the packets is lost.
    fn batch(user: &str, end: i64, bad_from: i64) -> Batch {
        let sample = |seconds: i64| {
            let loss = if seconds > bad_from { 0.1 } else { 0.0 };
            json!({
                "timestamp": at(seconds).as_millis(),
                "roundTripTime": 0.1, "jitter": 0.005, "fractionLost": loss,
            })
        };
        let samples: Vec<Value> = (1..=24).map(|n| sample(end - 120 + 5 * n)).collect();
        let samples: Samples = serde_json::from_value(json!(samples)).unwrap();
        Batch {
            id: BatchId::try_from(format!("{user}-{end}")).unwrap(),
            user: user_id(user),
            platform: None,
            device_id: None,
            received_at: at(end),
            samples: samples.into_vec(),
        }
    }

    fn quality(call: &Call, batches: Vec<Batch>, now: i64) -> Quality {
        let data = StoredQualityData { batches, ..StoredQualityData::default() };
        merge(call, data, StreamStats::Unavailable, at(now))
    }

    #[test]
    fn recent_describes_the_last_minute() {
        // Bob's last minute is bad, and Alice's minute before it.
        let batches = vec![batch("alice", 180, i64::MAX), batch("bob", 180, 120)];
        let quality = quality(&call(), batches, 200);
        let recent = quality.recent.as_ref().unwrap();
        assert_eq!((recent.from, recent.to), (at(120), at(180)));
        assert_eq!(recent.worst_participant.as_deref(), Some("bob"));
        let recent_r = |user: &str| {
            let participant = quality.participants.iter().find(|other| other.user_id == user);
            participant.unwrap().recent.as_ref().unwrap().assessment.r.unwrap()
        };
        // 95 · 10 / (10 + 25.1), for the loss of the last minute.
        assert!((recent_r("alice") - recent_r("bob") - 27.066).abs() < 0.01);
        // The whole time has half of the loss.
        let bob = &quality.participants[0];
        assert!(bob.assessment.r.unwrap() > recent_r("bob") + 5.0);
        assert!(recent.assessment.r.unwrap() > recent_r("bob"));
    }

    #[test]
    fn late_batch_of_a_minute_is_recent_and_an_older_one_is_not() {
        for (now, is_recent) in [(180, true), (270, true), (271, false)] {
            let quality = quality(&call(), vec![batch("alice", 180, i64::MAX)], now);
            assert_eq!(quality.recent.is_some(), is_recent, "{now}");
            assert_eq!(quality.participants[0].recent.is_some(), is_recent, "{now}");
        }
    }

    #[test]
    fn participant_without_recent_samples_has_none() {
        let batches = vec![batch("alice", 180, i64::MAX), batch("bob", 600, i64::MAX)];
        let quality = quality(&call(), batches, 600);
        let recent: Vec<bool> = ["alice", "bob"]
            .map(|user| quality.participants.iter().find(|other| other.user_id == user).unwrap())
            .iter()
            .map(|participant| participant.recent.is_some())
            .collect();
        assert_eq!(recent, [false, true]);
        assert_eq!(quality.recent.unwrap().worst_participant.as_deref(), Some("bob"));
    }

    #[test]
    fn call_that_is_over_has_no_recent_minute() {
        for state in [CallState::Ending, CallState::Ended] {
            let call = Call { state, ending_at: Some(at(181)), ..call() };
            let quality = quality(&call, vec![batch("alice", 180, i64::MAX)], 185);
            assert!(quality.recent.is_none() && quality.participants[0].recent.is_none());
        }
    }

    #[test]
    fn minute_without_packet_loss_has_no_score() {
        let mut batch = batch("alice", 180, i64::MAX);
        for sample in &mut batch.samples {
            sample.packet_loss = None;
        }
        let recent = quality(&call(), vec![batch], 180).recent.unwrap();
        let json = serde_json::to_value(&recent).unwrap();
        assert_eq!(
            (&json["quality"], &json["reason"]),
            (&json!("unknown"), &json!("no_packet_loss"))
        );
        assert_eq!(json["worstParticipant"], Value::Null);
    }
}
