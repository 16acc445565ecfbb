//! The serialized form of a presence. It is compact, because every change rewrites it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Presence;
use super::record::{Key, Record, UnkeyedLeave};
use crate::clock::Timestamp;
use crate::ids::{SessionId, UserId};

/// The serialized form.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredPresence {
    version: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    users: Vec<UserId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    intervals: Vec<StoredInterval>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    leaves: Vec<StoredLeave>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sessions: BTreeMap<SessionId, bool>,
}

/// The index of the user, the session or an empty text, the time of the join, and in milliseconds
/// after the join: `left_at`, `last_seen` and `first_missed`.
type StoredInterval = (usize, String, Timestamp, Option<i64>, i64, Option<i64>);

/// The index of the user, the session, the time, and the duration in milliseconds.
type StoredLeave = (usize, SessionId, Timestamp, Option<u64>);

impl From<Presence> for StoredPresence {
    fn from(presence: Presence) -> Self {
        let Presence { version, is_truncated, records, unkeyed_leaves, sessions } = presence;
        let record_users = records.keys().map(|key| &key.user);
        let users: BTreeSet<&UserId> =
            record_users.chain(unkeyed_leaves.iter().map(|leave| &leave.user)).collect();
        let users: Vec<UserId> = users.into_iter().cloned().collect();
        let index_of = |user: &UserId| users.binary_search(user).unwrap_or_default();
        let intervals = records
            .iter()
            .map(|(key, record)| {
                let offset =
                    |at: Timestamp| at.as_millis().saturating_sub(key.joined_at.as_millis());
                (
                    index_of(&key.user),
                    key.session
                        .as_ref()
                        .map(|session| session.as_str().to_owned())
                        .unwrap_or_default(),
                    key.joined_at,
                    record.left_at.map(offset),
                    offset(record.last_seen),
                    record.first_missed.map(offset),
                )
            })
            .collect();
        let leaves = unkeyed_leaves
            .iter()
            .map(|leave| {
                let millis = |duration: Duration| u64::try_from(duration.as_millis()).ok();
                let duration = leave.duration.and_then(millis);
                (index_of(&leave.user), leave.session.clone(), leave.at, duration)
            })
            .collect();
        Self { version, truncated: is_truncated, users, intervals, leaves, sessions }
    }
}

impl TryFrom<StoredPresence> for Presence {
    type Error = &'static str;

    fn try_from(stored: StoredPresence) -> Result<Self, Self::Error> {
        let StoredPresence { version, truncated, users, intervals, leaves, sessions } = stored;
        let user_at = |index: usize| users.get(index).cloned().ok_or("the user is missing");
        let mut presence = Self { version, is_truncated: truncated, sessions, ..Self::default() };
        for (user, session, joined_at, left, seen, missed) in intervals {
            let user = user_at(user)?;
            let session = if session.is_empty() {
                None
            } else {
                Some(SessionId::try_from(session).map_err(|_| "the session is invalid")?)
            };
            let at =
                |offset: i64| Timestamp::from_millis(joined_at.as_millis().saturating_add(offset));
            let record =
                Record { left_at: left.map(at), last_seen: at(seen), first_missed: missed.map(at) };
            presence.records.insert(Key { user, session, joined_at }, record);
        }
        for (user, session, at, millis) in leaves {
            let (user, duration) = (user_at(user)?, millis.map(Duration::from_millis));
            presence.unkeyed_leaves.insert(UnkeyedLeave { at, user, session, duration });
        }
        Ok(presence)
    }
}
