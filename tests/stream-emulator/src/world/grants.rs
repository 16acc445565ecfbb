//! Grants: the permissions of each role. The suffix `-owner` limits a permission to objects that
//! the user created, and `-any-team` extends it to the objects of every team.
//!
//! The built-in grants are those of a new app: for the call type `default` as observed, otherwise
//! as documented.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::validation::{ROLES, ensure};
use crate::error::StreamError;

/// The ids of the permissions of one role.
pub(super) type PermissionIds = BTreeSet<String>;

const ANY_TEAM: &str = "-any-team";
const OWNER: &str = "-owner";

/// The roles that call types have in addition to the roles of users.
const CALL_ROLES: [&str; 4] = ["call_member", "global_read_only", "host", "speaker"];

/// Contains every permission that exists for calls.
const DEFAULT_ADMIN: &[&str] = &[
    "block-user",
    "create-call",
    "create-call-reaction",
    "delete-call",
    "delete-recording",
    "delete-transcription",
    "enable-noise-cancellation-any-team",
    "end-call",
    "join-backstage",
    "join-call",
    "join-call-any-team",
    "join-ended-call",
    "kick-user",
    "list-recordings",
    "list-transcriptions",
    "mute-users",
    "pin-call-track",
    "read-call",
    "read-call-stats",
    "remove-call-member",
    "screenshare",
    "send-audio",
    "send-closed-captions",
    "send-event",
    "send-video",
    "start-broadcasting",
    "start-closed-captions",
    "start-frame-recording",
    "start-recording",
    "start-transcription",
    "stop-broadcasting",
    "stop-closed-captions",
    "stop-frame-recording",
    "stop-recording",
    "stop-transcription",
    "update-call",
    "update-call-member",
    "update-call-member-role",
    "update-call-permissions",
    "update-call-settings",
];

/// The permissions that exist with the suffix `-owner`.
const OWNER_PERMISSIONS: &[&str] = &[
    "block-user",
    "end-call",
    "join-backstage",
    "join-ended-call",
    "kick-user",
    "mute-users",
    "pin-call-track",
    "read-call-stats",
    "remove-call-member",
    "screenshare",
    "send-audio",
    "send-closed-captions",
    "send-video",
    "start-broadcasting",
    "start-closed-captions",
    "start-recording",
    "start-transcription",
    "stop-broadcasting",
    "stop-closed-captions",
    "stop-recording",
    "stop-transcription",
    "update-call",
    "update-call-member",
    "update-call-member-role",
    "update-call-permissions",
    "update-call-settings",
];

const DEFAULT_USER: &[&str] = &[
    "block-user-owner",
    "create-call",
    "create-call-reaction",
    "enable-noise-cancellation-any-team",
    "end-call",
    "join-call",
    "join-ended-call",
    "kick-user-owner",
    "list-recordings",
    "list-transcriptions",
    "mute-users-owner",
    "pin-call-track-owner",
    "read-call",
    "remove-call-member",
    "screenshare",
    "send-audio",
    "send-closed-captions",
    "send-event",
    "send-video",
    "start-broadcasting",
    "start-closed-captions",
    "start-frame-recording",
    "start-recording",
    "start-transcription",
    "stop-broadcasting",
    "stop-closed-captions",
    "stop-frame-recording",
    "stop-recording",
    "stop-transcription",
    "update-call-member",
    "update-call-owner",
    "update-call-permissions-owner",
    "update-call-settings-owner",
];

const DEFAULT_GUEST: &[&str] = &[
    "enable-noise-cancellation-any-team",
    "join-call",
    "read-call",
    "send-audio",
    "send-event",
    "send-video",
];

const GLOBAL_READ_ONLY: &[&str] =
    &["list-recordings", "list-transcriptions", "read-call", "read-call-stats"];

/// The permissions of `global_admin` besides those of `admin` for every team.
const GLOBAL_ADMIN_OWNER: &[&str] =
    &["block-user-owner", "kick-user-owner", "mute-users-owner", "update-call-permissions-owner"];

