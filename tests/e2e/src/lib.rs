//! A test client of the local stack, for the end-to-end tests.

mod app;
mod openapi;
mod raw;
mod response;

pub use app::{FUNCTIONS, TestApp, sample_event};
pub use openapi::OpenApiSpec;
pub use raw::send_raw;
pub use response::TestResponse;
