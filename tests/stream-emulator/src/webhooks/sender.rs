//! The background task that delivers queued webhooks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::retry_policy::{AttemptOutcome, RetryPolicy};
use super::{DeliveryAttempt, PendingDelivery};
use crate::server::wait_for_stop;
use crate::state::State;

/// The maximum size of a response body. Only the status of a response is used.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// Delivers webhooks until the emulator stops, and then aborts the deliveries in flight.
pub(crate) async fn run_sender(state: Arc<State>, mut stop: watch::Receiver<bool>) {
    let sender = WebhookSender::new(RetryPolicy::default());
    let mut in_flight = JoinSet::new();
    loop {
        while let Some(delivery) = state.next_delivery() {
            in_flight.spawn(run_delivery(sender.clone(), Arc::clone(&state), delivery));
        }
        tokio::select! {
            () = wait_for_stop(&mut stop) => break,
            () = state.wait_for_delivery() => {}
            Some(_) = in_flight.join_next() => {}
        }
    }
    in_flight.shutdown().await;
    state.shut_down();
}

async fn run_delivery(sender: WebhookSender, state: Arc<State>, delivery: PendingDelivery) {
    let log = |progress| match progress {
        AttemptProgress::Begun => state.begin_attempt(&delivery),
        AttemptProgress::Ended { attempt, backoff } => state.record_attempt(attempt, backoff),
    };
    sender.deliver(&delivery, log).await;
    state.finish_delivery(delivery.url());
}

/// The progress of a delivery.
enum AttemptProgress {
    /// An attempt begins.
    Begun,
    /// An attempt has ended. `backoff` is the time until the next one.
    Ended { attempt: DeliveryAttempt, backoff: Option<Duration> },
}

/// The HTTP client for deliveries, with its retry policy.
#[derive(Clone)]
struct WebhookSender {
    client: Client<HttpConnector, Full<Bytes>>,
    retry_policy: RetryPolicy,
}

impl WebhookSender {
    fn new(retry_policy: RetryPolicy) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        // One connection per attempt: on a pooled connection the client would retry by itself, and
        // that attempt would not be counted.
        let client =
            Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Self { client, retry_policy }
    }

    /// Attempts the delivery until it succeeds or the retry policy ends it.
    async fn deliver(&self, delivery: &PendingDelivery, log: impl Fn(AttemptProgress)) {
        sleep_until(delivery.due_at()).await;
        let start = Instant::now();
        for attempt in 1.. {
            let attempt_start = Instant::now();
            log(AttemptProgress::Begun);
            let outcome = self
                .send_attempt(
                    delivery,
                    attempt,
                    self.retry_policy.next_attempt_timeout(start.elapsed()),
                )
                .await;
            let record =
                delivery.attempt_record(attempt, outcome.status(), attempt_start.elapsed());
            let backoff = self.retry_policy.backoff(outcome, attempt, start.elapsed());
            log(AttemptProgress::Ended { attempt: record, backoff });
            match backoff {
                Some(backoff) => sleep(backoff).await,
                None => return,
            }
        }
    }

    async fn send_attempt(
        &self,
        delivery: &PendingDelivery,
        attempt: u32,
        attempt_timeout: Duration,
    ) -> AttemptOutcome {
        let Some(request) = delivery.request(attempt) else { return AttemptOutcome::Unreachable };
        match timeout(attempt_timeout, self.send_request(request)).await {
            Ok(Some(status)) => AttemptOutcome::Responded(status),
            Ok(None) => AttemptOutcome::Unreachable,
            Err(_) => AttemptOutcome::TimedOut,
        }
    }

    async fn send_request(&self, request: Request<Full<Bytes>>) -> Option<u16> {
        let (head, body) = self.client.request(request).await.ok()?.into_parts();
        // The body is read, so that the connection does not close while the receiver writes.
        let _ = Limited::new(body, MAX_RESPONSE_BYTES).collect().await;
        Some(head.status.as_u16())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;
    use crate::settings::Settings;

    async fn attempt_statuses(url: &str, retry_policy: RetryPolicy) -> Vec<Option<u16>> {
        let event = json!({ "type": "call.ended" });
        let delivery =
            PendingDelivery::new(&event, url, "an-id", 1, false, &Settings::new("k", "s"));
        let log = Mutex::new(Vec::new());
        let record = |progress| {
            if let AttemptProgress::Ended { attempt, .. } = progress {
                log.lock().expect("the log").push((attempt.attempt, attempt.status));
            }
        };
        WebhookSender::new(retry_policy).deliver(&delivery, record).await;
        let log = log.into_inner().expect("the log");
        assert!(log.iter().map(|(attempt, _)| *attempt).eq((1..).take(log.len())));
        log.into_iter().map(|(_, status)| status).collect()
    }

    fn short_timeouts() -> RetryPolicy {
        RetryPolicy {
            attempt_timeout: Duration::from_millis(30),
            initial_backoff: Duration::from_millis(1),
            ..RetryPolicy::default()
        }
    }

    #[tokio::test]
    async fn unresponsive_receiver_gets_three_attempts() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let url = format!("http://{}/", listener.local_addr().expect("the local address"));
        assert_eq!(attempt_statuses(&url, short_timeouts()).await, [None; 3]);
        let short_total =
            RetryPolicy { total_timeout: Duration::from_millis(30), ..short_timeouts() };
        assert_eq!(attempt_statuses(&url, short_total).await, [None]);
    }

    #[tokio::test]
    async fn unreachable_receiver_gets_two_attempts() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let url = format!("http://{}/", listener.local_addr().expect("the local address"));
        drop(listener);
        let retry_policy =
            RetryPolicy { attempt_timeout: Duration::from_secs(6), ..short_timeouts() };
        assert_eq!(attempt_statuses(&url, retry_policy).await, [None; 2]);
        assert_eq!(attempt_statuses("invalid:", retry_policy).await, [None; 2]);
    }
}