const ANONYMOUS: &[&str] = &["join-call", "read-call"];

const LIVESTREAM_USER: &[&str] = &[
    "block-user-owner",
    "create-call",
    "create-call-reaction",
    "end-call-owner",
    "join-backstage-owner",
    "join-call",
    "join-ended-call-owner",
    "mute-users-owner",
    "pin-call-track-owner",
    "read-call",
    "remove-call-member-owner",
    "screenshare-owner",
    "send-audio-owner",
    "send-event",
    "send-video-owner",
    "start-broadcasting-owner",
    "start-recording-owner",
    "stop-broadcasting-owner",
    "stop-recording-owner",
    "update-call-member-owner",
    "update-call-member-role-owner",
    "update-call-owner",
    "update-call-permissions-owner",
];

const AUDIO_ROOM_USER: &[&str] = &[
    "block-user-owner",
    "create-call",
    "create-call-reaction",
    "end-call-owner",
    "join-backstage-owner",
    "join-call",
    "join-ended-call-owner",
    "mute-users-owner",
    "read-call",
    "remove-call-member-owner",
    "send-audio-owner",
    "send-event",
    "start-broadcasting-owner",
    "start-recording-owner",
    "start-transcription-owner",
    "stop-broadcasting-owner",
    "stop-recording-owner",
    "stop-transcription-owner",
    "update-call-member-owner",
    "update-call-member-role-owner",
    "update-call-owner",
    "update-call-permissions-owner",
    "update-call-settings-owner",
];

const MESSAGING_USER: &[&str] = &[
    "create-channel",
    "create-message-owner",
    "create-reaction-owner",
    "create-reply-owner",
    "delete-channel-owner",
    "delete-message-owner",
    "flag-message-owner",
    "mute-channel-owner",
    "pin-message-owner",
    "read-channel-members-owner",
    "read-channel-owner",
    "remove-own-channel-membership-owner",
    "send-custom-event-owner",
    "truncate-channel-owner",
    "update-channel-members-owner",
    "update-channel-owner",
    "update-message-owner",
];

const MESSAGING_MEMBER: &[&str] = &[
    "create-message",
    "create-reaction",
    "create-reply",
    "flag-message",
    "mute-channel",
    "pin-message",
    "read-channel",
    "read-channel-members",
    "remove-own-channel-membership",
    "send-custom-event",
];

const MESSAGING_CHANNEL_MODERATOR: &[&str] = &[
    "ban-channel-member",
    "create-message",
    "create-reaction",
    "create-reply",
    "create-system-message",
    "delete-message",
    "flag-message",
    "mute-channel",
    "pin-message",
    "read-channel",
    "read-channel-members",
    "remove-own-channel-membership",
    "send-custom-event",
    "skip-message-moderation",
    "update-channel",
    "update-channel-frozen",
    "update-channel-members",
    "update-message",
];

const MESSAGING_MODERATOR: &[&str] = &[
    "ban-channel-member",
    "create-channel",
    "create-message",
    "create-reaction",
    "create-reply",
    "create-system-message",
    "delete-channel-owner",
    "delete-message",
    "flag-message",
    "mute-channel",
    "pin-message",
    "read-channel",
    "read-channel-members",
    "remove-own-channel-membership",
    "send-custom-event",
    "skip-message-moderation",
    "truncate-channel-owner",
    "update-channel",
    "update-channel-frozen",
    "update-channel-members",
    "update-message",
];

const MESSAGING_ADMIN: &[&str] = &[
    "ban-channel-member",
    "create-channel",
    "create-message",
    "create-reaction",
    "create-reply",
    "create-system-message",
    "delete-channel",
    "delete-message",
    "flag-message",
    "mute-channel",
    "pin-message",
    "read-channel",
    "read-channel-members",
    "remove-own-channel-membership",
    "send-custom-event",
    "skip-message-moderation",
    "truncate-channel",
    "update-channel",
    "update-channel-frozen",
    "update-channel-members",
    "update-message",
];

