//! A hundred seeded calls in which one participant has one problem for some time. The quality must
//! name the participant, the cause and the interval.

use serde_json::{Value, json};

use crate::calls::Call;
use crate::clock::Timestamp;
use crate::ids::BatchId;
use crate::quality::batch::{Batch, Samples};
use crate::quality::cause::Cause;
use crate::quality::{Quality, StoredQualityData, StreamStats, merge};
use crate::test_support::{active_call, user_id};

const START_MS: i64 = 1_767_225_600_000;
const SAMPLE_SECONDS: i64 = 5;
const BATCH_SECONDS: i64 = 60;
const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// A generator of pseudo-random numbers (`SplitMix64`).
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn integer(&mut self, min: i64, max: i64) -> i64 {
        let span = u64::try_from(max - min + 1).unwrap();
        min + i64::try_from(self.next() % span).unwrap()
    }

    fn number(&mut self, min: f64, max: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let fraction = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        min + (max - min) * fraction
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[usize::try_from(self.integer(0, i64::try_from(values.len()).unwrap() - 1)).unwrap()]
    }
}

/// The problem of one participant, and its time.
#[derive(Clone, Copy, Debug)]
struct Problem {
    user: &'static str,
    cause: Cause,
    is_outbound: bool,
    /// The seconds of the call.
    from: i64,
    to: i64,
}

struct SyntheticCall {
    users: usize,
    seconds: i64,
    is_video: bool,
    has_jitter_buffer: bool,
    codec: &'static str,
    problem: Problem,
}

impl SyntheticCall {
    fn new(rng: &mut Rng) -> Self {
        let cause = rng.one_of(&Cause::ALL);
        let users = usize::try_from(rng.integer(2, 4)).unwrap();
        let seconds = rng.integer(5, 60) * BATCH_SECONDS;
        let steps = seconds / SAMPLE_SECONDS;
        let first = rng.integer(steps / 10, steps * 4 / 10);
        let length = rng.integer(steps * 4 / 10, steps * 5 / 10);
        let problem = Problem {
            user: rng.one_of(&USERS[..users]),
            cause,
            is_outbound: rng.integer(0, 1) == 1,
            from: first * SAMPLE_SECONDS,
            to: (first + length) * SAMPLE_SECONDS,
        };
        let needs_video = !matches!(cause, Cause::Latency | Cause::Jitter | Cause::Loss);
        Self {
            users,
            seconds,
            is_video: needs_video || rng.integer(0, 1) == 1,
            has_jitter_buffer: rng.integer(0, 1) == 1,
            codec: rng.one_of(&["opus", "red", "pcmu", "other"]),
            problem,
        }
    }

    fn sample(&self, rng: &mut Rng, user: &str, seconds: i64, is_outbound: bool) -> Value {
        let mut sample = json!({
            "timestamp": START_MS + seconds * 1_000,
            "direction": if is_outbound { "outbound" } else { "inbound" },
            "roundTripTime": rng.number(0.04, 0.06),
            "jitter": rng.number(0.002, 0.004),
            "fractionLost": rng.number(0.0, 0.000_5),
            "audioCodec": self.codec,
        });
        if self.has_jitter_buffer && !is_outbound {
            sample["jitterBufferDelay"] = json!(rng.number(0.01, 0.02));
        }
        if self.is_video {
            sample["frameWidth"] = json!(1_280);
            sample["frameHeight"] = json!(720);
            sample["framesPerSecond"] = json!(rng.number(28.0, 30.0));
            sample["videoBitrate"] = json!(rng.number(1_500_000.0, 1_700_000.0));
            sample["totalFreezesDuration"] = json!(0);
        }
        let Problem { user: affected, cause, is_outbound: direction, from, to } = self.problem;
        // The sample describes the time before it.
        if user == affected && is_outbound == direction && (from < seconds && seconds <= to) {
            match cause {
                Cause::Latency => sample["roundTripTime"] = json!(rng.number(0.8, 1.2)),
                Cause::Jitter if self.has_jitter_buffer && !is_outbound => {
                    sample["jitterBufferDelay"] = json!(rng.number(0.35, 0.5));
                }
                Cause::Jitter => sample["jitter"] = json!(rng.number(0.18, 0.25)),
                Cause::Loss => sample["fractionLost"] = json!(rng.number(0.1, 0.2)),
                Cause::Freezes => sample["totalFreezesDuration"] = json!(rng.number(1.0, 2.5)),
                Cause::Resolution => {
                    sample["frameWidth"] = json!(320);
                    sample["frameHeight"] = json!(180);
                }
                Cause::FrameRate => sample["framesPerSecond"] = json!(rng.number(1.0, 3.0)),
                Cause::Bitrate => sample["videoBitrate"] = json!(rng.number(20_000.0, 40_000.0)),
            }
        }
        sample
    }

