//! Signature Version 4 with a signing key that is derived once a day.
//!
//! The signer of the AWS SDK derives the key for each request, which takes four of its HMACs. This
//! signer signs the requests of JSON services, such as DynamoDB, and leaves all others to the SDK's.
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
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderName};
use ring::{digest, hmac};

use crate::sync::lock;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE_HEADER: &str = "x-amz-date";
const TOKEN_HEADER: &str = "x-amz-security-token";
/// The headers that a signature does not cover, as in the SDK's signer.
const UNSIGNED_HEADERS: [&str; 4] =
    ["authorization", "transfer-encoding", "user-agent", "x-amzn-trace-id"];
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;
/// AWS rejects a signature that is older than five minutes.
const MAX_CLOCK_SKEW: Duration = Duration::from_mins(4);

/// The signer of the requests to one service in one region.
pub(super) struct DailyKeySigner {
    region: String,
    service: &'static str,
    sdk_signer: SigV4Signer,
    key: Mutex<Option<DailyKey>>,
    /// The clock of the process differs from that of the service. The SDK keeps the difference in a
    /// private type, which its own signer reads.
    is_clock_skewed: AtomicBool,
}

/// The key of a day.
struct DailyKey {
    day: u64,
    /// The credentials from which the key is derived. Their secret is cleared from memory when the
    /// last copy is dropped.
    credentials: Credentials,
    /// The day as `20150830`.
    date: String,
    key: hmac::Key,
}

/// The time and the authorization of a request.
pub(super) struct Signature {
    date_time: String,
    authorization: String,
    session_token: Option<String>,
}

impl Signature {
    /// The headers to add to the request.
    pub(super) fn headers(
        self,
    ) -> Result<impl Iterator<Item = (HeaderName, HeaderValue)>, BoxError> {
        let sensitive = |value: String| {
            let mut value = HeaderValue::try_from(value)?;
            value.set_sensitive(true);
            Ok::<_, BoxError>(value)
        };
        let token = self.session_token.map(sensitive).transpose()?;
        let token = token.map(|token| (HeaderName::from_static(TOKEN_HEADER), token));
        let date_time = HeaderValue::try_from(self.date_time)?;
        let headers = [
            (HeaderName::from_static(DATE_HEADER), date_time),
            (AUTHORIZATION, sensitive(self.authorization)?),
        ];
        Ok(headers.into_iter().chain(token))
    }
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

    /// Whether requests must be signed with a corrected time.
    pub(super) fn is_clock_skewed(&self) -> bool {
        self.is_clock_skewed.load(Ordering::Relaxed)
    }

    /// Signs a request to the path `/` of a host. Returns `None` if the request needs a rule of the
    /// canonical form that is not implemented here: repeated headers, values with needless spaces,
    /// or a body that is a stream.
    pub(super) fn sign(
        &self,
        request: &HttpRequest,
        host: &str,
        credentials: &Credentials,
        seconds: u64,
    ) -> Option<Signature> {
        let body = request.body().bytes()?;
        let mut key = lock(&self.key);
        let key = self.key_of_day(&mut key, credentials, seconds);
        let date_time = format_date_time(&key.date, seconds);

        let mut headers: Vec<(&str, &str)> = Vec::with_capacity(12);
        headers.extend(request.headers().iter());
        headers.retain(|(name, _)| !UNSIGNED_HEADERS.contains(name));
        if !headers.iter().any(|(name, _)| *name == "host") {
            headers.push(("host", host));
        }
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
        let session_token = credentials.session_token().map(str::to_owned);
        Some(Signature { date_time, authorization, session_token })
    }

