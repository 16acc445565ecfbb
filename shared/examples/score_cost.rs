//! Measures the time of scoring a call of four hours and two participants with 14,400 samples.
//!
//! ```sh
//! cargo run --profile tools -p shared --example score_cost
//! cargo build --profile tools -p shared --example score_cost
//! valgrind --tool=callgrind --toggle-collect='score_cost::score' target/tools/examples/score_cost once
//! ```
#![expect(clippy::print_stdout, reason = "the result of the program")]

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::calls::Call;
use shared::clock::Timestamp;
use shared::quality::{Batch, Quality, Samples, StoredQualityData, StreamStats, merge};

const START_MS: i64 = 1_767_225_600_000;
const DURATION_MS: i64 = 4 * 60 * 60 * 1_000;
const BATCH_MS: i64 = 60_000;
/// With two participants and two directions, 14,400 samples.
const SAMPLE_MS: i64 = 4_000;

fn main() -> Result<(), Box<dyn Error>> {
    let (call, data) = (call()?, data()?);
    let rounds = if std::env::args().nth(1).as_deref() == Some("once") { 1 } else { 50 };
    let mut shortest = Duration::MAX;
    for _ in 0..rounds {
        let data = data.clone();
        let start = Instant::now();
        black_box(score(&call, data));
        shortest = shortest.min(start.elapsed());
    }
    println!("{:.3} ms", shortest.as_secs_f64() * 1_000.0);
    Ok(())
}

#[inline(never)]
fn score(call: &Call, data: StoredQualityData) -> Quality {
    let now = Timestamp::from_millis(START_MS + DURATION_MS + BATCH_MS);
    merge(call, data, StreamStats::Unavailable, now)
}

fn call() -> Result<Call, Box<dyn Error>> {
    let call = json!({
        "callId": "c1", "owner": "alice", "members": ["alice", "bob"], "callType": "video",
        "state": "ended", "fingerprint": "", "attempt": "", "createdAt": START_MS,
        "activeAt": START_MS, "endingAt": START_MS + DURATION_MS, "scoreModel": 2,
    });
    Ok(serde_json::from_value(call)?)
}

fn data() -> Result<StoredQualityData, Box<dyn Error>> {
    let mut batches = Vec::new();
    for user in ["alice", "bob"] {
        for end in (BATCH_MS..=DURATION_MS).step_by(60_000) {
            let times = (end - BATCH_MS + SAMPLE_MS..=end).step_by(4_000);
            let samples: Vec<Value> =
                times.flat_map(|at| [sample(at, "inbound"), sample(at, "outbound")]).collect();
            batches.push(Batch {
                id: format!("{user}-{end}").try_into()?,
                user: user.to_owned().try_into()?,
                platform: None,
                device_id: None,
                received_at: Timestamp::from_millis(START_MS + end),
                samples: serde_json::from_value::<Samples>(json!(samples))?.into_vec(),
            });
        }
    }
    Ok(StoredQualityData { batches, ..StoredQualityData::default() })
}

/// A sample with all fields, whose values depend on the time.
fn sample(at: i64, direction: &str) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "less than a thousand")]
    let noise = (at / 1_000 * 7_919 % 997) as f64;
    json!({
        "timestamp": START_MS + at, "direction": direction, "roundTripTime": 0.08 + 5e-5 * noise,
        "jitter": 0.004 + 1e-5 * noise, "packetsLost": noise % 4.0, "packetsReceived": 500,
        "freezeCount": 0, "totalFreezesDuration": 0, "frameWidth": 1_280, "frameHeight": 720,
        "framesPerSecond": 28, "bitrate": 1_400_000, "audioLevel": 0.2, "concealedSamples": 480,
        "totalSamplesReceived": 240_000, "qualityLimitationReason": "none",
        "jitterBufferDelay": 0.04 + 2e-5 * noise, "audioCodec": "opus", "fecEnabled": true,
        "audioPacketsLost": noise % 2.0, "audioPacketsReceived": 250, "concealmentEvents": 1,
        "videoCodec": "vp8", "videoBitrate": 1_350_000,
    })
}
