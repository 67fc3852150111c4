//! Public keys as issuers publish them (JWK, RFC 7517), and signature verification with them.
//!
//! A parsed key is valid and strong enough: RSA of 2048 bits or more, P-256, P-384, Ed25519. All
//! other types are rejected, `oct` in particular: with a symmetric key in a public document every
//! reader of the document could sign.

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    VerificationAlgorithm,
};
use serde_json::{Map, Value};

use super::algorithm::JwsAlgorithm;
use crate::jws;

/// The accepted sizes of RSA moduli, in bytes: 2048 to 8192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// The maximum size of an RSA exponent, in bytes.
const MAX_EXPONENT_BYTES: usize = 5;

/// A public key of an issuer.
pub(super) enum IssuerKey {
    /// The modulus and the exponent, big-endian without leading zeros.
    Rsa(PublicKeyComponents<Vec<u8>>),
    P256(ParsedPublicKey),
    P384(ParsedPublicKey),
    Ed25519(ParsedPublicKey),
}

impl IssuerKey {
    /// Parses a JWK. Returns `None` if it is not a supported key for verifying signatures.
    pub(super) fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if !may_verify(jwk) {
            return None;
        }
        let bytes = |name: &str| jws::base64url(text(name)?);
        match (text("kty")?, text("crv")) {
            ("RSA", _) => rsa(bytes("n")?, bytes("e")?),
            ("EC", Some("P-256")) => {
                point(&ECDSA_P256_SHA256_FIXED, 32, bytes("x")?, bytes("y")?).map(Self::P256)
            }
            ("EC", Some("P-384")) => {
                point(&ECDSA_P384_SHA384_FIXED, 48, bytes("x")?, bytes("y")?).map(Self::P384)
            }
            ("OKP", Some("Ed25519")) => {
                ParsedPublicKey::new(&ED25519, bytes("x")?).ok().map(Self::Ed25519)
            }
            _ => None,
        }
    }

    /// Returns true if this type of key supports `algorithm`.
    pub(super) fn supports(&self, algorithm: JwsAlgorithm) -> bool {
        match self {
            Self::Rsa(_) => rsa_parameters(algorithm).is_some(),
            Self::P256(_) => algorithm == JwsAlgorithm::Es256,
            Self::P384(_) => algorithm == JwsAlgorithm::Es384,
            Self::Ed25519(_) => algorithm == JwsAlgorithm::EdDsa,
        }
    }

    /// Returns true if `signature` is a valid signature over `signed` by this key.
    pub(super) fn verify(&self, algorithm: JwsAlgorithm, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa(key) => rsa_parameters(algorithm)
                .is_some_and(|parameters| key.verify(parameters, signed, signature).is_ok()),
            Self::P256(key) | Self::P384(key) | Self::Ed25519(key) => {
                self.supports(algorithm) && key.verify_sig(signed, signature).is_ok()
            }
        }
    }
}

/// Returns true if `use` and `key_ops`, where present, allow verification.
fn may_verify(jwk: &Map<String, Value>) -> bool {
    let purpose = jwk.get("use").is_none_or(|purpose| purpose == "sig");
    let operations = match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|one| one == "verify"),
        Some(_) => false,
    };
    purpose && operations
}

fn rsa(modulus: Vec<u8>, exponent: Vec<u8>) -> Option<IssuerKey> {
    let (n, e) = (without_leading_zeros(modulus), without_leading_zeros(exponent));
    let large = MODULUS_BYTES.contains(&n.len()) && (n.len() > 256 || n.first()? & 0x80 != 0);
    let odd = n.last()? & e.last()? & 1 == 1;
    let exponent_fits = e.len() <= MAX_EXPONENT_BYTES && e != [1];
    (large && odd && exponent_fits).then_some(IssuerKey::Rsa(PublicKeyComponents { n, e }))
}

fn without_leading_zeros(mut bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    bytes
}

/// Parses a point, which must be on the curve.
fn point(
    algorithm: &'static dyn VerificationAlgorithm,
    size: usize,
    x: Vec<u8>,
    y: Vec<u8>,
) -> Option<ParsedPublicKey> {
    if x.len() != size || y.len() != size {
        return None;
    }
    ParsedPublicKey::new(algorithm, [vec![4], x, y].concat()).ok()
}

fn rsa_parameters(algorithm: JwsAlgorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        JwsAlgorithm::Rs256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        JwsAlgorithm::Rs384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        JwsAlgorithm::Rs512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        JwsAlgorithm::Ps256 => Some(&RSA_PSS_2048_8192_SHA256),
        JwsAlgorithm::Ps384 => Some(&RSA_PSS_2048_8192_SHA384),
        JwsAlgorithm::Ps512 => Some(&RSA_PSS_2048_8192_SHA512),
        JwsAlgorithm::Es256 | JwsAlgorithm::Es384 | JwsAlgorithm::EdDsa => None,
    }
}
