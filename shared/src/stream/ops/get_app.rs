//! `GET /api/v2/app`: reads the settings of the app.

use http::Method;
use serde::Deserialize;

use crate::stream::hooks::EventHook;
use crate::stream::lenient::entries;
use crate::stream::{Operation, Request};

/// Reads the app. The response contains push and queue secrets, so only the fields of [`App`] are
/// deserialized.
#[derive(Debug)]
pub struct GetApp;

/// The response.
#[derive(Debug, Deserialize)]
pub struct GetAppResponse {
    /// The app.
    pub app: App,
}

/// The settings that may cause a warning.
#[derive(Clone, Debug, Deserialize)]
pub struct App {
    /// Whether Stream has suspended the app.
    pub suspended: bool,
    /// Whether clients may connect without a token.
    pub disable_auth_checks: bool,
    /// Whether Stream skips all permission checks.
    pub disable_permissions_checks: bool,
    /// The event hooks.
    #[serde(default, deserialize_with = "entries")]
    pub event_hooks: Vec<EventHook>,
}

impl Operation for GetApp {
    type Response = GetAppResponse;

    fn request(&self) -> Request {
        Request::new(Method::GET, &["app"])
    }
}
