//! The quality of a call, for tests of the chart: two participants for one hour. Bob loses packets
//! in the middle of the call.

use crate::clock::Timestamp;
use crate::ids::CallId;
use crate::quality::emodel::Impairment;
use crate::quality::response::{
    Assessment, Freeze, Metrics, Participant, Presence, Quality, Ratings, SampleSummary,
    StreamSummary, Timeline, TimelinePoint,
};

const START: i64 = 1_767_225_600;
const STEP_SECONDS: u32 = 15;

/// The impairment of a participant in a bucket of the timeline.
fn impairment(bucket: u32, is_bob: bool) -> Impairment {
    let bad = is_bob && (100..140).contains(&bucket);
    let loss_percent = if bad { 12.0 } else { 0.5 };
    Impairment { latency_ms: 60.0, jitter_ms: 8.0, loss_percent, frozen_percent: 0.0 }
}

fn participant(name: &str, mean_loss: f64, timeline: Vec<Option<f64>>) -> Participant {
    let mean = Impairment { loss_percent: mean_loss, ..impairment(0, false) };
    let at = |seconds| Timestamp::from_secs(START + seconds);
    Participant {
        user_id: name.to_lowercase(),
        name: Some(name.to_owned()),
        platform: None,
        direction: None,
        assessment: Assessment::from_score(mean.score(), mean.costs()),
        metrics: Metrics::default(),
        inbound: None,
        outbound: None,
        stream_score: None,
        presence: vec![Presence { joined_at: Some(at(5)), left_at: Some(at(3_590)) }],
        freezes: vec![Freeze { at: at(1_700), duration: 900.0 }],
        timeline,
        recent: None,
    }
}

/// A call of two participants and 240 buckets.
pub(crate) fn quality() -> Quality {
    let scores_of = |is_bob| {
        (0..240).map(|bucket| Some(impairment(bucket, is_bob).score().mos)).collect::<Vec<_>>()
    };
    let points = (0..240).map(|bucket| {
        let impairment = impairment(bucket, true);
        TimelinePoint {
            score: Some(impairment.score().mos),
            user_id: Some("bob".to_owned()),
            latency: Some(impairment.latency_ms),
            jitter: Some(impairment.jitter_ms),
            packet_loss: Some(impairment.loss_percent),
        }
    });
    let bob = participant("Bob", 2.4, scores_of(true));
    Quality {
        call_id: CallId::try_from("c1".to_owned()).unwrap(),
        assessment: bob.assessment.clone(),
        metrics: Metrics::default(),
        participants: vec![bob, participant("Alice", 0.5, scores_of(false))],
        worst_participant: Some("bob".to_owned()),
        worst_interval: None,
        stream: StreamSummary::default(),
        ratings: Ratings::default(),
        samples: SampleSummary { count: 480, dropped: 0, complete: true },
        sources: vec!["samples".into()],
        timeline: Some(Timeline {
            from: Timestamp::from_secs(START),
            step_seconds: STEP_SECONDS,
            points: points.collect(),
        }),
        recent: None,
        timestamp: Timestamp::from_secs(START + 3_600),
    }
}
