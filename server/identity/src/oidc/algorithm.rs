//! The signature algorithms of ID tokens: asymmetric ones only.

use serde::{Deserialize, Serialize};

/// A signature algorithm of RFC 7518 or RFC 8037.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum JwsAlgorithm {
    /// RSA with PKCS #1 padding, version 1.5, and SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSA with PKCS #1 padding, version 1.5, and SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// RSA with PKCS #1 padding, version 1.5, and SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSA with PSS padding and SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSA with PSS padding and SHA-384.
    #[serde(rename = "PS384")]
    Ps384,
    /// RSA with PSS padding and SHA-512.
    #[serde(rename = "PS512")]
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl JwsAlgorithm {
    /// All supported algorithms.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// Returns the value of the header parameter `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}
