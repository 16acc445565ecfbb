//! Bans of users, from the whole app or from one channel. A banned user can read but not send. A
//! ban with a timeout ends by itself. The documentation leaves open whether that end emits
//! `user.unbanned`: here it does not.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cid::Cid;
use super::users::UserRef;
use super::validation::ensure;
use super::{ApiResult, World, merge, strip_nulls};
use crate::error::StreamError;
use crate::request::Query;
use crate::timestamp::Timestamp;
use crate::views::BanView;

const SUSPENDED_TEXT: &str = "Sorry, you do not have access to this feature. Your account is \
                              currently suspended from chat.";

#[derive(Clone, Debug, Serialize)]
pub(super) struct Ban {
    banned_by: Option<String>,
    reason: Option<String>,
    /// Whether only others notice the ban.
    shadow: bool,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BanUser {
    target_user_id: String,
    banned_by_id: Option<String>,
    banned_by: Option<UserRef>,
    /// In minutes.
    timeout: Option<u64>,
    reason: Option<String>,
    shadow: Option<bool>,
    channel_cid: Option<String>,
    #[serde(rename = "type")]
    channel_type: Option<String>,
    #[serde(rename = "id")]
    channel_id: Option<String>,
}

/// The parameters of an unban, which are in the query.
#[derive(Debug)]
pub(crate) struct UnbanUser {
    target_user_id: String,
    channel: Option<Cid>,
}

impl BanUser {
    pub(super) fn channel(&self) -> Result<Option<Cid>, StreamError> {
        let (kind, id) = (self.channel_type.as_deref(), self.channel_id.as_deref());
        parse_channel(self.channel_cid.as_deref(), kind, id)
    }

    /// The request with this banning user.
    pub(super) fn banned_by(mut self, user_id: &str) -> Self {
        self.banned_by_id = Some(user_id.to_owned());
        self
    }
}

impl UnbanUser {
    pub(super) const fn channel(&self) -> Option<&Cid> {
        self.channel.as_ref()
    }

    pub(crate) fn from_query(query: &Query) -> Result<Self, StreamError> {
        let target_user_id = query
            .get_owned("target_user_id")
            .ok_or_else(|| StreamError::invalid_input("target_user_id is a required parameter"))?;
        let channel = parse_channel(query.get("channel_cid"), query.get("type"), query.get("id"))?;
        Ok(Self { target_user_id, channel })
    }
}

impl Ban {
    pub(super) fn new(
        banned_by: Option<String>,
        reason: Option<String>,
        timeout: Option<Duration>,
        now: Timestamp,
    ) -> Self {
        let expires_at = timeout.map(|timeout| now.plus(timeout));
        Self { banned_by, reason, shadow: false, created_at: now, expires_at }
    }

    pub(super) const fn is_shadow(&self) -> bool {
        self.shadow
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }

    fn view(&self, user_id: &str, channel: Option<&Cid>) -> BanView {
        BanView {
            user_id: user_id.to_owned(),
            channel_cid: channel.map(Cid::to_string),
            banned_by: self.banned_by.clone(),
            reason: self.reason.clone(),
            shadow: self.shadow,
            created_at: self.created_at.as_nanos(),
            expires_at: self.expires_at.map(Timestamp::as_nanos),
        }
    }
}

/// The fields of a user or a member that describe a ban.
pub(super) fn ban_fields(ban: Option<&Ban>) -> Value {
    strip_nulls(json!({
        "banned": ban.is_some_and(|ban| !ban.shadow),
        "shadow_banned": ban.is_some_and(Ban::is_shadow),
        "ban_expires": ban.and_then(|ban| ban.expires_at),
    }))
}

impl World {
    pub(crate) fn ban(&mut self, request: BanUser, now: Timestamp) -> ApiResult {
        let channel = request.channel()?;
        self.find_user(&request.target_user_id)?;
        if let Some(cid) = &channel {
            self.find_channel(cid)?;
        }
        let banned_by = request.banned_by_id.or(request.banned_by.map(|user| user.id));
        let timeout =
            request.timeout.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
        let ban = Ban {
            shadow: request.shadow.unwrap_or_default(),
            ..Ban::new(banned_by, request.reason, timeout, now)
        };
        self.add_ban(&request.target_user_id, channel.as_ref(), ban, now);
        Ok(json!({}))
    }

