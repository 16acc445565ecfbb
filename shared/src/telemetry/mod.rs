//! What a function leaves behind of each thing that it was asked: one line in the log, which holds
//! its metrics too, in `CloudWatch`'s embedded metric format.
//!
//! The line is written at every log level: the alarms live on it. `docs/LOGGING.md` says what is in
//! it. Source:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

mod line;
mod user;

pub(crate) use line::Line;
pub use line::{Gauge, Gauged};
pub(crate) use user::Tagger;
pub use user::UserTag;

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use metrique_writer::Entry;
use metrique_writer::format::Format as _;
use metrique_writer_format_emf::Emf;

use crate::config::Env;
use crate::error::Source;
use crate::stream::Tally;
use crate::sync::lock;
use line::Whole;

/// The namespace of the metrics: `METRICS_NAMESPACE`, so that two deployments in one account do not
/// mix.
pub(crate) fn namespace(env: &Env) -> String {
    env.get_or("METRICS_NAMESPACE", "StreamFunctions").to_owned()
}

/// Writes a line for `CloudWatch` to the log.
pub(crate) fn write(emf: &mut Emf, entry: &impl Entry) -> Result<(), Source> {
    let mut line = Vec::with_capacity(1024);
    emf.format(entry, &mut line)?;
    Ok(std::io::stdout().lock().write_all(&line)?)
}

/// What a function leaves its lines with.
pub(crate) struct Telemetry {
    function: &'static str,
    emf: Mutex<Emf>,
    /// Whether nothing has been asked of this process yet.
    cold: AtomicBool,
}

impl Telemetry {
    /// For a function of the API, by its name.
    pub(crate) fn new(function: &'static str, env: &Env) -> Self {
        Self::open(function, &namespace(env), false)
    }

    /// For a function that sees the whole deployment.
    pub(crate) fn with_gauges(function: &'static str, env: &Env) -> Self {
        Self::open(function, &namespace(env), true)
    }

    fn open(function: &'static str, namespace: &str, of_all: bool) -> Self {
        let emf = Mutex::new(line::emf(namespace, of_all));
        Self { function, emf, cold: AtomicBool::new(true) }
    }

    /// Leaves a line, with what was heard of Stream.
    pub(crate) fn leave(&self, line: &Line<'_>, stream: Tally) {
        let cold = self.cold.swap(false, Ordering::Relaxed);
        let whole = Whole { line, function: self.function, cold, stream };
        if let Err(error) = write(&mut lock(&self.emf), &whole) {
            let Line { request_id, code, .. } = line;
            tracing::error!(request_id, code, cause = %error, "a line could not be written");
        }
    }
}
