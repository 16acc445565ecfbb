//! The signature algorithms of published keys.

/// A signature algorithm. The key alone determines the algorithm with which a token is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) enum Algorithm {
    /// `RSASSA-PKCS1-v1_5` with SHA-256 (RFC 7518, section 3.3).
    Rs256,
    /// ECDSA on P-256 with SHA-256 (RFC 7518, section 3.4).
    Es256,
    /// Ed25519 (RFC 8037, section 3.1).
    EdDsa,
}

impl Algorithm {
    /// The algorithm with this name.
    pub(in crate::auth) fn from_name(name: &str) -> Option<Self> {
        [Self::Rs256, Self::Es256, Self::EdDsa]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// The name in tokens and keys.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Whether a signature of this algorithm may have `length` bytes.
    pub(in crate::auth) fn is_signature_length(self, length: usize) -> bool {
        match self {
            // The size of the modulus, 2048 to 8192 bits.
            Self::Rs256 => (256..=1024).contains(&length),
            Self::Es256 | Self::EdDsa => length == 64,
        }
    }
}
