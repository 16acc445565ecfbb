//! Why there is no result.

use std::error::Error;
use std::fmt;

/// Why there is no result. It ends the run; nothing is measured around it.
#[derive(Debug)]
pub(crate) struct Failure(Box<dyn Error + Send + Sync>);

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into().into())
    }

    /// Says what it is about.
    pub(crate) fn about(self, what: &str) -> Self {
        Self(format!("{what}: {self}").into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl From<Failure> for Box<dyn Error + Send + Sync> {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}
