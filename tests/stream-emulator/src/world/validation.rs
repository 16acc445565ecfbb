//! Validation of names and sizes, with Stream's limits.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::cid::Cid;
use crate::error::StreamError;

const MAX_OBJECT_BYTES: usize = 5 * 1024;
const CHANNEL_TYPES: [&str; 6] = ["ai", "commerce", "gaming", "livestream", "messaging", "team"];
pub(super) const ROLES: [&str; 7] =
    ["admin", "anonymous", "global_admin", "global_moderator", "guest", "moderator", "user"];

/// Returns an error unless the condition holds.
pub(super) fn ensure(
    condition: bool,
    error: impl FnOnce() -> StreamError,
) -> Result<(), StreamError> {
    if condition { Ok(()) } else { Err(error()) }
}

/// Returns an input error unless the condition holds.
pub(super) fn require(condition: bool, reason: &str) -> Result<(), StreamError> {
    ensure(condition, || StreamError::invalid_input(reason))
}

pub(super) fn check_max(name: &str, count: usize, max: usize) -> Result<(), StreamError> {
    ensure(count <= max, || {
        StreamError::invalid_input(format!("{name}: at most {max} are allowed, not {count}"))
    })
}

pub(super) fn check_count(name: &str, count: usize, max: usize) -> Result<(), StreamError> {
    ensure(count > 0, || StreamError::invalid_input(format!("{name} is a required field")))?;
    check_max(name, count, max)
}

/// The value of one field of a patch.
pub(super) fn parse_field<T: DeserializeOwned>(key: &str, value: Value) -> Result<T, StreamError> {
    serde_json::from_value(value).map_err(|_| {
        StreamError::invalid_input(format!("field {key:?} has a value that is not valid"))
    })
}

/// Checks the size limit of users and custom data.
pub(super) fn check_size(name: &str, object: &impl Serialize) -> Result<(), StreamError> {
    let bytes = serde_json::to_vec(object).map_or(usize::MAX, |json| json.len());
    ensure(bytes < MAX_OBJECT_BYTES, || {
        StreamError::invalid_input(format!("{name} is too big: {bytes} bytes, must be under 5KB"))
    })
}

pub(super) fn check_user_id(id: &str) -> Result<(), StreamError> {
    let has_valid_bytes = id.bytes().all(|byte| byte == b'@' || is_id_byte(byte));
    ensure(has_valid_bytes && (1..=255).contains(&id.len()), || {
        StreamError::invalid_input(format!(
            "user id {id:?} is not valid: a-z, 0-9, @, _ and - only"
        ))
    })
}

pub(super) fn check_role(role: &str) -> Result<(), StreamError> {
    ensure(ROLES.contains(&role), || {
        StreamError::invalid_input(format!("role {role:?} does not exist in this app"))
    })
}

pub(super) fn check_channel_type(kind: &str) -> Result<(), StreamError> {
    ensure(CHANNEL_TYPES.contains(&kind), || {
        StreamError::not_found(format!("channel type {kind:?} does not exist"))
    })
}

pub(super) fn check_channel_cid(cid: &Cid) -> Result<(), StreamError> {
    check_channel_type(&cid.kind)?;
    ensure(is_valid_id(&cid.id), || {
        StreamError::invalid_input(format!("channel id {:?} is not valid", cid.id))
    })
}

pub(super) fn check_call_id(id: &str) -> Result<(), StreamError> {
    ensure(is_valid_id(id), || StreamError::invalid_input(format!("call id {id:?} is not valid")))
}

pub(super) fn check_call_type_name(name: &str) -> Result<(), StreamError> {
    ensure(is_valid_id(name), || {
        StreamError::invalid_input(format!("call type name {name:?} is not valid"))
    })
}

fn is_valid_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(is_id_byte)
}

const fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_id_format_is_validated() {
        for valid in ["alice", "a@b-c_D9", "x".repeat(255).as_str()] {
            assert_eq!(check_user_id(valid), Ok(()), "{valid}");
        }
        for invalid in ["", "a b", "a.b", "ä", "x".repeat(256).as_str()] {
            assert!(check_user_id(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn channel_and_call_id_format_is_validated() {
        assert_eq!(check_channel_cid(&Cid::new("messaging", &"x".repeat(64))), Ok(()));
        for invalid in ["", "!members-x", "a:b", "x".repeat(65).as_str()] {
            assert!(check_channel_cid(&Cid::new("messaging", invalid)).is_err(), "{invalid}");
            assert!(check_call_id(invalid).is_err(), "{invalid}");
            assert!(check_call_type_name(invalid).is_err(), "{invalid}");
        }
        assert_eq!(check_call_id(&"x".repeat(64)), Ok(()));
        assert!(check_channel_cid(&Cid::new("default", "x")).is_err());
    }

    #[test]
    fn object_of_5_kib_or_more_is_rejected() {
        assert_eq!(check_size("custom", &"x".repeat(5 * 1024 - 3)), Ok(()));
        assert!(check_size("custom", &"x".repeat(5 * 1024 - 2)).is_err());
    }
}
