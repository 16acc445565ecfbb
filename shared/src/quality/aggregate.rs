//! The metrics and the score inputs of one direction, aggregated over its samples: means that are
//! weighted by the duration of the samples, and sums of freezes.

use crate::quality::model::{Inputs, VideoInputs, playout_ms, playout_of_jitter, robustness};
use crate::quality::response::Metrics;
use crate::quality::sample::{QualityLimitationReason, Sample};
use crate::quality::track::{AlignedSample, millis_to_seconds, percent_of_duration};
use crate::quality::unit::{BurstRatio, KilobitsPerSecond, Millis, Percent, round_to_thousandth};
use crate::quality_band::Band;
use crate::score_model::ScoreModel;

/// A mean that is weighted by duration.
#[derive(Clone, Copy, Debug, Default)]
struct WeightedMean {
    sum: f64,
    weight: f64,
}

impl WeightedMean {
    fn add(&mut self, value: Option<f64>, weight: f64) {
        if let Some(value) = value {
            self.sum += value * weight;
            self.weight += weight;
        }
    }

    fn get(self) -> Option<f64> {
        (self.weight > 0.0).then(|| round_to_thousandth(self.sum / self.weight))
    }
}

/// A sum; `None` without a value.
#[derive(Clone, Copy, Debug, Default)]
struct Sum(Option<f64>);

impl Sum {
    fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.0 = Some(self.0.unwrap_or_default() + value);
        }
    }
}

/// The aggregate of the samples of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Aggregate {
    latency: WeightedMean,
    round_trip_time: WeightedMean,
    jitter: WeightedMean,
    packet_loss: WeightedMean,
    freezes: Sum,
    freeze_count: Sum,
    /// The duration of the samples that report freezes.
    freeze_covered_ms: i64,
    stability: WeightedMean,
    resolution: WeightedMean,
    frame_rate: WeightedMean,
    bitrate: WeightedMean,
    audio_level: WeightedMean,
    concealment: WeightedMean,
    limited_by_cpu: WeightedMean,
    limited_by_bandwidth: WeightedMean,
    jitter_buffer_delay: WeightedMean,
    playout: WeightedMean,
    audio_packet_loss: WeightedMean,
    audible_packet_loss: WeightedMean,
    /// Weighted by the loss, too: each ratio describes the gaps of its loss.
    burst_ratio: WeightedMean,
    robustness: WeightedMean,
    pixels: WeightedMean,
    video_bitrate: WeightedMean,
    visible_frame_rate: WeightedMean,
    visible_bitrate: WeightedMean,
    codec_efficiency: WeightedMean,
}

impl Aggregate {
    pub(super) fn new(samples: &[AlignedSample]) -> Self {
        let mut aggregate = Self::default();
        for aligned in samples {
            aggregate.add(aligned);
        }
        aggregate
    }

