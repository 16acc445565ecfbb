//! The library of the functions: authentication, the Stream client, the call lifecycle and the HTTP
//! layer.
//!
//! Dependencies point inward, in this order: the functions, [`http`], the services ([`auth`],
//! [`tokens`], [`calls`], [`users`], [`messages`], [`quality`], [`rate_limiter`]), [`ids`] and
//! [`clock`]. The Stream client ([`stream`]) and the table ([`dynamo`]) are adapters behind traits.

pub mod auth;
pub mod calls;
pub mod clock;
pub mod config;
pub mod context;
pub mod dynamo;
pub mod erasure;
pub mod error;
mod event_function;
pub mod events;
pub mod fields;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
pub mod health;
pub mod history;
pub mod http;
pub mod ids;
mod json;
mod lambda;
mod log;
pub mod messages;
mod minute_quota;
pub mod net;
mod plain_text;
pub mod quality;
pub mod quality_band;
pub mod random;
pub mod rate_limiter;
mod redact;
mod refresh;
mod reloadable;
pub mod schedule;
pub mod score_model;
mod secrets;
pub mod store;
pub mod stream;
pub mod stream_consumer;
pub mod stream_names;
mod sync;
pub mod table_stream;
pub mod telemetry;
#[cfg(test)]
mod test_support;
pub mod tokens;
pub mod users;
pub mod webhooks;
