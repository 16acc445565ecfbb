//! The one HTTP client of a function: Stream's API and DynamoDB share its TLS set-up and its pool.

mod aws;

pub(crate) use aws::AwsHttp;

use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};

use crate::error::Source;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(1);
/// A connection that nobody used for so long may be gone at the other end.
const IDLE: Duration = Duration::from_secs(50);

/// Builds the client: TLS by `ring` against Mozilla's roots, no proxy, and no redirect, which a
/// request with credentials never follows.
pub fn client() -> Result<reqwest::Client, Source> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .tcp_nodelay(true)
        .build()?;
    Ok(client)
}
