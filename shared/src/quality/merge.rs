//! Merges the sources of a call's quality. Missing data is never estimated: a score requires
//! latency, jitter and packet loss.
//!
//! Stream does not report packet loss, so its data alone yields no score. Otherwise a call with
//! heavy loss would be rated excellent.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::calls::Call;
use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::quality::assess::{assess_direction, worse_direction};
use crate::quality::batch::Batch;
use crate::quality::cause::MissingInput;
use crate::quality::mean::mean;
use crate::quality::model::{Inputs, mean_inputs, playout_of_jitter, rate};
use crate::quality::recent;
use crate::quality::response::{
    Assessment, Metrics, Participant, Quality, Ratings, SampleSummary, UserRating,
};
use crate::quality::store::{StoredQualityData, StoredRating};
use crate::quality::stream_stats::{self, StreamData, StreamStats};
use crate::quality::timeline::{Buckets, ParticipantTimeline, timeline, worst_interval};
use crate::quality::track::{AlignedSample, ParticipantTrack, participant_tracks};
use crate::quality::unit::round_to_thousandth;
use crate::score_model::ScoreModel;
use crate::stream::ops::ParticipantStats;

/// Merges the sources, with the individual ratings of all users. `now` is the time before the
/// sources were read.
#[must_use]
pub fn merge(
    call: &Call,
    data: StoredQualityData,
    stream_stats: StreamStats,
    now: Timestamp,
) -> Quality {
    let StoredQualityData { batches, reports, ratings, truncated } = data;
    let stream = StreamData::new(stream_stats, &reports);
    let count: usize = batches.iter().map(|Batch { samples, .. }| samples.len()).sum();
    let tracks = participant_tracks(batches, call);
    let dropped: usize = tracks.values().map(|track| track.dropped).sum();
    let buckets = Buckets::from_tracks(&tracks);
    let timelines: BTreeMap<UserId, ParticipantTimeline> =
        buckets.map_or_else(BTreeMap::new, |buckets| {
            tracks
                .iter()
                .map(|(user, track)| (user.clone(), buckets.participant_timeline(track)))
                .collect()
        });
    let model = call.score_model;
    let mut assessed = assess_participants(model, &tracks, &stream.participants);
    // The worst first. Participants without a score come last, ordered by Stream's score.
    assessed.sort_by(|a, b| {
        let sort_key = |assessed: &AssessedParticipant| {
            (assessed.participant.assessment.r.unwrap_or(f64::MAX), assessed.stream_score())
        };
        let (a, b) = (sort_key(a), sort_key(b));
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let inputs: Vec<Inputs> = assessed.iter().filter_map(|assessed| assessed.inputs).collect();
    let mut participants: Vec<Participant> =
        assessed.into_iter().map(|assessed| assessed.participant).collect();
    for participant in &mut participants {
        let user = UserId::try_from(participant.user_id.clone()).ok();
        if let (Some(timeline), Some(buckets)) =
            (user.and_then(|user| timelines.get(&user)), buckets)
        {
            participant.timeline = timeline.scores();
            participant.freezes = timeline.freezes(buckets);
        }
    }
    let recent = recent::assess(call, &tracks, &mut participants, now);
    let metrics = aggregate(&participants);
    let has_data = !participants.is_empty() || stream.has_data();
    let sources = [
        ("samples", count > dropped),
        ("stream", stream.has_data()),
        ("ratings", !ratings.is_empty()),
    ];
    Quality {
        call_id: call.call_id.clone(),
        assessment: assess_call(model, &inputs, &metrics, has_data),
        metrics,
        worst_participant: worst_participant(&participants),
        participants,
        worst_interval: buckets.and_then(|buckets| worst_interval(&timelines, buckets)),
        stream: stream.summary,
        ratings: summarize_ratings(ratings),
        samples: SampleSummary { count, dropped, complete: !truncated },
        sources: sources
            .into_iter()
            .filter_map(|(name, is_used)| is_used.then_some(Cow::Borrowed(name)))
            .collect(),
        timeline: buckets.map(|buckets| timeline(&timelines, buckets)),
        recent,
        timestamp: now,
    }
}

/// A participant and the input of its score.
struct AssessedParticipant {
    participant: Participant,
    /// The inputs of the participant's score, if it has one.
    inputs: Option<Inputs>,
}

impl AssessedParticipant {
    fn stream_score(&self) -> f64 {
        self.participant.stream_score.unwrap_or(f64::MAX)
    }
}

/// All participants that appear in the samples or in Stream's statistics.
fn assess_participants(
    model: ScoreModel,
    tracks: &BTreeMap<UserId, ParticipantTrack>,
    stream_stats: &[ParticipantStats],
) -> Vec<AssessedParticipant> {
    let stats_by_user: BTreeMap<&str, &ParticipantStats> =
        stream_stats.iter().map(|stats| (stats.user_id.as_str(), stats)).collect();
    let tracks_by_user: BTreeMap<&str, &ParticipantTrack> =
        tracks.iter().map(|(user, track)| (user.as_str(), track)).collect();
    let users: BTreeSet<&str> =
        tracks_by_user.keys().chain(stats_by_user.keys()).copied().collect();
    let assess = |user: &str| {
        assess_participant(
            model,
            user,
            tracks_by_user.get(user).copied(),
            stats_by_user.get(user).copied(),
        )
    };
    users.into_iter().map(assess).collect()
}

fn assess_participant(
    model: ScoreModel,
    user: &str,
    track: Option<&ParticipantTrack>,
    stream_stats: Option<&ParticipantStats>,
) -> AssessedParticipant {
    let sessions = stream_stats.map(|stats| stats.sessions.as_slice()).unwrap_or_default();
    let stream_metrics = stream_stats::metrics(sessions);
    let direction_quality = |samples_of: fn(&ParticipantTrack) -> &Vec<AlignedSample>| {
        let samples = track.map(samples_of).filter(|samples| !samples.is_empty())?;
        Some(assess_direction(model, samples, &stream_metrics))
    };
    let inbound = direction_quality(|track| &track.inbound);
    let outbound = direction_quality(|track| &track.outbound);
    let worse = worse_direction(inbound.as_ref(), outbound.as_ref());
    let (direction, assessment, metrics, inputs) =
        if let Some((direction, (quality, inputs))) = worse {
            (Some(direction), quality.assessment.clone(), quality.metrics, *inputs)
        } else {
            let missing = inputs_of(model, &stream_metrics).missing().unwrap_or(MissingInput::Data);
            (None, Assessment::unknown(missing), stream_metrics, None)
        };
    // Freezes are always inbound: they are what the participant sees.
    let inbound_metrics = inbound.as_ref().map_or(metrics, |(quality, _)| quality.metrics);
    let metrics = Metrics {
        freezes: inbound_metrics.freezes,
        freeze_count: inbound_metrics.freeze_count,
        ..metrics
    };
    let participant = Participant {
        user_id: user.to_owned(),
        name: stream_stats.and_then(|stats| stats.name.clone()),
        platform: track.and_then(|track| track.platform),
        direction,
        assessment,
        metrics,
        inbound: inbound.map(|(quality, _)| quality),
        outbound: outbound.map(|(quality, _)| quality),
        stream_score: stream_stats::score(sessions),
        presence: stream_stats::presence(sessions),
        freezes: Vec::new(),
        timeline: Vec::new(),
        recent: None,
    };
    AssessedParticipant { participant, inputs }
}

/// The inputs of these metrics on which the existence of a score depends.
fn inputs_of(model: ScoreModel, metrics: &Metrics) -> Inputs {
    let (jitter_buffer_delay, audio_packet_loss) = match model {
        ScoreModel::V1 => (None, None),
        ScoreModel::V2 => (metrics.jitter_buffer_delay, metrics.audio_packet_loss),
    };
    Inputs {
        latency_ms: metrics.latency,
        playout_ms: jitter_buffer_delay.or(metrics.jitter.map(playout_of_jitter)),
        loss_percent: audio_packet_loss.or(metrics.packet_loss),
        ..Inputs::default()
    }
}

/// The score of the mean inputs of all participants with a score.
fn assess_call(
    model: ScoreModel,
    inputs: &[Inputs],
    metrics: &Metrics,
    has_data: bool,
) -> Assessment {
    let missing = match inputs_of(model, metrics).missing() {
        // Some source has data, such as Stream's score, so the reason is not `no_data`.
        Some(MissingInput::Data) if has_data => MissingInput::PacketLoss,
        Some(missing) => missing,
        None => MissingInput::PacketLoss,
    };
    Assessment::new(model, &rate(model, &mean_inputs(inputs)), Some(missing))
}

/// Means over the participants, and sums of freezes.
fn aggregate(participants: &[Participant]) -> Metrics {
    let values = |value_of: fn(&Metrics) -> Option<f64>| {
        participants
            .iter()
            .filter_map(|participant| value_of(&participant.metrics))
            .collect::<Vec<f64>>()
    };
    let mean = |value_of| mean(&values(value_of)).map(round_to_thousandth);
    let sum = |value_of| {
        let values = values(value_of);
        (!values.is_empty()).then(|| round_to_thousandth(values.iter().sum()))
    };
    Metrics {
        latency: mean(|metrics| metrics.latency),
        round_trip_time: mean(|metrics| metrics.round_trip_time),
        jitter: mean(|metrics| metrics.jitter),
        packet_loss: mean(|metrics| metrics.packet_loss),
        freezes: sum(|metrics| metrics.freezes),
        freeze_count: sum(|metrics| metrics.freeze_count),
        connection_stability: mean(|metrics| metrics.connection_stability),
        video_quality: mean(|metrics| metrics.video_quality),
        frame_rate: mean(|metrics| metrics.frame_rate),
        bitrate: mean(|metrics| metrics.bitrate),
        audio_level: mean(|metrics| metrics.audio_level),
        concealment: mean(|metrics| metrics.concealment),
        jitter_buffer_delay: mean(|metrics| metrics.jitter_buffer_delay),
        audio_packet_loss: mean(|metrics| metrics.audio_packet_loss),
        burst_ratio: mean(|metrics| metrics.burst_ratio),
        video_bitrate: mean(|metrics| metrics.video_bitrate),
        limited_by_cpu: mean(|metrics| metrics.limited_by_cpu),
        limited_by_bandwidth: mean(|metrics| metrics.limited_by_bandwidth),
    }
}

/// The participant with the lowest R, or else with the lowest score of Stream.
fn worst_participant(participants: &[Participant]) -> Option<String> {
    let user_with_lowest = |score_of: fn(&Participant) -> Option<f64>| {
        let scored = participants
            .iter()
            .filter_map(|participant| Some((score_of(participant)?, &participant.user_id)));
        scored.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, user)| user.clone())
    };
    user_with_lowest(|participant| participant.assessment.r)
        .or_else(|| user_with_lowest(|participant| participant.stream_score))
}

