//! A test client of the local stack, for the end-to-end tests.

mod app;
mod billing;
mod event_schemas;
mod openapi;
mod raw;
mod response;

pub use app::{FUNCTIONS, TestApp, sample_event};
pub use billing::Biller;
pub use event_schemas::{assert_event, event_types};
pub use openapi::OpenApiSpec;
pub use raw::send_raw;
pub use response::TestResponse;
