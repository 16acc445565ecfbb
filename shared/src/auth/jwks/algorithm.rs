//! The signature algorithms of published keys.

/// A signature algorithm. The key alone determines the algorithm with which a token is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) enum Algorithm {
    /// `RSASSA-PKCS1-v1_5` with SHA-256 (RFC 7518, section 3.3).
    Rs256,
    /// `RSASSA-PKCS1-v1_5` with SHA-384 (RFC 7518, section 3.3).
    Rs384,
    /// `RSASSA-PKCS1-v1_5` with SHA-512 (RFC 7518, section 3.3).
    Rs512,
    /// RSASSA-PSS with SHA-256 (RFC 7518, section 3.5).
    Ps256,
    /// ECDSA on P-256 with SHA-256 (RFC 7518, section 3.4).
    Es256,
    /// ECDSA on P-384 with SHA-384 (RFC 7518, section 3.4).
    Es384,
    /// Ed25519 (RFC 8037, section 3.1).
    EdDsa,
}

impl Algorithm {
    /// All algorithms.
    pub(super) const ALL: [Self; 7] =
        [Self::Rs256, Self::Rs384, Self::Rs512, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa];

    /// The algorithm with this name.
    pub(in crate::auth) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The name in tokens and keys.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Whether a signature of this algorithm may have `length` bytes.
    pub(in crate::auth) fn is_signature_length(self, length: usize) -> bool {
        match self {
            // The size of the modulus, 2048 to 8192 bits.
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 => (256..=1024).contains(&length),
            Self::Es256 | Self::EdDsa => length == 64,
            Self::Es384 => length == 96,
        }
    }
}
