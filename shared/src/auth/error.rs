//! Why a request is not authenticated.

use std::time::Duration;

/// Why a token is refused. The caller is told none of this; the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No `Authorization` header, or more than one value.
    #[error("no bearer token")]
    Missing,
    /// Over the size that is looked at.
    #[error("the token is over 4096 bytes")]
    TooLong,
    /// Not a JWS in compact form with a JSON object in header and claims.
    #[error("the token is not a well-formed JWT")]
    Malformed,
    /// Another algorithm than the key's.
    #[error("the token's algorithm is not the key's")]
    AlgorithmMismatch,
    /// A header parameter that a session token may not have.
    #[error("the token's header has a parameter that is refused")]
    UnsupportedHeader,
    /// No key is named, where there are several.
    #[error("the token names no key")]
    MissingKeyId,
    /// The key that is named is none of the issuer's.
    #[error("the token's key is not among the issuer's")]
    UnknownKey,
    /// Not signed by the key.
    #[error("the token's signature is wrong")]
    InvalidSignature,
    /// No longer valid.
    #[error("the token has expired")]
    Expired,
    /// A registered claim that is missing, of the wrong type or of the wrong value.
    #[error("the token's claim '{0}' is missing or refused")]
    InvalidClaim(&'static str),
    /// The claim that names the user is missing or not a user id.
    #[error("the token names no user")]
    InvalidUserId,
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Its token is no good.
    #[error(transparent)]
    InvalidToken(#[from] TokenError),
    /// The issuer's keys have never come, so that nobody can tell whether its token is.
    #[error("there are no keys of the issuer's yet")]
    KeysUnavailable {
        /// When they are asked for again.
        retry_after: Duration,
    },
}
