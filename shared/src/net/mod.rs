//! The HTTP client of a function. Requests to Stream, to AWS and for the keys of an issuer share
//! its TLS configuration.

mod aws;
mod body;
mod direct;
pub(crate) mod endpoint;
mod first_connection;
pub(crate) mod operation;
mod pool;
mod preconnect;
pub(crate) mod sdk;
pub(crate) mod sigv4;
mod tls;

pub(crate) use body::read_body;
pub use preconnect::Connections;
pub(crate) use preconnect::Preconnect;

use std::fmt;
use std::sync::{Arc, Mutex};

use http::Uri;
use http::uri::PathAndQuery;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::config::{ConfigError, Env};
use crate::error::BoxError;
use crate::net::pool::{CONNECT_TIMEOUT, Connector, IDLE_TIMEOUT, Pool};
use crate::sync::lock;

/// The HTTP client. Clones share its connections.
#[derive(Clone)]
pub struct Client {
    /// For Stream and for the keys of an issuer.
    pub(crate) http: reqwest::Client,
    /// For AWS.
    connector: Connector,
    pools: Arc<Mutex<Vec<Arc<Pool>>>>,
}

impl Client {
    /// The connections to the host of a URL of AWS.
    fn pool(&self, url: &str) -> Result<Arc<Pool>, BoxError> {
        let url: Uri = url.parse()?;
        let mut origin = url.into_parts();
        origin.path_and_query = Some(PathAndQuery::from_static("/"));
        let origin = Uri::from_parts(origin)?;
        let mut pools = lock(&self.pools);
        if let Some(pool) = pools.iter().find(|pool| *pool.origin() == origin) {
            return Ok(Arc::clone(pool));
        }
        let pool = Arc::new(Pool::new(self.connector.clone(), origin)?);
        pools.push(Arc::clone(&pool));
        Ok(pool)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

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
    let tls = tls::client_config(roots)?;
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls.clone())
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .build()?;
    Ok(Client { http, connector, pools: Arc::default() })
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
