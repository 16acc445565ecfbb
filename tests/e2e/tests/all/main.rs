//! The functions as they are deployed: real binaries behind API Gateway's events, DynamoDB and
//! Stream stood in for on loopback. One test binary, so that the functions are built once.

#![expect(clippy::unwrap_used, reason = "a test cannot go on without it")]

mod access;
mod concurrent;
mod config;
mod consistency;
mod create;
mod description;
mod end;
mod erasure;
mod faults;
mod glare;
mod happy;
mod hostile;
mod hostile_table;
mod jwks;
mod limits;
mod log;
mod messages;
mod output;
mod quality;
mod requests;
mod revoke;
mod secrets;
mod store;
mod sweeper;
mod unconfigured;
mod users;
mod webhook;
