//! The fields and metrics of a line in the request log.

use std::time::{Duration, UNIX_EPOCH};

use metrique_writer::unit::{Count, NegativeScale, WithUnit};
use metrique_writer::{Entry, EntryWriter, MetricFlags, Observation, Unit, Value, ValueWriter};
use metrique_writer_format_emf::{Emf, MetricDefinition, MetricDirective, NoMetric};

use crate::clock::Timestamp;
use crate::stream::RequestStats;
use crate::telemetry::UserHash;

const MILLISECONDS: Unit = Unit::Second(NegativeScale::Milli);
/// The maximum number of values of a metric in one line.
const MAX_METRIC_VALUES: usize = 100;

/// A handled request or scheduled run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLog<'a> {
    pub at: Timestamp,
    pub message: &'static str,
    pub request_id: &'a str,
    /// The route of a request.
    pub route: Option<&'a str>,
    /// The HTTP status of the response.
    pub status: Option<u16>,
    /// `ok`, or the error's code.
    pub code: &'static str,
    /// Whether the error is a fault of this service or of Stream.
    pub is_fault: bool,
    pub duration: Duration,
    pub user: Option<&'a UserHash>,
    /// The source chain of an error.
    pub cause: Option<&'a str>,
    /// The result of a scheduled run, as JSON.
    pub summary: Option<&'a str>,
    pub gauges: &'a [Gauge],
}

/// A metric of the whole deployment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gauge {
    name: &'static str,
    value: f64,
    unit: Unit,
}

impl Gauge {
    /// A gauge without a unit of measurement.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a metric is a double")]
    pub fn count(name: &'static str, value: u64) -> Self {
        Self { name, value: value as f64, unit: Unit::Count }
    }

    /// A gauge in seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a metric is a double")]
    pub fn seconds(name: &'static str, value: u64) -> Self {
        Self { name, value: value as f64, unit: Unit::Second(NegativeScale::One) }
    }
}

/// A result that contains gauges.
pub trait GaugeSource {
    /// The gauges.
    fn gauges(&self) -> Vec<Gauge>;
}

/// The line, with the values that the process adds.
pub(super) struct EmfEntry<'a> {
    pub log: &'a RequestLog<'a>,
    pub function: &'static str,
    /// Whether this is the first line of the process.
    pub is_cold_start: bool,
    pub stream_stats: RequestStats,
}

/// The metrics of the whole deployment. A [`Gauge`] with another name is written as a plain field.
const DEPLOYMENT_METRICS: [(&str, Unit); 12] = [
    ("Sweeps", Unit::Count),
    ("Reconciliations", Unit::Count),
    ("OrphansRemoved", Unit::Count),
    ("OpenCalls", Unit::Count),
    ("OverdueCalls", Unit::Count),
    ("OldestDueSeconds", Unit::Second(NegativeScale::One)),
    ("ErasuresPending", Unit::Count),
    ("ProfilesQueued", Unit::Count),
    ("SettledCalls", Unit::Count),
    ("SettledFromWebhooks", Unit::Count),
    ("PresenceDifferences", Unit::Count),
    ("EventDelaySeconds", Unit::Second(NegativeScale::One)),
];

/// The formatter of the lines, with or without the metrics of the whole deployment.
pub(super) fn emf_formatter(namespace: &str, has_deployment_metrics: bool) -> Emf {
    let directive = |dimensions: Vec<&'static str>, metrics: &[(&'static str, Unit)]| {
        let metric = |(name, unit): &(&'static str, Unit)| MetricDefinition {
            name,
            unit: *unit,
            storage_resolution: None,
        };
        let metrics = metrics.iter().map(metric).collect();
        MetricDirective { dimensions: vec![dimensions], metrics, namespace }
    };
    let by_function = Emf::builder(namespace.to_owned(), vec![vec!["Function".to_owned()]]);
    let by_code = by_function.directive(directive(vec!["Code"], &[("Responses", Unit::Count)]));
    // The formatter omits a metric without a value.
    if has_deployment_metrics {
        by_code.directive(directive(vec![], &DEPLOYMENT_METRICS))
    } else {
        by_code
    }
    .build()
}

/// The values of one metric.
struct MetricValues<'a> {
    values: &'a [f64],
    unit: Unit,
}

