//! The sockets in the audience of one event.

use std::collections::BTreeSet;

use serde_json::Value;

use super::audience::{Audience, Product, Target, targets};
use super::socket::Socket;
use crate::world::World;

/// What an event refers to, as far as it decides about recipients.
#[derive(Debug)]
pub(super) struct Recipients<'a> {
    product: Product,
    cid: Option<&'a str>,
    /// The id of the `user` of the event.
    user: Option<&'a str>,
    /// The id of the `member` of the event.
    member: Option<&'a str>,
    /// The members of the channel or the call, or of the event if the object is deleted.
    members: BTreeSet<&'a str>,
    /// The ids in the `members` of the event.
    named: BTreeSet<&'a str>,
    /// The users who may see the message of the event. `None` means all users.
    viewers: Option<BTreeSet<&'a str>>,
}

impl<'a> Recipients<'a> {
    pub(super) fn new(event: &'a Value, world: &'a World) -> Self {
        let product = Product::of_event(event);
        let cid = event["cid"].as_str().or_else(|| event["call_cid"].as_str());
        let named: BTreeSet<&str> =
            event["members"].as_array().into_iter().flatten().filter_map(member_id).collect();
        let current = cid.and_then(|cid| world.object_members(cid, product.object_kind()));
        let creator = event["call"]["created_by"]["id"].as_str();
        let members = current.map_or_else(
            || named.iter().copied().chain(creator).collect(),
            |members| members.into_iter().collect(),
        );
        let member = member_id(&event["member"]);
        let viewers = viewers(&event["message"]);
        Self { product, cid, user: event["user"]["id"].as_str(), member, members, named, viewers }
    }

    pub(super) fn include(&self, audience: Audience, socket: &Socket, world: &World) -> bool {
        let user_id = socket.user_id.as_str();
        if socket.product != self.product || !self.is_visible_to(audience, user_id, world) {
            return false;
        }
        let watches = self.cid.is_some_and(|cid| socket.watched.contains(cid));
        let is_member = self.members.contains(user_id);
        let has_presence = self.user.is_some_and(|user| socket.presence_of.contains(user));
        match audience {
            Audience::Watchers => watches,
            Audience::OtherMembers => is_member && !watches,
            Audience::Members => is_member,
            Audience::WatchersAndMembers => watches || is_member,
            Audience::NamedMembers => self.named.contains(user_id),
            Audience::User => self.user == Some(user_id),
            Audience::OtherSocketsOfUser => self.user == Some(user_id) && !watches,
            Audience::Member => self.member == Some(user_id),
            Audience::OtherSocketsOfMember => self.member == Some(user_id) && !watches,
            Audience::PresenceSubscribers => has_presence,
            Audience::Contacts => {
                has_presence
                    || self.user.is_some_and(|user| {
                        user == user_id
                            || socket.watched.iter().any(|cid| world.is_channel_member(cid, user))
                    })
            }
        }
    }

    /// Whether a reader of the channel may know of the event. The reader's sockets do not matter.
    fn may_include(&self, audience: Audience, user_id: &str, world: &World) -> bool {
        let is_in_audience = match audience {
            Audience::Watchers | Audience::WatchersAndMembers => true,
            Audience::OtherMembers | Audience::Members => self.members.contains(user_id),
            Audience::NamedMembers => self.named.contains(user_id),
            Audience::User | Audience::OtherSocketsOfUser => self.user == Some(user_id),
            Audience::Member | Audience::OtherSocketsOfMember => self.member == Some(user_id),
            // These events belong to no channel.
            Audience::PresenceSubscribers | Audience::Contacts => false,
        };
        is_in_audience && self.is_visible_to(audience, user_id, world)
    }

    /// Whether neither the visibility of the message nor a block hides the event from a user.
    fn is_visible_to(&self, audience: Audience, user_id: &str, world: &World) -> bool {
        let is_own = matches!(audience, Audience::User | Audience::OtherSocketsOfUser);
        let is_hidden = self.product == Product::Chat
            && !is_own
            && self.cid.is_some_and(|cid| world.is_hidden_by_block(cid, user_id));
        !is_hidden && self.viewers.as_ref().is_none_or(|viewers| viewers.contains(user_id))
    }
}

/// Whether an event of a channel may reach a user who can read the channel.
pub(crate) fn may_receive(event: &Value, user_id: &str, world: &World) -> bool {
    let recipients = Recipients::new(event, world);
    let kind = event["type"].as_str().unwrap_or_default();
    let is_included = |target: &Target| recipients.may_include(target.audience, user_id, world);
    recipients.product == Product::Chat && targets(kind).iter().any(is_included)
}

/// The users who may see a message: its sender, and those in `restricted_visibility`. `None` means
/// all users. Only the sender sees a shadowed message.
fn viewers(message: &Value) -> Option<BTreeSet<&str>> {
    let restricted = message["restricted_visibility"].as_array().filter(|ids| !ids.is_empty());
    let is_shadowed = message["shadowed"] == true;
    if restricted.is_none() && !is_shadowed {
        return None;
    }
    let listed = restricted.into_iter().flatten().filter_map(Value::as_str);
    Some(listed.filter(|_| !is_shadowed).chain(message["user"]["id"].as_str()).collect())
}

