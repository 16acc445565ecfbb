//! What a user token permits: the grants of the user's role in the app and of the roles in the
//! object, and more for the creator of the object. A server token permits everything.

use std::borrow::Cow;

use super::World;
use super::call::DEFAULT_MEMBER_ROLE;
use super::cid::Cid;
use super::grants::{CAPABILITIES, CHANNEL_CAPABILITIES, Grants, Permission};
use super::validation::ensure;
use crate::error::StreamError;

/// The user of a token.
#[derive(Debug)]
pub(crate) struct TokenUser {
    pub(super) id: String,
    call_role: Option<String>,
    call_cids: Vec<Cid>,
}

impl TokenUser {
    /// `call_cids` are the calls of which the token makes its user a member, with the role
    /// `call_role`. A cid that is not valid is ignored.
    pub(crate) fn new(id: String, call_role: Option<String>, call_cids: &[String]) -> Self {
        let call_cids = call_cids.iter().filter_map(|cid| cid.parse().ok()).collect();
        Self { id, call_role, call_cids }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The role that the token gives its user in a call.
    fn role_in_call(&self, cid: &Cid) -> Option<&str> {
        let role = self.call_role.as_deref().unwrap_or(DEFAULT_MEMBER_ROLE);
        self.call_cids.contains(cid).then_some(role)
    }
}

/// The rights of a user in one call or channel.
pub(super) struct Access<'a> {
    user_id: &'a str,
    /// The role in the app, then other roles in the object.
    roles: Vec<&'a str>,
    /// Whether the user created the object.
    is_owner: bool,
    grants: Cow<'a, Grants>,
    scope: String,
    /// Whether the app has `disable_permissions_checks`.
    is_unrestricted: bool,
}

impl Access<'_> {
    pub(super) fn permits(&self, permission: Permission) -> bool {
        self.is_unrestricted || self.grants.permit(&self.roles, permission, self.is_owner)
    }

    pub(super) fn check(&self, permission: Permission) -> Result<(), StreamError> {
        ensure(self.permits(permission), || {
            StreamError::forbidden(format!(
                "User '{}' with {} is not allowed to perform action {} in scope '{}'",
                self.user_id,
                self.role_names(),
                permission.action(),
                self.scope
            ))
        })
    }

    /// The capabilities that the client of a call gets.
    pub(super) fn capabilities(&self) -> Vec<&'static str> {
        let permitted = CAPABILITIES.iter().filter(|(permission, _)| self.permits(*permission));
        permitted.map(|(_, capability)| *capability).collect()
    }

    /// The capabilities that the client of a channel gets.
    pub(super) fn channel_capabilities(&self) -> Vec<&'static str> {
        let permitted =
            CHANNEL_CAPABILITIES.iter().filter(|(permission, _)| self.permits(*permission));
        permitted.map(|(_, capability)| *capability).collect()
    }

    fn role_names(&self) -> String {
        match self.roles.as_slice() {
            [role] => format!("role '{role}'"),
            roles => format!("roles ['{}']", roles.join("', '")),
        }
    }
}

impl World {
    /// The rights of a user in a call, or in one that the user would create.
    pub(super) fn call_access<'a>(
        &'a self,
        user: &'a TokenUser,
        cid: &Cid,
    ) -> Result<Access<'a>, StreamError> {
        let call = self.calls.get(cid);
        let member_role = call.and_then(|call| call.member_role(&user.id));
        let call_roles = member_role.into_iter().chain(user.role_in_call(cid));
        Ok(Access {
            user_id: &user.id,
            roles: self.roles(user, call_roles)?,
            is_owner: call.is_none_or(|call| call.created_by == user.id),
            grants: Cow::Borrowed(&self.find_call_type(&cid.kind)?.grants),
            scope: format!("video:{}", cid.kind),
            is_unrestricted: self.app.disable_permissions_checks,
        })
    }

    /// The rights of a user in a channel, or in one that the user would create.
    pub(super) fn channel_access<'a>(
        &'a self,
        user: &'a TokenUser,
        cid: &Cid,
    ) -> Result<Access<'a>, StreamError> {
        let channel = self.channels.get(cid);
        let member_role = channel.and_then(|channel| channel.member_role(&user.id));
        Ok(Access {
            user_id: &user.id,
            roles: self.roles(user, member_role)?,
            is_owner: channel.is_none_or(|channel| channel.created_by == user.id),
            grants: Cow::Owned(Grants::channels()),
            scope: cid.kind.clone(),
            is_unrestricted: self.app.disable_permissions_checks,
        })
    }

    /// The rights of a user in a message, whose owner is its sender.
    pub(super) fn message_access<'a>(
        &'a self,
        user: &'a TokenUser,
        message_id: &str,
    ) -> Result<Access<'a>, StreamError> {
        let (channel, message) = self.find_message(message_id)?;
        let is_owner = message.user_id == user.id;
        Ok(Access { is_owner, ..self.channel_access(user, &channel.cid)? })
    }

    /// The rights of a user in channels that the user neither created nor is a member of.
    pub(super) fn other_channels_access<'a>(
        &'a self,
        user: &'a TokenUser,
    ) -> Result<Access<'a>, StreamError> {
        Ok(Access {
            user_id: &user.id,
            roles: self.roles(user, None)?,
            is_owner: false,
            grants: Cow::Owned(Grants::channels()),
            scope: "messaging".to_owned(),
            is_unrestricted: self.app.disable_permissions_checks,
        })
    }

    fn roles<'a>(
        &'a self,
        user: &TokenUser,
        object_roles: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<&'a str>, StreamError> {
        let mut roles = vec![self.find_user(&user.id)?.role.as_str()];
        for role in object_roles {
            if !roles.contains(&role) {
                roles.push(role);
            }
        }
        Ok(roles)
    }
}
