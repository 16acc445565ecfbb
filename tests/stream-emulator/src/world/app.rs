//! The app object: the settings that a deployment checks, and secrets that it must never expose.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::channel_config::channel_config;
use super::validation::{ROLES, require};
use super::{ApiResult, World, merge, strip_nulls};
use crate::error::StreamError;
use crate::timestamp::Timestamp;

/// The value of every secret field of the app object. Tests check that it reaches no log and no
/// response.
pub const APP_OBJECT_SECRET: &str = "emulated-app-secret-that-must-never-leak";

/// The app's settings.
#[derive(Debug, Default, Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "Stream's app object has these flags")]
pub(crate) struct App {
    pub(crate) suspended: bool,
    pub(crate) disable_auth_checks: bool,
    pub(crate) disable_permissions_checks: bool,
    pub(crate) event_hooks: Vec<Value>,
    /// `enable_hook_payload_compression`.
    pub(crate) hook_compression: bool,
    pub(crate) revoke_tokens_issued_before: Option<Timestamp>,
}

/// A change to the app. An unknown field fails the request, so that no change is lost silently.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateApp {
    event_hooks: Option<Vec<Value>>,
    enable_hook_payload_compression: Option<bool>,
    disable_auth_checks: Option<bool>,
    disable_permissions_checks: Option<bool>,
    #[serde(default)]
    revoke_tokens_issued_before: Revocation,
}

/// A change to the instant before which tokens are revoked.
#[derive(Debug, Default)]
enum Revocation {
    /// The field is absent.
    #[default]
    Unchanged,
    /// The field is null.
    Undone,
    Before(Timestamp),
}

impl<'de> Deserialize<'de> for Revocation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(Self::Undone);
        };
        let instant = Timestamp::parse(&text);
        instant
            .map(Self::Before)
            .ok_or_else(|| D::Error::custom("revoke_tokens_issued_before is not an RFC 3339 time"))
    }
}

impl World {
    pub(crate) fn get_app(&self) -> Value {
        let mut response = self.app.response();
        response["app"]["call_types"] = self.call_types.app_response();
        response
    }

    /// The part of the app that a client gets: neither hooks nor secrets.
    pub(crate) fn get_app_for_client(&self) -> Value {
        const FIELDS: [&str; 5] = [
            "name",
            "file_upload_config",
            "image_upload_config",
            "async_url_enrich_enabled",
            "auto_translation_enabled",
        ];
        let app = &self.app.response()["app"];
        let fields = FIELDS.map(|field| (field.to_owned(), app[field].clone()));
        json!({ "app": Value::Object(fields.into_iter().collect()) })
    }

    /// Replaces each given field as a whole: a hook that is not in the new list is removed.
    pub(crate) fn update_app(&mut self, request: UpdateApp, now: Timestamp) -> ApiResult {
        if let Some(hooks) = request.event_hooks {
            let hooks = hooks.into_iter().map(|hook| self.normalize_hook(hook, now));
            self.app.event_hooks = hooks.collect::<Result<_, _>>()?;
        }
        if let Some(compressed) = request.enable_hook_payload_compression {
            self.app.hook_compression = compressed;
        }
        if let Some(disabled) = request.disable_auth_checks {
            self.app.disable_auth_checks = disabled;
        }
        if let Some(disabled) = request.disable_permissions_checks {
            self.app.disable_permissions_checks = disabled;
        }
        match request.revoke_tokens_issued_before {
            Revocation::Unchanged => {}
            Revocation::Undone => self.app.revoke_tokens_issued_before = None,
            Revocation::Before(at) => self.app.revoke_tokens_issued_before = Some(at),
        }
        Ok(json!({}))
    }

    /// A hook as it is stored. A hook with the id of an existing hook keeps its `created_at`. Times
    /// in the request must be RFC 3339, but Stream sets its own.
    fn normalize_hook(&mut self, mut hook: Value, now: Timestamp) -> Result<Value, StreamError> {
        require(hook.is_object(), "event_hooks must hold objects")?;
        for name in ["created_at", "updated_at"] {
            let time = &hook[name];
            let is_valid = time.is_null() || time.as_str().and_then(Timestamp::parse).is_some();
            require(is_valid, "a time of event_hooks is not RFC 3339")?;
        }
        let has_same_id =
            |existing: &&Value| hook["id"].is_string() && existing["id"] == hook["id"];
        let existing = self.app.event_hooks.iter().find(has_same_id);
        let created_at = existing.map(|hook| hook["created_at"].clone());
        if !hook["id"].is_string() {
            hook["id"] = json!(self.next_id("hook"));
        }
        hook["created_at"] = created_at.filter(Value::is_number).unwrap_or_else(|| json!(now));
        hook["updated_at"] = json!(now);
        Ok(hook)
    }
}