/// The permissions that clients get as capabilities of a call, which have their own names.
pub(super) const CAPABILITIES: &[(Permission, &str)] = &[
    (Permission("block-user"), "block-users"),
    // No grant has this name. It is assumed to follow the permission to update settings.
    (Permission("update-call-settings"), "change-max-duration"),
    (Permission("create-call"), "create-call"),
    (Permission("create-call-reaction"), "create-reaction"),
    (Permission("enable-noise-cancellation"), "enable-noise-cancellation"),
    (Permission("end-call"), "end-call"),
    (Permission("join-backstage"), "join-backstage"),
    (Permission("join-call"), "join-call"),
    (Permission("join-ended-call"), "join-ended-call"),
    (Permission("kick-user"), "kick-user"),
    (Permission("mute-users"), "mute-users"),
    (Permission("pin-call-track"), "pin-for-everyone"),
    (Permission("read-call"), "read-call"),
    (Permission("remove-call-member"), "remove-call-member"),
    (Permission("screenshare"), "screenshare"),
    (Permission("send-audio"), "send-audio"),
    (Permission("send-closed-captions"), "send-closed-captions-call"),
    (Permission("send-video"), "send-video"),
    (Permission("start-broadcasting"), "start-broadcast-call"),
    (Permission("start-closed-captions"), "start-closed-captions-call"),
    (Permission("start-frame-recording"), "start-frame-record-call"),
    (Permission("start-recording"), "start-record-call"),
    (Permission("start-transcription"), "start-transcription-call"),
    (Permission("stop-broadcasting"), "stop-broadcast-call"),
    (Permission("stop-closed-captions"), "stop-closed-captions-call"),
    (Permission("stop-frame-recording"), "stop-frame-record-call"),
    (Permission("stop-recording"), "stop-record-call"),
    (Permission("stop-transcription"), "stop-transcription-call"),
    (Permission("update-call"), "update-call"),
    (Permission("update-call-member"), "update-call-member"),
    (Permission("update-call-permissions"), "update-call-permissions"),
    (Permission("update-call-settings"), "update-call-settings"),
];

/// The permissions that clients get as capabilities of a channel, which have their own names.
pub(super) const CHANNEL_CAPABILITIES: &[(Permission, &str)] = &[
    (Permission::BAN_CHANNEL_MEMBER, "ban-channel-members"),
    (Permission::DELETE_MESSAGE, "delete-any-message"),
    (Permission::DELETE_CHANNEL, "delete-channel"),
    (Permission::CREATE_MESSAGE, "delete-own-message"),
    (Permission::FLAG_MESSAGE, "flag-message"),
    (Permission::UPDATE_CHANNEL_FROZEN, "freeze-channel"),
    (Permission::ADD_OWN_CHANNEL_MEMBERSHIP, "join-channel"),
    (Permission::REMOVE_OWN_CHANNEL_MEMBERSHIP, "leave-channel"),
    (Permission::MUTE_CHANNEL, "mute-channel"),
    (Permission::PIN_MESSAGE, "pin-message"),
    (Permission::CREATE_MESSAGE, "quote-message"),
    (Permission::READ_CHANNEL, "read-channel"),
    (Permission::READ_CHANNEL_MEMBERS, "read-channel-members"),
    (Permission::READ_CHANNEL, "read-events"),
    (Permission::READ_CHANNEL, "search-messages"),
    (Permission::SEND_CUSTOM_EVENT, "send-custom-events"),
    (Permission::CREATE_MESSAGE, "send-links"),
    (Permission::CREATE_MESSAGE, "send-message"),
    (Permission::CREATE_REACTION, "send-reaction"),
    (Permission::CREATE_REPLY, "send-reply"),
    (Permission::READ_CHANNEL, "send-typing-events"),
    (Permission::TRUNCATE_CHANNEL, "truncate-channel"),
    (Permission::READ_CHANNEL, "typing-events"),
    (Permission::UPDATE_MESSAGE, "update-any-message"),
    (Permission::UPDATE_CHANNEL, "update-channel"),
    (Permission::UPDATE_CHANNEL_MEMBERS, "update-channel-members"),
    (Permission::CREATE_MESSAGE, "update-own-message"),
];

