//! TLS for clients that require it: a certificate authority of this machine, and a certificate of
//! the stack.
//!
//! The authority is stored, so that a device has to trust it once. The certificate is issued at
//! each start, because the addresses of the machine change.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use crate::error::StartError;

/// The path at the API where a device downloads the certificate of the authority.
pub(crate) const CA_PATH: &str = "/_local/ca.crt";

/// The certificate of the authority, which a device trusts.
const CA_CERTIFICATE_FILE: &str = "ca.crt";

/// The private key of the authority.
const CA_KEY_FILE: &str = "ca.key";

/// The names of the certificate with any host. The Android emulator reaches this machine at
/// 10.0.2.2.
const LOCAL_NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "10.0.2.2"];

/// How long a certificate of the stack is valid. iOS rejects more than 825 days.
/// <https://support.apple.com/en-us/103769>
const VALIDITY_DAYS: i32 = 365;

/// The TLS side of a stack's servers.
pub(crate) struct LocalTls {
    acceptor: TlsAcceptor,
    ca_certificate: Bytes,
}

impl LocalTls {
    /// Loads the authority of this directory, or creates it, and issues a certificate for these
    /// addresses and for loopback.
    pub(crate) fn load_or_create(dir: &Path, addresses: &[IpAddr]) -> Result<Self, StartError> {
        let file_error = |reason| StartError::TlsFiles { dir: dir.to_owned(), reason };
        let stored = read_authority(dir).map_err(file_error)?;
        let (key, ca_certificate) = if let Some((key, certificate)) = stored {
            (KeyPair::from_pem(&key).map_err(certificate_error)?, certificate)
        } else {
            let key = KeyPair::generate().map_err(certificate_error)?;
            let certificate = ca_params().self_signed(&key).map_err(certificate_error)?.pem();
            write_authority(dir, &key.serialize_pem(), &certificate).map_err(file_error)?;
            (key, certificate)
        };
        let config = server_config(key, addresses)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, ca_certificate: Bytes::from(ca_certificate) })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// The certificate of the authority, as PEM.
    pub(crate) fn ca_certificate(&self) -> Bytes {
        self.ca_certificate.clone()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that `map_err` needs")]
fn certificate_error(error: impl ToString) -> StartError {
    StartError::Certificate(error.to_string())
}

/// The stored key and certificate, or `None` if one of them is missing.
fn read_authority(dir: &Path) -> io::Result<Option<(String, String)>> {
    let read = |name| match fs::read_to_string(dir.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    Ok(read(CA_KEY_FILE)?.zip(read(CA_CERTIFICATE_FILE)?))
}

fn write_authority(dir: &Path, key: &str, certificate: &str) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(dir.join(CA_KEY_FILE))?.write_all(key.as_bytes())?;
    fs::write(dir.join(CA_CERTIFICATE_FILE), certificate)
}

/// The parameters of the authority. They are constant: the issuer of a certificate is built from
/// them and the stored key.
fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("Stream functions local CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished_name = DistinguishedName::new();
    distinguished_name.push(DnType::CommonName, name);
    distinguished_name
}

/// A server with a new certificate.
fn server_config(ca_key: KeyPair, addresses: &[IpAddr]) -> Result<ServerConfig, StartError> {
    let names = LOCAL_NAMES.into_iter().map(str::to_owned);
    let mut names: Vec<_> = names.chain(addresses.iter().map(ToString::to_string)).collect();
    names.dedup();
    let mut params = CertificateParams::new(names).map_err(certificate_error)?;
    params.distinguished_name = common_name("Stream functions local stack");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    // Both parts of a date are positive.
    let midnight = |date: Date| {
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        date_time_ymd(i32::from(date.year()), month, day)
    };
    let today = Offset::UTC.to_datetime(Timestamp::now()).date();
    // The clock of a device may be behind.
    params.not_before = midnight(today.saturating_sub(1.day()));
    params.not_after = midnight(today.saturating_add(VALIDITY_DAYS.days()));
    let key = KeyPair::generate().map_err(certificate_error)?;
    let issuer = Issuer::new(ca_params(), ca_key);
    let certificate = params.signed_by(&key, &issuer).map_err(certificate_error)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(certificate_error)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .map_err(certificate_error)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
pub(crate) mod test_support {
    //! A TLS client that trusts one authority only.

    use rustls::pki_types::ServerName;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::{ClientConfig, RootCertStore};
    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;

    use super::*;

    /// A directory that is deleted at the end of the test.
    pub(crate) struct TempDir(pub(crate) std::path::PathBuf);

    impl TempDir {
        pub(crate) fn new() -> Self {
            Self(std::env::temp_dir().join(format!("local-tls-{}", uuid::Uuid::new_v4())))
        }
    }

    impl Drop for TempDir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Connects to a server under a name.
    pub(crate) async fn connect(
        stream: TcpStream,
        name: &str,
        ca_certificate: &[u8],
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let certificate = rustls::pki_types::CertificateDer::from_pem_slice(ca_certificate);
        roots.add(certificate.unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::{TcpListener, TcpStream};

    use super::test_support::{TempDir, connect};
    use super::*;

    /// Whether a client that trusts this authority accepts the server under this name.
    async fn is_trusted(server: &LocalTls, name: &str, ca_certificate: &[u8]) -> bool {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let acceptor = server.acceptor();
        let accept = async { acceptor.accept(listener.accept().await.unwrap().0).await.is_ok() };
        let (accepted, connected) = tokio::join!(accept, connect(stream, name, ca_certificate));
        accepted && connected.is_ok()
    }

    #[tokio::test]
    async fn certificate_is_valid_for_all_printed_addresses() {
        let dir = TempDir::new();
        let address = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 5));
        let server = LocalTls::load_or_create(&dir.0, &[address]).unwrap();
        for name in ["localhost", "127.0.0.1", "10.0.2.2", "192.168.1.5"] {
            assert!(is_trusted(&server, name, &server.ca_certificate()).await, "{name}");
        }
        assert!(!is_trusted(&server, "192.168.1.6", &server.ca_certificate()).await);
    }

    #[tokio::test]
    async fn device_trusts_the_authority_once() {
        let dir = TempDir::new();
        let first = LocalTls::load_or_create(&dir.0, &[]).unwrap();
        let restarted = LocalTls::load_or_create(&dir.0, &[]).unwrap();
        assert_eq!(first.ca_certificate(), restarted.ca_certificate());
        assert!(is_trusted(&restarted, "localhost", &first.ca_certificate()).await);

        let other_dir = TempDir::new();
        let other = LocalTls::load_or_create(&other_dir.0, &[]).unwrap();
        assert!(!is_trusted(&restarted, "localhost", &other.ca_certificate()).await);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_the_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = TempDir::new();
        LocalTls::load_or_create(&dir.0, &[]).unwrap();
        let metadata = fs::metadata(dir.0.join(CA_KEY_FILE)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
}
