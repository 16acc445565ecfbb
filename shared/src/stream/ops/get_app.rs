//! `GET /api/v2/app`: the app's settings.

use http::Method;
use serde::Deserialize;

use crate::stream::hooks::EventHook;
use crate::stream::{Operation, Request};

/// Reads the app. The whole object holds push and queue secrets, so only what is named in [`App`]
/// is ever read of it.
#[derive(Debug)]
pub struct GetApp;

/// What is read of it.
#[derive(Debug, Deserialize)]
pub struct GetAppResponse {
    /// The app itself.
    pub app: App,
}

/// The settings that a warning may hang on.
#[derive(Clone, Debug, Deserialize)]
pub struct App {
    /// Whether Stream has suspended the app.
    #[serde(default)]
    pub suspended: bool,
    /// Whether anybody may connect without a token.
    #[serde(default)]
    pub disable_auth_checks: bool,
    /// Whether anybody may do anything.
    #[serde(default)]
    pub disable_permissions_checks: bool,
    /// Where its events go.
    pub event_hooks: Option<Vec<EventHook>>,
}

impl Operation for GetApp {
    type Response = GetAppResponse;

    fn request(&self) -> Request {
        Request::new(Method::GET, &["app"])
    }
}
