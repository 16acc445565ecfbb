//! Pretended participation: a client without media joins a call by its request alone, and leaves it
//! with its last socket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::World;
use super::cid::Cid;
use super::session::Join;
use crate::error::StreamError;
use crate::timestamp::Timestamp;

/// The response to a join. Media is not emulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinMode {
    /// Rejects with 400: media is not emulated; `unrecoverable`.
    #[default]
    Refuse,
    /// The credentials of a local endpoint. The user then participates in the call.
    Pretend,
}

/// The pretended participants, by `user_session_id`.
#[derive(Debug, Default)]
pub(super) struct Participations(BTreeMap<String, Participation>);

#[derive(Debug)]
struct Participation {
    cid: Cid,
    user_id: String,
    /// The socket of the join. A repeated join of the same socket is the same participant.
    connection_id: Option<String>,
}

impl World {
    pub(crate) fn set_join_mode(&mut self, mode: JoinMode) {
        self.join_mode = mode;
    }

    /// A user participates in a call. Returns the `user_session_id`, which does not change if the
    /// same socket joins again.
    pub(super) fn participate(
        &mut self,
        cid: &Cid,
        user_id: &str,
        connection_id: Option<&str>,
        now: Timestamp,
    ) -> Result<String, StreamError> {
        let same = self.participations.0.iter().find(|(id, it)| {
            let is_same = it.cid == *cid
                && it.user_id == user_id
                && it.connection_id.as_deref() == connection_id;
            is_same && self.is_present(cid, user_id, id)
        });
        if let Some((id, _)) = same {
            return Ok(id.clone());
        }
        let id = self.join(&cid.to_string(), user_id, now).ok_or_else(|| {
            StreamError::invalid_input("the call has ended, and media is not emulated")
                .unrecoverable()
        })?;
        let participation = Participation {
            cid: cid.clone(),
            user_id: user_id.to_owned(),
            connection_id: connection_id.map(str::to_owned),
        };
        self.participations.0.insert(id.clone(), participation);
        Ok(id)
    }

    /// The last video socket of a user closed: the user leaves the calls that the user joined by
    /// request.
    pub(crate) fn client_disconnected(&mut self, user_id: &str, now: Timestamp) {
        let ended: Vec<String> = self
            .participations
            .0
            .iter()
            .filter(|(_, participation)| participation.user_id == user_id)
            .map(|(id, _)| id.clone())
            .collect();
        for id in ended {
            self.media_disconnected(&id, now);
        }
    }

    /// The socket of a media endpoint closed: its participant leaves.
    pub(crate) fn media_disconnected(&mut self, user_session_id: &str, now: Timestamp) {
        let Some(Participation { cid, user_id, .. }) =
            self.participations.0.remove(user_session_id)
        else {
            return;
        };
        let is_leaving =
            |join: &Join| join.user_id == user_id && join.user_session_id == user_session_id;
        self.end_joins(&cid, is_leaving, None, now);
    }

    fn is_present(&self, cid: &Cid, user_id: &str, user_session_id: &str) -> bool {
        let session = self.calls.get(cid).and_then(|call| call.current_session());
        session.is_some_and(|session| session.has_join(user_id, user_session_id))
    }
}

/// The local endpoint of a participant, in the form of Stream's media servers.
pub(super) fn credentials(host: &Host, user_session_id: &str) -> Value {
    json!({
        "server": {
            "edge_name": "emulated",
            "url": format!("{}/twirp", host.http_url()),
            "ws_endpoint": format!("{}/{user_session_id}", host.ws_url()),
        },
        "token": "emulated",
        "ice_servers": [],
    })
}

/// The address at which a client reaches the emulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    authority: String,
    is_tls: bool,
}

impl Host {
    const MEDIA_PATH: &str = "/_emulator/media";

    pub(crate) fn new(authority: &str, is_tls: bool) -> Self {
        Self { authority: authority.to_owned(), is_tls }
    }

    fn http_url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, Self::MEDIA_PATH)
    }

    fn ws_url(&self) -> String {
        let scheme = if self.is_tls { "wss" } else { "ws" };
        format!("{scheme}://{}{}", self.authority, Self::MEDIA_PATH)
    }
}
