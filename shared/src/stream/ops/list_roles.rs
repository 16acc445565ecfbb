//! `GET /api/v2/roles`: the roles that the app has.

use http::Method;
use serde::Deserialize;

use crate::stream::{Operation, Request};

/// Reads the app's roles, Stream's own among them.
#[derive(Debug)]
pub struct ListRoles;

/// What is read of it.
#[derive(Clone, Debug, Deserialize)]
pub struct ListRolesResponse {
    /// One entry a role.
    pub roles: Vec<Role>,
}

/// A role.
#[derive(Clone, Debug, Deserialize)]
pub struct Role {
    /// Its name.
    pub name: String,
}

impl Operation for ListRoles {
    type Response = ListRolesResponse;

    fn request(&self) -> Request {
        Request::new(Method::GET, &["roles"])
    }
}
