//! Statistics of the requests to Stream, for the metrics.

use std::cell::RefCell;
use std::time::Duration;

tokio::task_local! {
    /// The statistics of the current invocation. A process may handle several at a time.
    static STATS: RefCell<RequestStats>;
}

/// The statistics of an invocation's requests to Stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestStats {
    /// The duration of each attempt, with or without a response.
    pub attempt_latencies: Vec<Duration>,
    /// The number of attempts with status 429.
    pub rate_limited: u64,
    /// The number of attempts without a response or with status 5xx.
    pub failures: u64,
}

impl RequestStats {
    /// Runs `work` and returns its output with the statistics of its requests.
    pub(crate) async fn collect<T>(work: impl Future<Output = T>) -> (T, Self) {
        let work = async { (work.await, STATS.with(RefCell::take)) };
        STATS.scope(RefCell::default(), work).await
    }

    /// Records an attempt. A `status` of `None` means no response. Outside of [`Self::collect`] it
    /// does nothing.
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
        let first = work(&[Some(200), Some(429), Some(404), Some(401)]);
        let both = join(first, work(&[None, Some(503)]));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (first, second) = runtime.block_on(both);
        let stats = |attempts, rate_limited, failures| {
            let attempt_latencies = vec![LATENCY; attempts];
            (attempts, RequestStats { attempt_latencies, rate_limited, failures })
        };
        assert_eq!((first, second), (stats(4, 1, 0), stats(2, 0, 2)));
        let empty = RequestStats::collect(async {}).now_or_never().unwrap();
        assert_eq!(empty, ((), RequestStats::default()));
    }
}
