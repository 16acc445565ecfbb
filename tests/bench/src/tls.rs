//! TLS before the local backends, with a private certificate authority.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::BenchError;

/// A certificate authority, with a server certificate for 127.0.0.1.
pub(crate) struct CertificateAuthority {
    acceptor: TlsAcceptor,
    certificate_path: PathBuf,
}

impl CertificateAuthority {
    /// Creates an authority and writes its certificate to this directory.
    pub(crate) fn new(work_dir: &Path) -> Result<Self, BenchError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // With the name of the server's certificate, OpenSSL would take that certificate for
        // self-signed.
        params.distinguished_name.push(DnType::CommonName, "the benchmark's own authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let names = vec!["127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        let certificate_path = work_dir.join("roots.pem");
        std::fs::write(&certificate_path, issuer.pem())?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate_path })
    }

    /// The path of the authority's certificate.
    pub(crate) fn certificate_path(&self) -> &Path {
        &self.certificate_path
    }

    /// Starts a TLS proxy before a server. Returns its URL.
    pub(crate) async fn start_tls_proxy(&self, url: &str) -> Result<String, BenchError> {
        let address = url.trim_start_matches("http://").replace("localhost", "127.0.0.1");
        let upstream: SocketAddr =
            address.parse().map_err(|_| BenchError::new(format!("{url} has no socket address")))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let acceptor = self.acceptor.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(proxy_connection(acceptor.clone(), socket, upstream));
            }
        });
        Ok(format!("https://{address}"))
    }
}

/// Forwards a connection until one side closes it. Errors are ignored.
async fn proxy_connection(acceptor: TlsAcceptor, socket: TcpStream, upstream: SocketAddr) {
    let _ = socket.set_nodelay(true);
    let Ok(mut downstream) = acceptor.accept(socket).await else { return };
    let Ok(mut upstream_stream) = TcpStream::connect(upstream).await else { return };
    let _ = upstream_stream.set_nodelay(true);
    let _ = copy_bidirectional(&mut downstream, &mut upstream_stream).await;
}
