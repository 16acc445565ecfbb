//! Version 2 of the formula against published references, and its properties.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::audio::{AudioImpairment, delay_impairment};
use super::codec::Codec;
use super::video::{VideoImpairment, coding_degradation, quality_of_mos};
use super::{Inputs, Medium, mean_inputs, rate};
use crate::quality::cause::Cause;
use crate::quality::sample::{AudioCodec, RawSample, VideoCodec};
use crate::quality::score::Score;
use crate::quality_band::Band;
use crate::score_model::ScoreModel;

/// The tolerance of R in the reference tables.
const TOLERANCE: f64 = 0.3;

/// The audio of a call without jitter. `delay_ms` includes the 10 ms of coding.
fn audio(delay_ms: f64, loss_percent: f64, codec: Codec) -> AudioImpairment {
    AudioImpairment {
        latency_ms: delay_ms - 10.0,
        playout_ms: 0.0,
        loss_percent,
        burst_ratio: 1.0,
        codec,
    }
}

fn audio_r(impairment: AudioImpairment) -> f64 {
    impairment.rating().score.r
}

fn assert_near(actual: f64, expected: f64, tolerance: f64, case: &str) {
    assert!((actual - expected).abs() <= tolerance, "{case}: {actual} is not {expected}");
}

#[test]
fn delay_follows_g107() {
    // One-way delay in ms, R of the complete E-model with all other parameters at their defaults.
    let reference = [
        (0.0, 93.21),
        (100.0, 90.66),
        (150.0, 89.54),
        (200.0, 85.80),
        (250.0, 79.18),
        (300.0, 72.67),
        (400.0, 62.25),
        (500.0, 54.80),
    ];
    // R without a delay: the impairment of 10 ms is added again.
    let undelayed = audio_r(audio(10.0, 0.0, Codec::G711_CONCEALED)) + delay_impairment(10.0);
    for (delay_ms, r) in reference {
        let case = format!("{delay_ms} ms");
        assert_near(undelayed - delay_impairment(delay_ms), r, TOLERANCE, &case);
        if delay_ms >= 10.0 {
            let actual = audio_r(audio(delay_ms, 0.0, Codec::G711_CONCEALED));
            assert_near(actual, r, TOLERANCE, &case);
        }
    }
}

#[test]
fn loss_follows_g107() {
    let reference = [
        (Codec::G711_CONCEALED, [89.57, 86.20, 77.43, 66.14, 51.08]),
        (Codec::G711, [75.28, 63.05, 42.13, 26.77, 15.02]),
    ];
    for (codec, expected) in reference {
        for (loss_percent, r) in [1.0, 2.0, 5.0, 10.0, 20.0].into_iter().zip(expected) {
            // The reference has no delay.
            let actual = 93.21 - codec.effective_impairment(loss_percent, 1.0);
            assert_near(actual, r, TOLERANCE, &format!("{codec:?} {loss_percent} %"));
            let without_delay = audio_r(audio(10.0, loss_percent, codec)) + delay_impairment(10.0)
                - delay_impairment(0.0);
            assert_near(without_delay, r, TOLERANCE, &format!("{codec:?} {loss_percent} %"));
        }
    }
}