impl Value for MetricValues<'_> {
    fn write(&self, writer: impl ValueWriter) {
        let to_observation = |value: &f64| Observation::Floating(*value);
        // Combines the values over the maximum into one value, their mean, with their count.
        let (head, tail) = self.values.split_at(self.values.len().min(MAX_METRIC_VALUES - 1));
        let tail = (!tail.is_empty()).then(|| Observation::Repeated {
            total: tail.iter().sum(),
            occurrences: tail.len() as u64,
        });
        writer.metric(
            head.iter().map(to_observation).chain(tail),
            self.unit,
            [],
            MetricFlags::empty(),
        );
    }
}

impl Entry for EmfEntry<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        let Self { log, function, is_cold_start, stream_stats } = self;
        let at = u64::try_from(log.at.as_millis()).unwrap_or_default();
        writer.timestamp(UNIX_EPOCH + Duration::from_millis(at));
        let count = |value: u64| (value > 0).then(|| WithUnit::<_, Count>::from(value));
        writer.value("timestamp", &log.at.to_string());
        writer.value("level", if log.is_fault { "ERROR" } else { "INFO" });
        writer.value("message", log.message);
        writer.value("requestId", log.request_id);
        writer.value("function", *function);
        writer.value("route", &log.route);
        writer.value("status", &log.status.map(NoMetric::from));
        writer.value("code", log.code);
        let duration_ms = u64::try_from(log.duration.as_millis()).unwrap_or(u64::MAX);
        writer.value("durationMs", &NoMetric::from(duration_ms));
        writer.value("user", &log.user.map(UserHash::as_str));
        writer.value("cause", &log.cause);
        writer.value("summary", &log.summary);
        // Dimensions and metrics.
        writer.value("Function", *function);
        writer.value("Code", log.code);
        writer.value("Responses", &count(1));
        writer.value("ColdStarts", &count(u64::from(*is_cold_start)));
        let attempts_ms: Vec<f64> = stream_stats
            .attempt_latencies
            .iter()
            .map(|attempt| attempt.as_secs_f64() * 1e3)
            .collect();
        writer.value("StreamLatency", &MetricValues { values: &attempts_ms, unit: MILLISECONDS });
        writer.value("StreamRateLimited", &count(stream_stats.rate_limited));
        writer.value("StreamFailures", &count(stream_stats.failures));
        for gauge in log.gauges {
            let Gauge { name, value, .. } = gauge;
            writer.value(*name, &NoMetric::from(*value));
        }
    }
}

#[cfg(test)]
mod tests {
    use metrique_writer::format::Format as _;
    use serde_json::{Value as Json, json};

    use super::*;

    fn formatted(entry: &EmfEntry<'_>, has_deployment_metrics: bool) -> Json {
        let mut line = Vec::new();
        emf_formatter("StreamFunctions", has_deployment_metrics).format(entry, &mut line).unwrap();
        let line = String::from_utf8(line).unwrap();
        assert!(line.ends_with('\n') && line.lines().count() == 1, "{line}");
        serde_json::from_str(&line).unwrap()
    }