fn summarize_ratings(ratings: Vec<StoredRating>) -> Ratings {
    let average = mean(&ratings.iter().map(|rating| f64::from(rating.rating)).collect::<Vec<_>>());
    let count = ratings.len();
    let each = ratings.into_iter().map(|StoredRating { user, rating, reason }| UserRating {
        user_id: user,
        rating,
        reason,
    });
    Ratings { average: average.map(round_to_thousandth), count, each: each.collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::ids::BatchId;
    use crate::quality::Platform;
    use crate::quality::model::audio::delay_impairment;
    use crate::quality::sample::{RawSample, Sample};
    use crate::quality::score::Score;
    use crate::quality::store::StoredReport;
    use crate::quality::summary;
    use crate::test_support::{active_call, user_id};

    const START: i64 = 1_767_225_600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(START + seconds)
    }

    /// A call from before version 2 of the formula.
    fn call() -> Call {
        Call { score_model: ScoreModel::V1, ..active_call(&["alice", "bob"], at(0)) }
    }

    fn parse_sample(json: Value) -> Sample {
        serde_json::from_value::<RawSample>(json).unwrap().into()
    }

    /// Batches of 30 seconds with a sample every 5 seconds. `sample_at` returns each sample's
    /// values.
    fn sample_batches(name: &str, seconds: i64, sample_at: impl Fn(i64) -> Value) -> Vec<Batch> {
        let batch = |end: i64| {
            let times = (0..6).map(|n| end - 25 + 5 * n);
            let samples = times.map(|time| {
                let mut raw = sample_at(time);
                raw["timestamp"] = json!(at(time).as_millis());
                parse_sample(raw)
            });
            Batch {
                id: BatchId::try_from(format!("{name}-{end}")).unwrap(),
                user: user_id(name),
                platform: Some(Platform::Ios),
                device_id: None,
                received_at: at(end),
                samples: samples.collect(),
            }
        };
        (1..=seconds / 30).map(|n| batch(n * 30)).collect()
    }

    fn good_sample(_: i64) -> Value {
        json!({"roundTripTime": 0.1, "jitter": 0.005, "packetsLost": 0, "packetsReceived": 250})
    }

    /// 5 % packet loss from 360 to 960 seconds.
    fn lossy_sample(time: i64) -> Value {
        let mut raw = good_sample(time);
        if (360..960).contains(&(time - 1)) {
            raw["packetsLost"] = json!(25);
            raw["packetsReceived"] = json!(475);
        }
        raw
    }

    fn stored_batches(batches: Vec<Batch>) -> StoredQualityData {
        StoredQualityData { batches, ..StoredQualityData::default() }
    }

    /// The quality as Alice sees it.
    fn quality_json(data: StoredQualityData, stream_stats: StreamStats) -> Value {
        let quality = merge(&call(), data, stream_stats, at(1_200));
        assert_eq!(stored_and_loaded(&quality), serde_json::to_value(&quality).unwrap());
        serde_json::to_value(quality.visible_to(|user| *user == user_id("alice"))).unwrap()
    }

    /// The JSON of a quality after it was stored as a summary.
    fn stored_and_loaded(quality: &Quality) -> Value {
        let content = summary::encode(quality, &call()).unwrap();
        serde_json::to_value(summary::decode(&content).unwrap().quality).unwrap()
    }

    fn participant_stats(name: &str, latency: f64, jitter: f64, score: f64) -> Value {
        json!({
            "user_id": name,
            "name": name.to_uppercase(),
            "sessions": [{
                "latency_ms": latency, "jitter_ms": jitter, "cq_score": score,
                "freezes_duration_ms": 250,
                "started_at": at(5).to_string(), "ended_at": at(1_190).to_string(),
            }],
        })
    }

    fn available_stats(participants: &[Value]) -> StreamStats {
        let report = json!({
            "session_id": "s1",
            "report": {"call": {"score": 87.000_04}, "user_ratings": {"average": 4.5, "count": 2}},
        });
        StreamStats::Available {
            report: Some(serde_json::from_value(report).unwrap()),
            participants: serde_json::from_value(json!(participants)).unwrap(),
        }
    }

    #[test]
    fn quality_without_data_is_unknown() {
        let no_report = StreamStats::Available { report: None, participants: Vec::new() };
        for (stream_stats, reachable) in [(no_report, true), (StreamStats::Unavailable, false)] {
            let quality = quality_json(StoredQualityData::default(), stream_stats);
            assert_eq!(quality["quality"], "unknown");
            assert_eq!(quality["reason"], "no_data");
            for key in ["score", "r", "model", "worstParticipant", "worstInterval", "timeline"] {
                assert!(quality[key].is_null(), "{key}");
            }
            for (key, value) in quality["metrics"].as_object().unwrap() {
                assert!(value.is_null(), "{key}");
            }
            assert_eq!(quality["stream"]["reachable"], reachable);
            assert_eq!(quality["stream"]["source"], json!(null));
            for key in ["participants", "reasons", "sources"] {
                assert_eq!(quality[key], json!([]), "{key}");
            }
            assert_eq!(quality["ratings"], json!({"average": null, "count": 0, "each": []}));
        }
    }

    #[test]
    fn stream_data_alone_yields_no_score() {
        let participants = [
            participant_stats("alice", 100.0, 5.0, 93.0),
            participant_stats("bob", 600.0, 50.0, 41.0),
        ];
        let quality = quality_json(StoredQualityData::default(), available_stats(&participants));
        assert_eq!(quality["metrics"]["roundTripTime"], 350.0);
        assert_eq!(quality["metrics"]["latency"], 175.0);
        assert_eq!(quality["metrics"]["jitter"], 27.5);
        assert_eq!(quality["metrics"]["freezes"], 500.0);
        assert!(quality["metrics"]["packetLoss"].is_null());
        let outcome = (&quality["quality"], &quality["reason"], &quality["score"]);
        assert_eq!(outcome, (&json!("unknown"), &json!("no_packet_loss"), &json!(null)));
        assert_eq!(quality["worstParticipant"], "bob");
        assert_eq!(quality["participants"][0]["userId"], "bob");
        assert_eq!(quality["participants"][0]["streamScore"], 41.0);
        assert_eq!(quality["participants"][0]["reason"], "no_packet_loss");
        assert_eq!(quality["participants"][0]["presence"][0]["joinedAt"], at(5).to_string());
        assert_eq!(quality["stream"]["score"], 87.0);
        assert_eq!(quality["stream"]["source"], "live");
        assert_eq!(quality["sources"], json!(["stream"]));
    }

    #[test]
    fn samples_identify_the_worst_participant_cause_and_interval() {
        let mut all = sample_batches("alice", 1_200, good_sample);
        all.extend(sample_batches("bob", 1_200, lossy_sample));
        let quality = quality_json(stored_batches(all), StreamStats::Unavailable);
        let bob = &quality["participants"][0];
        // 93.2 - (50 + 2 * 5 + 10) / 40 - 2.5 * 2.5
        assert_eq!((&bob["userId"], &bob["r"]), (&json!("bob"), &json!(85.2)));
        assert_eq!(bob["reasons"][0], json!({"cause": "loss", "cost": 6.25}));
        assert_eq!((&bob["direction"], &bob["outbound"]), (&json!("inbound"), &json!(null)));
        assert_eq!(bob["platform"], "ios");
        assert_eq!(quality["participants"][1]["r"], 91.45);
        assert_eq!(quality["participants"][1]["quality"], "excellent");
        // The mean loss of both participants is 1.25 %.
        assert_eq!((&quality["r"], &quality["quality"]), (&json!(88.325), &json!("good")));
        assert_eq!(quality["model"], "g107-field-1");
        assert_eq!(quality["worstParticipant"], "bob");
        let interval = &quality["worstInterval"];
        assert_eq!((&interval["userId"], &interval["cause"]), (&json!("bob"), &json!("loss")));
        assert_eq!(interval["from"], at(360).to_string());
        assert_eq!(interval["to"], at(960).to_string());
        assert_eq!(quality["timeline"]["stepSeconds"], 5);
        let points = quality["timeline"]["points"].as_array().unwrap();
        assert_eq!(points.len(), 240);
        assert_eq!(
            (&points[71]["packetLoss"], &points[72]["packetLoss"]),
            (&json!(0.0), &json!(5.0))
        );
        assert_eq!(points[191]["userId"], "bob");
        assert_eq!(bob["timeline"].as_array().unwrap().len(), 240);
        assert_eq!(quality["samples"], json!({"count": 480, "dropped": 0, "complete": true}));
        assert_eq!(quality["sources"], json!(["samples"]));
    }

    /// A sample with all inputs of version 2.
    fn full_sample(time: i64) -> Value {
        let mut raw = good_sample(time);
        let added = json!({
            "audioPacketsLost": 0, "audioPacketsReceived": 250, "jitterBufferDelay": 0.04,
            "audioCodec": "opus", "fecEnabled": true, "frameWidth": 1280, "frameHeight": 720,
            "framesPerSecond": 30, "videoCodec": "vp8", "videoBitrate": 1_500_000,
            "totalFreezesDuration": 0,
        });
        raw.as_object_mut().unwrap().extend(added.as_object().unwrap().clone());
        raw
    }

    fn quality_v2(sample_at: impl Fn(i64) -> Value) -> Value {
        let call = Call { score_model: ScoreModel::V2, ..call() };
        let data = stored_batches(sample_batches("bob", 600, sample_at));
        let quality = merge(&call, data, StreamStats::Unavailable, at(600));
        assert_eq!(stored_and_loaded(&quality), serde_json::to_value(&quality).unwrap());
        serde_json::to_value(quality).unwrap()
    }

    #[test]
    fn audio_and_video_are_scored_apart() {
        let quality = quality_v2(full_sample);
        assert_eq!(
            (&quality["model"], &quality["medium"]),
            (&json!("g107-p1203-2"), &json!("audio"))
        );
        assert_eq!((&quality["r"], &quality["audio"]["r"]), (&json!(90.664), &json!(90.664)));
        assert_eq!(
            (&quality["video"]["r"], &quality["video"]["reasons"]),
            (&json!(93.2), &json!([]))
        );
        assert_eq!(quality["reasons"], quality["audio"]["reasons"]);
        let metrics = &quality["metrics"];
        assert_eq!(
            (&metrics["jitterBufferDelay"], &metrics["videoBitrate"]),
            (&json!(40.0), &json!(1_500.0))
        );
        // A low resolution makes the video the worse medium.
        let quality = quality_v2(|time| {
            let mut raw = full_sample(time);
            raw["frameWidth"] = json!(640);
            raw["frameHeight"] = json!(360);
            raw["videoBitrate"] = json!(500_000);
            raw
        });
        assert_eq!((&quality["medium"], &quality["quality"]), (&json!("video"), &json!("poor")));
        let causes: Vec<&Value> =
            quality["reasons"].as_array().unwrap().iter().map(|reason| &reason["cause"]).collect();
        assert_eq!(causes, [&json!("resolution"), &json!("bitrate")]);
        let bob = &quality["participants"][0];
        for assessment in [bob, &bob["inbound"]] {
            assert_eq!(assessment["audio"]["r"], 90.664);
            assert_eq!(assessment["video"], quality["video"]);
        }
    }

    #[test]
    fn loss_of_the_audio_takes_precedence() {
        let with_video_loss = |time: i64| {
            let mut raw = full_sample(time);
            raw["packetsLost"] = json!(50);
            raw
        };
        assert_eq!(quality_v2(with_video_loss)["audio"]["r"], 90.664);
        let without_audio_counts = |time: i64| {
            let mut raw = with_video_loss(time);
            raw["audioPacketsLost"] = Value::Null;
            raw
        };
        assert!(quality_v2(without_audio_counts)["audio"]["r"].as_f64().unwrap() < 60.0);
    }

    /// The batches of a participant whose samples are all outbound.
    fn outbound_batches(user: &str, sample_at: impl Fn(i64) -> Value) -> Vec<Batch> {
        sample_batches(user, 600, |time| {
            let mut raw = sample_at(time);
            raw["direction"] = json!("outbound");
            raw
        })
    }

    fn quality_v2_of(batches: Vec<Batch>) -> Value {
        let call = Call { score_model: ScoreModel::V2, ..call() };
        let quality = merge(&call, stored_batches(batches), StreamStats::Unavailable, at(600));
        serde_json::to_value(quality).unwrap()
    }

    fn number(value: &Value) -> f64 {
        value.as_f64().unwrap()
    }

    #[test]
    fn jitter_counts_beside_a_jitter_buffer_of_another_participant() {
        let jittery_sample = |time: i64| {
            let mut raw = good_sample(time);
            raw["jitter"] = json!(0.15);
            raw
        };
        let mut all = sample_batches("alice", 600, full_sample);
        all.extend(outbound_batches("bob", jittery_sample));
        let quality = quality_v2_of(all);
        let participants = &quality["participants"];
        let (bob, alice) = (number(&participants[0]["r"]), number(&participants[1]["r"]));
        assert_eq!(participants[1]["r"], 90.664);
        // 50 ms, (40 + 2 · 150) / 2 ms and 10 ms of coding.
        let expected = 93.355_253_5 - delay_impairment(50.0 + 170.0 + 10.0);
        let r = number(&quality["r"]);
        assert!((r - expected).abs() < 0.001, "{r} {expected}");
        assert!(bob < r && r < alice);
    }

    #[test]
    fn jitter_counts_beside_a_jitter_buffer_of_another_sample() {
        let quality = quality_v2(|time| {
            let mut raw = full_sample(time);
            if time > 300 {
                raw["jitter"] = json!(0.15);
                raw["jitterBufferDelay"] = Value::Null;
            }
            raw
        });
        let expected = 93.355_253_5 - delay_impairment(50.0 + 170.0 + 10.0);
        let r = number(&quality["audio"]["r"]);
        assert!((r - expected).abs() < 0.001, "{r} {expected}");
    }

    #[test]
    fn camera_that_is_off_does_not_lower_the_video_score() {
        let set_off: [fn(&mut Value); 3] = [
            // The client reports no video.
            |raw| {
                for name in ["framesPerSecond", "videoCodec", "videoBitrate"] {
                    raw[name] = Value::Null;
                }
                raw["bitrate"] = json!(32_000);
            },
            |raw| {
                raw["framesPerSecond"] = Value::Null;
                raw["videoBitrate"] = json!(0);
            },
            |raw| {
                raw["framesPerSecond"] = json!(0);
                raw["videoBitrate"] = json!(0);
            },
        ];
        for set_off in set_off {
            let quality = quality_v2(|time| {
                let mut raw = full_sample(time);
                if time > 60 {
                    raw["frameWidth"] = Value::Null;
                    raw["frameHeight"] = Value::Null;
                    set_off(&mut raw);
                }
                raw
            });
            assert_eq!(quality["video"]["r"], 93.2, "{}", quality["video"]);
        }
    }

    #[test]
    fn freezes_of_a_participant_are_a_part_of_the_call() {
        let frozen_sample = |time: i64| {
            let mut raw = full_sample(time);
            raw["totalFreezesDuration"] = json!(1);
            raw
        };
        let sent_sample = |time: i64| {
            let mut raw = full_sample(time);
            raw["totalFreezesDuration"] = Value::Null;
            raw
        };
        let mut all = sample_batches("alice", 600, frozen_sample);
        all.extend(outbound_batches("bob", sent_sample));
        let quality = quality_v2_of(all);
        // Alice's video is frozen for 20 % of the time, Bob's for none.
        assert_eq!(quality["participants"][0]["video"]["r"], 43.2);
        assert_eq!(quality["video"]["r"], 68.2);
    }

    #[test]
    fn burst_ratio_is_that_of_the_loss() {
        let quality = quality_v2(|time| {
            let mut raw = full_sample(time);
            let (lost, events) = if time > 300 { (50, 5) } else { (0, 4) };
            raw["audioPacketsLost"] = json!(lost);
            raw["audioPacketsReceived"] = json!(250 - lost);
            raw["totalSamplesReceived"] = json!(240_000);
            raw["concealedSamples"] = json!(lost.max(8) * 960);
            raw["concealmentEvents"] = json!(events);
            raw
        });
        // Gaps of 10 packets with 20 % of loss: 10 · 0.8.
        assert_eq!(quality["metrics"]["burstRatio"], 8.0);
    }

    #[test]
    fn call_has_the_reason_of_its_participant() {
        let removals: [&[&str]; 4] = [
            &["packetsLost", "roundTripTime"],
            &["packetsLost", "jitter", "jitterBufferDelay"],
            &["roundTripTime", "jitter"],
            &["packetsLost", "audioPacketsLost"],
        ];
        for removed in removals {
            let quality = quality_v2(|time| {
                let mut raw = full_sample(time);
                for name in removed {
                    raw[*name] = Value::Null;
                }
                raw
            });
            assert!(quality["reason"].is_string(), "{removed:?}");
            assert_eq!(quality["reason"], quality["participants"][0]["reason"], "{removed:?}");
        }
    }

    #[test]
    fn voice_call_has_no_video_score() {
        let quality = quality_v2(|time| {
            let mut raw = good_sample(time);
            raw["totalFreezesDuration"] = json!(0);
            raw
        });
        assert_eq!((&quality["video"], &quality["medium"]), (&json!(null), &json!("audio")));
    }

    #[test]
    fn video_is_assessed_without_an_overall_score() {
        let quality = quality_v2(|time| {
            let mut raw = full_sample(time);
            for name in ["packetsLost", "packetsReceived", "audioPacketsLost"] {
                raw[name] = Value::Null;
            }
            raw
        });
        assert_eq!(
            (&quality["quality"], &quality["reason"]),
            (&json!("unknown"), &json!("no_packet_loss"))
        );
        let inbound = &quality["participants"][0]["inbound"];
        assert_eq!((&inbound["audio"], &inbound["video"]["r"]), (&json!(null), &json!(93.2)));
    }

    #[test]
    fn old_call_has_no_scores_of_the_media() {
        let data = stored_batches(sample_batches("bob", 60, full_sample));
        let quality = quality_json(data, StreamStats::Unavailable);
        assert_eq!((&quality["model"], &quality["r"]), (&json!("g107-field-1"), &json!(91.45)));
        for key in ["medium", "audio", "video"] {
            assert!(quality[key].is_null(), "{key}");
        }
    }

    #[test]
    fn stream_metrics_fill_gaps_in_the_samples() {
        let loss_only = |_| json!({"packetsLost": 2, "packetsReceived": 98});
        let participants = [participant_stats("alice", 100.0, 5.0, 93.0)];
        let quality = quality_json(
            stored_batches(sample_batches("alice", 60, loss_only)),
            available_stats(&participants),
        );
        let alice = &quality["participants"][0];
        assert_eq!(alice["metrics"]["packetLoss"], 2.0);
        assert_eq!(alice["r"], 86.45);
        assert_eq!(alice["name"], "ALICE");
        assert_eq!(quality["sources"], json!(["samples", "stream"]));
        // Stream's metrics have no times, so they are not in the time line.
        assert!(quality["timeline"]["points"][0]["score"].is_null());
        let without_stream = quality_json(
            stored_batches(sample_batches("alice", 60, loss_only)),
            StreamStats::Unavailable,
        );
        assert_eq!(
            (&without_stream["reason"], &without_stream["score"]),
            (&json!("no_latency"), &json!(null))
        );
        let no_jitter = |_| json!({"latency": 0.05, "packetsLost": 2, "packetsReceived": 98});
        let quality = quality_json(
            stored_batches(sample_batches("alice", 60, no_jitter)),
            StreamStats::Unavailable,
        );
        assert_eq!(quality["reason"], "no_jitter");
    }

    #[test]
    fn stored_report_is_used_without_stream() {
        let stats_json = json!({
            "counts": {"cq_score": 71, "avg_user_rating": 3.5},
            "participants": [participant_stats("alice", 100.0, 5.0, 93.0)],
        });
        let stored_report =
            |at, stats_json: Option<String>| StoredReport { at, session: "s1".into(), stats_json };
        let reports = vec![
            stored_report(at(1_000), Some(stats_json.to_string())),
            stored_report(at(1_100), None),
        ];
        let stored = StoredQualityData { reports, ..StoredQualityData::default() };
        let quality = quality_json(stored.clone(), StreamStats::Unavailable);
        assert_eq!(quality["stream"]["score"], 71.0);
        assert_eq!(quality["stream"]["userRating"], 3.5);
        assert_eq!(quality["stream"]["source"], "stored");
        assert_eq!(quality["stream"]["reachable"], false);
        assert_eq!(quality["participants"][0]["metrics"]["latency"], 50.0);
        // The live report takes precedence; missing participants come from the stored report.
        let quality = quality_json(stored.clone(), available_stats(&[]));
        assert_eq!(
            (&quality["stream"]["score"], &quality["stream"]["source"]),
            (&json!(87.0), &json!("live"))
        );
        assert_eq!(quality["participants"][0]["userId"], "alice");
        // An empty live report does not replace the stored report.
        let empty = json!({"session_id": "", "report": {"call": {}, "user_ratings": {"count": 0}}});
        let empty = StreamStats::Available {
            report: Some(serde_json::from_value(empty).unwrap()),
            participants: Vec::new(),
        };
        let quality = quality_json(stored, empty.clone());
        assert_eq!(quality["stream"]["score"], 71.0);
        let without_data = quality_json(StoredQualityData::default(), empty);
        assert_eq!(
            (&without_data["reason"], &without_data["sources"]),
            (&json!("no_data"), &json!([]))
        );
        let malformed = StoredQualityData {
            reports: vec![stored_report(at(0), Some("[]".into()))],
            ..StoredQualityData::default()
        };
        assert_eq!(quality_json(malformed, StreamStats::Unavailable)["reason"], "no_data");
    }

    #[test]
    fn ratings_show_the_average_and_only_own_reasons() {
        let rating = |name: &str, rating| StoredRating {
            user: user_id(name),
            rating,
            reason: Some(format!("by {name}")),
        };
        let ratings = vec![rating("alice", 5), rating("bob", 2)];
        let quality = quality_json(
            StoredQualityData { ratings, ..StoredQualityData::default() },
            StreamStats::Unavailable,
        );
        let own_rating = json!([{"userId": "alice", "rating": 5, "reason": "by alice"}]);
        assert_eq!(quality["ratings"], json!({"average": 3.5, "count": 2, "each": own_rating}));
        assert_eq!(quality["sources"], json!(["ratings"]));
    }

    #[test]
    fn freezes_are_a_reason_and_appear_in_the_timeline() {
        let frozen_sample = |time: i64| {
            let mut raw = good_sample(time);
            raw["totalFreezesDuration"] = json!(if time == 600 { 4.0 } else { 0.0 });
            raw
        };
        let quality = quality_json(
            stored_batches(sample_batches("bob", 1_200, frozen_sample)),
            StreamStats::Unavailable,
        );
        let bob = &quality["participants"][0];
        let freezes = json!([{"at": at(595).to_string(), "duration": 4_000.0}]);
        assert_eq!(bob["freezes"], freezes);
        assert_eq!(bob["metrics"]["freezes"], 4_000.0);
        // Frozen for 4 of 1,200 seconds: 0.333 %, times 2.5.
        assert!(
            bob["reasons"]
                .as_array()
                .unwrap()
                .contains(&json!({"cause": "freezes", "cost": 0.833}))
        );
        assert_eq!(quality["worstInterval"]["cause"], "freezes");
    }

    #[test]
    fn even_call_has_no_worst_interval() {
        let bad_sample = |_| json!({"roundTripTime": 0.3, "jitter": 0.05, "fractionLost": 0.1});
        let quality = quality_json(
            stored_batches(sample_batches("bob", 600, bad_sample)),
            StreamStats::Unavailable,
        );
        assert_eq!(
            (&quality["worstInterval"], &quality["worstParticipant"]),
            (&json!(null), &json!("bob"))
        );
    }

    #[test]
    fn worse_direction_determines_the_participant_score() {
        let mut all = sample_batches("bob", 60, good_sample);
        let outbound_sample = |time| {
            let mut raw = good_sample(time);
            raw["direction"] = json!("outbound");
            raw["packetsLost"] = json!(50);
            raw
        };
        all.extend(sample_batches("bob", 60, outbound_sample).into_iter().map(|batch| {
            let id = format!("out-{}", batch.id.as_str());
            Batch { id: BatchId::try_from(id).unwrap(), ..batch }
        }));
        let quality = quality_json(stored_batches(all), StreamStats::Unavailable);
        let bob = &quality["participants"][0];
        assert_eq!(bob["direction"], "outbound");
        assert_eq!(
            (&bob["inbound"]["r"], &bob["score"]),
            (&json!(91.45), &bob["outbound"]["score"])
        );
    }

    proptest! {
        /// The time line shows a single bad sample, at any time and in a call of any length.
        #[test]
        fn worst_sample_appears_in_the_timeline(minutes in 1_i64..600, bad in 0_i64..1_000) {
            let seconds = minutes * 60;
            let bad = (bad * seconds / 5_000) * 5 + 5;
            let spiky_sample = move |time: i64| {
                let mut raw = good_sample(time);
                if time == bad {
                    raw["fractionLost"] = json!(0.2);
                    raw["packetsLost"] = json!(50);
                    raw["packetsReceived"] = json!(200);
                }
                raw
            };
            let quality = quality_json(stored_batches(sample_batches("bob", seconds, spiky_sample)), StreamStats::Unavailable);
            let points = quality["timeline"]["points"].as_array().unwrap();
            prop_assert!(points.len() <= 240);
            let worst = points.iter().filter_map(|point| point["packetLoss"].as_f64());
            prop_assert!((worst.fold(0.0, f64::max) - 20.0).abs() < 1e-9);
            // 20 % packet loss for 5 seconds: R is 41.45.
            let lowest = |scores: &[Value], key: Option<&str>| {
                let score = |value: &Value| key.map_or(value, |key| &value[key]).as_f64();
                scores.iter().filter_map(score).fold(f64::MAX, f64::min)
            };
            let row = quality["participants"][0]["timeline"].as_array().unwrap();
            for score in [lowest(points, Some("score")), lowest(row, None)] {
                prop_assert!((score - Score::from_r(41.45).mos).abs() < 0.001, "{score}");
            }
        }

        /// No valid sample yields NaN or infinity.
        #[test]
        fn every_metric_is_finite(
            samples in proptest::collection::vec(any_sample(), 1..20),
            score_model in proptest::sample::select(vec![ScoreModel::V1, ScoreModel::V2]),
        ) {
            let batch = Batch {
                id: BatchId::try_from("b".to_owned()).unwrap(),
                user: user_id("bob"),
                platform: None,
                device_id: None,
                received_at: at(100),
                samples,
            };
            let data = stored_batches(vec![batch]);
            let call = Call { score_model, ..call() };
            let quality = merge(&call, data, StreamStats::Unavailable, at(100));
            prop_assert_eq!(stored_and_loaded(&quality), serde_json::to_value(&quality).unwrap());
            let score = quality.assessment.score;
            prop_assert!(score.is_none_or(|mos| (1.0..=4.5).contains(&mos)), "{score:?}");
            let metrics = serde_json::to_value(quality.metrics).unwrap();
            for (name, value) in metrics.as_object().unwrap() {
                let good = value.as_f64().is_none_or(|value| value.is_finite() && value >= 0.0);
                prop_assert!(good, "{name} {value}");
            }
            prop_assert!(quality.timeline.is_none_or(|line| line.points.len() <= 240));
        }
    }

    prop_compose! {
        fn any_sample()(
            time in 0_i64..3_600_000,
            outbound in any::<bool>(),
            trip in proptest::option::of(0.0..60.0_f64),
            jitter in proptest::option::of(0.0..60.0_f64),
            lost in proptest::option::of(0.0..1e7_f64),
            received in proptest::option::of(0.0..1e7_f64),
            frozen in proptest::option::of(0.0..60.0_f64),
            buffer in proptest::option::of(0.0..60.0_f64),
            height in proptest::option::of(0.0..16_384.0_f64),
            rate in proptest::option::of(0.0..240.0_f64),
            bitrate in proptest::option::of(0.0..1e9_f64),
        ) -> Sample {
            parse_sample(json!({
                "timestamp": START * 1000 + time,
                "direction": if outbound { "outbound" } else { "inbound" },
                "roundTripTime": trip,
                "jitter": jitter,
                "packetsLost": lost,
                "packetsReceived": received,
                "totalFreezesDuration": frozen,
                "jitterBufferDelay": buffer,
                "frameHeight": height,
                "framesPerSecond": rate,
                "videoBitrate": bitrate,
            }))
        }
    }
}
