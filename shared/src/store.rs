//! Errors of the table.

use crate::error::{ApiError, BoxError, Code};

/// An error of a request to the table.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The request timed out or returned a retryable error. A write may have been applied
    /// nevertheless.
    #[error("the table is unavailable")]
    Unavailable(#[source] BoxError),
    /// The table rejected the request, or an item does not have the expected attributes.
    #[error("the table rejected the request or an item is invalid")]
    Internal(#[source] BoxError),
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::Unavailable(_) => Code::StoreUnavailable,
            StoreError::Internal(_) => Code::Internal,
        };
        Self::from_code(code).with_source(error)
    }
}