/// The constants of the formula, computed from the default values of G.107 (06/2015).
#[expect(
    clippy::many_single_char_names,
    clippy::similar_names,
    reason = "the names of the Recommendation"
)]
#[test]
fn constants_follow_from_the_defaults_of_g107() {
    let (slr, rlr, stmr, lstr, ds): (f64, f64, f64, f64, f64) = (8.0, 2.0, 15.0, 18.0, 3.0);
    let (nc, nfor, ps, pr, qdu): (f64, f64, f64, f64, f64) = (-70.0, -64.0, 35.0, 35.0, 1.0);
    let power = |level: f64| 10_f64.powf(level / 10.0);
    let olr = slr + rlr;
    let nos = ps - slr - ds - 100.0 + 0.004 * (ps - olr - ds - 14.0).powi(2);
    let pre = pr + 10.0 * (1.0 + power(10.0 - lstr)).log10();
    let nor = rlr - 121.0 + pre + 0.008 * (pre - 35.0).powi(2);
    let no = 10.0 * (power(nc) + power(nos) + power(nor) + power(nfor + rlr)).log10();
    let ro = 15.0 - 1.5 * (slr + no);
    assert_near(super::audio::RO, ro, 1e-6, "Ro");
    assert_near(super::audio::RO, -1.5 * (no - rlr), 1e-6, "Roe");
    assert_near(super::audio::CODING_DELAY_IMPAIRMENT, delay_impairment(10.0), 1e-8, "Id");

    let x = olr + 0.2 * (64.0 + no - rlr);
    let iolr = 20.0 * ((1.0 + (x / 8.0).powi(8)).powf(1.0 / 8.0) - x / 8.0);
    // The sidetone with the echo of an infinite delay; the echo of no delay changes it by 1e-7.
    let sidetone = |value: f64, width: f64, exponent: f64| {
        (1.0 + (value / width).powf(exponent)).powf(1.0 / exponent)
    };
    let ist = 12.0 * sidetone(stmr - 13.0, 6.0, 8.0)
        - 28.0 * sidetone(stmr + 1.0, 19.4, 35.0)
        - 13.0 * sidetone(stmr - 3.0, 33.0, 13.0)
        + 29.0;
    let q = 37.0 - 15.0 * qdu.log10();
    let g = 1.07 + 0.258 * q + 0.0602 * q * q;
    let (y, z) = ((ro - 100.0) / 15.0 + 46.0 / 8.4 - g / 9.0, 46.0 / 30.0 - g / 40.0);
    let iq = 15.0 * (1.0 + 10_f64.powf(y) + 10_f64.powf(z)).log10();
    assert_near(super::audio::UNDELAYED_R, ro - (iolr + ist + iq), 1e-6, "Ro − Is");
}

#[test]
fn example_values_of_the_audio_score() {
    let opus = Codec::new(AudioCodec::Opus, false);
    let opus_fec = Codec::new(AudioCodec::Opus, true);
    // The table of docs/QUALITY.md: latency, playout delay in ms, loss in %, codec, R, MOS, band.
    let cases = [
        (0.0, 0.0, 0.0, opus_fec, 92.848, 4.402, Band::Excellent),
        (50.0, 40.0, 0.0, opus_fec, 90.664, 4.355, Band::Excellent),
        (100.0, 60.0, 0.0, opus_fec, 88.576, 4.303, Band::Good),
        (50.0, 40.0, 1.0, opus_fec, 86.864, 4.255, Band::Good),
        (50.0, 40.0, 1.0, opus, 85.075, 4.201, Band::Good),
        (50.0, 40.0, 5.0, opus_fec, 74.284, 3.791, Band::Fair),
        (50.0, 40.0, 5.0, opus, 68.045, 3.504, Band::Poor),
        (50.0, 40.0, 20.0, opus_fec, 47.482, 2.443, Band::Bad),
        (200.0, 80.0, 1.0, opus_fec, 70.104, 3.602, Band::Fair),
        (300.0, 80.0, 0.0, opus_fec, 63.139, 3.261, Band::Poor),
    ];
    for (latency_ms, playout_ms, loss_percent, codec, r, mos, band) in cases {
        let impairment =
            AudioImpairment { latency_ms, playout_ms, loss_percent, burst_ratio: 1.0, codec };
        let Score { r: actual_r, mos: actual_mos } = impairment.rating().score;
        let case = format!("{impairment:?} {actual_r:.3} {actual_mos:.3}");
        assert_near(actual_r, r, 0.001, &case);
        assert_near(actual_mos, mos, 0.001, &case);
        assert_eq!(impairment.rating().score.band(), band, "{case}");
    }
}

const P720: f64 = 1_280.0 * 720.0;

fn video(pixels: f64, frame_rate: f64, kbps: f64, frozen_percent: f64) -> VideoImpairment {
    VideoImpairment {
        pixels: Some(pixels),
        frame_rate: Some(frame_rate),
        kbps: Some(kbps),
        codec_efficiency: None,
        frozen_percent: Some(frozen_percent),
    }
}

#[test]
fn example_values_of_the_video_score() {
    // The table of docs/QUALITY.md: width, height, frames/s, kbit/s, frozen %, R, band.
    let cases = [
        (1_280.0, 720.0, 30.0, 1_500.0, 0.0, 93.2, Band::Excellent),
        (1_280.0, 720.0, 30.0, 700.0, 0.0, 89.88, Band::Good),
        (960.0, 540.0, 30.0, 800.0, 0.0, 83.82, Band::Good),
        (640.0, 480.0, 30.0, 500.0, 0.0, 73.41, Band::Fair),
        (640.0, 360.0, 30.0, 500.0, 0.0, 68.01, Band::Poor),
        (1_280.0, 720.0, 10.0, 1_000.0, 0.0, 73.10, Band::Fair),
        (320.0, 180.0, 15.0, 100.0, 0.0, 24.54, Band::Bad),
        (1_280.0, 720.0, 30.0, 1_500.0, 4.0, 83.2, Band::Good),
        (1_280.0, 720.0, 30.0, 1_500.0, 20.0, 43.2, Band::Bad),
        (1_280.0, 720.0, 30.0, 1_500.0, 100.0, 0.0, Band::Bad),
    ];
    for (width, height, frame_rate, kbps, frozen, r, band) in cases {
        let rating = video(width * height, frame_rate, kbps, frozen).rating();
        let case = format!("{width} × {height}, {frame_rate}/s, {kbps} kbit/s, {frozen} %");
        assert_near(rating.score.r, r, 0.01, &case);
        assert_eq!(rating.score.band(), band, "{case}");
    }
}

