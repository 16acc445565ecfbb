//! Errors of authentication.

use std::time::Duration;

/// The reason why a token is rejected. It is logged; the response is the same for every reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is no `Authorization` header with exactly one bearer token.
    #[error("no bearer token")]
    Missing,
    /// The token is over the size limit.
    #[error("the token is over 8192 bytes")]
    TooLong,
    /// The token is not a JWS in compact form whose header and claims are JSON objects.
    #[error("the token is not a well-formed JWT")]
    Malformed,
    /// The algorithm in the header is not the algorithm of the key.
    #[error("the token's algorithm does not match the key")]
    AlgorithmMismatch,
    /// The header has a parameter that a session token must not have.
    #[error("the token's header has an unsupported parameter")]
    UnsupportedHeader,
    /// The header has no valid key id, which is required with published keys.
    #[error("the token has no valid key id")]
    MissingKeyId,
    /// The issuer has not published a key with the token's key id.
    #[error("the token's key id is not in the issuer's key set")]
    UnknownKey,
    /// The key does not verify the signature.
    #[error("the token's signature is invalid")]
    InvalidSignature,
    /// The token has expired.
    #[error("the token has expired")]
    Expired,
    /// This claim is missing or has an invalid type or value.
    #[error("the token's claim '{0}' is missing or invalid")]
    InvalidClaim(String),
    /// This claim does not have the value that `JWT_REQUIRED_CLAIM` requires.
    #[error("the token's claim '{0}' does not have the required value")]
    RequiredClaim(String),
    /// The claim with the user is missing or is not a user id.
    #[error("the token has no valid user id")]
    InvalidUserId,
}

/// An error of the authentication of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The token is invalid.
    #[error(transparent)]
    InvalidToken(#[from] TokenError),
    /// The key of the token is not cached, and the last fetch of the issuer's keys failed.
    #[error("the key of the token is not cached, and the issuer's keys cannot be fetched")]
    KeysUnavailable {
        /// The time until the next fetch.
        retry_after: Duration,
    },
}
