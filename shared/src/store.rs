//! What can go wrong at the table, whatever is kept in it.

use crate::error::{ApiError, BoxError, Code};

/// Why the table did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No answer, or one that says to try later. A write may have happened all the same.
    #[error("the table cannot be reached")]
    Unavailable(#[source] BoxError),
    /// The table refused the request, or an item does not have the form that it was written in.
    #[error("the table and this code disagree")]
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