/// P.1203's own steps for 640 × 360, 30 frames/s, 500 kbit/s on a display of 1280 × 720.
#[test]
fn degradations_follow_p1203() {
    assert_near(coding_degradation(500.0, 640.0 * 360.0), 26.64, 0.01, "Dq");
    assert_near(coding_degradation(1_500.0, P720), 22.671_670_1, 1e-6, "the target's Dq");
    let costs = video(640.0 * 360.0, 30.0, 500.0, 0.0).rating().costs;
    // 72.61 · log10(0.32 · (4 − 1) + 1)
    assert_near(costs.get(Cause::Resolution), 21.22, 0.01, "Du");
    assert_near(costs.get(Cause::FrameRate), 0.0, 1e-9, "Dt");
    // (100 − 22.673) · (30.98 − 1.29 · 12) / (64.65 + 12)
    let costs = video(P720, 12.0, 1e6, 0.0).rating().costs;
    assert_near(costs.get(Cause::FrameRate), 15.637, 0.01, "Dt");
    // Below 4 the cubic is under 1.05.
    for quality in 4..=100 {
        let quality = f64::from(quality);
        let mos = 1.05 + 0.0385 * quality + quality * (quality - 60.0) * (100.0 - quality) * 7e-6;
        assert_near(quality_of_mos(mos), quality, 1e-6, "the inverse of MOSfromR");
    }
}

/// The packet loss at which `LiveKit`'s server falls to `good` and to `poor`
/// (`getPacketLossWeight` in `pkg/sfu/connectionquality/connectionstats.go`).
#[test]
fn codecs_have_the_order_of_livekit() {
    let table = [
        (AudioCodec::Opus, false, 2.5, 7.5),
        (AudioCodec::Opus, true, 3.75, 11.25),
        (AudioCodec::Red, false, 5.0, 15.0),
        (AudioCodec::Red, true, 7.5, 22.5),
    ];
    let r = |codec, has_fec, loss| audio_r(audio(100.0, loss, Codec::new(codec, has_fec)));
    for rows in table.windows(2) {
        let [(codec, fec, good, poor), (next_codec, next_fec, ..)] = rows else { panic!() };
        for loss in [*good, *poor] {
            assert!(r(*next_codec, *next_fec, loss) > r(*codec, *fec, loss), "{rows:?}");
        }
    }
    // Each pair of limits has one score for all codecs.
    for (codec, fec, good, poor) in table {
        assert_near(r(codec, fec, good), r(AudioCodec::Opus, false, 2.5), 0.01, "good");
        assert_near(r(codec, fec, poor), r(AudioCodec::Opus, false, 7.5), 0.01, "poor");
        assert!(r(codec, fec, good) > r(codec, fec, poor));
    }
    // LiveKit's test cases, the best first: codec, FEC, loss in %.
    let cases = [
        (AudioCodec::Opus, false, [1.0, 4.0, 9.2]),
        (AudioCodec::Opus, true, [3.0, 4.4, 15.0]),
        (AudioCodec::Red, false, [4.0, 6.0, 19.5]),
        (AudioCodec::Red, true, [6.0, 10.0, 30.0]),
    ];
    let worst_of = |level: usize| {
        let scores = cases.map(|(codec, fec, losses)| r(codec, fec, losses[level]));
        scores.into_iter().fold(f64::MAX, f64::min)
    };
    let best_of = |level: usize| {
        let scores = cases.map(|(codec, fec, losses)| r(codec, fec, losses[level]));
        scores.into_iter().fold(0.0, f64::max)
    };
    assert!(worst_of(0) > best_of(1) && worst_of(1) > best_of(2));
}

