//! The line itself.

use std::time::{Duration, UNIX_EPOCH};

use metrique_writer::unit::{Count, NegativeScale, WithUnit};
use metrique_writer::{Entry, EntryWriter, MetricFlags, Observation, Unit, Value, ValueWriter};
use metrique_writer_format_emf::{Emf, MetricDefinition, MetricDirective, NoMetric};

use crate::clock::Timestamp;
use crate::stream::Tally;
use crate::telemetry::UserTag;

const MILLISECONDS: Unit = Unit::Second(NegativeScale::Milli);
/// A metric has no more values than this in one line.
const MOST_VALUES: usize = 100;

/// What a function knows of what it was asked and what it has answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub at: Timestamp,
    pub message: &'static str,
    pub request_id: &'a str,
    /// The route, of a request.
    pub route: Option<&'a str>,
    /// The HTTP status, of a request.
    pub status: Option<u16>,
    /// `ok`, or the error's code.
    pub code: &'static str,
    /// Whether it is our fault.
    pub failed: bool,
    pub took: Duration,
    pub user: Option<&'a UserTag>,
    /// What lies behind an error.
    pub cause: Option<&'a str>,
    /// What was done, as JSON, of a function that runs by the clock.
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
    /// A number of things.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a metric is a double")]
    pub fn count(name: &'static str, value: u64) -> Self {
        Self { name, value: value as f64, unit: Unit::Count }
    }

    /// A span of time, in seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a metric is a double")]
    pub fn seconds(name: &'static str, value: u64) -> Self {
        Self { name, value: value as f64, unit: Unit::Second(NegativeScale::One) }
    }
}

/// Something that has metrics in it.
pub trait Gauged {
    /// Them.
    fn gauges(&self) -> Vec<Gauge>;
}

/// The line with what the process knows by itself.
pub(super) struct Whole<'a> {
    pub line: &'a Line<'a>,
    pub function: &'static str,
    /// Whether it is the process's first.
    pub cold: bool,
    pub stream: Tally,
}

/// The metrics of the whole deployment: a [`Gauge`] that is not among them is a plain field.
const OF_ALL: [(&str, Unit); 5] = [
    ("Sweeps", Unit::Count),
    ("OpenCalls", Unit::Count),
    ("OverdueCalls", Unit::Count),
    ("OldestDueSeconds", Unit::Second(NegativeScale::One)),
    ("ErasuresPending", Unit::Count),
];

/// What writes such lines, with or without the metrics of the whole deployment.
pub(super) fn emf(namespace: &str, of_all: bool) -> Emf {
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
    let by_code = by_function.directive(directive(vec!["Code"], &[("Answers", Unit::Count)]));
    // A metric that a line lacks is passed over.
    if of_all { by_code.directive(directive(vec![], &OF_ALL)) } else { by_code }.build()
}

/// Values of one metric.
struct Measured<'a> {
    values: &'a [f64],
    unit: Unit,
}

impl Value for Measured<'_> {
    fn write(&self, writer: impl ValueWriter) {
        let each = |value: &f64| Observation::Floating(*value);
        // More than fit become one of as many times their mean.
        let (some, rest) = self.values.split_at(self.values.len().min(MOST_VALUES - 1));
        let rest = (!rest.is_empty()).then(|| Observation::Repeated {
            total: rest.iter().sum(),
            occurrences: rest.len() as u64,
        });
        writer.metric(some.iter().map(each).chain(rest), self.unit, [], MetricFlags::empty());
    }
}

