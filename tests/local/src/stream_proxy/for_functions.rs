//! A proxy between the functions and the Stream emulator, with a console: it records each request
//! as a step. The first segment of a path is the id of the process.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Uri;
use hyper::Request;
use hyper::body::Incoming;
use stream_emulator::Operation;

use super::client_requests::end_of;
use super::upstream::{self, Upstream};
use crate::error::StartError;
use crate::http_server::{ConnectionDropped, HttpResponse, Server};
use crate::listener::bind_localhost;
use crate::sync::ShutdownTrigger;
use crate::trace::{Recorder, Service};

/// A running proxy.
pub(crate) struct FunctionStreamProxy {
    url: String,
    server: Server,
    shutdown: ShutdownTrigger,
}

impl FunctionStreamProxy {
    pub(crate) async fn start(
        emulator: SocketAddr,
        recorder: &Recorder,
    ) -> Result<Self, StartError> {
        let (listener, address) = bind_localhost("the recording proxy of Stream", 0).await?;
        let shutdown = ShutdownTrigger::new();
        let upstream = Arc::new(Upstream::new(emulator, shutdown.subscribe()));
        let recorder = recorder.clone();
        let server = Server::start(listener, move |request, _| {
            let (upstream, recorder) = (Arc::clone(&upstream), recorder.clone());
            async move { forward(&upstream, &recorder, request).await }
        });
        Ok(Self { url: format!("http://{address}"), server, shutdown })
    }

    /// The base URL, which the id of a process follows.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        self.server.stop().await;
    }
}

async fn forward(
    upstream: &Upstream,
    recorder: &Recorder,
    request: Request<Incoming>,
) -> Result<HttpResponse, ConnectionDropped> {
    let (mut parts, body) = upstream::read_request(request).await?;
    let (process, uri) = split_process(&parts.uri).ok_or(ConnectionDropped)?;
    // A loopback port is open to every program of this machine.
    if !recorder.has_process(&process) || uri.path().starts_with("/_emulator") {
        return Err(ConnectionDropped);
    }
    let operation = Operation::of_request(&parts.method, uri.path()).as_str();
    // A process opens a connection with a request for the root.
    let is_operation = uri.path() != "/";
    parts.uri = uri;
    let step =
        is_operation.then(|| recorder.begin_step(&process, Service::Stream, operation)).flatten();
    let result = upstream.send(parts, body.clone()).await;
    if let Some(step) = step {
        let (details, end) = end_of(operation, &body, &result).await;
        // The emulator closes a connection without a response only by a fault rule.
        let is_fault = result.as_ref().map_or(true, |response| response.is_fault);
        step.end(end.status, details, is_fault);
    }
    Ok(result?.response)
}

/// The id of the process, and the rest of the path with the query.
fn split_process(uri: &Uri) -> Option<(String, Uri)> {
    let path = uri.path_and_query()?.as_str().strip_prefix('/')?;
    let (process, rest) = path.split_at(path.find('/')?);
    Some((process.to_owned(), rest.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_begins_with_the_process() {
        let split = |uri: &str| split_process(&uri.parse().unwrap());
        let (process, uri) = split("/p1/api/v2/app?api_key=k").unwrap();
        assert_eq!((process.as_str(), uri.to_string().as_str()), ("p1", "/api/v2/app?api_key=k"));
        assert!(split("/p1").is_none());
    }
}
