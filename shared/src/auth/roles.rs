//! The apps' roles, mapped to the roles that Stream knows.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, Env};

/// A role as Stream knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamRole(String);

impl StreamRole {
    /// The role's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for StreamRole {
    /// The role that Stream gives whom nothing else is said of.
    fn default() -> Self {
        Self("user".to_owned())
    }
}

/// Which Stream role goes with which role of the apps (`STREAM_ROLE_MAP`).
#[derive(Clone, Debug)]
pub struct StreamRoles(BTreeMap<String, StreamRole>);

impl StreamRoles {
    /// Reads `STREAM_ROLE_MAP`, a list such as `user=user,streamer=user,admin=admin`.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        const NAME: &str = "STREAM_ROLE_MAP";
        let mut map = BTreeMap::new();
        for pair in env.get_or(NAME, "user=user,streamer=user,admin=admin").split(',') {
            let refused = || ConfigError::invalid(NAME, "must be a list of role=stream-role");
            let (ours, theirs) = pair.split_once('=').ok_or_else(refused)?;
            let (ours, theirs) = (ours.trim(), theirs.trim());
            let known = |text: &str| {
                !text.is_empty()
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
            };
            if !known(ours) || !known(theirs) {
                return Err(refused());
            }
            if map.insert(ours.to_owned(), StreamRole(theirs.to_owned())).is_some() {
                return Err(ConfigError::invalid(NAME, "names a role twice"));
            }
        }
        Ok(Self(map))
    }

    /// The names of all Stream roles that somebody may get.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        let default = StreamRole::default();
        self.0.values().chain([&default]).map(|role| role.0.clone()).collect()
    }

    /// The Stream role of somebody whose token gives this role. Whatever is not in the map is
    /// Stream's `user`, so that nobody is raised by a word that nobody meant.
    #[must_use]
    pub fn of(&self, role: Option<&str>) -> StreamRole {
        role.and_then(|role| self.0.get(role)).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_map_does_not_name_is_a_user() {
        let roles = StreamRoles::from_env(&Env::default()).unwrap();
        for (ours, theirs) in [
            (Some("admin"), "admin"),
            (Some("streamer"), "user"),
            (Some("Admin"), "user"),
            (Some("service"), "user"),
            (None, "user"),
        ] {
            assert_eq!(roles.of(ours), StreamRole(theirs.to_owned()), "{ours:?}");
        }
    }

    #[test]
    fn the_names_are_those_of_the_map_and_user() {
        for (map, names) in [
            ("user=user,streamer=user,admin=admin", vec!["admin", "user"]),
            ("boss=admin", vec!["admin", "user"]),
            ("a=host,b=host", vec!["host", "user"]),
        ] {
            let roles = StreamRoles::from_env(&Env::from([("STREAM_ROLE_MAP", map)])).unwrap();
            assert!(roles.names().iter().eq(names), "{map}");
        }
    }

    #[test]
    fn a_broken_map_is_refused() {
        for text in ["user", "a=b,", "a=b,a=c", "=b", "a=", "a=b=c", "a=b c"] {
            assert!(
                StreamRoles::from_env(&Env::from([("STREAM_ROLE_MAP", text)])).is_err(),
                "{text}"
            );
        }
    }
}
