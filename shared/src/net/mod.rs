//! The one HTTP client of a function: Stream's API, the AWS SDK and an issuer's keys share its TLS
//! set-up and its pool.

mod aws;
pub(crate) mod sdk;

use aws::AwsHttp;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::config::{ConfigError, Env};
use crate::error::Source;

/// The client, and what it is called where nobody needs to know more of it.
pub type Client = reqwest::Client;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(1);
/// A connection that nobody used for so long may be gone at the other end.
const IDLE: Duration = Duration::from_secs(50);

/// Builds the client: TLS by `ring` against Mozilla's roots, no proxy, and no redirect, which a
/// request with credentials never follows.
pub fn client() -> Result<Client, Source> {
    over(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
}

/// The same, with the roots that a function's environment adds: `TLS_EXTRA_ROOTS` names a file of
/// certificates (PEM), for servers that stand in for the real ones.
pub(crate) fn client_from_env(env: &Env) -> Result<Client, Source> {
    const FILE: &str = "TLS_EXTRA_ROOTS";
    let Some(file) = env.get(FILE) else { return client() };
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let unusable = || ConfigError::invalid(FILE, "must name a file of certificates");
    let ours = roots.len();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|_| unusable())? {
        roots.add(certificate.map_err(|_| unusable())?).map_err(|_| unusable())?;
    }
    if roots.len() == ours {
        return Err(unusable().into());
    }
    over(roots)
}

fn over(roots: RootCertStore) -> Result<Client, Source> {
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

/// Reads the body of an answer; `None` where it is larger than `largest` bytes.
pub(crate) async fn read(
    response: &mut reqwest::Response,
    largest: usize,
) -> Result<Option<Bytes>, reqwest::Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > largest {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_roots_are_a_file_of_certificates() {
        let open = |file: &str| client_from_env(&Env::from([("TLS_EXTRA_ROOTS", file)]));
        assert!(open("").is_ok());
        for file in ["/there/is/none", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
            let refused = open(file).unwrap_err().to_string();
            assert_eq!(refused, "TLS_EXTRA_ROOTS must name a file of certificates");
        }
    }
}
