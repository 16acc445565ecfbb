//! Records the requests of clients to the Stream emulator. Their path is that of Stream's API.

use bytes::Bytes;
use http::request::Parts;
use stream_emulator::Operation;

use super::upstream::EmulatorResponse;
use crate::http_server::{ConnectionDropped, copy_body};
use crate::lambda::ids;
use crate::terminal::caller;
use crate::trace::{
    Message, Recorder, RequestEnd, RequestKind, RequestStart, Service, Span, StepDetails, StepSpan,
    call_id_of_channel,
};

/// The claim of Stream's tokens with the user.
const USER_ID_CLAIM: &str = "user_id";

/// The paths that control the emulator.
const CONTROL_PREFIX: &str = "/_emulator/";

pub(super) struct RecordedClients {
    recorder: Recorder,
}

/// A request in progress.
pub(super) struct ClientSpan {
    span: Span,
    step: Option<StepSpan>,
    operation: &'static str,
}

impl RecordedClients {
    pub(super) fn new(recorder: Recorder) -> Self {
        Self { recorder }
    }

    /// Records a request, unless it controls the emulator.
    pub(super) fn begin(&self, parts: &mut Parts, body: &Bytes) -> ClientSpan {
        let resend = self.recorder.take_resend(&mut parts.headers);
        let path = parts.uri.path();
        let operation = Operation::of_request(&parts.method, path).as_str();
        if path.starts_with(CONTROL_PREFIX) {
            return ClientSpan { span: Span::default(), step: None, operation };
        }
        let (id, resent_from) = match resend {
            Some(resend) => (resend.id, Some(resend.from)),
            None => (ids::gateway_request_id(), None),
        };
        let span = self.recorder.begin(RequestStart {
            id,
            kind: RequestKind::Client,
            method: parts.method.to_string(),
            path_and_query: parts
                .uri
                .path_and_query()
                .map_or_else(String::new, ToString::to_string),
            function: None,
            caller: caller(parts, body, USER_ID_CLAIM),
            call_id: call_id(path),
            request: Message::new(parts.headers.clone(), body),
            resent_from,
        });
        let step = span.begin_step(Service::Stream, operation);
        ClientSpan { span, step, operation }
    }
}

impl ClientSpan {
    pub(super) async fn end(
        self,
        request_body: &Bytes,
        result: &Result<EmulatorResponse, ConnectionDropped>,
    ) {
        let Some(step) = self.step else { return };
        let (details, end) = end_of(self.operation, request_body, result).await;
        // The emulator closes a connection without a response only by a fault rule.
        let is_fault = result.as_ref().map_or(true, |response| response.is_fault);
        step.end(end.status, details, is_fault);
        self.span.end(end);
    }
}

/// The details and the end of a request to the emulator.
pub(super) async fn end_of(
    operation: &str,
    request_body: &Bytes,
    result: &Result<EmulatorResponse, ConnectionDropped>,
) -> (StepDetails, RequestEnd) {
    let Ok(EmulatorResponse { response, .. }) = result else {
        let failure = Some("the connection was closed without a response".to_owned());
        let end = RequestEnd { status: None, response: Message::default(), failure };
        return (StepDetails::stream(operation, request_body, None), end);
    };
    let body = copy_body(response).await;
    let end = RequestEnd {
        status: Some(response.status().as_u16()),
        response: Message::new(response.headers().clone(), &body),
        failure: None,
    };
    (StepDetails::stream(operation, request_body, Some(&body)), end)
}

/// The call of a path, such as `/video/call/default/c1/join` or `/channels/messaging/call-c1/query`.
fn call_id(path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('/').collect();
    segments.windows(3).find_map(|window| match window {
        ["call", _, id] if !id.is_empty() => Some((*id).to_owned()),
        ["channels", _, id] => call_id_of_channel(id).map(str::to_owned),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_names_its_call() {
        for (path, expected) in [
            ("/video/call/default/c1/join", Some("c1")),
            ("/api/v2/video/call/default/c1", Some("c1")),
            ("/channels/messaging/call-c1/message", Some("c1")),
            ("/api/v2/chat/channels/messaging/other/query", None),
            ("/video/call/stats", None),
            ("/devices", None),
        ] {
            assert_eq!(call_id(path).as_deref(), expected, "{path}");
        }
    }
}
