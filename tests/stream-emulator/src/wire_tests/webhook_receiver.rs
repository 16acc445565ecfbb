//! An HTTP server that receives webhooks.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Read as _;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ring::hmac;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A received webhook.
#[derive(Clone)]
pub(super) struct Webhook {
    headers: HeaderMap,
    received_body: Bytes,
}

impl Webhook {
    /// A header's value, empty if the header is missing.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.received_body.starts_with(&[0x1f, 0x8b])
    }

    pub(super) fn raw_body(&self) -> Vec<u8> {
        if !self.is_compressed() {
            return self.received_body.to_vec();
        }
        let mut decompressed = Vec::new();
        GzDecoder::new(&*self.received_body).read_to_end(&mut decompressed).expect("gzip");
        decompressed
    }

    pub(super) fn event(&self) -> Value {
        serde_json::from_slice(&self.raw_body()).expect("JSON")
    }

    /// Whether the signature is lowercase hex and matches the uncompressed body.
    pub(super) fn is_signed(&self, secret: &str) -> bool {
        let digits = self.header("x-signature");
        let signature: Option<Vec<u8>> = (0..digits.len())
            .step_by(2)
            .map(|start| u8::from_str_radix(digits.get(start..start + 2)?, 16).ok())
            .collect();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let is_lowercase = digits == digits.to_lowercase();
        is_lowercase
            && signature
                .is_some_and(|signature| hmac::verify(&key, &self.raw_body(), &signature).is_ok())
    }
}

#[derive(Default)]
struct Inbox {
    statuses: VecDeque<u16>,
    webhooks: Vec<Webhook>,
}

#[derive(Default)]
struct ReceiverState {
    inbox: Mutex<Inbox>,
    arrived: Notify,
}

impl ReceiverState {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().expect("the inbox")
    }
}

/// A server that listens until it is dropped.
pub(super) struct WebhookReceiver {
    url: String,
    shared: Arc<ReceiverState>,
    server_task: JoinHandle<()>,
}

impl WebhookReceiver {
    /// A receiver that responds with these statuses first and 200 after that.
    pub(super) async fn with_statuses(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let url = format!("http://{}/hook", listener.local_addr().expect("the local address"));
        let shared = Arc::new(ReceiverState::default());
        shared.inbox().statuses.extend(statuses);
        let server_task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { url, shared, server_task }
    }

    /// A hook with the URL of this receiver, for events of all types.
    pub(super) fn hook(&self) -> Value {
        hook(&self.url)
    }

    pub(super) fn webhooks(&self) -> Vec<Webhook> {
        self.shared.inbox().webhooks.clone()
    }

    /// The types of the received events, in order.
    pub(super) fn event_types(&self) -> Vec<String> {
        let webhooks = self.webhooks();
        let types =
            webhooks.iter().map(|webhook| webhook.event()["type"].as_str().map(str::to_owned));
        types.map(|kind| kind.expect("a type")).collect()
    }

    /// Waits until this number of webhooks was received.
    pub(super) async fn wait_for(&self, count: usize) {
        loop {
            let mut arrived = pin!(self.shared.arrived.notified());
            arrived.as_mut().enable();
            if self.shared.inbox().webhooks.len() >= count {
                return;
            }
            arrived.await;
        }
    }
}

impl Drop for WebhookReceiver {
    fn drop(&mut self) {
        self.server_task.abort();
    }
}

/// A hook for events of all types.
pub(super) fn hook(url: &str) -> Value {
    json!({
        "hook_type": "webhook",
        "enabled": true,
        "webhook_url": url,
        "event_types": [],
        "product": "all",
    })
}

async fn serve(listener: TcpListener, shared: Arc<ReceiverState>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| receive(Arc::clone(&shared), request));
        tokio::spawn(async move {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn receive(
    shared: Arc<ReceiverState>,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let received_body = body.collect().await.expect("a body").to_bytes();
    let status = {
        let mut inbox = shared.inbox();
        inbox.webhooks.push(Webhook { headers: head.headers, received_body });
        inbox.statuses.pop_front().unwrap_or(200)
    };
    shared.arrived.notify_waiters();
    Ok(Response::builder().status(status).body(Empty::new()).expect("a response"))
}
