//! User profiles and changes to them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::auth::StreamRole;
use crate::stream::ops::{StreamUser, UserData};
use crate::users::patch::{FieldPatch, merge_objects};

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

/// A change to a profile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProfileChange {
    /// The display name.
    pub name: FieldPatch<String>,
    /// The URL of a picture.
    pub image: FieldPatch<String>,
    /// The language.
    pub language: FieldPatch<String>,
    /// A merge patch for the apps' custom data.
    pub custom: FieldPatch<Map<String, Value>>,
    /// The role at Stream, or `None` to keep it. It comes only from the caller's token.
    pub role: Option<StreamRole>,
}

impl ProfileChange {
    /// Whether the change would alter the profile.
    #[must_use]
    pub fn changes(&self, profile: &Profile) -> bool {
        fn differs(patch: &FieldPatch<String>, current: Option<&String>) -> bool {
            patch.as_ref().apply(current) != current
        }
        differs(&self.name, profile.name.as_ref())
            || differs(&self.image, profile.image.as_ref())
            || differs(&self.language, profile.language.as_ref())
            || (self.custom != FieldPatch::Keep
                && self.merge_custom(profile.custom.clone()) != profile.custom)
            || self.role.as_ref().is_some_and(|role| *role != profile.role)
    }

    /// The custom data after the change.
    #[must_use]
    pub fn merge_custom(&self, current: Option<Map<String, Value>>) -> Option<Map<String, Value>> {
        match &self.custom {
            FieldPatch::Keep => current,
            FieldPatch::Remove => None,
            FieldPatch::Set(patch) => {
                let mut merged = current.unwrap_or_default();
                merge_objects(&mut merged, patch.clone());
                Some(merged).filter(|custom| !custom.is_empty())
            }
        }
    }

    /// The fields of a user at Stream that this change, the first one, does not remove.
    pub(super) fn import(&self, user: StreamUser) -> Self {
        let imported = |patch: &FieldPatch<String>, value: Option<String>| {
            if *patch == FieldPatch::Remove { FieldPatch::Keep } else { value.into() }
        };
        let custom = self.merge_custom(Some(user.custom)).filter(|custom| !custom.is_empty());
        Self {
            name: imported(&self.name, user.name),
            image: imported(&self.image, user.image),
            language: imported(&self.language, Some(user.language).filter(|text| !text.is_empty())),
            custom: custom.into(),
            role: Some(user.role.map_or_else(StreamRole::default, StreamRole::new)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn custom(patch: Value) -> ProfileChange {
        let patch = serde_json::from_value(patch).unwrap();
        ProfileChange { custom: patch, ..ProfileChange::default() }
    }

    #[test]
    fn only_new_values_change_a_profile() {
        let profile = Profile {
            name: Some("Alice".into()),
            custom: Some(object(&json!({"plan": "pro"}))),
            ..Profile::default()
        };
        let name = |name: FieldPatch<String>| ProfileChange { name, ..ProfileChange::default() };
        let image = |image| ProfileChange { image, ..ProfileChange::default() };
        let role = |role: &str| ProfileChange {
            role: serde_json::from_value(role.into()).unwrap(),
            ..Default::default()
        };
        for (change, is_changed) in [
            (ProfileChange::default(), false),
            (name(FieldPatch::Set("Alice".into())), false),
            (name(FieldPatch::Set("Alicia".into())), true),
            (name(FieldPatch::Remove), true),
            (image(FieldPatch::Set("https://x/y.png".into())), true),
            (image(FieldPatch::Remove), false),
            (custom(json!({"plan": "pro"})), false),
            (custom(json!({"plan": null})), true),
            (custom(json!({"other": null})), false),
            (custom(json!({"n": 1})), true),
            (custom(json!(null)), true),
            (role("user"), false),
            (role("admin"), true),
        ] {
            assert_eq!(change.changes(&profile), is_changed, "{change:?}");
        }
    }

    #[test]
    fn import_keeps_what_the_first_change_removes_or_merges() {
        let user = StreamUser {
            name: Some("Old".into()),
            image: Some("https://x/old.png".into()),
            custom: object(&json!({"plan": "pro", "n": 1})),
            ..StreamUser::default()
        };
        let change =
            ProfileChange { image: FieldPatch::Remove, ..custom(json!({"plan": null, "m": 2})) };
        let imported = change.import(user);
        assert_eq!(imported.name, FieldPatch::Set("Old".into()));
        assert_eq!(imported.image, FieldPatch::Keep);
        assert_eq!(imported.custom, FieldPatch::Set(object(&json!({"n": 1, "m": 2}))));
    }
}
