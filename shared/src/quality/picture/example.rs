//! A call to draw in tests: two people for an hour, one of whom loses packets in the middle.

use crate::clock::Timestamp;
use crate::ids::CallId;
use crate::quality::answer::{
    Freeze, Metrics, Participant, Point, Quality, Ratings, SampleWord, Stay, StreamWord, Timeline,
    Verdict,
};
use crate::quality::emodel::Impairment;

const START: i64 = 1_767_225_600;
const STEP: u32 = 15;

/// What the network does to Bob in a span, and to Alice always.
fn impairment(span: u32, bob: bool) -> Impairment {
    let bad = bob && (100..140).contains(&span);
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
        verdict: Verdict::known(mean.score(), mean.costs()),
        metrics: Metrics::default(),
        inbound: None,
        outbound: None,
        stream_score: None,
        stays: vec![Stay { joined_at: Some(at(5)), left_at: Some(at(3_590)) }],
        freezes: vec![Freeze { at: at(1_700), duration: 900.0 }],
        timeline,
    }
}

/// A call of two participants and 240 spans.
pub(crate) fn quality() -> Quality {
    let scores =
        |bob| (0..240).map(|span| Some(impairment(span, bob).score().mos)).collect::<Vec<_>>();
    let points = (0..240).map(|span| {
        let impairment = impairment(span, true);
        Point {
            score: Some(impairment.score().mos),
            user_id: Some("bob".to_owned()),
            latency: Some(impairment.latency_ms),
            jitter: Some(impairment.jitter_ms),
            packet_loss: Some(impairment.loss_percent),
        }
    });
    let bob = participant("Bob", 2.4, scores(true));
    Quality {
        call_id: CallId::try_from("c1".to_owned()).unwrap(),
        verdict: bob.verdict.clone(),
        metrics: Metrics::default(),
        participants: vec![bob, participant("Alice", 0.5, scores(false))],
        worst_participant: Some("bob".to_owned()),
        worst_stretch: None,
        stream: StreamWord::default(),
        ratings: Ratings::default(),
        samples: SampleWord { count: 480, complete: true },
        sources: vec!["samples"],
        timeline: Some(Timeline {
            from: Timestamp::from_secs(START),
            step_seconds: STEP,
            points: points.collect(),
        }),
        timestamp: Timestamp::from_secs(START + 3_600),
    }
}
