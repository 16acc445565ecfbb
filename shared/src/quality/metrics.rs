//! `CloudWatch` metrics of a closed call: one log line in the embedded metric format.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use metrique_writer::unit::{Count, Millisecond, Percent, Second, WithUnit};
use metrique_writer::{Entry, EntryWriter};
use metrique_writer_format_emf::Emf;
use tokio::sync::Semaphore;

use crate::calls::sweep::{CloseReport, ClosedCallObserver, MIN_REMAINING};
use crate::calls::{Call, CallType, EndReason, SystemEndReason};
use crate::clock::{Clock, Deadline, Timestamp};
use crate::error::ApiError;
use crate::quality::batch::Platform;
use crate::quality::store::QualityDataReader;
use crate::quality::stream_stats::StreamStats;
use crate::quality::{Quality, merge};
use crate::store::StoreError;
use crate::sync::lock;
use crate::telemetry;

/// The number of calls whose data is read at a time. With `MAX_SAMPLES` in each they take half of
/// the sweeper's 512 MB.
const MAX_READS: usize = 4;

/// Computes the quality of every closed call, and writes a line of metrics for it.
pub struct CallMetricsEmitter {
    quality_data: Arc<dyn QualityDataReader>,
    clock: Arc<dyn Clock>,
    emf: Arc<Mutex<Emf>>,
    reads: Semaphore,
}

impl CallMetricsEmitter {
    /// An emitter for this metric namespace.
    #[must_use]
    pub fn new(
        quality_data: Arc<dyn QualityDataReader>,
        clock: Arc<dyn Clock>,
        namespace: &str,
    ) -> Self {
        Self {
            quality_data,
            clock,
            emf: Arc::new(Mutex::new(emf(namespace))),
            reads: Semaphore::new(MAX_READS),
        }
    }
}

#[async_trait]
impl ClosedCallObserver for CallMetricsEmitter {
    async fn prepare(&self, call: &Call, deadline: Deadline) -> Option<CloseReport> {
        // The semaphore is never closed.
        let _permit = self.reads.acquire().await;
        if deadline.remaining(self.clock.now()) < MIN_REMAINING {
            tracing::warn!(subject = %call.call_id, "out of time, the next sweep closes the call");
            return None;
        }
        let data = match self.quality_data.load_data(&call.call_id).await {
            Ok(data) => data,
            Err(error @ StoreError::Unavailable(_)) => {
                ApiError::from(error).log(
                    "loading quality data failed, the next sweep closes the call",
                    &call.call_id,
                );
                return None;
            }
            // A retry reads the same data.
            Err(error @ StoreError::Internal(_)) => {
                ApiError::from(error)
                    .log("loading quality data failed, skipping call metrics", &call.call_id);
                return Some(CloseReport::default());
            }
        };
        let now = self.clock.now();
        let quality = merge(call, data, StreamStats::Unavailable, now);
        let metrics = ClosedCallMetrics::new(call, &quality, now);
        let emf = Arc::clone(&self.emf);
        let on_closed = move || {
            if let Err(error) = telemetry::write_entry(&mut lock(&emf), &metrics) {
                let id = &metrics.call_id;
                tracing::error!(subject = %id, cause = %error, "writing call metrics failed");
            }
        };
        Some(CloseReport {
            quality: quality.call_score(call.score_model),
            on_closed: Some(Box::new(on_closed)),
        })
    }
}

/// The metrics of a closed call. Missing values are omitted.
#[derive(Clone, Debug, PartialEq)]
struct ClosedCallMetrics {
    at: Timestamp,
    call_id: String,
    call_type: &'static str,
    platform: &'static str,
    end_reason: &'static str,
    is_answered: bool,
    duration: Option<Duration>,
    mos: Option<f64>,
    loss_percent: Option<f64>,
    rtt_ms: Option<f64>,
    jitter_ms: Option<f64>,
    freezes_ms: Option<f64>,
}

impl ClosedCallMetrics {
    fn new(call: &Call, quality: &Quality, at: Timestamp) -> Self {
        let metrics = &quality.metrics;
        Self {
            at,
            call_id: call.call_id.to_string(),
            call_type: match call.call_type {
                CallType::Video => "video",
                CallType::Voice => "voice",
            },
            platform: platform_label(quality),
            end_reason: end_reason_label(call.end_reason.as_ref()),
            is_answered: call.answered_at().is_some(),
            duration: call.answered_at().and_then(|_| call.duration()),
            mos: quality.assessment.score,
            loss_percent: metrics.packet_loss,
            rtt_ms: metrics.round_trip_time,
            jitter_ms: metrics.jitter,
            freezes_ms: metrics.freezes,
        }
    }
}

/// The reason of the end if the service set it, or `ended` for the texts of callers.
fn end_reason_label(reason: Option<&EndReason>) -> &'static str {
    let is_same =
        |known: &SystemEndReason| reason.is_some_and(|reason| reason.as_str() == known.as_str());
    SystemEndReason::ALL.into_iter().find(is_same).map_or("ended", SystemEndReason::as_str)
}

/// The platform of all participants, `mixed` for several platforms, or `unknown`.
fn platform_label(quality: &Quality) -> &'static str {
    let platforms: BTreeSet<Platform> =
        quality.participants.iter().filter_map(|participant| participant.platform).collect();
    let mut platforms = platforms.into_iter();
    match (platforms.next(), platforms.next()) {
        (None, _) => "unknown",
        (Some(_), Some(_)) => "mixed",
        (Some(Platform::Ios), None) => "ios",
        (Some(Platform::Android), None) => "android",
        (Some(Platform::Web), None) => "web",
        (Some(Platform::Other), None) => "other",
    }
}

