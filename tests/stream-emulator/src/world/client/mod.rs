//! The operations of user tokens. Each checks what the token permits, and then performs the same
//! operation as for a server token.
//!
//! Where the documentation does not name the permissions of an operation, they are assumed. A
//! missing object is reported before a missing permission.

mod calls;
mod channel_state;
mod channels;
mod devices;
mod messages;
mod users;

use super::World;
use super::permissions::TokenUser;
use crate::timestamp::Timestamp;

/// A client that uses the token of a user.
pub(crate) struct Client<'a> {
    world: &'a mut World,
    user: &'a TokenUser,
    now: Timestamp,
}

impl World {
    pub(crate) fn client<'a>(&'a mut self, user: &'a TokenUser, now: Timestamp) -> Client<'a> {
        Client { world: self, user, now }
    }
}
