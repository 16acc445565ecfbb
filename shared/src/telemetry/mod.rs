//! The request log: one line per request or scheduled run. The line contains the metrics, in the
//! embedded metric format of `CloudWatch`.
//!
//! The line is written at every log level, because the alarms depend on its metrics.
//! `docs/LOGGING.md` documents the fields. Source:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

mod request_log;
mod user_hash;

pub(crate) use request_log::RequestLog;
pub use request_log::{Gauge, GaugeSource};
pub use user_hash::UserHash;
pub(crate) use user_hash::UserHasher;

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use metrique_writer::Entry;
use metrique_writer::format::Format as _;
use metrique_writer_format_emf::Emf;

use crate::config::Env;
use crate::error::BoxError;
use crate::stream::RequestStats;
use crate::sync::lock;
use request_log::EmfEntry;

/// The namespace of the metrics, from `METRICS_NAMESPACE`. It separates the deployments of one
/// account.
pub(crate) fn namespace(env: &Env) -> String {
    env.get_or("METRICS_NAMESPACE", "StreamFunctions").to_owned()
}

/// Writes a line in the embedded metric format to standard output.
pub(crate) fn write_entry(emf: &mut Emf, entry: &impl Entry) -> Result<(), BoxError> {
    let mut line = Vec::with_capacity(1024);
    emf.format(entry, &mut line)?;
    Ok(std::io::stdout().lock().write_all(&line)?)
}

/// The writer of a function's request log.
pub(crate) struct Telemetry {
    function: &'static str,
    emf: Mutex<Emf>,
    /// Whether this process has not handled an event yet.
    is_cold: AtomicBool,
}

impl Telemetry {
    /// For a function of the API.
    pub(crate) fn new(function: &'static str, env: &Env) -> Self {
        Self::build(function, &namespace(env), false)
    }

    /// For a function that emits metrics of the whole deployment.
    pub(crate) fn with_gauges(function: &'static str, env: &Env) -> Self {
        Self::build(function, &namespace(env), true)
    }

    fn build(function: &'static str, namespace: &str, has_deployment_metrics: bool) -> Self {
        let emf = Mutex::new(request_log::emf_formatter(namespace, has_deployment_metrics));
        Self { function, emf, is_cold: AtomicBool::new(true) }
    }

    /// Writes a line, with the statistics of the requests to Stream.
    pub(crate) fn emit(&self, log: &RequestLog<'_>, stream_stats: RequestStats) {
        let is_cold_start = self.is_cold.swap(false, Ordering::Relaxed);
        let entry = EmfEntry { log, function: self.function, is_cold_start, stream_stats };
        if let Err(error) = write_entry(&mut lock(&self.emf), &entry) {
            let RequestLog { request_id, code, .. } = log;
            tracing::error!(request_id, code, cause = %error, "writing the request log failed");
        }
    }
}
