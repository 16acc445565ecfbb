//! End-to-end tests of the built functions, with local API Gateway, DynamoDB and Stream. They are
//! one test binary, so that the functions are built once.

#![expect(clippy::unwrap_used, reason = "a failed setup must fail the test")]

mod authorization;
mod busy;
mod call_create;
mod call_end;
mod call_extend;
mod call_gate;
mod call_outcomes;
mod concurrency;
mod config;
mod console;
mod documents;
mod erasure;
mod events;
mod faults;
mod glare;
mod grants;
mod happy_path;
mod health;
mod history;
mod hostile_inputs;
mod inactive_users;
mod jwks;
mod layers;
mod logging;
mod messages;
mod openapi;
mod outages;
mod output;
mod presence;
mod profile_pushes;
mod quality;
mod rate_limits;
mod redial;
mod rejected_request_table;
mod rejected_requests;
mod repository_consistency;
mod request_costs;
mod secrets;
mod settlement;
mod store_contract;
mod stream_unconfigured;
mod sweeper;
mod token_revocation;
mod users;
mod webhook;