fn member_id(member: &Value) -> Option<&str> {
    member["user_id"].as_str().or_else(|| member["user"]["id"].as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::socket::TokenTimes;
    use super::*;
    use crate::timestamp::Timestamp;

    const NOW: Timestamp = Timestamp::from_nanos(1);

    /// A world with a channel of alice and bob, which alice created, and their call.
    fn world() -> World {
        let mut world = World::default();
        for id in ["alice", "bob", "carol"] {
            world.create_user(id, NOW);
        }
        let members = json!([{ "user_id": "alice" }, { "user_id": "bob" }]);
        let request = json!({ "data": { "created_by_id": "alice", "members": members } });
        let parse = |text: &str| text.parse().expect("a cid");
        let channel = serde_json::from_value(request.clone()).expect("a request");
        world.get_or_create_channel(&parse("messaging:c"), channel, NOW).expect("a channel");
        let request = json!({ "data": { "created_by_id": "alice", "members": [members[1]] } });
        let call = serde_json::from_value(request).expect("a request");
        world.get_or_create_call(&parse("default:c"), call, NOW).expect("a call");
        world
    }

    fn socket(user_id: &str, product: Product, watched: &[&str], presence_of: &[&str]) -> Socket {
        let token = TokenTimes { iat: None, exp: None };
        let (mut socket, _) = Socket::new("id".to_owned(), user_id, product, token);
        socket.watched = watched.iter().map(|cid| (*cid).to_owned()).collect();
        socket.presence_of = presence_of.iter().map(|id| (*id).to_owned()).collect();
        socket
    }

    fn expect_recipients(audience: Audience, event: &Value, sockets: &[Socket], expected: &[bool]) {
        let world = world();
        let recipients = Recipients::new(event, &world);
        let actual: Vec<bool> =
            sockets.iter().map(|socket| recipients.include(audience, socket, &world)).collect();
        assert_eq!(actual, expected, "{audience:?}");
    }

    #[test]
    fn audience_of_a_channel_event() {
        let sockets = [
            socket("alice", Product::Chat, &["messaging:c"], &[]),
            socket("alice", Product::Chat, &[], &[]),
            socket("bob", Product::Chat, &["messaging:d"], &[]),
            socket("carol", Product::Chat, &["messaging:c"], &[]),
            socket("carol", Product::Chat, &[], &[]),
            socket("bob", Product::Video, &[], &[]),
        ];
        let event = json!({
            "type": "any",
            "cid": "messaging:c",
            "user": { "id": "alice" },
            "member": { "user_id": "bob" },
            "members": [{ "user_id": "carol" }],
        });
        for (audience, expected) in [
            (Audience::Watchers, [true, false, false, true, false, false]),
            (Audience::OtherMembers, [false, true, true, false, false, false]),
            (Audience::Members, [true, true, true, false, false, false]),
            (Audience::WatchersAndMembers, [true, true, true, true, false, false]),
            (Audience::NamedMembers, [false, false, false, true, true, false]),
            (Audience::User, [true, true, false, false, false, false]),
            (Audience::OtherSocketsOfUser, [false, true, false, false, false, false]),
            (Audience::Member, [false, false, true, false, false, false]),
            (Audience::OtherSocketsOfMember, [false, false, true, false, false, false]),
        ] {
            expect_recipients(audience, &event, &sockets, &expected);
        }
    }

    #[test]
    fn hidden_message_reaches_only_its_viewers() {
        let sockets =
            ["alice", "bob", "carol"].map(|id| socket(id, Product::Chat, &["messaging:c"], &[]));
        for (message, expected) in [
            (json!({ "restricted_visibility": [] }), [true, true, true]),
            (json!({ "restricted_visibility": ["bob"] }), [true, true, false]),
            (json!({ "restricted_visibility": ["bob"], "shadowed": true }), [true, false, false]),
        ] {
            let mut event = json!({ "type": "any", "cid": "messaging:c", "message": message });
            event["message"]["user"] = json!({ "id": "alice" });
            expect_recipients(Audience::Watchers, &event, &sockets, &expected);
        }
    }

    #[test]
    fn members_of_a_deleted_channel_come_from_the_event() {
        let sockets =
            [socket("bob", Product::Chat, &[], &[]), socket("carol", Product::Chat, &[], &[])];
        let event =
            json!({ "type": "any", "cid": "messaging:x", "members": [{ "user_id": "carol" }] });
        expect_recipients(Audience::OtherMembers, &event, &sockets, &[false, true]);
    }

    #[test]
    fn creator_of_a_call_counts_as_a_member() {
        let sockets = ["alice", "bob", "carol"].map(|id| socket(id, Product::Video, &[], &[]));
        for cid in ["default:c", "default:deleted"] {
            let event = json!({
                "type": "call.rejected",
                "call_cid": cid,
                "call": { "created_by": { "id": "alice" } },
                "members": [{ "user": { "id": "bob" } }],
            });
            expect_recipients(Audience::Members, &event, &sockets, &[true, true, false]);
            expect_recipients(Audience::NamedMembers, &event, &sockets, &[false, true, false]);
        }
    }

    #[test]
    fn audience_of_a_user_event() {
        let sockets = [
            socket("alice", Product::Chat, &[], &[]),
            socket("bob", Product::Chat, &[], &["alice"]),
            socket("carol", Product::Chat, &["messaging:c"], &[]),
            socket("carol", Product::Chat, &[], &[]),
        ];
        let event = json!({ "type": "user.updated", "user": { "id": "alice" } });
        for (audience, expected) in [
            (Audience::PresenceSubscribers, [false, true, false, false]),
            (Audience::Contacts, [true, true, true, false]),
            (Audience::User, [true, false, false, false]),
            (Audience::Watchers, [false; 4]),
        ] {
            expect_recipients(audience, &event, &sockets, &expected);
        }
    }
}