/// The id of a permission that the emulator checks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permission(&'static str);

impl Permission {
    pub(super) const ADD_OWN_CHANNEL_MEMBERSHIP: Self = Self("add-own-channel-membership");
    pub(super) const BAN_CHANNEL_MEMBER: Self = Self("ban-channel-member");
    pub(super) const CREATE_CALL: Self = Self("create-call");
    pub(super) const CREATE_CHANNEL: Self = Self("create-channel");
    pub(super) const CREATE_MESSAGE: Self = Self("create-message");
    pub(super) const CREATE_SYSTEM_MESSAGE: Self = Self("create-system-message");
    pub(super) const DELETE_CHANNEL: Self = Self("delete-channel");
    pub(super) const END_CALL: Self = Self("end-call");
    pub(super) const JOIN_CALL: Self = Self("join-call");
    pub(super) const JOIN_ENDED_CALL: Self = Self("join-ended-call");
    pub(super) const READ_CALL: Self = Self("read-call");
    pub(super) const READ_CHANNEL: Self = Self("read-channel");
    pub(super) const REMOVE_CALL_MEMBER: Self = Self("remove-call-member");
    pub(super) const REMOVE_OWN_CHANNEL_MEMBERSHIP: Self = Self("remove-own-channel-membership");
    pub(super) const SKIP_MESSAGE_MODERATION: Self = Self("skip-message-moderation");
    pub(super) const START_RECORDING: Self = Self("start-recording");
    pub(super) const STOP_RECORDING: Self = Self("stop-recording");
    pub(super) const TRUNCATE_CHANNEL: Self = Self("truncate-channel");
    pub(super) const UPDATE_CALL: Self = Self("update-call");
    pub(super) const UPDATE_CALL_MEMBER: Self = Self("update-call-member");
    pub(super) const UPDATE_CALL_MEMBER_ROLE: Self = Self("update-call-member-role");
    pub(super) const UPDATE_CALL_SETTINGS: Self = Self("update-call-settings");
    pub(super) const UPDATE_CHANNEL: Self = Self("update-channel");
    pub(super) const UPDATE_CHANNEL_FROZEN: Self = Self("update-channel-frozen");
    pub(super) const UPDATE_CHANNEL_MEMBERS: Self = Self("update-channel-members");
    pub(super) const BLOCK_USER: Self = Self("block-user");
    pub(super) const CREATE_CALL_REACTION: Self = Self("create-call-reaction");
    pub(super) const CREATE_REACTION: Self = Self("create-reaction");
    pub(super) const CREATE_REPLY: Self = Self("create-reply");
    pub(super) const DELETE_MESSAGE: Self = Self("delete-message");
    pub(super) const FLAG_MESSAGE: Self = Self("flag-message");
    pub(super) const KICK_USER: Self = Self("kick-user");
    pub(super) const MUTE_CHANNEL: Self = Self("mute-channel");
    pub(super) const MUTE_USERS: Self = Self("mute-users");
    pub(super) const PIN_MESSAGE: Self = Self("pin-message");
    pub(super) const READ_CHANNEL_MEMBERS: Self = Self("read-channel-members");
    pub(super) const SEND_CUSTOM_EVENT: Self = Self("send-custom-event");
    pub(super) const SEND_EVENT: Self = Self("send-event");
    pub(super) const UPDATE_MESSAGE: Self = Self("update-message");
    pub(super) const USE_FROZEN_CHANNEL: Self = Self("use-frozen-channel");

    /// Stream's name for the permitted action, such as `JoinCall` for `join-call`.
    pub(super) fn action(self) -> String {
        self.0.split('-').map(capitalize).collect()
    }

    /// Whether a permission in the grants includes this one.
    fn is_included_in(self, granted: &str, is_owner: bool) -> bool {
        match granted.strip_prefix(self.0) {
            Some("" | ANY_TEAM) => true,
            Some(OWNER) => is_owner,
            _ => false,
        }
    }
}

