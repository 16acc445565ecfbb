//! The mapping of the apps' roles to Stream roles.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, Env};

/// The name of a role at Stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamRole(String);

impl StreamRole {
    /// A role with this name.
    #[must_use]
    pub fn new(name: String) -> Self {
        Self(name)
    }

    /// The role's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for StreamRole {
    /// `user`, Stream's default role.
    fn default() -> Self {
        Self("user".to_owned())
    }
}

/// The Stream role of each role of the apps.
#[derive(Clone, Debug)]
pub struct StreamRoleMap(BTreeMap<String, StreamRole>);

impl StreamRoleMap {
    /// Reads `STREAM_ROLE_MAP`, a list such as `user=user,streamer=user,admin=admin`.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        const NAME: &str = "STREAM_ROLE_MAP";
        let mut map = BTreeMap::new();
        for pair in env.get_or(NAME, "user=user,streamer=user,admin=admin").split(',') {
            let invalid = || ConfigError::invalid(NAME, "must be a list of role=stream-role");
            let (app_role, stream_role) = pair.split_once('=').ok_or_else(invalid)?;
            let (app_role, stream_role) = (app_role.trim(), stream_role.trim());
            let is_role_name = |text: &str| {
                !text.is_empty()
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
            };
            if !is_role_name(app_role) || !is_role_name(stream_role) {
                return Err(invalid());
            }
            if map.insert(app_role.to_owned(), StreamRole(stream_role.to_owned())).is_some() {
                return Err(ConfigError::invalid(NAME, "must not have duplicate roles"));
            }
        }
        Ok(Self(map))
    }

    /// The names of all Stream roles that a user can get, including the default.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        let default = StreamRole::default();
        self.0.values().chain([&default]).map(|role| role.0.clone()).collect()
    }

    /// The Stream role for the role in a token. A role that is not in the map becomes `user`, so
    /// that an unexpected role never grants permissions.
    #[must_use]
    pub fn map_role(&self, role: Option<&str>) -> StreamRole {
        role.and_then(|role| self.0.get(role)).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unmapped_role_becomes_user() {
        let roles = StreamRoleMap::from_env(&Env::default()).unwrap();
        for (app_role, stream_role) in [
            (Some("admin"), "admin"),
            (Some("streamer"), "user"),
            (Some("Admin"), "user"),
            (Some("service"), "user"),
            (None, "user"),
        ] {
            assert_eq!(
                roles.map_role(app_role),
                StreamRole(stream_role.to_owned()),
                "{app_role:?}"
            );
        }
    }

    #[test]
    fn role_names_are_the_mapped_roles_and_user() {
        for (map, names) in [
            ("user=user,streamer=user,admin=admin", vec!["admin", "user"]),
            ("boss=admin", vec!["admin", "user"]),
            ("a=host,b=host", vec!["host", "user"]),
        ] {
            let roles = StreamRoleMap::from_env(&Env::from([("STREAM_ROLE_MAP", map)])).unwrap();
            assert!(roles.names().iter().eq(names), "{map}");
        }
    }

    #[test]
    fn malformed_role_map_is_rejected() {
        for text in ["user", "a=b,", "a=b,a=c", "=b", "a=", "a=b=c", "a=b c"] {
            assert!(
                StreamRoleMap::from_env(&Env::from([("STREAM_ROLE_MAP", text)])).is_err(),
                "{text}"
            );
        }
    }
}