/// The built-in roles.
pub(crate) fn list_roles() -> Value {
    let role = |name: &str| {
        json!({
            "name": name,
            "custom": false,
            "scopes": [".app"],
            "created_at": DEFAULTS_CREATED_AT,
            "updated_at": DEFAULTS_CREATED_AT,
        })
    };
    json!({ "roles": ROLES.map(role) })
}

/// The `created_at` of built-in roles, call types and channel types.
pub(super) const DEFAULTS_CREATED_AT: Timestamp = Timestamp::from_nanos(1_577_836_800_000_000_000);

impl App {
    pub(crate) fn ensure_not_suspended(&self) -> Result<(), StreamError> {
        if self.suspended {
            return Err(StreamError::new(403, 99, "this app is suspended"));
        }
        Ok(())
    }

    /// The app without its call types.
    fn response(&self) -> Value {
        let app = [self.state_fields(), secret_fields(), feature_fields(), config_fields()];
        json!({ "app": app.into_iter().fold(json!({}), merge) })
    }

    fn state_fields(&self) -> Value {
        strip_nulls(json!({
            "id": 1,
            "name": "emulated",
            "organization": "emulated",
            "placement": "",
            "permission_version": "v2",
            "suspended": self.suspended,
            "suspended_explanation": "",
            "disable_auth_checks": self.disable_auth_checks,
            "disable_permissions_checks": self.disable_permissions_checks,
            "event_hooks": self.event_hooks,
            "webhook_url": "",
            "webhook_events": [],
            "revoke_tokens_issued_before": self.revoke_tokens_issued_before,
        }))
    }
}

fn secret_fields() -> Value {
    json!({
        "sns_key": APP_OBJECT_SECRET,
        "sns_secret": APP_OBJECT_SECRET,
        "sns_topic_arn": APP_OBJECT_SECRET,
        "sqs_key": APP_OBJECT_SECRET,
        "sqs_secret": APP_OBJECT_SECRET,
        "sqs_url": APP_OBJECT_SECRET,
        "push_notifications": {
            "version": "v2",
            "offline_only": false,
            "apn": { "enabled": true, "development": false, "auth_key": APP_OBJECT_SECRET },
            "firebase": { "enabled": true, "credentials_json": APP_OBJECT_SECRET },
            "huawei": { "enabled": false },
            "xiaomi": { "enabled": false },
        },
    })
}

fn feature_fields() -> Value {
    json!({
        "allow_multi_user_devices": false,
        "async_url_enrich_enabled": false,
        "auto_translation_enabled": false,
        "campaign_enabled": false,
        "enforce_unique_usernames": "no",
        "feed_audit_logs_enabled": false,
        "guest_user_creation_disabled": true,
        "image_moderation_enabled": false,
        "member_custom_on_mentioned_users_enabled": false,
        "member_custom_on_messages_enabled": false,
        "member_custom_on_typing_events_enabled": false,
        "moderation_audio_call_moderation_enabled": false,
        "moderation_enabled": false,
        "moderation_keyframe_video_enabled": false,
        "moderation_llm_configurability_enabled": false,
        "moderation_multitenant_blocklist_enabled": false,
        "moderation_video_call_moderation_enabled": false,
        "multi_tenant_enabled": false,
        "use_hook_v2": true,
        "user_response_time_enabled": false,
    })
}

