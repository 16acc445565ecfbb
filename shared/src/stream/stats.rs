//! What was heard of Stream, for the metrics.

use std::cell::RefCell;
use std::time::Duration;

tokio::task_local! {
    /// Of the piece of work that this task is at: several may be under way in one process.
    static STATS: RefCell<RequestStats>;
}

/// What was heard of Stream in the course of a piece of work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestStats {
    /// How long each attempt took, answered or not.
    pub attempt_latencies: Vec<Duration>,
    /// How many of them Stream asked to slow down.
    pub rate_limited: u64,
    /// How many of them got no answer, or a 5xx.
    pub failures: u64,
}

impl RequestStats {
    /// Does a piece of work; what came of it, and what was heard of Stream meanwhile.
    pub(crate) async fn collect<T>(work: impl Future<Output = T>) -> (T, Self) {
        let work = async { (work.await, STATS.with(RefCell::take)) };
        STATS.scope(RefCell::default(), work).await
    }

    /// Notes one more attempt, which took so long; `None` is no answer. Where nobody listens it is
    /// forgotten.
    pub(super) fn record(latency: Duration, status: Option<u16>) {
        let _ = STATS.try_with(|stats| stats.borrow_mut().add_attempt(latency, status));
    }

    fn add_attempt(&mut self, latency: Duration, status: Option<u16>) {
        self.attempt_latencies.push(latency);
        match status {
            Some(429) => self.rate_limited += 1,
            None | Some(500..) => self.failures += 1,
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::join;

    use super::*;

    const LATENCY: Duration = Duration::from_millis(7);

    #[test]
    fn concurrent_tasks_have_separate_stats() {
        let work = |statuses: &'static [Option<u16>]| {
            RequestStats::collect(async move {
                for status in statuses {
                    RequestStats::record(LATENCY, *status);
                    tokio::task::yield_now().await;
                }
                statuses.len()
            })
        };
        RequestStats::record(LATENCY, None);
        let one = work(&[Some(200), Some(429), Some(404), Some(401)]);
        let both = join(one, work(&[None, Some(503)]));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (one, other) = runtime.block_on(both);
        let stats = |attempts, rate_limited, failures| {
            let attempt_latencies = vec![LATENCY; attempts];
            (attempts, RequestStats { attempt_latencies, rate_limited, failures })
        };
        assert_eq!((one, other), (stats(4, 1, 0), stats(2, 0, 2)));
        let again = RequestStats::collect(async {}).now_or_never().unwrap();
        assert_eq!(again, ((), RequestStats::default()));
    }
}
