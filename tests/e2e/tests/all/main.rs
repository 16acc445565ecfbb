//! The functions as they are deployed: real binaries behind API Gateway's events, DynamoDB and
//! Stream stood in for on loopback. One test binary, so that the functions are built once.

#![expect(clippy::unwrap_used, reason = "a test cannot go on without it")]

mod authorization;
mod call_create;
mod call_end;
mod concurrency;
mod config;
mod erasure;
mod faults;
mod glare;
mod happy_path;
mod jwks;
mod layers;
mod logging;
mod messages;
mod openapi;
mod output;
mod quality;
mod rate_limits;
mod rejected_request_table;
mod rejected_requests;
mod repository_consistency;
mod request_costs;
mod secrets;
mod store_contract;
mod stream_unconfigured;
mod sweeper;
mod token_revocation;
mod users;
mod webhook;
