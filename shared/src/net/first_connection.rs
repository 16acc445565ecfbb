//! The wait for the first connections to a host.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::lock::Mutex;

/// The longest time that a request waits for the first connection.
const MAX_WAIT: Duration = Duration::from_millis(300);

/// Delays further requests until the first one has its response, or the connections that are opened
/// at init are open. Without the delay, each concurrent request would do its own TLS handshake. On a
/// function with a fraction of a processor, a handshake takes longer than the delay
/// (`docs/adr/0022-one-table-request-per-token.md`). Later connections resume the first TLS session.
#[derive(Default)]
pub(super) struct FirstConnectionGate {
    is_open: AtomicBool,
    opening: Mutex<()>,
}

impl FirstConnectionGate {
    /// Runs `send`, after a wait of at most [`MAX_WAIT`] while the first one runs. The wait counts
    /// toward the request's own timeout.
    pub(super) async fn run<T, E>(&self, send: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        if self.is_open.load(Ordering::Relaxed) {
            return send.await;
        }
        let guard = tokio::time::timeout(MAX_WAIT, self.opening.lock()).await;
        // Another one has succeeded meanwhile, so this one need not hold the lock.
        let guard = guard.ok().filter(|_| !self.is_open.load(Ordering::Relaxed));
        let result = send.await;
        drop(guard);
        if result.is_ok() {
            self.is_open.store(true, Ordering::Relaxed);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;

    use futures_util::future::{join3, select};

    use super::*;

    #[test]
    fn requests_are_serialized_until_the_first_success() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let gate = FirstConnectionGate::default();
        let (in_flight, max_in_flight) = (Cell::new(0), Cell::new(0));
        let send = |succeeds: bool| {
            let (in_flight, max_in_flight) = (&in_flight, &max_in_flight);
            async move {
                in_flight.set(in_flight.get() + 1);
                max_in_flight.set(max_in_flight.get().max(in_flight.get()));
                tokio::task::yield_now().await;
                in_flight.set(in_flight.get() - 1);
                if succeeds { Ok(()) } else { Err(()) }
            }
        };
        let send_three = |succeeds| {
            let requests =
                join3(gate.run(send(succeeds)), gate.run(send(succeeds)), gate.run(send(succeeds)));
            let _ = runtime.block_on(requests);
            max_in_flight.replace(0)
        };
        // A failed request keeps the gate closed. After the first success, requests run
        // concurrently.
        assert_eq!((send_three(false), send_three(true), send_three(true)), (1, 2, 3));
        // A hanging first request delays the next one by at most `MAX_WAIT`.
        let gate = FirstConnectionGate::default();
        let waited = runtime.block_on(async {
            let started_at = tokio::time::Instant::now();
            let hanging = pin!(gate.run(std::future::pending::<Result<(), ()>>()));
            let _ = select(hanging, pin!(gate.run(send(true)))).await;
            started_at.elapsed()
        });
        assert_eq!(waited, MAX_WAIT);
        // It has succeeded, so further ones do not wait, although the first still hangs.
        let gate = FirstConnectionGate::default();
        let waited = runtime.block_on(async {
            let started_at = tokio::time::Instant::now();
            let hanging = pin!(gate.run(std::future::pending::<Result<(), ()>>()));
            let two = async { gate.run(send(true)).await.and(gate.run(send(true)).await) };
            let _ = select(hanging, pin!(two)).await;
            started_at.elapsed()
        });
        assert_eq!(waited, MAX_WAIT);
    }
}