    /// Lifts a ban. Without a ban, nothing happens.
    pub(crate) fn unban(&mut self, request: &UnbanUser, now: Timestamp) -> ApiResult {
        self.find_user(&request.target_user_id)?;
        self.lift_ban(&request.target_user_id, request.channel.as_ref(), now);
        Ok(json!({}))
    }

    /// Bans a user from the app without a request. If the user does not exist, nothing happens.
    pub(crate) fn mark_banned(&mut self, id: &str, timeout: Option<Duration>, now: Timestamp) {
        self.add_ban(id, None, Ban::new(None, None, timeout, now), now);
    }

    /// Lifts the ban of a user from the app without a request.
    pub(crate) fn mark_unbanned(&mut self, id: &str, now: Timestamp) {
        self.lift_ban(id, None, now);
    }

    /// All bans from the app, then those from channels.
    pub(crate) fn ban_views(&self) -> Vec<BanView> {
        let app_bans = self.users.values().filter_map(|user| Some((user, user.ban.as_ref()?)));
        let app_bans = app_bans.map(|(user, ban)| ban.view(&user.id, None));
        let channel_bans = self.channels.values().flat_map(|channel| {
            channel.bans.iter().map(move |(user_id, ban)| ban.view(user_id, Some(&channel.cid)))
        });
        app_bans.chain(channel_bans).collect()
    }

    /// Checks that a user is banned neither from the app nor from the channel. A shadow ban is not
    /// reported to the user.
    pub(super) fn check_not_banned(&self, user_id: &str, cid: &Cid) -> Result<(), StreamError> {
        let app_ban = self.users.get(user_id).and_then(|user| user.ban.as_ref());
        let channel_ban = self.channels.get(cid).and_then(|channel| channel.bans.get(user_id));
        let is_banned = app_ban.into_iter().chain(channel_ban).any(|ban| !ban.shadow);
        ensure(!is_banned, || StreamError::forbidden(SUSPENDED_TEXT))
    }

    /// Whether a user is under a shadow ban from the app or from the channel.
    pub(super) fn has_shadow_ban(&self, user_id: &str, cid: &Cid) -> bool {
        let app_ban = self.users.get(user_id).and_then(|user| user.ban.as_ref());
        let channel_ban = self.channels.get(cid).and_then(|channel| channel.bans.get(user_id));
        app_ban.into_iter().chain(channel_ban).any(Ban::is_shadow)
    }

    /// Replaces an earlier ban from the same channel or from the app.
    pub(super) fn add_ban(
        &mut self,
        user_id: &str,
        channel: Option<&Cid>,
        ban: Ban,
        now: Timestamp,
    ) {
        if !self.users.contains_key(user_id) {
            return;
        }
        let fields = json!({
            "created_by": ban.banned_by.as_ref().map(|id| self.user_response(id)),
            "reason": ban.reason,
            "expiration": ban.expires_at,
            "shadow": ban.shadow,
        });
        if let Some(cid) = channel {
            let Some(channel) = self.channels.get_mut(cid) else { return };
            channel.bans.insert(user_id.to_owned(), ban);
        } else if let Some(user) = self.users.get_mut(user_id) {
            user.ban = Some(ban);
        }
        let total_bans = self.ban_views().iter().filter(|ban| ban.user_id == user_id).count();
        let fields = merge(strip_nulls(fields), json!({ "total_bans": total_bans }));
        self.emit_ban("user.banned", user_id, channel, fields, now);
    }

    pub(super) fn lift_ban(&mut self, user_id: &str, channel: Option<&Cid>, now: Timestamp) {
        let lifted = match channel {
            Some(cid) => {
                self.channels.get_mut(cid).and_then(|channel| channel.bans.remove(user_id))
            }
            None => self.users.get_mut(user_id).and_then(|user| user.ban.take()),
        };
        if let Some(ban) = lifted {
            let fields = json!({ "shadow": ban.shadow });
            self.emit_ban("user.unbanned", user_id, channel, fields, now);
        }
    }

