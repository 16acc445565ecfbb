//! `DELETE /api/v2/devices`: removes a push device of a user.

use http::Method;

use crate::ids::UserId;
use crate::stream::ops::DoneResponse;
use crate::stream::{Operation, Request};

/// Removes the device, which gets no further notifications and rings of the user. An app that signs
/// in registers its device again.
#[derive(Debug)]
pub struct DeleteDevice<'a> {
    /// The user of the device.
    pub user: &'a UserId,
    /// The id of the device.
    pub id: &'a str,
}

impl Operation for DeleteDevice<'_> {
    type Response = DoneResponse;

    fn request(&self) -> Request {
        Request::new(Method::DELETE, &["devices"])
            .query("id", self.id)
            .query("user_id", self.user.as_str())
    }
}