impl Entry for ClosedCallMetrics {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        let timestamp_ms = u64::try_from(self.at.as_millis()).unwrap_or_default();
        writer.timestamp(UNIX_EPOCH + Duration::from_millis(timestamp_ms));
        writer.value("CallId", &self.call_id);
        writer.value("CallType", self.call_type);
        writer.value("Platform", self.platform);
        writer.value("EndReason", self.end_reason);
        let answered = if self.is_answered { 1.0 } else { 0.0 };
        writer.value("CallAnswered", &WithUnit::<f64, Count>::from(answered));
        let seconds = self.duration.map(|duration| duration.as_secs_f64());
        writer.value("CallDuration", &seconds.map(WithUnit::<_, Second>::from));
        writer.value("CallMOS", &self.mos);
        writer.value("LossPercent", &self.loss_percent.map(WithUnit::<_, Percent>::from));
        writer.value("RttMs", &self.rtt_ms.map(WithUnit::<_, Millisecond>::from));
        writer.value("JitterMs", &self.jitter_ms.map(WithUnit::<_, Millisecond>::from));
        let seconds = self.freezes_ms.map(|freezes| freezes / 1000.0);
        writer.value("FreezeSeconds", &seconds.map(WithUnit::<_, Second>::from));
    }
}

fn emf(namespace: &str) -> Emf {
    let dimension_set =
        |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let dimensions = vec![dimension_set(&["CallType"]), dimension_set(&["CallType", "Platform"])];
    Emf::all_validations(namespace.to_owned(), dimensions)
}

#[cfg(test)]
mod tests {
    use metrique_writer::format::Format as _;
    use serde_json::{Value, json};

    use super::*;
    use crate::quality::sample::Sample;
    use crate::quality::store::MAX_SAMPLES;

    #[test]
    fn samples_of_the_reads_fit_in_half_of_the_memory() {
        let bytes = MAX_READS * MAX_SAMPLES * size_of::<Sample>();
        assert!(bytes <= 256 * 1024 * 1024, "{bytes}");
    }

    fn sample_metrics() -> ClosedCallMetrics {
        ClosedCallMetrics {
            at: Timestamp::from_millis(1_767_225_600_123),
            call_id: "c1".to_owned(),
            call_type: "video",
            platform: "ios",
            end_reason: "left",
            is_answered: true,
            duration: Some(Duration::from_millis(90_500)),
            mos: Some(4.125),
            loss_percent: Some(1.25),
            rtt_ms: Some(120.0),
            jitter_ms: Some(7.5),
            freezes_ms: Some(250.0),
        }
    }

    fn format_metrics(metrics: &ClosedCallMetrics) -> Value {
        let mut line = Vec::new();
        emf("StreamFunctions").format(metrics, &mut line).unwrap();
        let line = String::from_utf8(line).unwrap();
        assert_eq!(line.lines().count(), 1);
        assert!(line.ends_with('\n'));
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn line_is_in_the_embedded_metric_format() {
        let expected = json!({
            "_aws": {
                "CloudWatchMetrics": [{
                    "Namespace": "StreamFunctions",
                    "Dimensions": [["CallType"], ["CallType", "Platform"]],
                    "Metrics": [
                        {"Name": "CallAnswered", "Unit": "Count"},
                        {"Name": "CallDuration", "Unit": "Seconds"},
                        {"Name": "CallMOS"},
                        {"Name": "LossPercent", "Unit": "Percent"},
                        {"Name": "RttMs", "Unit": "Milliseconds"},
                        {"Name": "JitterMs", "Unit": "Milliseconds"},
                        {"Name": "FreezeSeconds", "Unit": "Seconds"},
                    ],
                }],
                "Timestamp": 1_767_225_600_123_i64,
            },
            "CallId": "c1",
            "CallType": "video",
            "Platform": "ios",
            "EndReason": "left",
            "CallAnswered": 1,
            "CallDuration": 90.5,
            "CallMOS": 4.125,
            "LossPercent": 1.25,
            "RttMs": 120,
            "JitterMs": 7.5,
            "FreezeSeconds": 0.25,
        });
        assert_eq!(format_metrics(&sample_metrics()), expected);
    }

    #[test]
    fn reasons_of_callers_have_one_label() {
        let left = EndReason::from(EndReason::LEFT);
        let own = EndReason::try_from("card declined".to_owned()).unwrap();
        assert_eq!(end_reason_label(Some(&left)), "left");
        assert_eq!([end_reason_label(Some(&own)), end_reason_label(None)], ["ended", "ended"]);
    }

    #[test]
    fn missing_metrics_are_omitted() {
        let unmeasured = ClosedCallMetrics {
            is_answered: false,
            duration: None,
            mos: None,
            loss_percent: None,
            rtt_ms: None,
            jitter_ms: None,
            freezes_ms: None,
            ..sample_metrics()
        };
        let line = format_metrics(&unmeasured);
        let metrics = &line["_aws"]["CloudWatchMetrics"][0]["Metrics"];
        assert_eq!(metrics, &json!([{"Name": "CallAnswered", "Unit": "Count"}]));
        assert_eq!((&line["CallAnswered"], line.get("CallMOS")), (&json!(0), None));
    }
}
