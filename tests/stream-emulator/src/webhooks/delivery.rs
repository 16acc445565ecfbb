//! One delivery of a webhook to one hook. Body and headers are the same in every attempt, except
//! for the attempt number.

use std::io::{self, Write as _};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Request;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body_util::Full;
use serde_json::Value;
use tokio::time::Instant;

use super::{DeliveryAttempt, sign};
use crate::millis;
use crate::settings::Settings;

/// A delivery that is queued, held or in flight.
#[derive(Debug)]
pub(crate) struct PendingDelivery {
    event_type: String,
    url: String,
    webhook_id: String,
    copy: u32,
    api_key: String,
    signature: String,
    body: Bytes,
    compressed: bool,
    not_before: Instant,
}

impl PendingDelivery {
    pub(super) fn new(
        event: &Value,
        url: &str,
        webhook_id: &str,
        copy: u32,
        compressed: bool,
        settings: &Settings,
    ) -> Self {
        let raw_body = event.to_string().into_bytes();
        let signature = sign(&settings.api_secret(), &raw_body);
        let compressed_body = compressed.then(|| gzip(&raw_body).ok()).flatten();
        Self {
            event_type: event["type"].as_str().unwrap_or_default().to_owned(),
            url: url.to_owned(),
            webhook_id: webhook_id.to_owned(),
            copy,
            api_key: settings.api_key.clone(),
            signature,
            compressed: compressed_body.is_some(),
            body: compressed_body.unwrap_or(raw_body).into(),
            not_before: Instant::now(),
        }
    }

    pub(super) fn delayed_until(mut self, instant: Instant) -> Self {
        self.not_before = instant;
        self
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn webhook_id(&self) -> &str {
        &self.webhook_id
    }

    pub(crate) const fn copy(&self) -> u32 {
        self.copy
    }

    pub(super) const fn due_at(&self) -> Instant {
        self.not_before
    }

    /// The request of one attempt, or `None` if the hook's URL is not valid.
    pub(super) fn request(&self, attempt: u32) -> Option<Request<Full<Bytes>>> {
        let mut request = Request::post(self.url.as_str())
            .header(CONTENT_TYPE, "application/json")
            .header("x-api-key", &self.api_key)
            .header("x-signature", &self.signature)
            .header("x-webhook-id", &self.webhook_id)
            .header("x-webhook-attempt", attempt);
        if self.compressed {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        request.body(Full::new(self.body.clone())).ok()
    }

    /// The record of one attempt.
    pub(super) fn attempt_record(
        &self,
        attempt: u32,
        status: Option<u16>,
        elapsed: Duration,
    ) -> DeliveryAttempt {
        DeliveryAttempt {
            event: self.event_type.clone(),
            webhook_id: self.webhook_id.clone(),
            attempt,
            copy: self.copy,
            status,
            millis: millis::from_duration(elapsed),
        }
    }
}

#[cfg(test)]
impl PendingDelivery {
    pub(super) fn event_type(&self) -> &str {
        &self.event_type
    }

    pub(super) const fn is_compressed(&self) -> bool {
        self.compressed
    }
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use serde_json::json;

    use super::*;

    fn delivery(url: &str, compressed: bool) -> PendingDelivery {
        let event = json!({ "type": "call.ended", "call_cid": "default:c" });
        PendingDelivery::new(
            &event,
            url,
            "an-id",
            2,
            compressed,
            &Settings::new("the-key", "the-secret"),
        )
    }

    fn header<'a>(request: &'a Request<Full<Bytes>>, name: &str) -> Option<&'a str> {
        request.headers().get(name).and_then(|value| value.to_str().ok())
    }

    #[test]
    fn attempt_has_all_headers() {
        let delivery = delivery("http://a:1/hook?b=c", false);
        let request = delivery.request(3).expect("a request");
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), "http://a:1/hook?b=c");
        assert_eq!(header(&request, "content-type"), Some("application/json"));
        assert_eq!(header(&request, "x-api-key"), Some("the-key"));
        assert_eq!(header(&request, "x-webhook-id"), Some("an-id"));
        assert_eq!(header(&request, "x-webhook-attempt"), Some("3"));
        assert_eq!(header(&request, "content-encoding"), None);
        let signed = sign("the-secret", &delivery.body);
        assert_eq!(header(&request, "x-signature"), Some(signed.as_str()));
        let attempt = delivery.attempt_record(3, Some(200), Duration::from_millis(7));
        assert_eq!((attempt.copy, attempt.attempt, attempt.millis), (2, 3, 7));
        assert_eq!(attempt.event, "call.ended");
    }

    #[test]
    fn signature_covers_the_uncompressed_body() {
        let (plain, compressed) = (delivery("http://a/", false), delivery("http://a/", true));
        assert_eq!(compressed.body[..2], [0x1f, 0x8b]);
        let mut decompressed = Vec::new();
        GzDecoder::new(&*compressed.body).read_to_end(&mut decompressed).expect("gzip");
        assert_eq!(plain.body, decompressed);
        assert_eq!(plain.signature, compressed.signature);
        let request = compressed.request(1).expect("a request");
        assert_eq!(header(&request, "content-encoding"), Some("gzip"));
    }

    #[test]
    fn invalid_url_makes_no_request() {
        assert!(delivery("not an address", false).request(1).is_none());
    }
}
