//! The log: one JSON object per line on standard output.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::Env;

/// Initializes the log at `LOG_LEVEL`, or at `info` if it is unset or invalid. Libraries log from
/// `warn` up at every level, because their lower levels may contain headers and bodies.
pub(crate) fn init(env: &Env) {
    let level = env.get("LOG_LEVEL").and_then(|level| level.parse().ok());
    let level = level.unwrap_or(LevelFilter::INFO);
    let targets = Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_target(env!("CARGO_PKG_NAME"), level);
    let format_layer = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false);
    // Fails only if a log is already initialized.
    let _ = tracing_subscriber::registry().with(targets).with(format_layer).try_init();
}
