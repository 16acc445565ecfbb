//! The last minute of an active call. Apps send a batch a minute, so the minute of each participant
//! ends with the newest sample.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::calls::{Call, CallState};
use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::quality::merge::{assess_direction, worse_direction};
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
