//! Mutes: a user mutes another user or a channel. Messages of a muted channel do not count as
//! unread.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::acting_user::ActingUser;
use super::cid::Cid;
use super::moderation::Moderation;
use super::users::UserRef;
use super::validation::{check_count, require};
use super::{ApiResult, World, strip_nulls};
use crate::error::StreamError;
use crate::timestamp::Timestamp;
use crate::views::UserAction;

const MAX_BATCH_SIZE: usize = 100;

/// One user has muted another.
#[derive(Debug, Serialize)]
pub(super) struct UserMute {
    action: UserAction,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

/// A user has muted a channel.
#[derive(Debug, Serialize)]
pub(super) struct ChannelMute {
    user_id: String,
    cid: Cid,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MuteUsers {
    target_id: Option<String>,
    target_ids: Option<Vec<String>>,
    user_id: Option<String>,
    user: Option<UserRef>,
    /// In minutes.
    timeout: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MuteChannels {
    channel_cid: Option<String>,
    channel_cids: Option<Vec<String>>,
    user_id: Option<String>,
    user: Option<UserRef>,
    /// In milliseconds.
    expiration: Option<u64>,
}

impl MuteChannels {
    pub(super) fn cids(&self) -> impl Iterator<Item = &str> {
        let cids = self.channel_cids.iter().flatten().chain(&self.channel_cid);
        cids.map(String::as_str)
    }
}

impl Moderation {
    pub(super) fn add_mute(
        &mut self,
        action: UserAction,
        timeout: Option<Duration>,
        now: Timestamp,
    ) {
        self.remove_mute(&action);
        let expires_at = timeout.map(|timeout| now.plus(timeout));
        self.mutes.push(UserMute { action, created_at: now, expires_at });
    }

    pub(super) fn remove_mute(&mut self, action: &UserAction) {
        self.mutes.retain(|mute| mute.action != *action);
    }

    fn remove_channel_mute(&mut self, user_id: &str, cid: &Cid) {
        self.channel_mutes.retain(|mute| mute.user_id != user_id || mute.cid != *cid);
    }

    pub(super) fn has_muted_channel(&self, user_id: &str, cid: &Cid) -> bool {
        self.channel_mutes.iter().any(|mute| mute.user_id == user_id && mute.cid == *cid)
    }

    /// When the next mute ends by itself.
    pub(super) fn next_mute_expiry(&self) -> Option<Timestamp> {
        let users = self.mutes.iter().filter_map(|mute| mute.expires_at);
        let channels = self.channel_mutes.iter().filter_map(|mute| mute.expires_at);
        users.chain(channels).min()
    }

    pub(super) fn remove_expired_mutes(&mut self, now: Timestamp) {
        let is_active = |expires_at: Option<Timestamp>| expires_at.is_none_or(|it| it > now);
        self.mutes.retain(|mute| is_active(mute.expires_at));
        self.channel_mutes.retain(|mute| is_active(mute.expires_at));
    }
}

impl UserMute {
    fn response(&self, world: &World) -> Value {
        strip_nulls(json!({
            "user": world.user_response(&self.action.user_id),
            "target": world.user_response(&self.action.target_user_id),
            "created_at": self.created_at,
            "updated_at": self.created_at,
            "expires": self.expires_at,
        }))
    }
}

impl ChannelMute {
    fn response(&self, world: &World) -> Value {
        let channel = world.channels.get(&self.cid).map(|channel| channel.response(world));
        strip_nulls(json!({
            "user": world.user_response(&self.user_id),
            "channel": channel,
            "created_at": self.created_at,
            "updated_at": self.created_at,
            "expires": self.expires_at,
        }))
    }
}

impl World {
    pub(crate) fn mute_users(
        &mut self,
        token_user: Option<&str>,
        request: MuteUsers,
        now: Timestamp,
    ) -> ApiResult {
        let timeout = request.timeout.filter(|minutes| *minutes > 0);
        let timeout = timeout.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
        let (user_id, targets) = self.resolve_mute(token_user, request)?;
        for target in &targets {
            let action = UserAction { user_id: user_id.clone(), target_user_id: target.clone() };
            self.moderation.add_mute(action, timeout, now);
        }
        self.emit_user_mutes("user.muted", &user_id, &targets, now);
        let mutes: Vec<Value> = self
            .mutes_of(&user_id)
            .filter(|mute| targets.contains(&mute.action.target_user_id))
            .map(|mute| mute.response(self))
            .collect();
        let single = mutes.first().filter(|_| mutes.len() == 1).cloned();
        let own_user = self.own_user(&user_id)?;
        Ok(strip_nulls(json!({ "mute": single, "mutes": mutes, "own_user": own_user })))
    }

    pub(crate) fn unmute_users(
        &mut self,
        token_user: Option<&str>,
        request: MuteUsers,
        now: Timestamp,
    ) -> ApiResult {
        let (user_id, targets) = self.resolve_mute(token_user, request)?;
        for target in &targets {
            let action = UserAction { user_id: user_id.clone(), target_user_id: target.clone() };
            self.moderation.remove_mute(&action);
        }
        self.emit_user_mutes("user.unmuted", &user_id, &targets, now);
        Ok(json!({}))
    }

    pub(crate) fn mute_channels(
        &mut self,
        token_user: Option<&str>,
        request: MuteChannels,
        now: Timestamp,
    ) -> ApiResult {
        let expiration = request.expiration.filter(|millis| *millis > 0);
        let expires_at = expiration.map(|millis| now.plus(Duration::from_millis(millis)));
        let (user_id, cids) = self.resolve_channel_mute(token_user, request)?;
        for cid in &cids {
            self.moderation.remove_channel_mute(&user_id, cid);
            self.moderation.channel_mutes.push(ChannelMute {
                user_id: user_id.clone(),
                cid: cid.clone(),
                created_at: now,
                expires_at,
            });
        }
        self.emit_channel_mutes("channel.muted", &user_id, &cids, now);
        let mutes: Vec<Value> = self
            .channel_mutes_of(&user_id)
            .filter(|mute| cids.contains(&mute.cid))
            .map(|mute| mute.response(self))
            .collect();
        let single = mutes.first().filter(|_| mutes.len() == 1).cloned();
        let own_user = self.own_user(&user_id)?;
        let response =
            json!({ "channel_mute": single, "channel_mutes": mutes, "own_user": own_user });
        Ok(strip_nulls(response))
    }

    pub(crate) fn unmute_channels(
        &mut self,
        token_user: Option<&str>,
        request: MuteChannels,
        now: Timestamp,
    ) -> ApiResult {
        let (user_id, cids) = self.resolve_channel_mute(token_user, request)?;
        for cid in &cids {
            self.moderation.remove_channel_mute(&user_id, cid);
        }
        self.emit_channel_mutes("channel.unmuted", &user_id, &cids, now);
        Ok(json!({}))
    }

    /// The mutes of a user in the user's own object.
    pub(super) fn mute_responses(&self, user_id: &str) -> Vec<Value> {
        self.mutes_of(user_id).map(|mute| mute.response(self)).collect()
    }

    /// The channel mutes of a user in the user's own object.
    pub(super) fn channel_mute_responses(&self, user_id: &str) -> Vec<Value> {
        self.channel_mutes_of(user_id).map(|mute| mute.response(self)).collect()
    }

    /// All mutes of users, sorted.
    pub(crate) fn mutes(&self) -> Vec<UserAction> {
        let mut mutes: Vec<UserAction> =
            self.moderation.mutes.iter().map(|mute| mute.action.clone()).collect();
        mutes.sort();
        mutes
    }

    fn mutes_of<'a>(&'a self, user_id: &'a str) -> impl Iterator<Item = &'a UserMute> {
        self.moderation.mutes.iter().filter(move |mute| mute.action.user_id == user_id)
    }

    fn channel_mutes_of<'a>(&'a self, user_id: &'a str) -> impl Iterator<Item = &'a ChannelMute> {
        self.moderation.channel_mutes.iter().filter(move |mute| mute.user_id == user_id)
    }

    fn resolve_mute(
        &self,
        token_user: Option<&str>,
        request: MuteUsers,
    ) -> Result<(String, Vec<String>), StreamError> {
        let user_id = ActingUser::new(request.user_id, request.user).resolve("mute", token_user)?;
        let mut targets = request.target_ids.unwrap_or_default();
        targets.extend(request.target_id);
        check_count("target_ids", targets.len(), MAX_BATCH_SIZE)?;
        require(!targets.contains(&user_id), "a user cannot mute itself")?;
        let involved = targets.iter().map(String::as_str).chain([user_id.as_str()]);
        self.check_users_exist_for("mute", involved)?;
        Ok((user_id, targets))
    }

    fn resolve_channel_mute(
        &self,
        token_user: Option<&str>,
        request: MuteChannels,
    ) -> Result<(String, Vec<Cid>), StreamError> {
        let user_id = ActingUser::new(request.user_id, request.user).resolve("mute", token_user)?;
        self.check_users_exist_for("channel mute", [user_id.as_str()])?;
        let mut texts = request.channel_cids.unwrap_or_default();
        texts.extend(request.channel_cid);
        check_count("channel_cids", texts.len(), MAX_BATCH_SIZE)?;
        let parse = |text: &String| -> Result<Cid, StreamError> {
            let cid = text.parse().map_err(|_| {
                StreamError::invalid_input(format!("channel cid {text:?} is not valid"))
            })?;
            self.find_channel(&cid)?;
            Ok(cid)
        };
        let cids = texts.iter().map(parse).collect::<Result<_, _>>()?;
        Ok((user_id, cids))
    }

    fn emit_user_mutes(&mut self, kind: &str, user_id: &str, targets: &[String], now: Timestamp) {
        let targets: Vec<Value> = targets.iter().map(|id| self.user_response(id)).collect();
        let single = targets.first().filter(|_| targets.len() == 1).cloned();
        let fields = strip_nulls(json!({ "target_user": single, "target_users": targets }));
        self.emit_user(kind, user_id, now, fields);
        let me = json!({ "me": self.own_user(user_id).unwrap_or_default() });
        self.emit_user("notification.mutes_updated", user_id, now, me);
    }

    fn emit_channel_mutes(&mut self, kind: &str, user_id: &str, cids: &[Cid], now: Timestamp) {
        for cid in cids {
            let user = json!({ "user": self.user_response(user_id) });
            self.emit_channel(kind, cid, now, user);
        }
        let me = json!({ "me": self.own_user(user_id).unwrap_or_default() });
        self.emit_user("notification.channel_mutes_updated", user_id, now, me);
    }
}
