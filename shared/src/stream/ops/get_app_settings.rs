//! `GET /api/v2/app`, whole: for whoever sets the app up.

use http::Method;
use serde_json::value::RawValue;

use crate::stream::{Operation, Request};

/// Reads the app with everything in it, as it came: a list of hooks can only be replaced as a
/// whole, also those parts of it that nobody here knows. It holds push and queue secrets, so no
/// function asks for it: that is what [`GetApp`](crate::stream::ops::GetApp) is for.
#[derive(Debug)]
pub struct GetAppSettings;

impl Operation for GetAppSettings {
    type Response = Box<RawValue>;

    fn request(&self) -> Request {
        Request::new(Method::GET, &["app"])
    }
}
