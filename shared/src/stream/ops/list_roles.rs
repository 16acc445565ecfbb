//! `GET /api/v2/roles`: reads the roles of the app.

use http::Method;
use serde::Deserialize;

use crate::stream::lenient::entries;
use crate::stream::{Operation, Request};

/// Reads the roles of the app, including Stream's built-in ones.
#[derive(Debug)]
pub struct ListRoles;

/// The response.
#[derive(Clone, Debug, Deserialize)]
pub struct ListRolesResponse {
    /// The roles.
    #[serde(deserialize_with = "entries")]
    pub roles: Vec<Role>,
}

/// A role.
#[derive(Clone, Debug, Deserialize)]
pub struct Role {
    /// The name.
    pub name: String,
}

impl Operation for ListRoles {
    type Response = ListRolesResponse;

    fn request(&self) -> Request {
        Request::new(Method::GET, &["roles"])
    }
}
