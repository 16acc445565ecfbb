//! The quality of made-up calls that have ended, for tests of the chart and of the summary. Each is
//! merged from samples, as in production.

use std::time::Duration;

use serde_json::{Value, json};

use crate::calls::{Call, CallState};
use crate::clock::Timestamp;
use crate::ids::BatchId;
use crate::quality::{Batch, Platform, Quality, Samples, StoredQualityData, StreamStats, merge};
use crate::test_support::{START, active_call, user_id};

/// The maximum number of samples in a batch.
const BATCH_SAMPLES: usize = 60;

/// The values of a sample.
#[derive(Clone, Copy)]
pub(crate) struct Conditions {
    pub(crate) latency_ms: f64,
    pub(crate) jitter_ms: f64,
    pub(crate) loss_percent: f64,
    /// The frozen time since the previous sample.
    pub(crate) frozen_ms: f64,
    /// The height of the video; 0 without video.
    pub(crate) video_lines: u32,
}

impl Conditions {
    pub(crate) const GOOD: Self = Self {
        latency_ms: 38.0,
        jitter_ms: 4.0,
        loss_percent: 0.0,
        frozen_ms: 0.0,
        video_lines: 720,
    };

    /// These conditions with some variation.
    fn vary(self, seed: u32, time: u32) -> Self {
        let share = noise(seed, time);
        let spike = if noise(seed + 7, time / 20) > 0.9 { 1.4 } else { 1.0 };
        Self {
            latency_ms: self.latency_ms * (0.9 + 0.25 * share) * spike,
            jitter_ms: self.jitter_ms * (0.7 + 0.8 * noise(seed + 1, time)) * spike,
            loss_percent: self.loss_percent * (0.6 + 0.9 * noise(seed + 2, time)),
            ..self
        }
    }

    fn to_json(self, at: Timestamp, direction: &str) -> Value {
        let packets = 500.0;
        let lost = (packets * self.loss_percent / 100.0).round();
        let mut sample = json!({
            "timestamp": at.as_millis(),
            "direction": direction,
            "roundTripTime": self.latency_ms / 500.0,
            "jitter": self.jitter_ms / 1_000.0,
            "packetsLost": lost,
            "packetsReceived": packets - lost,
        });
        if self.video_lines > 0 {
            sample["frameWidth"] = json!(self.video_lines * 16 / 9);
            sample["frameHeight"] = json!(self.video_lines);
            sample["framesPerSecond"] = json!(if self.video_lines < 360 { 12 } else { 30 });
            sample["bitrate"] = json!(self.video_lines * self.video_lines * 5);
            sample["freezeCount"] = json!(u8::from(self.frozen_ms > 0.0));
            sample["totalFreezesDuration"] = json!(self.frozen_ms / 1_000.0);
        }
        sample
    }
}

/// A number from 0 to 1 that looks random.
fn noise(seed: u32, time: u32) -> f64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9) ^ time.wrapping_mul(0x85EB_CA6B);
    for _ in 0..3 {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
    }
    f64::from(state % 1_000) / 1_000.0
}

/// A participant of a made-up call.
pub(crate) struct Person {
    pub(crate) id: &'static str,
    pub(crate) name: Option<&'static str>,
    pub(crate) platform: Platform,
    /// The seconds into the call at which the participant joins and leaves.
    pub(crate) stay: (u32, u32),
    /// The conditions at a second of the call; `None` without a sample.
    pub(crate) conditions: fn(u32) -> Option<Conditions>,
}

fn after(seconds: u32) -> Timestamp {
    START.plus(Duration::from_secs(u64::from(seconds)))
}

fn batches(person: &Person, seed: u32, interval: u32) -> Vec<Batch> {
    let (from, to) = person.stay;
    let times = (1..).map(|n| from + n * interval).take_while(|time| *time <= to);
    let measured = times.filter_map(|time| Some((time, (person.conditions)(time)?)));
    let samples: Vec<(u32, Value)> = measured
        .map(|(time, conditions)| {
            (time, conditions.vary(seed, time).to_json(after(time), "inbound"))
        })
        .collect();
    let batch = |(index, samples): (usize, &[(u32, Value)])| {
        let values: Vec<&Value> = samples.iter().map(|(_, sample)| sample).collect();
        let samples_of_batch: Samples = serde_json::from_value(json!(values)).unwrap();
        Batch {
            id: BatchId::try_from(format!("{}-{index}", person.id)).unwrap(),
            user: user_id(person.id),
            platform: Some(person.platform),
            device_id: None,
            received_at: after(samples.last().unwrap().0),
            samples: samples_of_batch.into_vec(),
        }
    };
    samples.chunks(BATCH_SAMPLES).enumerate().map(batch).collect()
}

