//! Who receives an event: one table for sockets and one for webhooks.
//!
//! Stream documents most of the audiences. Assumed are these: a message also notifies the sockets
//! of its sender that do not watch the channel, a new channel notifies its creator if that is a
//! member, an update of a call reaches its members, and an update of a user reaches the watchers of
//! the user's channels. The event of a deleted call names no members, and reaches its watchers and
//! its creator. An event of an unknown type reaches the watchers.

use serde_json::Value;

use crate::world::ObjectKind;

/// The API of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Product {
    Chat,
    Video,
}

impl Product {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Video => "video",
        }
    }

    /// The product whose sockets receive an event.
    pub(crate) fn of_event(event: &Value) -> Self {
        let is_call_type = event["type"].as_str().is_some_and(|kind| kind.starts_with("call."));
        if is_call_type || event["call_cid"].is_string() { Self::Video } else { Self::Chat }
    }

    /// What the `cid` of an event names.
    pub(super) const fn object_kind(self) -> ObjectKind {
        match self {
            Self::Chat => ObjectKind::Channel,
            Self::Video => ObjectKind::Call,
        }
    }
}

/// A group of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Sockets that watch the channel or the call.
    Watchers,
    /// Sockets of members that do not watch it.
    OtherMembers,
    /// Sockets of the members and, for a call, of its creator.
    Members,
    WatchersAndMembers,
    /// Sockets of the users in the `members` of the event.
    NamedMembers,
    /// Sockets of the `user` of the event.
    User,
    /// Sockets of the `user` of the event that do not watch the channel.
    OtherSocketsOfUser,
    /// Sockets of the `member` of the event.
    Member,
    /// Sockets of the `member` of the event that do not watch the channel.
    OtherSocketsOfMember,
    /// Sockets that asked for the presence of the `user` of the event.
    PresenceSubscribers,
    /// The user's own sockets, those that asked for the user's presence, and those that watch a
    /// channel of the user.
    Contacts,
}

/// One way in which sockets receive an event: as it is, or as a notification of another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) audience: Audience,
    pub(super) notification: Option<&'static str>,
}

const fn event_to(audience: Audience) -> Target {
    Target { audience, notification: None }
}

const fn notify(audience: Audience, kind: &'static str) -> Target {
    Target { audience, notification: Some(kind) }
}

/// The targets of an event type, in the order of delivery.
pub(super) fn targets(kind: &str) -> &'static [Target] {
    const WATCHERS: Target = event_to(Audience::Watchers);
    match kind {
        // Only webhooks.
        "call.user_feedback_submitted"
        | "call.stats_report_ready"
        | "message.flagged"
        | "user.deactivated"
        | "user.flagged"
        | "user.reactivated" => &[],
        "message.new" => {
            &const { [WATCHERS, notify(Audience::OtherMembers, "notification.message_new")] }
        }
        "message.read" => {
            &const { [WATCHERS, notify(Audience::OtherSocketsOfUser, "notification.mark_read")] }
        }
        "channel.created" => {
            &const { [notify(Audience::OtherMembers, "notification.added_to_channel")] }
        }
        "channel.deleted" => {
            &const { [WATCHERS, notify(Audience::OtherMembers, "notification.channel_deleted")] }
        }
        "channel.truncated" => {
            &const { [WATCHERS, notify(Audience::OtherMembers, "notification.channel_truncated")] }
        }
        "member.added" => {
            &const {
                let kind = "notification.added_to_channel";
                [WATCHERS, notify(Audience::OtherSocketsOfMember, kind)]
            }
        }
        "member.removed" => {
            &const {
                let kind = "notification.removed_from_channel";
                [WATCHERS, notify(Audience::OtherSocketsOfMember, kind)]
            }
        }
        "user.presence.changed" => &const { [event_to(Audience::PresenceSubscribers)] },
        "user.updated" | "user.deleted" => &const { [event_to(Audience::Contacts)] },
        "user.watching.start" | "user.watching.stop" => &const { [WATCHERS] },
        "call.created" | "call.accepted" | "call.rejected" | "call.missed" => {
            &const { [event_to(Audience::Members)] }
        }
        "call.ring" | "call.notification" => &const { [event_to(Audience::NamedMembers)] },
        "call.ended"
        | "call.deleted"
        | "call.updated"
        | "call.member_added"
        | "call.member_updated"
        | "call.member_removed" => &const { [event_to(Audience::WatchersAndMembers)] },
        "notification.invited" => &const { [event_to(Audience::Member)] },
        "channel.hidden" | "channel.visible" | "channel.muted" | "channel.unmuted" => {
            &const { [event_to(Audience::User)] }
        }
        _ if kind.starts_with("user.") || kind.starts_with("notification.") => {
            &const { [event_to(Audience::User)] }
        }
        _ => &const { [WATCHERS] },
    }
}

