//! What was heard of Stream, for the metrics.

use std::cell::RefCell;
use std::time::Duration;

tokio::task_local! {
    /// Of the piece of work that this task is at: several may be under way in one process.
    static HEARD: RefCell<Tally>;
}

/// What was heard of Stream in the course of a piece of work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How long each attempt took, answered or not.
    pub attempts: Vec<Duration>,
    /// How many of them Stream asked to slow down.
    pub rate_limited: u64,
    /// How many of them got no answer, or a 5xx.
    pub failures: u64,
    /// How many of them were refused because of our credentials.
    pub unauthorized: u64,
}

impl Tally {
    /// Does a piece of work; what came of it, and what was heard of Stream meanwhile.
    pub(crate) async fn of<T>(work: impl Future<Output = T>) -> (T, Self) {
        let work = async { (work.await, HEARD.with(RefCell::take)) };
        HEARD.scope(RefCell::default(), work).await
    }

    /// What is to be told of the piece of work so far; where nobody listens, of none.
    pub(crate) fn so_far<T>(tell: impl Fn(&Self) -> T) -> T {
        HEARD.try_with(|heard| tell(&heard.borrow())).unwrap_or_else(|_| tell(&Self::default()))
    }

    /// Notes one more attempt, which took so long; `None` is no answer. Where nobody listens it is
    /// forgotten.
    pub(super) fn note(took: Duration, status: Option<u16>) {
        let _ = HEARD.try_with(|heard| heard.borrow_mut().attempt(took, status));
    }

    fn attempt(&mut self, took: Duration, status: Option<u16>) {
        self.attempts.push(took);
        match status {
            Some(401) => self.unauthorized += 1,
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

    const SPAN: Duration = Duration::from_millis(7);

    #[test]
    fn every_piece_of_work_has_its_own() {
        let work = |statuses: &'static [Option<u16>]| {
            Tally::of(async move {
                for status in statuses {
                    Tally::note(SPAN, *status);
                    tokio::task::yield_now().await;
                }
                statuses.len()
            })
        };
        Tally::note(SPAN, None);
        let one = work(&[Some(200), Some(429), Some(404), Some(401)]);
        let both = join(one, work(&[None, Some(503)]));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (one, other) = runtime.block_on(both);
        let tally = |attempts, rate_limited, failures, unauthorized| {
            let spans = vec![SPAN; attempts];
            (attempts, Tally { attempts: spans, rate_limited, failures, unauthorized })
        };
        assert_eq!((one, other), (tally(4, 1, 0, 1), tally(2, 0, 2, 0)));
        let again = Tally::of(async {}).now_or_never().unwrap();
        assert_eq!(again, ((), Tally::default()));
    }
}