impl Entry for Whole<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        let Self { line, function, cold, stream } = self;
        let at = u64::try_from(line.at.as_millis()).unwrap_or_default();
        writer.timestamp(UNIX_EPOCH + Duration::from_millis(at));
        let count = |value: u64| (value > 0).then(|| WithUnit::<_, Count>::from(value));
        writer.value("timestamp", &line.at.to_string());
        writer.value("level", if line.failed { "ERROR" } else { "INFO" });
        writer.value("message", line.message);
        writer.value("requestId", line.request_id);
        writer.value("function", *function);
        writer.value("route", &line.route);
        writer.value("status", &line.status.map(NoMetric::from));
        writer.value("code", line.code);
        let millis = u64::try_from(line.took.as_millis()).unwrap_or(u64::MAX);
        writer.value("millis", &NoMetric::from(millis));
        writer.value("user", &line.user.map(UserTag::as_str));
        writer.value("cause", &line.cause);
        writer.value("summary", &line.summary);
        // The metrics and what they are counted by.
        writer.value("Function", *function);
        writer.value("Code", line.code);
        writer.value("Answers", &count(1));
        writer.value("ColdStarts", &count(u64::from(*cold)));
        let millis: Vec<f64> = stream.attempts.iter().map(|it| it.as_secs_f64() * 1e3).collect();
        writer.value("StreamLatency", &Measured { values: &millis, unit: MILLISECONDS });
        writer.value("StreamRateLimited", &count(stream.rate_limited));
        writer.value("StreamFailures", &count(stream.failures));
        for gauge in line.gauges {
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

    fn printed(whole: &Whole<'_>, of_all: bool) -> Json {
        let mut line = Vec::new();
        emf("StreamFunctions", of_all).format(whole, &mut line).unwrap();
        let line = String::from_utf8(line).unwrap();
        assert!(line.ends_with('\n') && line.lines().count() == 1, "{line}");
        serde_json::from_str(&line).unwrap()
    }

    fn line() -> Line<'static> {
        Line {
            at: Timestamp::from_millis(1_767_225_600_123),
            message: "answered",
            request_id: "r1",
            route: Some("POST /api/stream/token"),
            status: Some(200),
            code: "ok",
            failed: false,
            took: Duration::from_micros(12_300),
            user: None,
            cause: None,
            summary: None,
            gauges: &[],
        }
    }

    fn whole<'a>(line: &'a Line<'a>, cold: bool, stream: Tally) -> Whole<'a> {
        Whole { line, function: "token", cold, stream }
    }

    fn directive(by: &[&str], metrics: &Json) -> Json {
        json!({"Namespace": "StreamFunctions", "Dimensions": [by], "Metrics": metrics})
    }

    #[test]
    fn a_request_is_a_line_and_its_metrics() {
        let found = printed(&whole(&line(), false, Tally::default()), false);
        let answers = json!([{"Name": "Answers", "Unit": "Count"}]);
        let expected = json!({
            "_aws": {
                "CloudWatchMetrics":
                    [directive(&["Function"], &answers), directive(&["Code"], &answers)],
                "Timestamp": 1_767_225_600_123_i64,
            },
            "timestamp": "2026-01-01T00:00:00.123Z",
            "level": "INFO",
            "message": "answered",
            "requestId": "r1",
            "function": "token",
            "route": "POST /api/stream/token",
            "status": 200,
            "code": "ok",
            "millis": 12,
            "Function": "token",
            "Code": "ok",
            "Answers": 1,
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn a_cold_start_and_what_was_heard_of_stream_are_counted() {
        let took = |millis| Duration::from_millis(millis);
        let attempts = vec![took(80), took(3000)];
        let stream = Tally { attempts, rate_limited: 1, failures: 2, unauthorized: 0 };
        let line = Line { failed: true, status: Some(503), cause: Some("why"), ..line() };
        let found = printed(&whole(&line, true, stream), false);
        assert_eq!(
            found["_aws"]["CloudWatchMetrics"][0]["Metrics"],
            json!([
                {"Name": "Answers", "Unit": "Count"},
                {"Name": "ColdStarts", "Unit": "Count"},
                {"Name": "StreamLatency", "Unit": "Milliseconds"},
                {"Name": "StreamRateLimited", "Unit": "Count"},
                {"Name": "StreamFailures", "Unit": "Count"},
            ])
        );
        assert_eq!(found["StreamLatency"], json!({"Values": [80, 3000], "Counts": [1, 1]}));
        assert_eq!((&found["StreamRateLimited"], &found["StreamFailures"]), (&json!(1), &json!(2)));
        assert_eq!((&found["level"], &found["cause"]), (&json!("ERROR"), &json!("why")));
    }

    #[test]
    fn no_metric_has_more_values_than_cloudwatch_takes() {
        let attempts = (1..=300).map(Duration::from_millis).collect();
        let found = printed(&whole(&line(), false, Tally { attempts, ..Tally::default() }), false);
        let latency = &found["StreamLatency"];
        assert_eq!(latency["Values"].as_array().unwrap().len(), 100);
        // 100 to 300 milliseconds are 201 values of 200 on the mean.
        assert_eq!((&latency["Values"][99], &latency["Counts"][99]), (&json!(200), &json!(201)));
    }

    #[test]
    fn gauges_are_counted_over_all_functions() {
        let gauges = [Gauge::count("OpenCalls", 3), Gauge::seconds("OldestDueSeconds", 12)];
        let line = Line { route: None, status: None, gauges: &gauges, ..line() };
        let found = printed(&whole(&line, false, Tally::default()), true);
        let directives = &found["_aws"]["CloudWatchMetrics"];
        assert_eq!(directives[0]["Metrics"].as_array().unwrap().len(), 1);
        let of_all = directives[2]["Metrics"].as_array().unwrap();
        assert_eq!(directives[2]["Dimensions"], json!([[]]));
        for Gauge { name, unit, .. } in gauges {
            assert!(of_all.contains(&json!({"Name": name, "Unit": unit.name()})), "{name}");
        }
        assert_eq!((&found["OpenCalls"], &found["OldestDueSeconds"]), (&json!(3), &json!(12)));
        assert_eq!((found.get("route"), found.get("status")), (None, None));
    }

    /// The table of the documentation, and the directives of the lines.
    #[test]
    fn the_documentation_lists_the_same_metrics() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/LOGGING.md");
        let text = std::fs::read_to_string(path).unwrap();
        let table = text.split("## Metrics").nth(1).unwrap();
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
        let cells = rows.map(|row| row.split('|').map(|cell| cell.trim().replace('`', "")));
        let mut documented: Vec<Vec<String>> = cells.map(|it| it.take(3).collect()).collect();
        // Those of closed calls are compared beside them.
        documented.retain(|row| ["Function", "Code", "–"].contains(&&*row[2]));
        let attempts = vec![Duration::ZERO];
        let stream = Tally { attempts, rate_limited: 1, failures: 1, unauthorized: 1 };
        let found = printed(&whole(&line(), true, stream), true);
        let directives = found["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        let mut written = Vec::new();
        for directive in directives {
            let by = directive["Dimensions"][0][0].as_str().unwrap_or("–");
            for metric in directive["Metrics"].as_array().unwrap() {
                let text = |name: &str| metric[name].as_str().unwrap().to_owned();
                written.push(vec![text("Name"), text("Unit"), by.to_owned()]);
            }
        }
        documented.sort();
        written.sort();
        assert_eq!(documented, written);
    }
}