/// Whether webhooks receive events of this type.
pub(crate) fn is_webhook_event(kind: &str) -> bool {
    let is_client_only = kind == "user.presence.changed"
        || ["typing.", "user.watching.", "notification.", "health.", "connection."]
            .iter()
            .any(|prefix| kind.starts_with(prefix));
    !is_client_only
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expect_targets(expected: &[Target], kinds: &[&str]) {
        for kind in kinds {
            assert_eq!(targets(kind), expected, "{kind}");
        }
    }

    #[test]
    fn type_of_a_channel_event_determines_the_audience() {
        const WATCHERS: Target = event_to(Audience::Watchers);
        expect_targets(
            &[WATCHERS],
            &[
                "channel.updated",
                "custom",
                "member.updated",
                "message.deleted",
                "message.updated",
                "reaction.new",
                "typing.start",
                "typing.stop",
                "unknown",
                "user.watching.start",
                "user.watching.stop",
            ],
        );
        for (kind, audience, notification) in [
            ("message.new", Audience::OtherMembers, "notification.message_new"),
            ("message.read", Audience::OtherSocketsOfUser, "notification.mark_read"),
            ("channel.deleted", Audience::OtherMembers, "notification.channel_deleted"),
            ("channel.truncated", Audience::OtherMembers, "notification.channel_truncated"),
            ("member.added", Audience::OtherSocketsOfMember, "notification.added_to_channel"),
            ("member.removed", Audience::OtherSocketsOfMember, "notification.removed_from_channel"),
        ] {
            expect_targets(&[WATCHERS, notify(audience, notification)], &[kind]);
        }
        let added = notify(Audience::OtherMembers, "notification.added_to_channel");
        expect_targets(&[added], &["channel.created"]);
        expect_targets(&[event_to(Audience::Member)], &["notification.invited"]);
    }

    #[test]
    fn type_of_a_user_event_determines_the_audience() {
        expect_targets(&[event_to(Audience::PresenceSubscribers)], &["user.presence.changed"]);
        expect_targets(&[event_to(Audience::Contacts)], &["user.updated", "user.deleted"]);
        expect_targets(
            &[event_to(Audience::User)],
            &[
                "channel.hidden",
                "channel.muted",
                "channel.unmuted",
                "channel.visible",
                "notification.mark_unread",
                "notification.mutes_updated",
                "user.banned",
                "user.muted",
                "user.unbanned",
            ],
        );
    }

    #[test]
    fn type_of_a_call_event_determines_the_audience() {
        expect_targets(
            &[event_to(Audience::Members)],
            &["call.created", "call.accepted", "call.rejected", "call.missed"],
        );
        expect_targets(&[event_to(Audience::NamedMembers)], &["call.ring", "call.notification"]);
        expect_targets(
            &[event_to(Audience::WatchersAndMembers)],
            &[
                "call.deleted",
                "call.ended",
                "call.member_added",
                "call.member_removed",
                "call.member_updated",
                "call.updated",
            ],
        );
        expect_targets(
            &[event_to(Audience::Watchers)],
            &[
                "call.recording_started",
                "call.session_ended",
                "call.session_participant_joined",
                "call.session_participant_left",
                "call.session_started",
            ],
        );
    }

    #[test]
    fn some_events_reach_only_webhooks() {
        expect_targets(
            &[],
            &[
                "call.stats_report_ready",
                "call.user_feedback_submitted",
                "message.flagged",
                "user.deactivated",
                "user.flagged",
                "user.reactivated",
            ],
        );
    }

    #[test]
    fn webhooks_receive_no_client_events() {
        for (kind, expected) in [
            ("message.new", true),
            ("message.read", true),
            ("reaction.new", true),
            ("channel.created", true),
            ("member.added", true),
            ("user.updated", true),
            ("user.banned", true),
            ("user.deactivated", true),
            ("call.ring", true),
            ("call.accepted", true),
            ("call.stats_report_ready", true),
            ("custom", true),
            ("typing.start", false),
            ("typing.stop", false),
            ("user.presence.changed", false),
            ("user.watching.start", false),
            ("user.watching.stop", false),
            ("notification.mutes_updated", false),
            ("health.check", false),
        ] {
            assert_eq!(is_webhook_event(kind), expected, "{kind}");
        }
    }

    #[test]
    fn event_of_a_call_belongs_to_video() {
        for (event, expected) in [
            (json!({ "type": "call.ended" }), Product::Video),
            (json!({ "type": "custom", "call_cid": "default:c" }), Product::Video),
            (json!({ "type": "message.new", "cid": "messaging:c" }), Product::Chat),
            (json!({ "type": "user.updated" }), Product::Chat),
            (json!(1), Product::Chat),
        ] {
            assert_eq!(Product::of_event(&event), expected, "{event}");
        }
    }
}
