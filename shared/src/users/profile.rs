//! User profiles and changes to them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::auth::StreamRole;
use crate::stream::ops::UserData;

/// The profile of a user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The URL of a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The language, as a BCP 47 tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The apps' custom data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom: Option<Map<String, Value>>,
    /// The role at Stream.
    #[serde(default)]
    pub role: StreamRole,
}

impl Profile {
    /// The profile in Stream's format.
    pub(super) fn as_user_data(&self) -> UserData<'_> {
        UserData {
            role: self.role.as_str(),
            name: self.name.as_deref(),
            image: self.image.as_deref(),
            language: self.language.as_deref(),
            custom: self.custom.as_ref(),
        }
    }
}

/// A change to a profile. Fields that are `None` stay unchanged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProfileChange {
    /// The display name.
    pub name: Option<String>,
    /// The URL of a picture.
    pub image: Option<String>,
    /// The language.
    pub language: Option<String>,
    /// The apps' custom data, replaced as a whole.
    pub custom: Option<Map<String, Value>>,
    /// The role at Stream. It comes only from the caller's token.
    pub role: Option<StreamRole>,
}

impl ProfileChange {
    /// Whether the change would alter the profile.
    #[must_use]
    pub fn changes(&self, profile: &Profile) -> bool {
        fn differs<T: PartialEq>(change: Option<&T>, current: Option<&T>) -> bool {
            change.is_some() && change != current
        }
        differs(self.name.as_ref(), profile.name.as_ref())
            || differs(self.image.as_ref(), profile.image.as_ref())
            || differs(self.language.as_ref(), profile.language.as_ref())
            || differs(self.custom.as_ref(), profile.custom.as_ref())
            || differs(self.role.as_ref(), Some(&profile.role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_values_change_a_profile() {
        let profile = Profile { name: Some("Alice".into()), ..Profile::default() };
        let name = |name: &str| ProfileChange { name: Some(name.into()), ..Default::default() };
        let role = |role: &str| ProfileChange {
            role: serde_json::from_value(role.into()).unwrap(),
            ..Default::default()
        };
        let image = ProfileChange { image: Some("https://x/y.png".into()), ..Default::default() };
        for (change, is_changed) in [
            (ProfileChange::default(), false),
            (name("Alice"), false),
            (name("Alicia"), true),
            (image, true),
            (role("user"), false),
            (role("admin"), true),
        ] {
            assert_eq!(change.changes(&profile), is_changed, "{change:?}");
        }
    }
}
