//! Which names and sizes Stream accepts.

use serde::Serialize;

use super::cid::Cid;
use crate::error::StreamFailure;

const OBJECT_BYTES: usize = 5 * 1024;
const CHANNEL_TYPES: [&str; 6] = ["ai", "commerce", "gaming", "livestream", "messaging", "team"];
const CALL_TYPES: [&str; 4] = ["audio_room", "default", "development", "livestream"];
pub(super) const ROLES: [&str; 7] =
    ["admin", "anonymous", "global_admin", "global_moderator", "guest", "moderator", "user"];

/// Refuses unless a condition holds.
pub(super) fn ensure(
    holds: bool,
    failure: impl FnOnce() -> StreamFailure,
) -> Result<(), StreamFailure> {
    if holds { Ok(()) } else { Err(failure()) }
}

/// Refuses as an input error unless a condition holds.
pub(super) fn require(holds: bool, reason: &str) -> Result<(), StreamFailure> {
    ensure(holds, || StreamFailure::input(reason))
}

pub(super) fn at_most(what: &str, count: usize, most: usize) -> Result<(), StreamFailure> {
    ensure(count <= most, || {
        StreamFailure::input(format!("{what}: at most {most} are allowed, not {count}"))
    })
}

pub(super) fn from_one_to(what: &str, count: usize, most: usize) -> Result<(), StreamFailure> {
    ensure(count > 0, || StreamFailure::input(format!("{what} is a required field")))?;
    at_most(what, count, most)
}

/// The size limit of users and of custom data.
pub(super) fn size(what: &str, object: &impl Serialize) -> Result<(), StreamFailure> {
    let bytes = serde_json::to_vec(object).map_or(usize::MAX, |json| json.len());
    ensure(bytes < OBJECT_BYTES, || {
        StreamFailure::input(format!("{what} is too big: {bytes} bytes, must be under 5KB"))
    })
}

pub(super) fn user_id(id: &str) -> Result<(), StreamFailure> {
    let letters = id.bytes().all(|byte| byte == b'@' || is_word(byte));
    ensure(letters && (1..=255).contains(&id.len()), || {
        StreamFailure::input(format!("user id {id:?} is not valid: a-z, 0-9, @, _ and - only"))
    })
}

pub(super) fn role(role: &str) -> Result<(), StreamFailure> {
    ensure(ROLES.contains(&role), || {
        StreamFailure::input(format!("role {role:?} does not exist in this app"))
    })
}

pub(super) fn channel_cid(cid: &Cid) -> Result<(), StreamFailure> {
    ensure(CHANNEL_TYPES.contains(&cid.kind.as_str()), || {
        StreamFailure::missing(format!("channel type {:?} does not exist", cid.kind))
    })?;
    ensure(is_name(&cid.id), || {
        StreamFailure::input(format!("channel id {:?} is not valid", cid.id))
    })
}

pub(super) fn call_cid(cid: &Cid) -> Result<(), StreamFailure> {
    ensure(CALL_TYPES.contains(&cid.kind.as_str()), || {
        StreamFailure::missing(format!("call type {:?} does not exist", cid.kind))
    })?;
    ensure(is_name(&cid.id), || StreamFailure::input(format!("call id {:?} is not valid", cid.id)))
}

fn is_name(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(is_word)
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids() {
        for good in ["alice", "a@b-c_D9", "x".repeat(255).as_str()] {
            assert_eq!(user_id(good), Ok(()), "{good}");
        }
        for bad in ["", "a b", "a.b", "ä", "x".repeat(256).as_str()] {
            assert!(user_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn channel_and_call_ids() {
        assert_eq!(channel_cid(&Cid::new("messaging", &"x".repeat(64))), Ok(()));
        for bad in ["", "!members-x", "a:b", "x".repeat(65).as_str()] {
            assert!(channel_cid(&Cid::new("messaging", bad)).is_err(), "{bad}");
            assert!(call_cid(&Cid::new("default", bad)).is_err(), "{bad}");
        }
        assert!(channel_cid(&Cid::new("default", "x")).is_err());
        assert!(call_cid(&Cid::new("messaging", "x")).is_err());
    }

    #[test]
    fn sizes() {
        assert_eq!(size("custom", &"x".repeat(5 * 1024 - 3)), Ok(()));
        assert!(size("custom", &"x".repeat(5 * 1024 - 2)).is_err());
    }
}