    /// The key for this time. Derives it if the day or the secret has changed.
    fn key_of_day<'a>(
        &self,
        cached: &'a mut Option<DailyKey>,
        credentials: &Credentials,
        seconds: u64,
    ) -> &'a DailyKey {
        let day = seconds / SECONDS_PER_DAY;
        let secret = credentials.secret_access_key();
        if cached
            .as_ref()
            .is_some_and(|key| key.day != day || key.credentials.secret_access_key() != secret)
        {
            *cached = None;
        }
        cached.get_or_insert_with(|| {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            let key =
                aws_sigv4::sign::v4::generate_signing_key(secret, time, &self.region, self.service);
            let (credentials, date) = (credentials.clone(), format_date(seconds));
            DailyKey { day, credentials, date, key: hmac_key(&key) }
        })
    }

    /// Whether the scope is that of the key, and the options are those of a JSON service.
    fn supports(&self, endpoint: &AuthSchemeEndpointConfig<'_>, config: &ConfigBag) -> bool {
        let has_scope_of_key = config
            .load::<SigningName>()
            .is_some_and(|name| name.as_ref() == self.service)
            && config.load::<SigningRegion>().is_some_and(|region| region.as_ref() == self.region);
        let is_endpoint_plain =
            ["signingName", "signingRegion", "disableDoubleEncoding", "disableNormalizePath"]
                .iter()
                .all(|option| endpoint.get(option).is_none());
        let options = config.load::<SigV4OperationSigningConfig>();
        let are_options_default =
            options.is_some_and(|config| config.signing_options == SigningOptions::default());
        has_scope_of_key && is_endpoint_plain && are_options_default
    }
}

