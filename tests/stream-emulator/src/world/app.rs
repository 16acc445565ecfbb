//! The app object: switches that a deployment should check, among secrets
//! that must never leave it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Reply, World, compact, joined};
use crate::error::StreamFailure;
use crate::moment::Moment;

/// Stands in every secret field of the app object, so that a test can prove that none of them
/// reaches a log or an answer.
pub const APP_OBJECT_SECRET: &str = "emulated-app-secret-that-must-never-leak";

/// The app's switches.
#[derive(Debug, Default, Serialize)]
pub(crate) struct App {
    pub(crate) suspended: bool,
    pub(crate) disable_auth_checks: bool,
    pub(crate) event_hooks: Vec<Value>,
    /// Whether webhooks are compressed.
    pub(crate) hook_compression: bool,
    pub(crate) revoke_tokens_issued_before: Option<Moment>,
}

/// A change to the app, of which only webhooks matter here.
#[derive(Debug, Deserialize)]
pub(crate) struct UpdateApp {
    event_hooks: Option<Vec<Value>>,
    enable_hook_payload_compression: Option<bool>,
}

impl World {
    /// What is named is replaced as a whole: a hook that is not in the new list is gone.
    pub(crate) fn update_app(&mut self, ask: UpdateApp) -> Reply {
        if let Some(hooks) = ask.event_hooks {
            self.app.event_hooks = hooks;
        }
        if let Some(compressed) = ask.enable_hook_payload_compression {
            self.app.hook_compression = compressed;
        }
        Ok(json!({}))
    }
}

impl App {
    pub(crate) fn not_suspended(&self) -> Result<(), StreamFailure> {
        if self.suspended {
            return Err(StreamFailure::new(403, 99, "this app is suspended"));
        }
        Ok(())
    }

    pub(crate) fn response(&self) -> Value {
        let app = [self.state(), secrets(), features(), configuration()];
        json!({ "app": app.into_iter().fold(json!({}), joined) })
    }

    fn state(&self) -> Value {
        compact(json!({
            "id": 1,
            "name": "emulated",
            "organization": "emulated",
            "placement": "",
            "permission_version": "v2",
            "suspended": self.suspended,
            "suspended_explanation": "",
            "disable_auth_checks": self.disable_auth_checks,
            "disable_permissions_checks": false,
            "event_hooks": self.event_hooks,
            "webhook_url": "",
            "webhook_events": [],
            "revoke_tokens_issued_before": self.revoke_tokens_issued_before,
        }))
    }
}

fn secrets() -> Value {
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

fn features() -> Value {
    json!({
        "allow_multi_user_devices": false,
        "async_url_enrich_enabled": false,
        "auto_translation_enabled": false,
        "campaign_enabled": false,
        "enforce_unique_usernames": "no",
        "feed_audit_logs_enabled": false,
        "guest_user_creation_disabled": true,
        "image_moderation_enabled": false,
        "member_custom_on_messages_enabled": false,
        "moderation_audio_call_moderation_enabled": false,
        "moderation_enabled": false,
        "moderation_llm_configurability_enabled": false,
        "moderation_multitenant_blocklist_enabled": false,
        "moderation_video_call_moderation_enabled": false,
        "multi_tenant_enabled": false,
        "use_hook_v2": true,
        "user_response_time_enabled": false,
    })
}

fn configuration() -> Value {
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
        "call_types": {},
        "channel_configs": {},
        "file_upload_config": uploads,
        "image_upload_config": uploads,
        "grants": {},
        "policies": {},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_object_holds_secrets_and_switches() {
        let app = App { suspended: true, ..App::default() }.response();
        assert_eq!(app["app"]["suspended"], json!(true));
        assert_eq!(app["app"]["sqs_secret"], json!(APP_OBJECT_SECRET));
        assert_eq!(app["app"]["push_notifications"]["apn"]["auth_key"], json!(APP_OBJECT_SECRET));
        assert_eq!(app["app"].get("revoke_tokens_issued_before"), None);
    }

    #[test]
    fn an_update_replaces_what_it_names() {
        let mut world = World::default();
        let mut update = |ask: Value| {
            let ask = serde_json::from_value(ask).expect("a request");
            world.update_app(ask).expect("updated");
            (world.app.event_hooks.len(), world.app.hook_compression)
        };
        assert_eq!(update(json!({ "event_hooks": [{ "id": "a" }, { "id": "b" }] })), (2, false));
        assert_eq!(update(json!({ "enable_hook_payload_compression": true })), (2, true));
        assert_eq!(update(json!({ "event_hooks": [], "name": "unheard of" })), (0, true));
        assert_eq!(world.app().response()["app"]["event_hooks"], json!([]));
    }
}
