//! Verification of webhook signatures. Stream signs the uncompressed body with HMAC-SHA256 and the
//! app's secret, in lower-case hexadecimal.
//!
//! The body is decompressed up to a size limit before verification, and parsed only after it.
//! Source: <https://getstream.io/chat/docs/node/webhooks_overview/>.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use ring::hmac;

use crate::config::Env;

/// The maximum size of a received body, in bytes.
pub const MAX_WEBHOOK_BODY_BYTES: usize = 256 * 1024;
/// The maximum size of a decompressed body, in bytes.
const MAX_INFLATED_BYTES: u64 = 1024 * 1024;
/// The first bytes of every gzip stream (RFC 1952, section 2.3.1). They show reliably whether the
/// body is compressed, unlike the `Content-Encoding` header, which a proxy may change.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The secrets for verification: the current one, and the previous one during a rotation.
#[derive(Clone)]
pub struct WebhookSecrets(Vec<hmac::Key>);

/// An error of the verification of a body.
#[derive(Debug, thiserror::Error)]
pub enum VerificationError {
    /// The signature is missing or malformed.
    #[error("the signature is missing or does not have 64 lower-case hexadecimal digits")]
    MissingSignature,
    /// The decompressed body is over the size limit.
    #[error("the body is larger than {MAX_INFLATED_BYTES} bytes")]
    BodyTooLarge,
    /// The body starts like a gzip stream, but is not a valid one.
    #[error("the body is not valid gzip")]
    InvalidGzip(#[source] std::io::Error),
    /// The signature is for another body or with another secret.
    #[error("the signature does not match the body")]
    Mismatch,
}

impl WebhookSecrets {
    /// Reads `STREAM_API_SECRET` and, during a rotation, `STREAM_API_SECRET_PREVIOUS`.
    #[must_use]
    pub fn from_env(env: &Env) -> Self {
        let secrets = ["STREAM_API_SECRET", "STREAM_API_SECRET_PREVIOUS"].into_iter();
        Self::new(secrets.filter_map(|name| env.get(name)))
    }

    fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        Self(secrets.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())).collect())
    }

    /// Whether no secret is configured, so that no body can be verified.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The uncompressed body, if the signature is valid.
    pub fn verify<'a>(
        &self,
        body: &'a [u8],
        signature: Option<&str>,
    ) -> Result<Cow<'a, [u8]>, VerificationError> {
        let signature =
            signature.and_then(decode_hex).ok_or(VerificationError::MissingSignature)?;
        let body = if body.starts_with(&GZIP_MAGIC) {
            Cow::Owned(inflate(body)?)
        } else {
            Cow::Borrowed(body)
        };
        // `ring` compares in constant time.
        let is_signed_by = |key: &hmac::Key| hmac::verify(key, &body, &signature).is_ok();
        if self.0.iter().any(is_signed_by) { Ok(body) } else { Err(VerificationError::Mismatch) }
    }
}

fn inflate(body: &[u8]) -> Result<Vec<u8>, VerificationError> {
    let mut inflated = Vec::new();
    // A gzip stream may have several members (RFC 1952, section 2.2), and nothing else after them.
    MultiGzDecoder::new(body)
        .take(MAX_INFLATED_BYTES + 1)
        .read_to_end(&mut inflated)
        .map_err(VerificationError::InvalidGzip)?;
    if inflated.len() as u64 > MAX_INFLATED_BYTES {
        Err(VerificationError::BodyTooLarge)
    } else {
        Ok(inflated)
    }
}

/// Decodes 64 lower-case hexadecimal digits.
fn decode_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const BODY: &[u8] = br#"{"type":"call.ended"}"#;

    fn secrets(secrets: &[&str]) -> WebhookSecrets {
        WebhookSecrets::new(secrets.iter().copied())
    }

    fn sign(secret: &str, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        hex::encode(hmac::sign(&key, body).as_ref())
    }

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    /// RFC 4231, test case 2.
    #[test]
    fn rfc4231_signature_is_accepted() {
        let signature = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let body = b"what do ya want for nothing?";
        assert_eq!(&*secrets(&["Jefe"]).verify(body, Some(signature)).unwrap(), body);
    }

    #[test]
    fn plain_and_gzipped_bodies_verify_with_either_secret() {
        let both = secrets(&["new", "old"]);
        for secret in ["new", "old"] {
            let signature = sign(secret, BODY);
            for body in [BODY.to_vec(), gzip(BODY)] {
                assert_eq!(&*both.verify(&body, Some(&signature)).unwrap(), BODY);
            }
        }
        let signature = sign("older", BODY);
        assert!(matches!(both.verify(BODY, Some(&signature)), Err(VerificationError::Mismatch)));
        assert!(secrets(&[]).verify(BODY, Some(&signature)).is_err());
    }

    #[test]
    fn invalid_signatures_are_rejected() {
        let good = sign("s", BODY);
        let signature_of_gzip = sign("s", &gzip(BODY));
        let verify = |signature: Option<&str>, body: &[u8]| {
            secrets(&["s"]).verify(body, signature).map(|_| ()).map_err(|error| error.to_string())
        };
        let none = Err(VerificationError::MissingSignature.to_string());
        let mismatch = Err(VerificationError::Mismatch.to_string());
        assert_eq!(verify(Some(&good), BODY), Ok(()));
        assert_eq!(verify(None, BODY), none);
        assert_eq!(verify(Some(""), BODY), none);
        assert_eq!(verify(Some(&good.to_uppercase()), BODY), none);
        assert_eq!(verify(Some(&good[..62]), BODY), none);
        assert_eq!(verify(Some(&format!("{good},{good}")), BODY), none);
        assert_eq!(verify(Some(&"\u{e9}".repeat(32)), BODY), none);
        assert_eq!(verify(Some(&good), &BODY[1..]), mismatch);
        assert_eq!(verify(Some(&good), b""), mismatch);
        assert_eq!(verify(Some(&signature_of_gzip), &gzip(BODY)), mismatch);
    }

    #[test]
    fn gzip_bomb_and_truncated_gzip_are_rejected() {
        let all = secrets(&["s"]);
        let bomb = vec![b' '; 1024 * 1024 + 1];
        let signature = sign("s", &bomb);
        let zipped = gzip(&bomb);
        assert!(matches!(
            all.verify(&zipped, Some(&signature)),
            Err(VerificationError::BodyTooLarge)
        ));
        let at_limit = &bomb[1..];
        assert!(all.verify(&gzip(at_limit), Some(&sign("s", at_limit))).is_ok());
        let members = [gzip(&BODY[..9]), gzip(&BODY[9..])].concat();
        assert_eq!(&*all.verify(&members, Some(&sign("s", BODY))).unwrap(), BODY);
        let trailing = [gzip(BODY), b"{}".to_vec()].concat();
        let result = all.verify(&trailing, Some(&sign("s", BODY)));
        assert!(matches!(result, Err(VerificationError::InvalidGzip(_))));
        let mut truncated = gzip(BODY);
        truncated.truncate(12);
        let result = all.verify(&truncated, Some(&sign("s", BODY)));
        assert!(matches!(result, Err(VerificationError::InvalidGzip(_))));
    }
}