impl fmt::Debug for DailyKeySigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DailyKeySigner")
            .field("region", &self.region)
            .field("service", &self.service)
            .field("has_key", &lock(&self.key).is_some())
            .field("is_clock_skewed", &self.is_clock_skewed)
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
        let is_supported = !self.is_clock_skewed() && self.supports(&endpoint, config);
        let signature = match (credentials, root_host(request.uri())) {
            (Some(credentials), Some(host)) if is_supported => {
                let now = components.time_source().unwrap_or_default().now();
                let seconds = now.duration_since(UNIX_EPOCH)?.as_secs();
                self.sign(request, host, credentials, seconds)
            }
            _ => None,
        };
        let Some(signature) = signature else {
            return self
                .sdk_signer
                .sign_http_request(request, identity, endpoint, components, config);
        };
        for (name, value) in signature.headers()? {
            request.headers_mut().insert(name, value);
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
pub(super) fn root_host(uri: &str) -> Option<&str> {
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
    let instant = i64::try_from(seconds).ok().and_then(|it| jiff::Timestamp::from_second(it).ok());
    let time = instant.unwrap_or(jiff::Timestamp::MAX).to_string();
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
    if hex::encode_to_slice(hash, &mut digits).is_ok()
        && let Ok(digits) = std::str::from_utf8(&digits)
    {
        text.push_str(digits);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use aws_runtime::auth::sigv4::SigV4AuthScheme;
    use aws_smithy_async::time::{SharedTimeSource, StaticTimeSource};
    use aws_smithy_runtime::client::identity::IdentityCache;
    use aws_smithy_runtime::client::orchestrator::endpoints::StaticUriEndpointResolver;
    use aws_smithy_runtime::client::retries::strategy::StandardRetryStrategy;
    use aws_smithy_runtime_api::client::auth::SharedAuthSchemeOptionResolver;
    use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
    use aws_smithy_runtime_api::client::endpoint::SharedEndpointResolver;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::config_bag::Layer;
    use aws_types::region::Region;
    use serde_json::Value;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    /// 2015-08-30T12:36:00Z
    const TIME: u64 = 1_440_938_160;
    /// 2024-02-29T23:59:59Z, the last second of a leap day.
    const LEAP_DAY: u64 = 1_709_251_199;
    /// 2025-12-31T23:59:59Z
    const YEAR_END: u64 = 1_767_225_599;

    /// Signs a request to DynamoDB with a signer. Returns the request's headers, sorted by name.
    fn sign(
        signer: &dyn Sign,
        request: HttpRequest,
        credentials: Credentials,
        seconds: u64,
    ) -> Vec<(String, String)> {
        sign_for("dynamodb", signer, request, credentials, seconds)
    }

    fn sign_for(
        service: &'static str,
        signer: &dyn Sign,
        mut request: HttpRequest,
        credentials: Credentials,
        seconds: u64,
    ) -> Vec<(String, String)> {
        let identity = Identity::new(credentials, None);
        let endpoint = StaticUriEndpointResolver::http_localhost(1);
        let components = RuntimeComponents::builder("test")
            .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
                StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]),
            )))
            .with_endpoint_resolver(Some(SharedEndpointResolver::new(endpoint)))
            .with_auth_scheme(SigV4AuthScheme::new())
            .with_identity_cache(Some(IdentityCache::no_cache()))
            .with_identity_resolver(SCHEME_ID, SharedIdentityResolver::new(identity.clone()))
            .with_retry_strategy(Some(StandardRetryStrategy::new()))
            .with_time_source(Some(SharedTimeSource::new(StaticTimeSource::from_secs(seconds))))
            .build()
            .unwrap();
        let mut config = Layer::new("test");
        config
            .store_put(SigningName::from_static(service))
            .store_put(SigningRegion::from(Region::from_static("eu-west-1")))
            .store_put(SigV4OperationSigningConfig::default());
        let config = ConfigBag::of_layers([config]);
        let endpoint = AuthSchemeEndpointConfig::empty();
        signer.sign_http_request(&mut request, &identity, endpoint, &components, &config).unwrap();
        let headers = request.headers().iter();
        let mut headers: Vec<_> =
            headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        headers.sort();
        headers
    }

    /// The signature of this signer, unless it leaves the request to the SDK's.
    fn sign_here(
        signer: &DailyKeySigner,
        request: &HttpRequest,
        credentials: &Credentials,
    ) -> Option<Signature> {
        signer.sign(request, root_host(request.uri())?, credentials, TIME)
    }

    fn credentials(secret: &str, token: Option<&str>) -> Credentials {
        Credentials::new("AKIDEXAMPLE", secret, token.map(str::to_owned), None, "test")
    }

    fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> HttpRequest {
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(SdkBody::from(body)).unwrap().try_into().unwrap()
    }

    /// The `authorization` of the SDK's signer for a request to a service in `eu-west-1`.
    pub(crate) fn authorization_of_sdk<'a>(
        service: &'static str,
        url: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: &str,
        credentials: Credentials,
        seconds: u64,
    ) -> String {
        let headers: Vec<_> = headers.into_iter().collect();
        let request = request("POST", url, &headers, body);
        let signed = sign_for(service, &SigV4Signer::new(), request, credentials, seconds);
        signed.into_iter().find(|(name, _)| name == "authorization").unwrap().1
    }

    #[test]
    fn signature_is_that_of_the_sdk() {
        let signer = DailyKeySigner::new("eu-west-1", "dynamodb");
        let sdk_signer = SigV4Signer::new();
        let headers = [
            ("x-amz-target", "DynamoDB_20120810.UpdateItem"),
            ("content-type", "application/x-amz-json-1.0"),
            ("user-agent", "aws-sdk-rust/1"),
            ("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793"),
        ];
        let (next_day, next_year) = (LEAP_DAY + 1, YEAR_END + 1);
        // The same signer signs them all: a new day or secret has to replace the cached key. The first
        // and the last time are on the same day.
        for (secret, token) in [(SECRET, None), (SECRET, Some("to/ken==")), ("other", None)] {
            for seconds in [0, LEAP_DAY, next_day, LEAP_DAY, YEAR_END, next_year, TIME, 59] {
                for (url, body, is_signed_here) in [
                    ("https://dynamodb.eu-west-1.amazonaws.com/", "", true),
                    ("https://dynamodb.eu-west-1.amazonaws.com/", r#"{"Key": "ä"}"#, true),
                    ("http://127.0.0.1:8000", "{}", true),
                    ("http://localhost:8000/", "{}", true),
                    ("https://dynamodb.eu-west-1.amazonaws.com:443/", "{}", false),
                    ("https://example.com/a%20b/../c?x=1&a=2", "{}", false),
                ] {
                    let request = || request("POST", url, &headers, body);
                    let expected =
                        sign(&sdk_signer, request(), credentials(secret, token), seconds);
                    let headers_here =
                        sign(&signer, request(), credentials(secret, token), seconds);
                    assert_eq!(headers_here, expected, "{url} at {seconds}");
                    assert_eq!(root_host(url).is_some(), is_signed_here, "{url}");
                }
            }
        }
        assert_eq!(lock(&signer.key).as_ref().unwrap().date, "19700101");
    }

    /// The operation's scope is `dynamodb` in `eu-west-1`.
    #[test]
    fn other_scopes_are_left_to_the_sdk() {
        for (region, service) in [("us-east-1", "dynamodb"), ("eu-west-1", "dax")] {
            let signer = DailyKeySigner::new(region, service);
            let request = || request("POST", "https://example.com/", &[], "");
            let expected = sign(&signer.sdk_signer, request(), credentials(SECRET, None), TIME);
            assert_eq!(sign(&signer, request(), credentials(SECRET, None), TIME), expected);
        }
    }

    #[test]
    fn unusual_requests_are_left_to_the_sdk() {
        let signer = DailyKeySigner::new("us-east-1", "service");
        let credentials = credentials(SECRET, None);
        let is_signed_here = |url: &str, headers: &[(&str, &str)]| {
            sign_here(&signer, &request("POST", url, headers, ""), &credentials).is_some()
        };
        let url = "https://example.com/";
        assert!(is_signed_here(url, &[("a", "b c"), ("host", "example.com")]));
        for (url, headers) in [
            ("https://example.com/a", &[][..]),
            ("https://example.com/?a", &[]),
            ("https://user@example.com/", &[]),
            ("https://example.com:443/", &[]),
            (url, &[("a", "b  c")]),
            (url, &[("a", " b")]),
            (url, &[("a", "b ")]),
            (url, &[("a", "b"), ("a", "c")]),
            (url, &[("x-amz-date", "20150830T123600Z")]),
        ] {
            assert!(!is_signed_here(url, headers), "{url} {headers:?}");
        }
    }

    /// The folder of AWS's test suite, which is part of the source of `aws-sigv4`. Without
    /// `--offline`, cargo downloads the sources of other platforms if they are absent.
    fn test_suite() -> PathBuf {
        let metadata = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
        let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        let package = packages.iter().find(|package| package["name"] == "aws-sigv4").unwrap();
        let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
        manifest.with_file_name("aws-signing-test-suite").join("v4")
    }

    /// The signer signs those requests of the suite that have the form of a request to DynamoDB.
    #[test]
    fn published_test_suite_passes() {
        let mut passed = Vec::new();
        for case in std::fs::read_dir(test_suite()).unwrap() {
            let folder = case.unwrap().path();
            let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
            // Two cases have no expected signature.
            let Ok(context) = std::fs::read_to_string(folder.join("context.json")) else {
                continue;
            };
            let context: Value = serde_json::from_str(&context).unwrap();
            // The other options are those of other services.
            let is_supported = context["normalize"] == true
                && context["sign_body"] == false
                && context["omit_session_token"] != true;
            let text = read("request.txt");
            let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
            let mut lines = head.lines();
            let mut request_line = lines.next().unwrap().split(' ');
            let (method, path) = (request_line.next().unwrap(), request_line.next().unwrap());
            let headers: Option<Vec<_>> = lines.map(|line| line.split_once(':')).collect();
            let Some(headers) = headers.filter(|_| is_supported && path == "/") else { continue };
            let url = "https://example.amazonaws.com/";
            let request = request(method, url, &headers, body);

            assert_eq!(context["timestamp"], "2015-08-30T12:36:00Z");
            let signer = DailyKeySigner::new("us-east-1", "service");
            let given = &context["credentials"];
            let secret = given["secret_access_key"].as_str().unwrap();
            let credentials = credentials(secret, given["token"].as_str());
            let signature = sign_here(&signer, &request, &credentials);
            let Some(Signature { authorization, .. }) = signature else { continue };
            let expected = read("header-signed-request.txt");
            let expected = expected.lines().find_map(|line| line.strip_prefix("Authorization:"));
            let name = folder.file_name().unwrap().to_string_lossy().into_owned();
            assert_eq!(authorization, expected.unwrap().trim(), "{name}");
            passed.push(name);
        }
        passed.sort();
        let expected = [
            "get-vanilla",
            "get-vanilla-query",
            "get-vanilla-with-session-token",
            "post-header-key-case",
            "post-header-key-sort",
            "post-header-value-case",
            "post-sts-header-before",
            "post-vanilla",
        ];
        assert_eq!(passed, expected);
    }

    #[test]
    fn debug_output_contains_no_secret() {
        let signer = Arc::new(DailyKeySigner::new("us-east-1", "service"));
        let credentials = credentials(SECRET, Some("session-token"));
        let request = request("POST", "https://example.com/", &[], "");
        assert!(sign_here(&signer, &request, &credentials).is_some());
        let time = UNIX_EPOCH + Duration::from_secs(TIME);
        let key = aws_sigv4::sign::v4::generate_signing_key(SECRET, time, "us-east-1", "service");
        let scheme = DailyKeyScheme(Arc::clone(&signer));
        let text = format!("{scheme:?} {:?}", ClockSkewDetector(signer));
        for secret in [SECRET, "session-token", "AKIDEXAMPLE", &hex::encode(key.as_ref())] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
