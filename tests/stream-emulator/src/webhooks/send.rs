//! Delivers what waits, in the background.

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

use super::patience::{Outcome, Patience};
use super::{Delivery, Parcel};
use crate::server::stopped;
use crate::state::State;

/// What is read of an answer, whose status is all that counts.
const ANSWER_LIMIT: usize = 1024 * 1024;

/// Delivers webhooks until told to stop, then gives up those that are under way.
pub(crate) async fn send(state: Arc<State>, mut stop: watch::Receiver<bool>) {
    let courier = Courier::new(Patience::default());
    let mut under_way = JoinSet::new();
    loop {
        while let Some(parcel) = state.take_parcel() {
            under_way.spawn(carry(courier.clone(), Arc::clone(&state), parcel));
        }
        tokio::select! {
            () = stopped(&mut stop) => break,
            () = state.posted() => {}
            Some(_) = under_way.join_next() => {}
        }
    }
    under_way.shutdown().await;
    state.close();
}

async fn carry(courier: Courier, state: Arc<State>, parcel: Parcel) {
    courier.deliver(&parcel, |delivery| state.log(delivery)).await;
    state.settle();
}

/// Who carries parcels, and for how long.
#[derive(Clone)]
struct Courier {
    client: Client<HttpConnector, Full<Bytes>>,
    patience: Patience,
}

impl Courier {
    fn new(patience: Patience) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        // One connection for each attempt: on a connection that was kept, the client would repeat
        // a request by itself, and attempts are to be counted.
        let client =
            Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Self { client, patience }
    }

    /// Tries until it is delivered or there is no more patience.
    async fn deliver(&self, parcel: &Parcel, log: impl Fn(Delivery)) {
        sleep_until(parcel.due()).await;
        let start = Instant::now();
        for attempt in 1.. {
            let begun = Instant::now();
            let outcome = self.attempt(parcel, attempt, self.patience.left(start.elapsed())).await;
            log(parcel.delivery(attempt, outcome.status(), begun.elapsed()));
            match self.patience.pause(outcome, attempt, start.elapsed()) {
                Some(pause) => sleep(pause).await,
                None => return,
            }
        }
    }

    async fn attempt(&self, parcel: &Parcel, attempt: u32, patience: Duration) -> Outcome {
        let Some(request) = parcel.request(attempt) else { return Outcome::Unreachable };
        match timeout(patience, self.ask(request)).await {
            Ok(Some(status)) => Outcome::Answered(status),
            Ok(None) => Outcome::Unreachable,
            Err(_) => Outcome::TimedOut,
        }
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Option<u16> {
        let (head, body) = self.client.request(request).await.ok()?.into_parts();
        // Read, so that the receiver is not cut off while it writes.
        let _ = Limited::new(body, ANSWER_LIMIT).collect().await;
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

    async fn attempts(url: &str, patience: Patience) -> Vec<Option<u16>> {
        let event = json!({ "type": "call.ended" });
        let parcel = Parcel::new(&event, url, "an-id", 1, false, &Settings::new("k", "s"));
        let log = Mutex::new(Vec::new());
        let remember = |delivery: Delivery| {
            log.lock().expect("the log").push((delivery.attempt, delivery.status));
        };
        Courier::new(patience).deliver(&parcel, remember).await;
        let log = log.into_inner().expect("the log");
        assert!(log.iter().map(|(attempt, _)| *attempt).eq((1..).take(log.len())));
        log.into_iter().map(|(_, status)| status).collect()
    }

    fn short() -> Patience {
        Patience {
            attempt: Duration::from_millis(30),
            pause: Duration::from_millis(1),
            ..Patience::default()
        }
    }

    #[tokio::test]
    async fn who_never_answers_is_asked_three_times() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        assert_eq!(attempts(&url, short()).await, [None; 3]);
        let hurried = Patience { total: Duration::from_millis(30), ..short() };
        assert_eq!(attempts(&url, hurried).await, [None]);
    }

    #[tokio::test]
    async fn who_is_not_there_is_asked_twice() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        drop(listener);
        let patience = Patience { attempt: Duration::from_secs(6), ..short() };
        assert_eq!(attempts(&url, patience).await, [None; 2]);
        assert_eq!(attempts("nonsense:", patience).await, [None; 2]);
    }
}
