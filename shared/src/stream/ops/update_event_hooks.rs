//! `PATCH /api/v2/app`: replaces the event hooks of the app.

use http::Method;
use serde_json::value::RawValue;

use crate::stream::ops::DoneResponse;
use crate::stream::{Idempotency, Operation, Request};

/// Replaces the list of event hooks. Stream deletes hooks that are not in the list. The request is
/// not retried, because the list may have changed in the meantime.
pub struct UpdateEventHooks<'a> {
    /// All hooks, as JSON that is sent verbatim.
    pub hooks: &'a [Box<RawValue>],
}

impl Operation for UpdateEventHooks<'_> {
    type Response = DoneResponse;

    fn request(&self) -> Request {
        let hooks: Vec<&str> = self.hooks.iter().map(|hook| hook.get()).collect();
        let body = format!(r#"{{"event_hooks":[{}]}}"#, hooks.join(","));
        Request::new(Method::PATCH, &["app"]).raw_json(body).idempotency(Idempotency::NonIdempotent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_sent_verbatim() {
        let hook = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let hooks = [hook(r#"{"b": 1.50, "a":"\u00e9"}"#), hook("{}")];
        let request = UpdateEventHooks { hooks: &hooks }.request();
        let body = br#"{"event_hooks":[{"b": 1.50, "a":"\u00e9"},{}]}"#;
        assert_eq!(request.body.as_deref(), Some(&body[..]));
        assert_eq!(
            (request.method, request.idempotency),
            (Method::PATCH, Idempotency::NonIdempotent)
        );
        assert_eq!(request.path, "/api/v2/app");
    }
}