    fn request_log() -> RequestLog<'static> {
        RequestLog {
            at: Timestamp::from_millis(1_767_225_600_123),
            message: "request completed",
            request_id: "r1",
            route: Some("POST /api/stream/token"),
            status: Some(200),
            code: "ok",
            is_fault: false,
            duration: Duration::from_micros(12_300),
            user: None,
            cause: None,
            summary: None,
            gauges: &[],
        }
    }

    fn emf_entry<'a>(
        log: &'a RequestLog<'a>,
        is_cold_start: bool,
        stream_stats: RequestStats,
    ) -> EmfEntry<'a> {
        EmfEntry { log, function: "token", is_cold_start, stream_stats }
    }

    fn directive(by: &[&str], metrics: &Json) -> Json {
        json!({"Namespace": "StreamFunctions", "Dimensions": [by], "Metrics": metrics})
    }

    #[test]
    fn request_is_logged_as_one_line_with_its_metrics() {
        let output = formatted(&emf_entry(&request_log(), false, RequestStats::default()), false);
        let responses = json!([{"Name": "Responses", "Unit": "Count"}]);
        let expected = json!({
            "_aws": {
                "CloudWatchMetrics":
                    [directive(&["Function"], &responses), directive(&["Code"], &responses)],
                "Timestamp": 1_767_225_600_123_i64,
            },
            "timestamp": "2026-01-01T00:00:00.123Z",
            "level": "INFO",
            "message": "request completed",
            "requestId": "r1",
            "function": "token",
            "route": "POST /api/stream/token",
            "status": 200,
            "code": "ok",
            "durationMs": 12,
            "Function": "token",
            "Code": "ok",
            "Responses": 1,
        });
        assert_eq!(output, expected);
    }

    #[test]
    fn cold_start_and_stream_stats_are_emitted() {
        let took = |millis| Duration::from_millis(millis);
        let attempts = vec![took(80), took(3000)];
        let stream = RequestStats { attempt_latencies: attempts, rate_limited: 1, failures: 2 };
        let line =
            RequestLog { is_fault: true, status: Some(503), cause: Some("why"), ..request_log() };
        let output = formatted(&emf_entry(&line, true, stream), false);
        assert_eq!(
            output["_aws"]["CloudWatchMetrics"][0]["Metrics"],
            json!([
                {"Name": "Responses", "Unit": "Count"},
                {"Name": "ColdStarts", "Unit": "Count"},
                {"Name": "StreamLatency", "Unit": "Milliseconds"},
                {"Name": "StreamRateLimited", "Unit": "Count"},
                {"Name": "StreamFailures", "Unit": "Count"},
            ])
        );
        assert_eq!(output["StreamLatency"], json!({"Values": [80, 3000], "Counts": [1, 1]}));
        assert_eq!(
            (&output["StreamRateLimited"], &output["StreamFailures"]),
            (&json!(1), &json!(2))
        );
        assert_eq!((&output["level"], &output["cause"]), (&json!("ERROR"), &json!("why")));
    }

    #[test]
    fn metric_values_are_capped_at_100() {
        let attempts = (1..=300).map(Duration::from_millis).collect();
        let output = formatted(
            &emf_entry(
                &request_log(),
                false,
                RequestStats { attempt_latencies: attempts, ..RequestStats::default() },
            ),
            false,
        );
        let latency = &output["StreamLatency"];
        assert_eq!(latency["Values"].as_array().unwrap().len(), 100);
        // The 201 values from 100 to 300 milliseconds have a mean of 200.
        assert_eq!((&latency["Values"][99], &latency["Counts"][99]), (&json!(200), &json!(201)));
    }

    #[test]
    fn gauges_are_deployment_wide_metrics() {
        let gauges = [Gauge::count("OpenCalls", 3), Gauge::seconds("OldestDueSeconds", 12)];
        let line = RequestLog { route: None, status: None, gauges: &gauges, ..request_log() };
        let output = formatted(&emf_entry(&line, false, RequestStats::default()), true);
        let directives = &output["_aws"]["CloudWatchMetrics"];
        assert_eq!(directives[0]["Metrics"].as_array().unwrap().len(), 1);
        let deployment_metrics = directives[2]["Metrics"].as_array().unwrap();
        assert_eq!(directives[2]["Dimensions"], json!([[]]));
        for Gauge { name, unit, .. } in gauges {
            assert!(
                deployment_metrics.contains(&json!({"Name": name, "Unit": unit.name()})),
                "{name}"
            );
        }
        assert_eq!((&output["OpenCalls"], &output["OldestDueSeconds"]), (&json!(3), &json!(12)));
        assert_eq!((output.get("route"), output.get("status")), (None, None));
    }

    /// Compares the table in the documentation with the directives of the lines.
    #[test]
    fn documented_metrics_match_the_emitted_ones() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/LOGGING.md");
        let text = std::fs::read_to_string(path).unwrap();
        let table = text.split("## Metrics").nth(1).unwrap();
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
        let cells = rows.map(|row| row.split('|').map(|cell| cell.trim().replace('`', "")));
        let mut documented: Vec<Vec<String>> = cells.map(|cells| cells.take(3).collect()).collect();
        // Another test compares the metrics of closed calls.
        documented.retain(|row| ["Function", "Code", "–"].contains(&&*row[2]));
        let attempts = vec![Duration::ZERO];
        let stream = RequestStats { attempt_latencies: attempts, rate_limited: 1, failures: 1 };
        let output = formatted(&emf_entry(&request_log(), true, stream), true);
        let directives = output["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        let mut emitted = Vec::new();
        for directive in directives {
            let dimension = directive["Dimensions"][0][0].as_str().unwrap_or("–");
            for metric in directive["Metrics"].as_array().unwrap() {
                let text = |name: &str| metric[name].as_str().unwrap().to_owned();
                emitted.push(vec![text("Name"), text("Unit"), dimension.to_owned()]);
            }
        }
        documented.sort();
        emitted.sort();
        assert_eq!(documented, emitted);
    }
}