fn capitalize(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The permissions of each role.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Grants(BTreeMap<String, PermissionIds>);

impl Grants {
    /// The grants of the type `default`. A new call type has them too.
    pub(super) fn default_calls() -> Self {
        let mut grants = Self::from_table(&[
            ("admin", DEFAULT_ADMIN),
            ("call_member", DEFAULT_USER),
            ("global_read_only", GLOBAL_READ_ONLY),
            ("guest", DEFAULT_GUEST),
            ("user", DEFAULT_USER),
        ]);
        let call_member = grants.0.entry("call_member".to_owned()).or_default();
        call_member.insert(format!("join-call{ANY_TEAM}"));
        let any_team = DEFAULT_ADMIN.iter().map(|id| format!("{}{ANY_TEAM}", without_team(id)));
        let global_admin = any_team.chain(GLOBAL_ADMIN_OWNER.iter().map(|id| (*id).to_owned()));
        grants.set("global_admin".to_owned(), global_admin.collect());
        grants
    }

    /// The grants of the type `development`: users may do almost everything.
    pub(super) fn development_calls() -> Self {
        let mut grants = Self::from_table(&[
            ("admin", DEFAULT_ADMIN),
            ("anonymous", ANONYMOUS),
            ("guest", DEFAULT_GUEST),
        ]);
        let user = DEFAULT_ADMIN.iter().filter(|id| !id.starts_with("delete-"));
        let user: PermissionIds = user.map(|id| (*id).to_owned()).collect();
        grants.set("call_member".to_owned(), user.clone());
        grants.set("user".to_owned(), user);
        grants
    }

    /// The grants of the type `livestream`, without those of hosts.
    pub(super) fn livestream_calls() -> Self {
        Self::broadcast_calls(LIVESTREAM_USER)
    }

    /// The grants of the type `audio_room`, without those of hosts and speakers.
    pub(super) fn audio_room_calls() -> Self {
        Self::broadcast_calls(AUDIO_ROOM_USER)
    }

    /// The grants of the channel type `messaging`, which the emulator uses for every channel type.
    /// They contain only permissions that it checks.
    pub(super) fn channels() -> Self {
        Self::from_table(&[
            ("admin", MESSAGING_ADMIN),
            ("channel_member", MESSAGING_MEMBER),
            ("channel_moderator", MESSAGING_CHANNEL_MODERATOR),
            ("moderator", MESSAGING_MODERATOR),
            ("user", MESSAGING_USER),
        ])
    }

    fn broadcast_calls(user: &[&str]) -> Self {
        Self::from_table(&[
            ("admin", DEFAULT_ADMIN),
            ("anonymous", ANONYMOUS),
            ("call_member", user),
            ("user", user),
        ])
    }

    fn from_table(table: &[(&str, &[&str])]) -> Self {
        let roles = table.iter().map(|(role, ids)| {
            let ids: PermissionIds = ids.iter().map(|id| (*id).to_owned()).collect();
            ((*role).to_owned(), ids)
        });
        Self(roles.collect())
    }

    /// Whether one of these roles has a permission.
    pub(super) fn permit(&self, roles: &[&str], permission: Permission, is_owner: bool) -> bool {
        let mut granted = roles.iter().filter_map(|role| self.0.get(*role)).flatten();
        granted.any(|id| permission.is_included_in(id, is_owner))
    }

    /// Replaces the permissions of one role.
    pub(super) fn set(&mut self, role: String, ids: PermissionIds) {
        self.0.insert(role, ids);
    }

    /// The permissions of every role.
    pub(super) fn to_map(&self) -> BTreeMap<String, PermissionIds> {
        self.0.clone()
    }
}

/// Checks that a call type can grant these permissions to this role.
pub(super) fn check_call_grant(role: &str, ids: &PermissionIds) -> Result<(), StreamError> {
    ensure(ROLES.contains(&role) || CALL_ROLES.contains(&role), || {
        StreamError::invalid_input(format!("role {role:?} does not exist in this app"))
    })?;
    match ids.iter().find(|id| !is_call_permission(id)) {
        None => Ok(()),
        Some(id) => {
            Err(StreamError::invalid_input(format!("cannot use unknown permission \"{id}\"")))
        }
    }
}

fn is_call_permission(id: &str) -> bool {
    match id.strip_suffix(OWNER) {
        Some(id) => OWNER_PERMISSIONS.contains(&id),
        None => DEFAULT_ADMIN.iter().any(|known| without_team(known) == without_team(id)),
    }
}

fn without_team(id: &str) -> &str {
    id.strip_suffix(ANY_TEAM).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(grants: &Grants, role: &str) -> PermissionIds {
        grants.to_map().remove(role).unwrap_or_default()
    }

    #[test]
    fn default_grants_have_the_observed_sizes() {
        let grants = Grants::default_calls();
        let sizes: Vec<(String, usize)> =
            grants.to_map().into_iter().map(|(role, ids)| (role, ids.len())).collect();
        let expected = [
            ("admin", 40),
            ("call_member", 34),
            ("global_admin", 43),
            ("global_read_only", 4),
            ("guest", 6),
            ("user", 33),
        ];
        assert_eq!(sizes, expected.map(|(role, size)| (role.to_owned(), size)));
    }

    #[test]
    fn every_built_in_grant_is_valid() {
        for grants in [
            Grants::default_calls(),
            Grants::development_calls(),
            Grants::livestream_calls(),
            Grants::audio_room_calls(),
        ] {
            for (role, ids) in grants.to_map() {
                assert_eq!(check_call_grant(&role, &ids), Ok(()), "{role}");
            }
        }
        assert!(permissions(&Grants::development_calls(), "user").contains("update-call"));
        assert!(!permissions(&Grants::livestream_calls(), "user").contains("end-call"));
    }

    #[test]
    fn capability_or_unknown_role_is_not_a_grant() {
        let check =
            |role: &str, id: &str| check_call_grant(role, &PermissionIds::from([id.into()]));
        for id in ["end-call", "end-call-owner", "end-call-any-team", "create-call-reaction"] {
            assert_eq!(check("call_member", id), Ok(()), "{id}");
        }
        // The first three are capabilities, and no permission has the last id.
        for id in ["start-record-call", "create-reaction", "change-max-duration", "join-call-owner"]
        {
            assert!(check("call_member", id).is_err(), "{id}");
        }
        assert!(check("call-member", "end-call").is_err());
    }

    #[test]
    fn action_is_the_permission_in_camel_case() {
        assert_eq!(Permission::JOIN_CALL.action(), "JoinCall");
        assert_eq!(Permission::UPDATE_CALL_MEMBER_ROLE.action(), "UpdateCallMemberRole");
    }

    #[test]
    fn suffix_limits_or_extends_a_permission() {
        let ids = ["end-call", "join-call-any-team", "update-call-owner", "read-call-stats"];
        let grants = Grants::from_table(&[("user", &ids), ("call_member", &["screenshare"])]);
        let permits = |permission, is_owner| grants.permit(&["user", "x"], permission, is_owner);
        for (permission, for_others, for_owner) in [
            (Permission::END_CALL, true, true),
            (Permission::JOIN_CALL, true, true),
            (Permission::UPDATE_CALL, false, true),
            (Permission::UPDATE_CALL_SETTINGS, false, false),
            (Permission::READ_CALL, false, false),
            (Permission("screenshare"), false, false),
        ] {
            let actual = (permits(permission, false), permits(permission, true));
            assert_eq!(actual, (for_others, for_owner), "{permission:?}");
        }
        assert!(grants.permit(&["user", "call_member"], Permission("screenshare"), false));
    }

    #[test]
    fn every_capability_follows_a_permission_of_calls() {
        for (permission, capability) in CAPABILITIES {
            assert!(is_call_permission(permission.0), "{capability}");
        }
    }
}
