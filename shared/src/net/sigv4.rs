//! Signature Version 4 with a signing key that is derived once a day.
//!
//! The signer of the AWS SDK derives the key for each request, which takes four of its HMACs. This
//! signer signs the requests that the SDK sends to DynamoDB, and leaves all others to the SDK's.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4Signer};
use aws_runtime::auth::{SigV4OperationSigningConfig, SigningOptions};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::{
    AuthScheme, AuthSchemeEndpointConfig, AuthSchemeId, Sign,
};
use aws_smithy_runtime_api::client::identity::{Identity, SharedIdentityResolver};
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::{GetIdentityResolver, RuntimeComponents};
use aws_smithy_types::config_bag::ConfigBag;
use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderName};
use ring::{digest, hmac};

use crate::clock::Timestamp;
use crate::sync::lock;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE_HEADER: &str = "x-amz-date";
const TOKEN_HEADER: &str = "x-amz-security-token";
/// The headers that a signature does not cover, as in the SDK's signer.
const UNSIGNED_HEADERS: [&str; 4] =
    ["authorization", "transfer-encoding", "user-agent", "x-amzn-trace-id"];
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;
/// DynamoDB rejects a signature that is older than five minutes.
const MAX_CLOCK_SKEW: Duration = Duration::from_mins(4);

/// The signer of the requests to one service in one region.
pub(super) struct DailyKeySigner {
    region: String,
    service: &'static str,
    sdk_signer: SigV4Signer,
    key: Mutex<Option<DailyKey>>,
    /// The clock of the process differs from that of the service. Only the SDK's signer knows the
    /// difference.
    is_clock_skewed: AtomicBool,
}

/// The key of a day.
struct DailyKey {
    day: u64,
    /// The secret from which the key is derived.
    secret: Arc<str>,
    /// The day as `20150830`.
    date: String,
    key: hmac::Key,
}

/// The time and the authorization of a request.
struct Signature {
    date_time: String,
    authorization: String,
}

impl DailyKeySigner {
    pub(super) fn new(region: &str, service: &'static str) -> Self {
        Self {
            region: region.to_owned(),
            service,
            sdk_signer: SigV4Signer::new(),
            key: Mutex::default(),
            is_clock_skewed: AtomicBool::default(),
        }
    }

    /// Signs a request. Returns `None` if the request needs a rule of the canonical form that is
    /// not implemented here: another path, a query, repeated headers, values with needless spaces,
    /// or a body that is a stream.
    fn sign(
        &self,
        request: &HttpRequest,
        credentials: &Credentials,
        seconds: u64,
    ) -> Option<Signature> {
        let body = request.body().bytes()?;
        let host = root_host(request.uri())?;
        let mut key = lock(&self.key);
        let key = self.key_of_day(&mut key, credentials.secret_access_key(), seconds);
        let date_time = format_date_time(&key.date, seconds);

        let mut headers: Vec<(&str, &str)> = Vec::with_capacity(12);
        headers.extend(request.headers().iter());
        headers.retain(|(name, _)| !UNSIGNED_HEADERS.contains(name));
        headers.push(("host", host));
        headers.push((DATE_HEADER, &date_time));
        if let Some(token) = credentials.session_token() {
            headers.push((TOKEN_HEADER, token));
        }
        headers.sort_unstable_by_key(|(name, _)| *name);
        let is_repeated = headers.windows(2).any(|pair| pair[0].0 == pair[1].0);
        if is_repeated || !headers.iter().all(|(_, value)| is_trimmed(value)) {
            return None;
        }

        let mut names = String::with_capacity(128);
        let mut canonical = String::with_capacity(512);
        let _ = write!(canonical, "{}\n/\n\n", request.method());
        for (name, value) in headers {
            for part in [name, ":", value, "\n"] {
                canonical.push_str(part);
            }
            if !names.is_empty() {
                names.push(';');
            }
            names.push_str(name);
        }
        for part in ["\n", &names, "\n"] {
            canonical.push_str(part);
        }
        push_hex(&mut canonical, digest::digest(&digest::SHA256, body).as_ref());

        let DailyKey { date, key, .. } = key;
        let Self { region, service, .. } = self;
        let mut to_sign =
            format!("{ALGORITHM}\n{date_time}\n{date}/{region}/{service}/aws4_request\n");
        push_hex(&mut to_sign, digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let id = credentials.access_key_id();
        let mut authorization = format!(
            "{ALGORITHM} Credential={id}/{date}/{region}/{service}/aws4_request, \
             SignedHeaders={names}, Signature="
        );
        push_hex(&mut authorization, hmac::sign(key, to_sign.as_bytes()).as_ref());
        Some(Signature { date_time, authorization })
    }

    /// The key for this time. Derives it if the day or the secret has changed.
    fn key_of_day<'a>(
        &self,
        cached: &'a mut Option<DailyKey>,
        secret: &str,
        seconds: u64,
    ) -> &'a DailyKey {
        let day = seconds / SECONDS_PER_DAY;
        if cached.as_ref().is_some_and(|key| key.day != day || *key.secret != *secret) {
            *cached = None;
        }
        cached.get_or_insert_with(|| {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            let key =
                aws_sigv4::sign::v4::generate_signing_key(secret, time, &self.region, self.service);
            DailyKey { day, secret: secret.into(), date: format_date(seconds), key: hmac_key(&key) }
        })
    }

    /// Whether the options of the operation are those of DynamoDB's operations.
    fn supports(endpoint: &AuthSchemeEndpointConfig<'_>, config: &ConfigBag) -> bool {
        let is_endpoint_plain =
            ["signingName", "signingRegion", "disableDoubleEncoding", "disableNormalizePath"]
                .iter()
                .all(|option| endpoint.get(option).is_none());
        let options = config.load::<SigV4OperationSigningConfig>();
        let are_options_default =
            options.is_some_and(|config| config.signing_options == SigningOptions::default());
        is_endpoint_plain && are_options_default
    }
}