    /// When the next ban ends by itself.
    pub(super) fn next_ban_expiry(&self) -> Option<Timestamp> {
        let app_bans = self.users.values().filter_map(|user| user.ban.as_ref());
        let channel_bans = self.channels.values().flat_map(|channel| channel.bans.values());
        app_bans.chain(channel_bans).filter_map(|ban| ban.expires_at).min()
    }

    pub(super) fn remove_expired_bans(&mut self, now: Timestamp) {
        for user in self.users.values_mut() {
            user.ban = user.ban.take().filter(|ban| !ban.has_expired(now));
        }
        for channel in self.channels.values_mut() {
            channel.bans.retain(|_, ban| !ban.has_expired(now));
        }
    }

    fn emit_ban(
        &mut self,
        kind: &str,
        user_id: &str,
        channel: Option<&Cid>,
        fields: Value,
        now: Timestamp,
    ) {
        if let Some(cid) = channel {
            let user = json!({ "user": self.user_response(user_id) });
            self.emit_channel(kind, cid, now, merge(user, fields));
        } else {
            self.emit_user(kind, user_id, now, fields);
        }
    }
}

/// The channel of a ban: a cid, or in older libraries a type and an id.
fn parse_channel(
    cid: Option<&str>,
    kind: Option<&str>,
    id: Option<&str>,
) -> Result<Option<Cid>, StreamError> {
    match (cid.filter(|cid| !cid.is_empty()), kind, id) {
        (Some(cid), ..) => cid
            .parse()
            .map(Some)
            .map_err(|_| StreamError::invalid_input(format!("channel_cid {cid:?} is not valid"))),
        (None, Some(kind), Some(id)) => Ok(Some(Cid::new(kind, id))),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        at, create_channel, event_types, expect_error, from_json, messaging_cid, send_message,
        world_with_users,
    };
    use super::*;

    fn ban(world: &mut World, request: Value) -> ApiResult {
        world.ban(from_json(request), at(10))
    }

    fn is_banned(world: &World, id: &str) -> bool {
        world.user_view(id).is_some_and(|user| user.banned)
    }

    #[test]
    fn app_ban_shows_in_the_user_and_emits_events() {
        let mut world = world_with_users(&["alice", "bob"]);
        let request = json!({
            "target_user_id": "bob",
            "banned_by_id": "alice",
            "reason": "spam",
            "timeout": 2,
        });
        assert_eq!(ban(&mut world, request), Ok(json!({})));
        assert!(is_banned(&world, "bob"));
        assert_eq!(world.user_response("bob")["banned"], json!(true));
        assert_eq!(world.user_response("bob")["ban_expires"], json!(at(130)));
        assert_eq!(world.user_response("alice")["banned"], json!(false));
        world.mark_unbanned("bob", at(11));
        world.mark_unbanned("bob", at(12));
        assert!(!is_banned(&world, "bob"));
        let events = world.take_events();
        assert_eq!(event_types(&events), ["user.banned", "user.unbanned"]);
        assert_eq!(events[0]["user"]["id"], json!("bob"));
        assert_eq!(events[0]["user"]["banned"], json!(true));
        assert_eq!(events[0]["created_by"]["id"], json!("alice"));
        assert_eq!(events[0]["reason"], json!("spam"));
        assert_eq!(events[0]["expiration"], json!("2026-01-01T00:02:10.000000000Z"));
        assert_eq!(events[0]["total_bans"], json!(1));
        assert_eq!((events[0].get("cid"), events[1].get("cid")), (None, None));
        assert_eq!(events[1]["user"]["banned"], json!(false));
    }

    #[test]
    fn channel_ban_shows_in_the_member_only() {
        let mut world = world_with_users(&["alice", "bob"]);
        create_channel(&mut world, &["alice", "bob"]).expect("a channel");
        world.take_events();
        let by_cid = json!({ "target_user_id": "bob", "channel_cid": "messaging:c" });
        ban(&mut world, by_cid).expect("banned");
        let by_type = json!({ "target_user_id": "alice", "type": "messaging", "id": "c" });
        ban(&mut world, by_type).expect("banned");
        assert!(!is_banned(&world, "bob"));
        let channel =
            world.get_or_create_channel(&messaging_cid("c"), from_json(json!({})), at(11));
        let members = channel.expect("the channel")["members"].clone();
        assert_eq!((&members[0]["banned"], &members[1]["banned"]), (&json!(true), &json!(true)));
        let cids: Vec<_> = world.ban_views().into_iter().map(|ban| ban.channel_cid).collect();
        assert_eq!(cids, [Some("messaging:c".to_owned()), Some("messaging:c".to_owned())]);
        let query: http::Uri =
            "/?target_user_id=bob&channel_cid=messaging:c".parse().expect("a URI");
        let request = UnbanUser::from_query(&Query::from_uri(&query)).expect("a request");
        world.unban(&request, at(12)).expect("unbanned");
        let events = world.take_events();
        assert_eq!(event_types(&events), ["user.banned", "user.banned", "user.unbanned"]);
        for event in &events {
            assert_eq!(event["cid"], json!("messaging:c"));
            assert_eq!(event.get("expiration"), None);
        }
        assert_eq!(world.ban_views().len(), 1);
    }

    #[test]
    fn ban_ends_after_its_timeout_without_an_event() {
        let mut world = world_with_users(&["alice", "bob"]);
        world.mark_banned("alice", Some(Duration::from_mins(1)), at(0));
        world.mark_banned("bob", None, at(0));
        world.take_events();
        assert_eq!(world.next_timeout_at(), Some(at(60)));
        world.run_next_timeout();
        assert!(!is_banned(&world, "alice"));
        assert!(is_banned(&world, "bob"));
        assert_eq!(world.next_timeout_at(), None);
        assert!(world.take_events().is_empty());
    }

    #[test]
    fn upsert_and_second_ban_keep_one_ban() {
        let mut world = world_with_users(&["alice"]);
        world.mark_banned("alice", None, at(1));
        let shadow = json!({ "target_user_id": "alice", "shadow": true });
        ban(&mut world, shadow).expect("banned");
        let users = json!({ "users": { "alice": { "id": "alice" } } });
        world.upsert_users(from_json(users), at(11)).expect("a user");
        assert_eq!(world.ban_views().len(), 1);
        assert_eq!(world.user_response("alice")["banned"], json!(false));
        assert_eq!(world.user_response("alice")["shadow_banned"], json!(true));
    }

    #[test]
    fn message_under_a_shadow_ban_is_visible_to_its_sender_only() {
        let in_channel = json!({ "channel_cid": "messaging:c" });
        for scope in [json!({}), in_channel] {
            let mut world = world_with_users(&["alice", "bob"]);
            create_channel(&mut world, &["alice", "bob"]).expect("a channel");
            let shadow = json!({ "target_user_id": "alice", "shadow": true });
            ban(&mut world, merge(shadow, scope)).expect("banned");
            world.take_events();
            let response = send_message(&mut world, "m1").expect("a message");
            assert_eq!(response["message"]["shadowed"], json!(true));
            assert_eq!(world.take_events()[0]["message"]["shadowed"], json!(true));
            let count = |viewer: Option<&str>| {
                world.channels[&messaging_cid("c")].listed_messages(viewer).len()
            };
            assert_eq!([Some("alice"), Some("bob"), None].map(count), [1, 0, 1]);
        }
    }

    #[test]
    fn unknown_user_or_channel_is_rejected() {
        let mut world = world_with_users(&["alice"]);
        let unknown_user = json!({ "target_user_id": "bob" });
        assert_eq!(expect_error(ban(&mut world, unknown_user)).1, 16);
        let unknown_channel = json!({ "target_user_id": "alice", "channel_cid": "messaging:x" });
        assert_eq!(expect_error(ban(&mut world, unknown_channel)).1, 16);
        let invalid_channel = json!({ "target_user_id": "alice", "channel_cid": "x" });
        assert_eq!(expect_error(ban(&mut world, invalid_channel)).1, 4);
        assert!(UnbanUser::from_query(&Query::default()).is_err());
        world.mark_banned("bob", None, at(1));
        assert!(world.ban_views().is_empty());
    }
}
