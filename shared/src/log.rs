//! The log: one JSON object a line on standard output.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::Env;

/// Starts the log at `LOG_LEVEL` (`info` where it is not set or not a level). Libraries are heard
/// from `warn` up only, whatever the level: what they say below that may hold headers and bodies.
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
    // It can only fail where a log was started before.
    let _ = tracing_subscriber::registry().with(targets).with(format_layer).try_init();
}
