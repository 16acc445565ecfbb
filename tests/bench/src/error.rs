//! The error of a benchmark.

use std::error::Error;
use std::fmt;

/// An error, which ends the benchmark without results.
#[derive(Debug)]
pub(crate) struct BenchError(Box<dyn Error + Send + Sync>);

impl BenchError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into().into())
    }

    /// Adds context to the message.
    pub(crate) fn context(self, context: &str) -> Self {
        Self(format!("{context}: {self}").into())
    }
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for BenchError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl From<BenchError> for Box<dyn Error + Send + Sync> {
    fn from(error: BenchError) -> Self {
        error.0
    }
}
