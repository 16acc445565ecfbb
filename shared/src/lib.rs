//! What the functions share: auth, the Stream client, the life of a call, and the HTTP edge.
//!
//! Dependencies point inward: functions, then [`http`], then [`auth`], [`tokens`], [`calls`],
//! [`users`], [`messages`], [`quality`] and [`limits`], then [`ids`] and [`clock`]. Stream and the
//! table are adapters at the edge.

pub mod auth;
pub mod calls;
pub mod checks;
pub mod clock;
pub mod config;
pub mod dynamo;
pub mod erasure;
pub mod error;
pub mod fields;
mod hex;
pub mod http;
pub mod ids;
mod json;
mod lambda;
pub mod limits;
mod log;
pub mod messages;
pub mod net;
mod parts;
pub mod quality;
pub mod random;
pub mod schedule;
pub mod secret;
mod secrets;
pub mod store;
pub mod stream;
mod sync;
pub mod telemetry;
pub mod tokens;
pub mod users;
pub mod world;