fn config_fields() -> Value {
    let uploads = json!({
        "size_limit": 0,
        "allowed_file_extensions": [],
        "allowed_mime_types": [],
        "blocked_file_extensions": [],
        "blocked_mime_types": [],
    });
    json!({
        "cdn_expiration_seconds": 0,
        "custom_action_handler_url": "",
        "max_aggregated_activities_length": 0,
        "moderation_webhook_url": "",
        "reminders_interval": 0,
        "user_search_disallowed_roles": [],
        "channel_configs": { "messaging": channel_config("messaging", DEFAULTS_CREATED_AT) },
        "file_upload_config": uploads,
        "image_upload_config": uploads,
        "grants": {},
        "policies": {},
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::at;
    use super::*;

    #[test]
    fn app_response_has_secrets_and_settings() {
        let app = App { suspended: true, ..App::default() }.response();
        assert_eq!(app["app"]["suspended"], json!(true));
        assert_eq!(app["app"]["sqs_secret"], json!(APP_OBJECT_SECRET));
        assert_eq!(app["app"]["push_notifications"]["apn"]["auth_key"], json!(APP_OBJECT_SECRET));
        assert_eq!(app["app"].get("revoke_tokens_issued_before"), None);
    }

    #[test]
    fn app_response_has_the_call_types_without_grants() {
        let app = World::default().get_app();
        let call_type = &app["app"]["call_types"]["default"];
        assert_eq!(call_type["settings"]["backstage"]["enabled"], json!(false));
        assert_eq!(call_type["notification_settings"]["enabled"], json!(true));
        assert_eq!(call_type.get("grants"), None);
        let livestream = &app["app"]["call_types"]["livestream"];
        assert_eq!(livestream["settings"]["backstage"]["enabled"], json!(true));
    }

    #[test]
    fn update_replaces_only_the_given_fields() {
        let mut world = World::default();
        let mut update = |request: Value| {
            let request = serde_json::from_value(request).expect("a request");
            world.update_app(request, at(0)).expect("updated");
            (world.app.event_hooks.len(), world.app.hook_compression)
        };
        assert_eq!(update(json!({ "event_hooks": [{ "id": "a" }, { "id": "b" }] })), (2, false));
        assert_eq!(update(json!({ "enable_hook_payload_compression": true })), (2, true));
        assert_eq!(update(json!({ "event_hooks": [] })), (0, true));
        assert_eq!(world.app().response()["app"]["event_hooks"], json!([]));
    }

    #[test]
    fn update_applies_every_field_that_it_accepts() {
        let mut world = World::default();
        let mut update = |request: Value| {
            let request: UpdateApp =
                serde_json::from_value(request).map_err(|it| it.to_string())?;
            world.update_app(request, at(0)).map_err(|error| error.body().to_string())?;
            Ok::<_, String>((
                world.app.disable_permissions_checks,
                world.app.revoke_tokens_issued_before,
            ))
        };
        assert_eq!(update(json!({ "disable_permissions_checks": true })), Ok((true, None)));
        let revoked = json!({ "revoke_tokens_issued_before": "2026-01-01T00:00:05Z" });
        assert_eq!(update(revoked), Ok((true, Some(at(5)))));
        assert_eq!(update(json!({})), Ok((true, Some(at(5)))));
        let undo = json!({ "revoke_tokens_issued_before": null });
        assert_eq!(update(undo), Ok((true, None)));
        assert!(update(json!({ "revoke_tokens_issued_before": "soon" })).is_err());
        let error = update(json!({ "webhook_url": "x" })).expect_err("an error");
        assert!(error.contains("unknown field `webhook_url`"), "{error}");
    }

    #[test]
    fn client_gets_neither_hooks_nor_secrets() {
        let mut world = World::default();
        world.app.event_hooks = vec![json!({ "webhook_url": "http://hook" })];
        let text = world.get_app_for_client().to_string();
        assert!(!text.contains(APP_OBJECT_SECRET) && !text.contains("hook"), "{text}");
        assert!(text.contains("file_upload_config"), "{text}");
    }

    #[test]
    fn hook_update_preserves_id_and_created_at() {
        let mut world = World::default();
        let mut update = |hooks: Value, seconds: u64| {
            let request =
                serde_json::from_value(json!({ "event_hooks": hooks })).expect("a request");
            world.update_app(request, at(seconds)).map(|_| world.app.event_hooks.clone())
        };
        let first = update(json!([{ "hook_type": "sqs" }]), 0).expect("updated");
        let id = first[0]["id"].clone();
        assert!(id.is_string());
        assert_eq!(first[0]["created_at"], json!(at(0)));
        let again = json!([{ "id": id, "created_at": "2026-01-01T00:00:00Z" }, {}]);
        let second = update(again, 5).expect("updated");
        assert_eq!(second[0], json!({ "id": id, "created_at": at(0), "updated_at": at(5) }));
        assert_ne!(second[1]["id"], id);
        // A response has nanoseconds, which a request must not contain.
        assert!(update(json!([{ "created_at": at(0) }]), 6).is_err());
        assert!(update(json!(["not an object"]), 6).is_err());
    }
}