#[test]
fn burst_loss_costs_more_than_random_loss() {
    let random = audio(100.0, 5.0, Codec::G711_CONCEALED);
    let bursty = AudioImpairment { burst_ratio: 2.0, ..random };
    // 95 · 5 / (5 / 2 + 25.1)
    assert_near(bursty.rating().costs.get(Cause::Loss), 17.210, 0.001, "BurstR 2");
    assert!(audio_r(bursty) < audio_r(random));
}

#[test]
fn latency_and_jitter_share_the_cost_of_their_delay() {
    let impairment =
        AudioImpairment { latency_ms: 200.0, playout_ms: 60.0, ..audio(10.0, 0.0, Codec::OPUS) };
    let costs = impairment.rating().costs;
    let total = delay_impairment(270.0) - delay_impairment(10.0);
    assert_near(costs.get(Cause::Latency), total * 200.0 / 260.0, 1e-9, "latency");
    assert_near(costs.get(Cause::Jitter), total * 60.0 / 260.0, 1e-9, "jitter");
}

/// The inputs of a call with good audio and good video.
fn good_inputs() -> Inputs {
    Inputs {
        latency_ms: Some(50.0),
        playout_ms: Some(10.0),
        loss_percent: Some(0.0),
        frozen_percent: Some(0.0),
        pixels: Some(P720),
        frame_rate: Some(30.0),
        video_kbps: Some(1_500.0),
        ..Inputs::default()
    }
}

#[test]
fn worse_medium_determines_the_score() {
    let good = rate(ScoreModel::V2, &good_inputs());
    assert_eq!((good.medium, good.overall), (Some(Medium::Audio), good.audio));
    let frozen = Inputs { frozen_percent: Some(20.0), ..good_inputs() };
    let frozen = rate(ScoreModel::V2, &frozen);
    assert_eq!((frozen.medium, frozen.overall), (Some(Medium::Video), frozen.video));
    assert_eq!(frozen.audio, good.audio);
}

#[test]
fn voice_has_no_video_score() {
    let voice = Inputs { pixels: None, frame_rate: None, video_kbps: Some(30.0), ..good_inputs() };
    let ratings = rate(ScoreModel::V2, &voice);
    assert_eq!((ratings.video, ratings.overall), (None, ratings.audio));
}

#[test]
fn video_alone_has_no_overall_score() {
    let ratings = rate(ScoreModel::V2, &Inputs { loss_percent: None, ..good_inputs() });
    assert!(ratings.overall.is_none() && ratings.audio.is_none() && ratings.video.is_some());
}

#[test]
fn jitter_buffer_replaces_the_jitter() {
    let playout_ms = |jitter: Value, buffer: Value| {
        let raw = json!({
            "timestamp": 1_767_225_600_000_i64, "jitter": jitter, "jitterBufferDelay": buffer,
        });
        let sample = serde_json::from_value::<RawSample>(raw).unwrap().into();
        Inputs::of_sample(ScoreModel::V2, &sample, None, None).playout_ms
    };
    let unknown = Value::Null;
    assert_eq!(playout_ms(json!(0.04), unknown.clone()), Some(80.0));
    assert_eq!(playout_ms(json!(0.04), json!(0.06)), Some(60.0));
    assert_eq!(playout_ms(unknown.clone(), json!(0.06)), Some(60.0));
    assert_eq!(playout_ms(unknown.clone(), unknown), None);
}

#[test]
fn missing_freezes_count_for_participants_with_video() {
    let frozen_percent = |other: Inputs| {
        let frozen = Inputs { frozen_percent: Some(20.0), ..good_inputs() };
        mean_inputs(&[frozen, other]).frozen_percent
    };
    let sender = Inputs { frozen_percent: None, ..good_inputs() };
    assert_eq!(frozen_percent(sender), Some(10.0));
    let voice = Inputs { pixels: None, frame_rate: None, ..sender };
    assert_eq!(frozen_percent(voice), Some(20.0));
}

#[test]
fn burst_ratios_are_weighted_by_their_loss() {
    let burst_ratio = |values: [(Option<f64>, f64); 2]| {
        let inputs = values.map(|(burst_ratio, loss)| Inputs {
            burst_ratio,
            loss_percent: Some(loss),
            ..good_inputs()
        });
        mean_inputs(&inputs).burst_ratio
    };
    assert_eq!(burst_ratio([(Some(1.0), 1.0), (Some(3.0), 3.0)]), Some(2.5));
    assert_eq!(burst_ratio([(Some(3.0), 3.0), (None, 10.0)]), Some(3.0));
    assert_eq!(burst_ratio([(Some(3.0), 0.0), (None, 10.0)]), None);
}