    fn batches(&self, rng: &mut Rng) -> Vec<Batch> {
        let mut batches = Vec::new();
        for user in &USERS[..self.users] {
            for end in (BATCH_SECONDS..=self.seconds).step_by(60) {
                let times = (end - BATCH_SECONDS + SAMPLE_SECONDS..=end).step_by(5);
                let samples: Vec<Value> = times
                    .flat_map(|seconds| [(seconds, false), (seconds, true)])
                    .map(|(seconds, is_outbound)| self.sample(rng, user, seconds, is_outbound))
                    .collect();
                let samples: Samples = serde_json::from_value(json!(samples)).unwrap();
                batches.push(Batch {
                    id: BatchId::try_from(format!("{user}-{end}")).unwrap(),
                    user: user_id(user),
                    platform: None,
                    device_id: None,
                    received_at: Timestamp::from_millis(START_MS + end * 1_000),
                    samples: samples.into_vec(),
                });
            }
        }
        batches
    }

    fn quality(&self, rng: &mut Rng) -> Quality {
        let call: Call = active_call(&USERS[..self.users], Timestamp::from_millis(START_MS));
        let data = StoredQualityData { batches: self.batches(rng), ..StoredQualityData::default() };
        let now = Timestamp::from_millis(START_MS + self.seconds * 1_000);
        merge(&call, data, StreamStats::Unavailable, now)
    }
}

#[test]
fn every_problem_is_named() {
    for seed in 0..100 {
        let mut rng = Rng(seed);
        let call = SyntheticCall::new(&mut rng);
        let problem = call.problem;
        let quality = call.quality(&mut rng);
        let case = format!("seed {seed}: {problem:?}");
        assert_eq!(quality.worst_participant.as_deref(), Some(problem.user), "{case}");
        let worst = &quality.participants[0];
        assert_eq!(worst.user_id, problem.user, "{case}");
        assert_eq!(worst.assessment.reasons[0].cause, problem.cause, "{case}");
        let interval = quality.worst_interval.as_ref().unwrap_or_else(|| panic!("{case}"));
        assert_eq!(
            (interval.user_id.as_str(), interval.cause),
            (problem.user, problem.cause),
            "{case}"
        );
        let step = i64::from(quality.timeline.as_ref().unwrap().step_seconds);
        let second_of = |at: Timestamp| (at.as_millis() - START_MS) / 1_000;
        let (from, to) = (second_of(interval.from), second_of(interval.to));
        // A step contains its worst values, so the interval extends to the limits of its steps.
        assert!((problem.from - step..=problem.from).contains(&from), "{case}: from {from}");
        assert!((problem.to..=problem.to + step).contains(&to), "{case}: to {to}");
    }
}

/// The seeds cover each cause, in both directions.
#[test]
fn seeds_cover_all_causes_and_directions() {
    let problems = (0..100).map(|seed| SyntheticCall::new(&mut Rng(seed)).problem);
    let problems: Vec<Problem> = problems.collect();
    for cause in Cause::ALL {
        for is_outbound in [false, true] {
            let has_case =
                |problem: &Problem| problem.cause == cause && problem.is_outbound == is_outbound;
            assert!(problems.iter().any(has_case), "{cause:?} {is_outbound}");
        }
    }
}
