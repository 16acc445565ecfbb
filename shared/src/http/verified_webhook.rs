//! Authentication of Stream's webhook requests by their signature.

use lambda_http::Request;

use crate::clock::Timestamp;
use crate::config::ConfigError;
use crate::context::AppContext;
use crate::error::{ApiError, Code};
use crate::http::{Authenticate, header_text};
use crate::stream::webhook::{MAX_WEBHOOK_BODY_BYTES, WebhookSecrets};

/// The uncompressed body of a webhook request with a valid signature.
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
        // The same response for every cause, as for bearer tokens.
        let body =
            body.map_err(|cause| ApiError::from_code(Code::BadSignature).with_source(cause))?;
        Ok(Self(body.into_owned()))
    }
}
