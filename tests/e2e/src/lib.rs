//! A client of the local stack, as the apps would be, for the end-to-end tests.

mod answer;
mod app;
mod description;
mod raw;

pub use answer::Answer;
pub use app::{App, FUNCTIONS, event};
pub use description::Description;
pub use raw::exchange;
