//! A request that Stream has signed.

use lambda_http::Request;

use crate::clock::Timestamp;
use crate::config::ConfigError;
use crate::context::AppContext;
use crate::error::{ApiError, Code};
use crate::http::{Authenticate, header_text};
use crate::stream::webhook::{MAX_WEBHOOK_BODY_BYTES, WebhookSecrets};

/// The body of a webhook whose signature holds, uncompressed and not parsed yet.
#[derive(Clone, Debug)]
pub struct VerifiedWebhook(pub Vec<u8>);

impl Authenticate for VerifiedWebhook {
    type Credentials = WebhookSecrets;

    const MAX_BODY_BYTES: usize = MAX_WEBHOOK_BODY_BYTES;

    fn load_credentials(context: &AppContext) -> Result<WebhookSecrets, ConfigError> {
        Ok(WebhookSecrets::from_env(&context.env))
    }

    async fn authenticate(
        request: &Request,
        secrets: &WebhookSecrets,
        _: Timestamp,
    ) -> Result<Self, ApiError> {
        if secrets.is_empty() {
            return Err(ApiError::from_code(Code::StreamNotConfigured));
        }
        let body = secrets.verify(request.body(), header_text(request.headers(), "x-signature"));
        // One answer for every cause, as with a bearer token.
        let body =
            body.map_err(|cause| ApiError::from_code(Code::BadSignature).with_source(cause))?;
        Ok(Self(body.into_owned()))
    }
}
