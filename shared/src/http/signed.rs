//! A request that Stream has signed.

use crate::clock::Timestamp;
use crate::config::ConfigError;
use crate::error::{ApiError, Code};
use crate::http::{Identity, Request};
use crate::stream::webhook::{LARGEST_SENT, WebhookSecrets};
use crate::world::World;

/// The body of a webhook whose signature holds, uncompressed and not parsed yet.
#[derive(Clone, Debug)]
pub struct Signed(pub Vec<u8>);

impl Identity for Signed {
    type Keys = WebhookSecrets;

    const LARGEST_BODY: usize = LARGEST_SENT;

    fn keys(world: &World) -> Result<WebhookSecrets, ConfigError> {
        Ok(WebhookSecrets::from_env(&world.env))
    }

    async fn of(
        request: &Request,
        secrets: &WebhookSecrets,
        _: Timestamp,
    ) -> Result<Self, ApiError> {
        if secrets.is_empty() {
            return Err(ApiError::plain(Code::StreamNotConfigured));
        }
        let body = secrets.verify(&request.body, request.header("x-signature"));
        // One answer for every cause, as with a bearer token.
        let body = body.map_err(|cause| ApiError::plain(Code::BadSignature).with_source(cause))?;
        Ok(Self(body.into_owned()))
    }
}
