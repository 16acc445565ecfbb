//! Polls the table's stream in the background, by the machine's clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::Streams;
use crate::output::report_error;

/// The time between two polls. Lambda and Pipes poll four times per second.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The background task of a stack. Dropping it stops it; a running invocation continues.
pub(crate) struct StreamPoller(JoinSet<()>);

impl StreamPoller {
    pub(crate) fn start(streams: &Arc<Streams>) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(poll_repeatedly(Arc::clone(streams)));
        Self(tasks)
    }

    pub(crate) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

async fn poll_repeatedly(streams: Arc<Streams>) {
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_error = None;
    loop {
        ticks.tick().await;
        let error = streams.poll().await.err().map(|error| error.to_string());
        // An error that persists is printed once.
        if let Some(message) = error.as_ref().filter(|_| error != last_error) {
            report_error(message);
        }
        last_error = error;
    }
}