    fn add(&mut self, aligned: &AlignedSample) {
        let AlignedSample { duration_ms, latency, rating, ref sample, .. } = *aligned;
        let weight = millis_to_seconds(duration_ms);
        let percent = |is_true: bool| if is_true { 100.0 } else { 0.0 };
        let is_fair = rating.map(|rating| percent(rating.score.band() >= Band::Fair));
        let limited_by = |reason| {
            let limit = sample.quality_limitation_reason;
            limit.map(|actual| percent(actual == reason))
        };
        let audio_packet_loss = sample.audio_packet_loss.map(Percent::get);
        let packet_loss = sample.packet_loss.map(Percent::get);
        let video = VideoInputs::of_sample(sample);
        for (mean, value) in [
            (&mut self.latency, latency),
            (&mut self.round_trip_time, sample.round_trip_time.map(Millis::get)),
            (&mut self.jitter, sample.jitter.map(Millis::get)),
            (&mut self.packet_loss, packet_loss),
            (&mut self.stability, is_fair),
            (&mut self.resolution, sample.resolution()),
            (&mut self.frame_rate, sample.frame_rate),
            (&mut self.bitrate, sample.bitrate.map(KilobitsPerSecond::get)),
            (&mut self.audio_level, sample.audio_level),
            (&mut self.concealment, sample.concealment.map(Percent::get)),
            (&mut self.limited_by_cpu, limited_by(QualityLimitationReason::Cpu)),
            (&mut self.limited_by_bandwidth, limited_by(QualityLimitationReason::Bandwidth)),
            (&mut self.jitter_buffer_delay, sample.jitter_buffer_delay.map(Millis::get)),
            (&mut self.playout, playout_ms(sample)),
            (&mut self.audio_packet_loss, audio_packet_loss),
            (&mut self.audible_packet_loss, audio_packet_loss.or(packet_loss)),
            (&mut self.robustness, robustness(sample)),
            (&mut self.pixels, video.pixels),
            (&mut self.visible_frame_rate, video.frame_rate),
            (&mut self.video_bitrate, sample.video_bitrate.map(KilobitsPerSecond::get)),
            (&mut self.visible_bitrate, video.kbps),
            (&mut self.codec_efficiency, video.codec_efficiency),
        ] {
            mean.add(value, weight);
        }
        let burst_ratio = sample.burst_ratio.map(BurstRatio::get);
        self.burst_ratio.add(burst_ratio, weight * audio_packet_loss.unwrap_or_default());
        self.add_freezes(sample, duration_ms);
    }

    fn add_freezes(&mut self, sample: &Sample, duration_ms: i64) {
        self.freezes.add(sample.freeze_duration.map(Millis::get));
        self.freeze_count.add(sample.freeze_count);
        if sample.freeze_duration.is_some() {
            self.freeze_covered_ms += duration_ms;
        }
    }

    pub(super) fn metrics(&self) -> Metrics {
        Metrics {
            latency: self.latency.get(),
            round_trip_time: self.round_trip_time.get(),
            jitter: self.jitter.get(),
            packet_loss: self.packet_loss.get(),
            freezes: self.freezes.0.map(round_to_thousandth),
            freeze_count: self.freeze_count.0,
            connection_stability: self.stability.get(),
            video_quality: self.resolution.get(),
            frame_rate: self.frame_rate.get(),
            bitrate: self.bitrate.get(),
            audio_level: self.audio_level.get(),
            concealment: self.concealment.get(),
            jitter_buffer_delay: self.jitter_buffer_delay.get(),
            audio_packet_loss: self.audio_packet_loss.get(),
            burst_ratio: self.burst_ratio.get(),
            video_bitrate: self.video_bitrate.get(),
            limited_by_cpu: self.limited_by_cpu.get(),
            limited_by_bandwidth: self.limited_by_bandwidth.get(),
        }
    }

    /// The inputs of the score.
    pub(super) fn inputs(&self, model: ScoreModel) -> Inputs {
        let frozen_percent = self.frozen_percent();
        let basic = Inputs {
            latency_ms: self.latency.get(),
            playout_ms: self.jitter.get().map(playout_of_jitter),
            loss_percent: self.packet_loss.get(),
            frozen_percent,
            ..Inputs::default()
        };
        match model {
            ScoreModel::V1 => Inputs { frozen_percent: frozen_percent.or(Some(0.0)), ..basic },
            ScoreModel::V2 => Inputs {
                playout_ms: self.playout.get(),
                loss_percent: self.audible_packet_loss.get(),
                burst_ratio: self.burst_ratio.get(),
                robustness: self.robustness.get(),
                pixels: self.pixels.get(),
                frame_rate: self.visible_frame_rate.get(),
                video_kbps: self.visible_bitrate.get(),
                codec_efficiency: self.codec_efficiency.get(),
                ..basic
            },
        }
    }

    /// The share of time with frozen video, in percent. One sample reports a whole freeze after its
    /// end, so the freeze can be longer than the sample. The share is therefore the ratio of the
    /// sums.
    fn frozen_percent(&self) -> Option<f64> {
        let frozen_ms = self.freezes.0?;
        (self.freeze_covered_ms > 0).then(|| percent_of_duration(frozen_ms, self.freeze_covered_ms))
    }
}
