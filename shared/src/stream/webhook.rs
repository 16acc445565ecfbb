//! Stream's signature on a webhook: HMAC-SHA256 over the uncompressed body with the app's secret,
//! in lower-case hexadecimal.
//!
//! Nothing of a body is parsed before its signature holds. It is inflated before that, to a limit.
//! Source: <https://getstream.io/chat/docs/node/webhooks_overview/>.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::read::GzDecoder;
use ring::hmac;

use crate::config::Env;

/// The largest body as it is sent, in bytes.
pub const MAX_WEBHOOK_BODY_BYTES: usize = 256 * 1024;
/// The largest body once it is inflated, in bytes.
const MAX_INFLATED_BYTES: u64 = 1024 * 1024;
/// How every gzip stream begins (RFC 1952, section 2.3.1). The header that says so may be lost to
/// a proxy that inflates; these bytes are not.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The secrets that a signature may be made with: one, or two while it is being changed.
#[derive(Clone)]
pub struct WebhookSecrets(Vec<hmac::Key>);

/// Why a body is not Stream's.
#[derive(Debug, thiserror::Error)]
pub enum VerificationError {
    /// There is no signature, or one that no HMAC-SHA256 can be.
    #[error("no signature of 64 lower-case hexadecimal digits")]
    MissingSignature,
    /// The body is larger than any that Stream sends.
    #[error("the body is larger than {MAX_INFLATED_BYTES} bytes")]
    BodyTooLarge,
    /// It begins like gzip, and is not.
    #[error("the body is not gzip")]
    InvalidGzip(#[source] std::io::Error),
    /// The signature belongs to another body, or to another secret.
    #[error("the signature is not this body's")]
    Mismatch,
}

impl WebhookSecrets {
    /// Reads `STREAM_API_SECRET` and, for the time of a change, `STREAM_API_SECRET_PREVIOUS`.
    #[must_use]
    pub fn from_env(env: &Env) -> Self {
        let secrets = ["STREAM_API_SECRET", "STREAM_API_SECRET_PREVIOUS"].into_iter();
        Self::new(secrets.filter_map(|name| env.get(name)))
    }

    fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        Self(secrets.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())).collect())
    }

    /// Whether there is none, so that nothing can be verified.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The uncompressed body, if this signature is Stream's.
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
    GzDecoder::new(body)
        .take(MAX_INFLATED_BYTES + 1)
        .read_to_end(&mut inflated)
        .map_err(VerificationError::InvalidGzip)?;
    if inflated.len() as u64 > MAX_INFLATED_BYTES {
        Err(VerificationError::BodyTooLarge)
    } else {
        Ok(inflated)
    }
}

/// 32 bytes from 64 lower-case hexadecimal digits.
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
        let found = |signature: Option<&str>, body: &[u8]| {
            secrets(&["s"]).verify(body, signature).map(|_| ()).map_err(|error| error.to_string())
        };
        let none = Err(VerificationError::MissingSignature.to_string());
        let mismatch = Err(VerificationError::Mismatch.to_string());
        assert_eq!(found(Some(&good), BODY), Ok(()));
        assert_eq!(found(None, BODY), none);
        assert_eq!(found(Some(""), BODY), none);
        assert_eq!(found(Some(&good.to_uppercase()), BODY), none);
        assert_eq!(found(Some(&good[..62]), BODY), none);
        assert_eq!(found(Some(&format!("{good},{good}")), BODY), none);
        assert_eq!(found(Some(&"\u{e9}".repeat(32)), BODY), none);
        assert_eq!(found(Some(&good), &BODY[1..]), mismatch);
        assert_eq!(found(Some(&good), b""), mismatch);
        assert_eq!(found(Some(&signature_of_gzip), &gzip(BODY)), mismatch);
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
        let mut truncated = gzip(BODY);
        truncated.truncate(12);
        let result = all.verify(&truncated, Some(&sign("s", BODY)));
        assert!(matches!(result, Err(VerificationError::InvalidGzip(_))));
    }
}
