//! The HTTP client of a function. Requests to Stream, to AWS and for the keys of an issuer share
//! its TLS configuration and connection pool.

mod aws;
mod body;
pub(crate) mod operation;
mod preconnect;
pub(crate) mod sdk;
pub(crate) mod sigv4;

pub(crate) use body::read_body;
pub use preconnect::Connections;
pub(crate) use preconnect::Preconnect;

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::config::{ConfigError, Env};
use crate::error::BoxError;

/// The HTTP client.
pub type Client = reqwest::Client;

/// The timeout for establishing a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The time after which an idle connection is closed. The server may have closed an older one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// Builds the client: TLS with `ring` and Mozilla's root certificates, no proxy, and no redirects,
/// because a request with credentials must not follow one.
pub fn client() -> Result<Client, BoxError> {
    client_with_roots(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
}

/// As [`client`], with additional root certificates. `TLS_EXTRA_ROOTS` names a PEM file of
/// certificates, for test servers in place of AWS and Stream.
pub(crate) fn client_from_env(env: &Env) -> Result<Client, BoxError> {
    const VARIABLE: &str = "TLS_EXTRA_ROOTS";
    let Some(file) = env.get(VARIABLE) else { return client() };
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let invalid_file = || ConfigError::invalid(VARIABLE, "must name a PEM file of certificates");
    let default_roots = roots.len();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|_| invalid_file())? {
        roots.add(certificate.map_err(|_| invalid_file())?).map_err(|_| invalid_file())?;
    }
    if roots.len() == default_roots {
        return Err(invalid_file().into());
    }
    client_with_roots(roots)
}

fn client_with_roots(roots: RootCertStore) -> Result<Client, BoxError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .build()?;
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_roots_must_be_a_certificate_file() {
        let build_client = |file: &str| client_from_env(&Env::from([("TLS_EXTRA_ROOTS", file)]));
        assert!(build_client("").is_ok());
        for file in ["/there/is/none", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
            let error = build_client(file).unwrap_err().to_string();
            assert_eq!(error, "TLS_EXTRA_ROOTS must name a PEM file of certificates");
        }
    }
}