impl fmt::Debug for DailyKeySigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DailyKeySigner")
            .field("region", &self.region)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl Sign for DailyKeySigner {
    fn sign_http_request(
        &self,
        request: &mut HttpRequest,
        identity: &Identity,
        endpoint: AuthSchemeEndpointConfig<'_>,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        let credentials = identity.data::<Credentials>();
        let is_supported =
            !self.is_clock_skewed.load(Ordering::Relaxed) && Self::supports(&endpoint, config);
        let signature = match credentials {
            Some(credentials) if is_supported => {
                let now = components.time_source().unwrap_or_default().now();
                let seconds = now.duration_since(UNIX_EPOCH)?.as_secs();
                self.sign(request, credentials, seconds)
            }
            _ => None,
        };
        let Some(Signature { date_time, authorization }) = signature else {
            return self
                .sdk_signer
                .sign_http_request(request, identity, endpoint, components, config);
        };
        let headers = request.headers_mut();
        headers.insert(HeaderName::from_static(DATE_HEADER), HeaderValue::try_from(date_time)?);
        let mut authorization = HeaderValue::try_from(authorization)?;
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        if let Some(token) = credentials.and_then(Credentials::session_token) {
            let mut token = HeaderValue::from_str(token)?;
            token.set_sensitive(true);
            headers.insert(HeaderName::from_static(TOKEN_HEADER), token);
        }
        Ok(())
    }
}

/// The SDK's scheme `sigv4` with another signer.
#[derive(Debug)]
pub(super) struct DailyKeyScheme(pub(super) Arc<DailyKeySigner>);

impl AuthScheme for DailyKeyScheme {
    fn scheme_id(&self) -> AuthSchemeId {
        SCHEME_ID
    }

    fn identity_resolver(
        &self,
        resolvers: &dyn GetIdentityResolver,
    ) -> Option<SharedIdentityResolver> {
        resolvers.identity_resolver(SCHEME_ID)
    }

    fn signer(&self) -> &dyn Sign {
        &*self.0
    }
}

/// Leaves signing to the SDK's signer after an error whose `date` shows that the clock of the
/// process is wrong. That signer corrects the time.
#[derive(Debug)]
pub(super) struct ClockSkewDetector(pub(super) Arc<DailyKeySigner>);

#[dyn_dispatch_hint]
impl Intercept for ClockSkewDetector {
    fn name(&self) -> &'static str {
        "ClockSkewDetector"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        if response.status().is_success() {
            return Ok(());
        }
        let date = response.headers().get("date");
        let Some(service_time) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else {
            return Ok(());
        };
        let now = components.time_source().unwrap_or_default().now();
        let skew = now.duration_since(service_time).unwrap_or_else(|error| error.duration());
        if skew > MAX_CLOCK_SKEW {
            self.0.is_clock_skewed.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The host of a URI without path and query, as in the `Host` header.
fn root_host(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once("://")?;
    let host = rest.strip_suffix('/').unwrap_or(rest);
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let is_plain = !host.contains(['/', '?', '#', '@']) && !host.ends_with(default_port);
    is_plain.then_some(host)
}

fn is_trimmed(value: &str) -> bool {
    !value.starts_with(' ') && !value.ends_with(' ') && !value.contains("  ")
}

fn hmac_key(key: &impl AsRef<[u8]>) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
}

/// The day of a time as `20150830`.
fn format_date(seconds: u64) -> String {
    let time = Timestamp::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)).to_string();
    time.chars().take_while(|char| *char != 'T').filter(char::is_ascii_digit).collect()
}

/// A time as `20150830T123600Z`.
fn format_date_time(date: &str, seconds: u64) -> String {
    let second_of_day = seconds % SECONDS_PER_DAY;
    let (hour, minute) = (second_of_day / 3_600, second_of_day / 60 % 60);
    format!("{date}T{hour:02}{minute:02}{:02}Z", second_of_day % 60)
}

fn push_hex(text: &mut String, hash: &[u8]) {
    let mut digits = [0; 2 * digest::SHA256_OUTPUT_LEN];
    // The length always fits: every hash here is a SHA-256.
    if hex::encode_to_slice(hash, &mut digits).is_ok() {
        text.extend(digits.iter().copied().map(char::from));
    }
}
