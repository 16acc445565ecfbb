//! The configuration of TLS, for clients without a certificate.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, KeyProvider, ring};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{ClientConfig, Error, RootCertStore};

/// Rejects private keys. A client without a certificate needs none, and the program does not
/// contain the code that signs with them.
#[derive(Debug)]
struct NoPrivateKeys;

impl KeyProvider for NoPrivateKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("no private key is supported".to_owned()))
    }
}

/// Trusts these roots, with the cryptography of `ring`.
pub(super) fn client_config(roots: RootCertStore) -> Result<ClientConfig, Error> {
    let provider = CryptoProvider { key_provider: &NoPrivateKeys, ..ring::default_provider() };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use ::ring::rand::SystemRandom;
    use ::ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
    use rustls::pki_types::PrivatePkcs8KeyDer;

    use super::*;

    #[test]
    fn private_keys_are_rejected() {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let load = |provider: &CryptoProvider| {
            let key = PrivatePkcs8KeyDer::from(key.as_ref().to_vec());
            provider.key_provider.load_private_key(key.into())
        };
        assert!(load(&ring::default_provider()).is_ok());
        let config = client_config(RootCertStore::empty()).unwrap();
        let error = load(config.crypto_provider()).unwrap_err().to_string();
        assert_eq!(error, "unexpected error: no private key is supported");
    }
}
