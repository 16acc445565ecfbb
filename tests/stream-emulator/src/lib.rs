//! An in-memory emulator of Stream's API, served as plain HTTP/1 on loopback: the operations of
//! servers and clients, with the paths of either version, and the sockets of clients.
//!
//! It follows the documentation of Stream and the behaviour of its official libraries: error
//! codes, idempotency rules and surprising cases. For example, a late create brings a deleted
//! channel back empty, an upsert replaces the whole user, and a used message id is never free
//! again. The crate shares no wire types with the project's client, so that a mistake in a shared
//! type cannot pass on both sides.
//!
//! - `world` is the state of the emulated app: pure data, one file per kind of object, no I/O. Its
//!   operations emit events, and its timeouts end calls, sessions, rings and bans. `world::client`
//!   has the operations of user tokens, which the grants of call and channel types limit.
//! - `state` holds the world behind one mutex, which is never held across an await. Every operation
//!   goes through `State::with_inner`: it runs the timeouts and delayed requests that are due, then
//!   the operation, then publishes the new events to sockets and webhooks, in the same order. Time
//!   is the emulator's clock, which a test can move. Rate limits are enforced here.
//! - `server`, `route`, `auth`, `request` and `response` are the HTTP layer.
//! - `realtime` serves the sockets of chat and video clients. A table in `realtime::audience` has
//!   the recipients of each event type, and another the types that webhooks receive.
//! - `webhooks` delivers events to the app's hooks, signed and retried as Stream does. A
//!   [`WebhookScript`] drops, duplicates, delays or reorders the deliveries.
//! - `faults` makes requests fail as a network can. `control` offers faults and more to other
//!   processes, under `/_emulator`.
//! - [`Emulator`] is the handle that tests hold. It also performs what no server-side request can:
//!   users join and leave calls, accept, reject, miss, end and rate them.
//!
//! Where Stream's documentation leaves a case open, the emulator makes a choice. The end of a call
//! ends its session, without a `call.session_participant_left` event for each participant. A user
//! who joins again under a `user_session_id` that is present leaves at the same instant. A call
//! member without a role gets the role `user`. An operation without a published rate limit has an
//! assumed one. Some choices have a switch: whether `RingCall` rings the creator
//! ([`Emulator::set_ring_call_rings_creator`]), whether a busy member misses a call at once
//! ([`Emulator::set_early_misses`]), whether an update of a call replaces its settings
//! ([`Emulator::set_update_call_replaces_settings`]), and the delay of participant sessions
//! ([`Emulator::set_participant_sessions_delay`]).
//!
//! A client connects to `/connect` (chat) or `/video/connect`. A refusal is a `connection.error`
//! with Stream's code after the upgrade, then a close with code 1000. A token that expires or is
//! revoked, or a user who is deactivated or deleted, closes the open socket with code 1001.
//! Stream's clients then connect again and get the reason. The server sends a health check every 30
//! s, and closes a socket whose client sends nothing for 75 s. A queue of 1,000 unsent frames
//! closes a socket with code 1011. A token of another user than the client names is refused with
//! code 5. A request that watches with an unknown `connection_id` is refused with code 46. A
//! removed member no longer watches the channel. Tests can close sockets with
//! [`Emulator::drop_sockets`] and refuse connections with [`Emulator::refuse_connections`].
//!
//! Both versions of the API are served: v2 below `/api/v2`, v1 of chat without a prefix, and the
//! paths of video clients below `/video`. `v1` converts the shapes of chat v1. A client may do what
//! the grants of its call or channel type allow: those of `messaging` are used for every channel
//! type. A request for a feature that is not emulated returns 501, and an unknown field that would
//! change the outcome returns 400 with code 4.
//!
//! A client that joins a call gets, by [`JoinMode`], an error or the credentials of an endpoint of
//! the emulator. In the latter case the user participates until that endpoint's socket or the last
//! video socket of the user closes. A join of an ended call is refused. Assumed: a client deletes
//! messages softly only, and changes the roles of members only if it may ban them. Assumed: the
//! response to a sync has the inaccessible channels only if the request asks for them.
//!
//! Not emulated for clients: media, push notifications, uploads, threads and polls.

// `json!` recurses once per member, and some of Stream's objects have many members.
#![recursion_limit = "256"]

mod auth;
mod control;
mod delayed;
mod dispatch;
mod emulator;
mod error;
mod event_log;
mod faults;
mod millis;
mod operation;
mod rate_limit;
mod realtime;
mod request;
mod response;
mod rng;
mod route;
mod server;
mod settings;
mod state;
mod timestamp;
mod v1;
mod views;
mod webhooks;
#[cfg(test)]
mod wire_tests;
mod world;

pub use emulator::Emulator;
pub use error::StreamErrorView;
pub use faults::{Fault, FaultRule};
pub use operation::{Operation, RequestCounts};
pub use response::FAULT_HEADER;
pub use settings::{Clock, Settings};
pub use views::{
    BanView, CallReport, CallTypeView, CallView, ChannelView, JoinView, MessageView,
    ParticipantSessionFaults, ParticipantStats, RingView, SessionStats, SocketView, UserAction,
    UserToken, UserView,
};
pub use webhooks::{
    AttemptOutcomeView, AttemptView, DeliveryAttempt, DeliveryView, GzipMode, WebhookScript,
    WebhookTimes,
};
pub use world::{APP_OBJECT_SECRET, JoinMode};
