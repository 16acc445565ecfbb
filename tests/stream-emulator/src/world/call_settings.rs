//! The settings of calls and call types. They are always complete, since video clients require
//! every part. The `settings_override` of a call is merged into the settings of its type.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::validation::require;
use crate::error::StreamError;

/// The smallest and the largest timeout of a ring, in milliseconds.
const RING_TIMEOUTS: RangeInclusive<u64> = 5_000..=180_000;
const MIN_VIDEO_HEIGHT: u64 = 240;

/// The fields that a group of settings must have in an update of a call type.
const REQUIRED_FIELDS: &[(&str, &[&str])] = &[
    ("audio", &["default_device"]),
    ("frame_recording", &["mode", "capture_interval_in_seconds"]),
    ("geofencing", &["names"]),
    ("individual_recording", &["mode"]),
    ("raw_recording", &["mode"]),
    ("recording", &["mode"]),
    ("ring", &["auto_cancel_timeout_ms", "incoming_call_timeout_ms"]),
    ("session", &["inactivity_timeout_seconds"]),
];

/// The settings of the call type `default`. A new call type has them too.
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

/// The settings of the call types `audio_room` and `livestream`: their calls start in the backstage
/// and do not ring.
pub(super) fn broadcast_settings() -> Value {
    let mut settings = default_settings();
    settings["backstage"]["enabled"] = json!(true);
    settings["ring"] = json!({
        "auto_cancel_timeout_ms": 0,
        "incoming_call_timeout_ms": 0,
        "missed_call_timeout_ms": 0,
    });
    settings
}

/// Settings of a call type in which the given groups are replaced. The documentation leaves open
/// what happens to optional fields that a group omits: here they get their defaults.
pub(super) fn replace_groups(settings: &Value, groups: &Value) -> Result<Value, StreamError> {
    require(groups.is_null() || groups.is_object(), "settings must be an object")?;
    check_timeouts(groups)?;
    let defaults = default_settings();
    let mut replaced = settings.clone();
    for (name, group) in groups.as_object().into_iter().flatten() {
        // SDKs write unset groups as null.
        if !group.is_null() {
            check_group(name, group)?;
            replaced[name.as_str()] = defaults[name.as_str()].clone();
            merge_override(&mut replaced[name.as_str()], group);
        }
    }
    Ok(replaced)
}

/// Checks one group in an update of a call type.
fn check_group(name: &str, group: &Value) -> Result<(), StreamError> {
    let required = REQUIRED_FIELDS.iter().find(|(required_in, _)| *required_in == name);
    for field in required.into_iter().flat_map(|(_, fields)| *fields) {
        require(!group[*field].is_null(), &format!("settings.{name}.{field} is a required field"))?;
    }
    match name {
        "ring" => {
            for (field, timeout) in group.as_object().into_iter().flatten() {
                let is_valid = timeout.is_null()
                    || timeout.as_u64().is_some_and(|timeout| RING_TIMEOUTS.contains(&timeout));
                require(is_valid, &format!("settings.ring.{field} must be from 5000 to 180000"))?;
            }
            Ok(())
        }
        "video" => require(
            group["target_resolution"]["height"].as_u64() >= Some(MIN_VIDEO_HEIGHT),
            "settings.video.target_resolution.height must be 240 or greater",
        ),
        _ => Ok(()),
    }
}

/// Settings with an override merged in, member by member.
pub(super) fn apply_override(settings: &Value, overrides: &Value) -> Result<Value, StreamError> {
    require(overrides.is_null() || overrides.is_object(), "settings_override must be an object")?;
    check_timeouts(overrides)?;
    let mut settings = settings.clone();
    merge_override(&mut settings, overrides);
    Ok(settings)
}

/// Checks the timeouts among the given settings.
fn check_timeouts(settings: &Value) -> Result<(), StreamError> {
    let inactivity = &settings["session"]["inactivity_timeout_seconds"];
    require(
        inactivity.is_null()
            || inactivity.as_u64().is_some_and(|seconds| (5..=900).contains(&seconds)),
        "session.inactivity_timeout_seconds must be from 5 to 900",
    )?;
    let duration = &settings["limits"]["max_duration_seconds"];
    require(
        duration.is_null() || duration.is_u64(),
        "limits.max_duration_seconds must be a whole number of seconds",
    )
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

    #[test]
    fn update_of_a_type_replaces_whole_groups() {
        let first = json!({ "limits": { "max_duration_seconds": 60, "max_participants": 2 } });
        let settings = replace_groups(&default_settings(), &first).expect("settings");
        let second = json!({ "limits": { "max_duration_seconds": 90 }, "video": null });
        let settings = replace_groups(&settings, &second).expect("settings");
        assert_eq!(
            settings["limits"],
            json!({ "max_duration_seconds": 90, "max_participants_exclude_roles": [] })
        );
        assert_eq!(settings["video"], default_settings()["video"]);
    }

    #[test]
    fn update_of_a_type_requires_valid_groups() {
        let resolution = |height: u64| json!({ "target_resolution": { "height": height } });
        let ring = |auto_cancel: Value| {
            json!({
                "auto_cancel_timeout_ms": auto_cancel,
                "incoming_call_timeout_ms": 5_000,
            })
        };
        for (groups, is_valid) in [
            (json!(null), true),
            (json!([]), false),
            (json!({ "audio": { "mic_default_on": false } }), false),
            (json!({ "audio": { "default_device": "earpiece" } }), true),
            (json!({ "frame_recording": { "mode": "disabled" } }), false),
            (json!({ "ring": ring(json!(180_000)) }), true),
            (json!({ "ring": ring(json!(180_001)) }), false),
            (json!({ "ring": ring(json!(4_999)) }), false),
            (json!({ "ring": ring(json!(null)) }), false),
            (json!({ "session": { "inactivity_timeout_seconds": 901 } }), false),
            (json!({ "limits": { "max_duration_seconds": -1 } }), false),
            (json!({ "video": resolution(239) }), false),
            (json!({ "video": resolution(240) }), true),
            (json!({ "video": { "enabled": false } }), false),
        ] {
            let outcome = replace_groups(&default_settings(), &groups);
            assert_eq!(outcome.is_ok(), is_valid, "{groups}");
        }
    }
}