/// The quality of a call of these people, with a sample every `interval` seconds.
pub(crate) fn quality_of(people: &[Person], interval: u32) -> Quality {
    let end = people.iter().map(|person| person.stay.1).max().unwrap_or_default();
    let ids: Vec<&str> = people.iter().map(|person| person.id).collect();
    let batches = (1..).zip(people).flat_map(|(seed, person)| batches(person, seed, interval));
    let data = StoredQualityData { batches: batches.collect(), ..StoredQualityData::default() };
    let stats = people.iter().map(|person| {
        let (from, to) = person.stay;
        json!({
            "user_id": person.id,
            "name": person.name,
            "sessions": [{
                "started_at": after(from).to_string(), "ended_at": after(to).to_string(),
            }],
        })
    });
    let stats: Vec<Value> = stats.collect();
    let stats = available(&json!(stats));
    merge(&ended_call(&ids, end), data, stats, after(end + 60))
}

/// Stream's report with these participants.
fn available(participants: &Value) -> StreamStats {
    let report = json!({"session_id": "s1", "report": {"call": {"score": 82}}});
    StreamStats::Available {
        report: Some(serde_json::from_value(report).unwrap()),
        participants: serde_json::from_value(participants.clone()).unwrap(),
    }
}

fn ended_call(ids: &[&str], end: u32) -> Call {
    let call = active_call(if ids.is_empty() { &["alice"] } else { ids }, START);
    let end = Some(after(end));
    Call { state: CallState::Ended, ending_at: end, ended_at: end, ..call }
}

/// A call of two for 32 minutes. Bob loses packets in the middle of the call.
pub(crate) fn quality() -> Quality {
    let alice = |_| {
        Some(Conditions { latency_ms: 52.0, jitter_ms: 5.0, loss_percent: 0.2, ..Conditions::GOOD })
    };
    let bob = |time| {
        let usual =
            Conditions { latency_ms: 74.0, jitter_ms: 8.0, loss_percent: 0.4, ..Conditions::GOOD };
        Some(match time {
            1_021..=1_130 => {
                Conditions { latency_ms: 120.0, jitter_ms: 18.0, loss_percent: 4.0, ..usual }
            }
            1_131..=1_330 => Conditions {
                latency_ms: 210.0,
                jitter_ms: 38.0,
                loss_percent: 9.0,
                frozen_ms: if time % 40 < 8 { 2_000.0 } else { 0.0 },
                ..usual
            },
            _ => usual,
        })
    };
    quality_of(
        &[
            Person {
                id: "alice",
                name: Some("Alice"),
                platform: Platform::Ios,
                stay: (0, 1_920),
                conditions: alice,
            },
            Person {
                id: "bob",
                name: Some("Bob"),
                platform: Platform::Android,
                stay: (12, 1_904),
                conditions: bob,
            },
        ],
        8,
    )
}

/// A call of one, whose video is small after a minute.
fn one_person() -> Quality {
    let alone = |time| {
        let poor_video = Conditions { loss_percent: 1.5, video_lines: 180, ..Conditions::GOOD };
        Some(if time > 60 { poor_video } else { Conditions::GOOD })
    };
    quality_of(
        &[Person {
            id: "alice",
            name: Some("Alice"),
            platform: Platform::Web,
            stay: (0, 95),
            conditions: alone,
        }],
        5,
    )
}

/// A call of eight, of whom most join later.
fn eight_people() -> Quality {
    let person = |id, name, platform, from, conditions| Person {
        id,
        name: Some(name),
        platform,
        stay: (from, 600),
        conditions,
    };
    let good = |_| Some(Conditions::GOOD);
    let fair = |time| {
        let loss_percent = if (150..320).contains(&time) { 5.5 } else { 0.3 };
        Some(Conditions { loss_percent, ..Conditions::GOOD })
    };
    let frozen = |time| {
        let is_bad = time > 380;
        let frozen_ms = if is_bad && time % 20 < 10 { 2_500.0 } else { 0.0 };
        let (latency_ms, loss_percent) = if is_bad { (230.0, 8.0) } else { (60.0, 0.2) };
        Some(Conditions { latency_ms, loss_percent, frozen_ms, ..Conditions::GOOD })
    };
    let gaps = |time| (!(200..260).contains(&time)).then_some(Conditions::GOOD);
    let slow = |_| Some(Conditions { latency_ms: 165.0, jitter_ms: 22.0, ..Conditions::GOOD });
    quality_of(
        &[
            person("alice", "Alice", Platform::Ios, 0, good),
            person("bob", "Bob", Platform::Android, 40, fair),
            person("carol", "Carol Ødegård-Nguyễn", Platform::Ios, 70, gaps),
            person("dave", "Dave", Platform::Web, 110, slow),
            person("erin", "Erin", Platform::Ios, 160, frozen),
            person("kenji", "田中 健二", Platform::Android, 200, good),
            person("fatima", "فاطمة الزهراء", Platform::Android, 230, fair),
            person("maria", "María Fernanda González de la Torre 👩🏽‍🚀", Platform::Ios, 300, good),
        ],
        5,
    )
}

