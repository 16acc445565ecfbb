//! The settings of calls. They are always complete, since video clients require every part. The
//! `settings_override` of a request is merged into those of the call type.

use serde_json::{Value, json};

use super::validation::require;
use crate::error::StreamError;

/// The settings of a call type without overrides.
pub(super) fn default_settings() -> Value {
    let layout = json!({ "external_app_url": "", "external_css_url": "", "name": "spotlight" });
    json!({
        "audio": {
            "access_request_enabled": true,
            "default_device": "speaker",
            "hifi_audio_enabled": false,
            "mic_default_on": true,
            "noise_cancellation": { "mode": "available" },
            "opus_dtx_enabled": true,
            "redundant_coding_enabled": true,
            "speaker_default_on": true,
        },
        "backstage": { "enabled": false },
        "broadcasting": {
            "enabled": false,
            "hls": {
                "auto_on": false,
                "enabled": false,
                "layout": layout,
                "quality_tracks": ["720p"],
            },
            "rtmp": { "enabled": false, "layout": layout, "quality": "720p" },
        },
        "encryption": { "mode": "disabled" },
        "frame_recording": { "capture_interval_in_seconds": 5, "mode": "disabled" },
        "geofencing": { "names": [] },
        "individual_recording": { "mode": "disabled", "output_types": [] },
        "limits": { "max_participants_exclude_roles": [] },
        "raw_recording": { "mode": "disabled" },
        "recording": {
            "audio_only": false,
            "layout": layout,
            "mode": "available",
            "quality": "720p",
        },
        "ring": {
            "auto_cancel_timeout_ms": 15_000,
            "incoming_call_timeout_ms": 15_000,
            "missed_call_timeout_ms": 15_000,
        },
        "screensharing": { "access_request_enabled": true, "enabled": true },
        "session": { "inactivity_timeout_seconds": 30 },
        "thumbnails": { "enabled": true },
        "transcription": {
            "closed_caption_mode": "available",
            "language": "auto",
            "mode": "available",
        },
        "video": {
            "access_request_enabled": true,
            "camera_default_on": true,
            "camera_facing": "front",
            "enabled": true,
            "target_resolution": { "bitrate": 1_500_000, "height": 720, "width": 1_280 },
        },
    })
}

/// Settings with an override merged in, member by member.
pub(super) fn apply_override(settings: &Value, overrides: &Value) -> Result<Value, StreamError> {
    require(overrides.is_null() || overrides.is_object(), "settings_override must be an object")?;
    let inactivity = &overrides["session"]["inactivity_timeout_seconds"];
    require(
        inactivity.is_null()
            || inactivity.as_u64().is_some_and(|seconds| (5..=900).contains(&seconds)),
        "session.inactivity_timeout_seconds must be from 5 to 900",
    )?;
    let duration = &overrides["limits"]["max_duration_seconds"];
    require(
        duration.is_null() || duration.is_u64(),
        "limits.max_duration_seconds must be a whole number of seconds",
    )?;
    let mut settings = settings.clone();
    merge_override(&mut settings, overrides);
    Ok(settings)
}

/// Null overrides nothing, since SDKs write unset members as null.
fn merge_override(base: &mut Value, overrides: &Value) {
    match (base, overrides) {
        (_, Value::Null) => {}
        (Value::Object(base), Value::Object(overrides)) => {
            for (key, value) in overrides {
                merge_override(base.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (base, overrides) => *base = overrides.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn override_changes_only_the_given_settings() {
        let overrides = json!({
            "limits": { "max_duration_seconds": 3_600, "max_participants": null },
            "video": { "enabled": false },
        });
        let settings = apply_override(&default_settings(), &overrides).expect("settings");
        assert_eq!(settings["limits"]["max_duration_seconds"], json!(3_600));
        assert_eq!(settings["limits"]["max_participants_exclude_roles"], json!([]));
        assert_eq!(settings["video"]["enabled"], json!(false));
        assert_eq!(settings["video"]["target_resolution"]["height"], json!(720));
        assert_eq!(settings["audio"], default_settings()["audio"]);
    }

    #[test]
    fn inactivity_timeout_outside_5_to_900_is_rejected() {
        for (seconds, is_valid) in [(4, false), (5, true), (900, true), (901, false)] {
            let overrides = json!({ "session": { "inactivity_timeout_seconds": seconds } });
            assert_eq!(
                apply_override(&default_settings(), &overrides).is_ok(),
                is_valid,
                "{seconds}"
            );
        }
    }
}