/// Any number, with the special ones.
fn any_value() -> impl Strategy<Value = Option<f64>> {
    proptest::option::of(any::<f64>())
}

/// Each input, from the best to the worst value: a function of a level from 0 to 1.
type Worsen = fn(&mut Inputs, f64);

const WORSEN: [(&str, Worsen); 9] = [
    ("latency", |inputs, level| inputs.latency_ms = Some(60_000.0 * level * level)),
    ("playout", |inputs, level| inputs.playout_ms = Some(120_000.0 * level * level)),
    ("loss", |inputs, level| inputs.loss_percent = Some(100.0 * level)),
    ("burst ratio", |inputs, level| inputs.burst_ratio = Some(1.0 + 7.0 * level)),
    ("robustness", |inputs, level| inputs.robustness = Some(48.0 - 44.0 * level)),
    ("freezes", |inputs, level| inputs.frozen_percent = Some(100.0 * level)),
    ("resolution", |inputs, level| {
        inputs.pixels = Some((16_384.0 * 16_384.0) * (1e-8_f64).powf(level));
    }),
    ("frame rate", |inputs, level| inputs.frame_rate = Some(240.0 * (1.0 - level).powi(3))),
    ("bitrate", |inputs, level| inputs.video_kbps = Some(1e6 * (1e-7_f64).powf(level))),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// No input is better if it is worse, over its whole range and with any other values.
    #[test]
    fn score_is_monotone_in_each_input(
        input in 0..WORSEN.len(),
        levels in proptest::collection::vec(0.0..1.0_f64, WORSEN.len()),
        known in proptest::collection::vec(any::<bool>(), WORSEN.len()),
        (low, high) in (0.0..1.0_f64, 0.0..1.0_f64),
    ) {
        let mut inputs = good_inputs();
        for (index, (_, worsen)) in WORSEN.iter().enumerate() {
            if known[index] {
                worsen(&mut inputs, levels[index]);
            }
        }
        let (name, worsen) = WORSEN[input];
        let score_at = |level: f64| {
            let mut inputs = inputs;
            worsen(&mut inputs, level);
            rate(ScoreModel::V2, &inputs)
        };
        let (better, worse) = (score_at(low.min(high)), score_at(low.max(high)));
        for (better, worse) in [(better.overall, worse.overall), (better.audio, worse.audio), (better.video, worse.video)] {
            // Without a size and a frame rate, video without freezes is no video.
            if let (Some(better), Some(worse)) = (better, worse) {
                prop_assert!(worse.score.r <= better.score.r + 1e-9, "{name}: {better:?} {worse:?}");
                prop_assert!(worse.score.mos <= better.score.mos + 1e-9, "{name}");
            }
        }
    }

    /// Every input yields numbers within their bounds, even NaN and infinity.
    #[test]
    fn score_is_within_its_bounds(values in proptest::collection::vec(any_value(), 10)) {
        let mut values = values.into_iter();
        let mut next = || values.next().flatten();
        let inputs = Inputs {
            latency_ms: next(),
            playout_ms: next(),
            loss_percent: next(),
            burst_ratio: next(),
            robustness: next(),
            frozen_percent: next(),
            pixels: next(),
            frame_rate: next(),
            video_kbps: next(),
            codec_efficiency: next(),
        };
        for model in [ScoreModel::V1, ScoreModel::V2] {
            let ratings = rate(model, &inputs);
            for rating in [ratings.overall, ratings.audio, ratings.video].into_iter().flatten() {
                let Score { r, mos } = rating.score;
                prop_assert!((0.0..=100.0).contains(&r) && (1.0..=4.5).contains(&mos), "{rating:?}");
                for (cause, cost) in rating.costs.iter() {
                    prop_assert!(cost.is_finite() && cost >= 0.0, "{cause:?} {cost}");
                }
            }
        }
    }

    /// A codec of higher efficiency never lowers the score.
    #[test]
    fn efficient_codec_is_never_worse(kbps in 0.0..1e5_f64, frame_rate in 0.0..60.0_f64, pixels in 1.0..1e7_f64) {
        let r = |codec: VideoCodec| {
            let codec_efficiency = Some(super::codec::codec_efficiency(codec));
            VideoImpairment { codec_efficiency, ..video(pixels, frame_rate, kbps, 0.0) }.rating().score.r
        };
        prop_assert!(r(VideoCodec::Vp9) >= r(VideoCodec::Vp8) - 1e-9);
        prop_assert!(r(VideoCodec::Av1) >= r(VideoCodec::H264) - 1e-9);
    }
}
