//! `GET /api/v2/app`: reads all settings of the app, for the setup tool.

use http::Method;
use serde_json::value::RawValue;

use crate::stream::{Operation, Request};

/// Reads the unparsed app. The list of event hooks can only be replaced as a whole, so the setup
/// tool has to preserve unknown fields. The response contains push and queue secrets. Functions use
/// [`GetApp`](crate::stream::ops::GetApp) instead.
#[derive(Debug)]
pub struct GetAppSettings;

impl Operation for GetAppSettings {
    type Response = Box<RawValue>;

    fn request(&self) -> Request {
        Request::new(Method::GET, &["app"])
    }
}