fn voice_only() -> Quality {
    let alice = |_| Some(Conditions { video_lines: 0, jitter_ms: 6.0, ..Conditions::GOOD });
    let bob = |time| {
        let loss_percent = if (240..330).contains(&time) { 6.0 } else { 0.5 };
        Some(Conditions { video_lines: 0, loss_percent, latency_ms: 88.0, ..Conditions::GOOD })
    };
    quality_of(
        &[
            Person {
                id: "alice",
                name: Some("Alice"),
                platform: Platform::Ios,
                stay: (0, 540),
                conditions: alice,
            },
            Person {
                id: "bob",
                name: None,
                platform: Platform::Android,
                stay: (4, 536),
                conditions: bob,
            },
        ],
        5,
    )
}

fn no_data() -> Quality {
    merge(&ended_call(&[], 60), StoredQualityData::default(), StreamStats::Unavailable, after(60))
}

/// Stream has data, and no app has sent samples.
pub(crate) fn no_samples() -> Quality {
    let participant = |id: &str, score: f64, latency: f64| {
        let session = json!({
            "cq_score": score, "latency_ms": latency, "jitter_ms": 6.5,
            "started_at": after(0).to_string(), "ended_at": after(300).to_string(),
        });
        json!({"user_id": id, "name": null, "sessions": [session]})
    };
    let participants = json!([participant("alice", 93.0, 80.0), participant("bob", 61.0, 410.0)]);
    let stats = available(&participants);
    merge(&ended_call(&["alice", "bob"], 300), StoredQualityData::default(), stats, after(360))
}

fn perfect() -> Quality {
    let perfect = |_| Some(Conditions { latency_ms: 0.0, jitter_ms: 0.0, ..Conditions::GOOD });
    let person = |id, name, platform| Person {
        id,
        name: Some(name),
        platform,
        stay: (0, 900),
        conditions: perfect,
    };
    quality_of(&[person("alice", "Alice", Platform::Ios), person("bob", "Bob", Platform::Web)], 5)
}

fn terrible() -> Quality {
    let terrible = |time| {
        Some(Conditions {
            latency_ms: 420.0,
            jitter_ms: 90.0,
            loss_percent: 24.0,
            frozen_ms: if time % 15 == 0 { 4_000.0 } else { 2_000.0 },
            video_lines: 720,
        })
    };
    let person = |id, name, platform| Person {
        id,
        name: Some(name),
        platform,
        stay: (0, 400),
        conditions: terrible,
    };
    quality_of(
        &[person("alice", "Alice", Platform::Ios), person("bob", "Bob", Platform::Android)],
        5,
    )
}

fn four_hours() -> Quality {
    let alice = |time| {
        let loss_percent = if (9_000..9_040).contains(&time) { 18.0 } else { 0.1 };
        Some(Conditions { loss_percent, ..Conditions::GOOD })
    };
    let bob = |time| {
        let is_bad = (4_000..4_900).contains(&time);
        let frozen_ms = if is_bad && time % 30 == 0 { 3_000.0 } else { 0.0 };
        let latency_ms = if is_bad { 260.0 } else { 80.0 };
        let is_away = (11_000..11_900).contains(&time);
        let conditions =
            Conditions { latency_ms, loss_percent: 0.4, frozen_ms, ..Conditions::GOOD };
        (!is_away).then_some(conditions)
    };
    quality_of(
        &[
            Person {
                id: "alice",
                name: Some("Alice"),
                platform: Platform::Ios,
                stay: (0, 14_400),
                conditions: alice,
            },
            Person {
                id: "bob",
                name: Some("Bob"),
                platform: Platform::Android,
                stay: (60, 14_300),
                conditions: bob,
            },
        ],
        10,
    )
}

/// All made-up calls, by name.
pub(crate) fn all() -> Vec<(&'static str, Quality)> {
    vec![
        ("documented", quality()),
        ("one-person", one_person()),
        ("eight-people", eight_people()),
        ("voice-only", voice_only()),
        ("no-data", no_data()),
        ("no-samples", no_samples()),
        ("perfect", perfect()),
        ("terrible", terrible()),
        ("four-hours", four_hours()),
    ]
}
