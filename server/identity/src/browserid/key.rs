//! Public keys of certificates and support documents (rules 24 to 26), and the verification of
//! signatures with them (rule 28).
//!
//! A parsed key is valid; the policy decides if it is strong enough. Parsing a DSA key and
//! verifying with it take some milliseconds each: run both on blocking threads.

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY as PKCS1_SHA256;
use num_bigint::BigUint;
use serde_json::{Map, Value};

#[cfg(feature = "browserid-dsa")]
use super::dsa_key::DsaKey;
use super::padding::left_padded;
use crate::jws;

/// The maximum number of digits: a decimal RSA-2048 modulus has 617.
const MAX_DIGITS: usize = 700;

/// A signature algorithm of BrowserID: a family of keys and a security level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BrowserIdAlgorithm {
    /// RSA 512. It is always rejected.
    Rs64,
    /// RSA 1024 with SHA-256.
    Rs128,
    /// RSA 2048 with SHA-256.
    Rs256,
    /// DSA 1024/160 with SHA-1.
    Ds128,
    /// DSA 2048/256 with SHA-256.
    Ds256,
}

impl BrowserIdAlgorithm {
    /// Returns the name in a token's header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs64 => "RS64",
            Self::Rs128 => "RS128",
            Self::Rs256 => "RS256",
            Self::Ds128 => "DS128",
            Self::Ds256 => "DS256",
        }
    }

    /// Returns true if `name` is that of a DSA algorithm, so that verifying is expensive.
    pub(crate) fn is_dsa_name(name: &str) -> bool {
        name.starts_with("DS")
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: BrowserIdAlgorithm,
    material: KeyMaterial,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum KeyMaterial {
    /// The modulus and the exponent, big-endian without leading zeros.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    #[cfg(feature = "browserid-dsa")]
    Dsa(DsaKey),
}

/// The error for a value that is not a usable public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a usable public key")]
pub struct InvalidKey;

impl PublicKey {
    /// Parses a key object of a certificate or a support document.
    ///
    /// # Errors
    /// [`InvalidKey`] if its family, size or numbers are not those of a key.
    pub fn parse(value: &Value) -> Result<Self, InvalidKey> {
        Self::read(value).ok_or(InvalidKey)
    }

    fn read(value: &Value) -> Option<Self> {
        let members = value.as_object()?;
        let numbers = KeyNumbers { members, is_jwk: members.contains_key("kty") };
        match family(members)? {
            KeyFamily::Rsa => Self::rsa(&numbers.rsa("n")?, &numbers.rsa("e")?),
            KeyFamily::Dsa => Self::dsa(&numbers),
        }
    }

    fn rsa(modulus: &BigUint, exponent: &BigUint) -> Option<Self> {
        let algorithm = match modulus.bits() {
            511..=513 => BrowserIdAlgorithm::Rs64,
            1023..=1025 => BrowserIdAlgorithm::Rs128,
            2047..=2049 => BrowserIdAlgorithm::Rs256,
            _ => return None,
        };
        let exponent_fits = exponent.bit(0) && (2..=33).contains(&exponent.bits());
        (modulus.bit(0) && exponent_fits).then(|| Self {
            algorithm,
            material: KeyMaterial::Rsa {
                modulus: modulus.to_bytes_be(),
                exponent: exponent.to_bytes_be(),
            },
        })
    }

    #[cfg(feature = "browserid-dsa")]
    fn dsa(numbers: &KeyNumbers<'_>) -> Option<Self> {
        let [p, q, g, y] =
            [numbers.dsa("p")?, numbers.dsa("q")?, numbers.dsa("g")?, numbers.dsa("y")?];
        let algorithm = match (p.bits(), q.bits()) {
            (1024, 160) => BrowserIdAlgorithm::Ds128,
            (2048, 256) => BrowserIdAlgorithm::Ds256,
            _ => return None,
        };
        let key = DsaKey::checked([p, q, g, y])?;
        Some(Self { algorithm, material: KeyMaterial::Dsa(key) })
    }

    #[cfg(not(feature = "browserid-dsa"))]
    fn dsa(_numbers: &KeyNumbers<'_>) -> Option<Self> {
        None
    }

    /// Returns the algorithm of this key.
    pub fn algorithm(&self) -> BrowserIdAlgorithm {
        self.algorithm
    }

    /// Returns true if `signature` is valid for `signed`.
    pub(crate) fn verify(&self, signed: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            KeyMaterial::Rsa { modulus, exponent } => {
                // The signers of 2013 drop leading zero bytes, in one of 256 signatures.
                left_padded(signature, modulus.len()).is_some_and(|signature| {
                    let key = PublicKeyComponents { n: modulus, e: exponent };
                    key.verify(&PKCS1_SHA256, signed, &signature).is_ok()
                })
            }
            #[cfg(feature = "browserid-dsa")]
            KeyMaterial::Dsa(key) => key.verify(signed, signature),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyFamily {
    Rsa,
    Dsa,
}

/// Returns true if `key` declares that it is a DSA key, so that parsing it is expensive.
pub(crate) fn declares_dsa(key: &Value) -> bool {
    key.as_object().and_then(family) == Some(KeyFamily::Dsa)
}

/// Returns the family from `algorithm` or `kty`. If both are present, they must agree.
fn family(members: &Map<String, Value>) -> Option<KeyFamily> {
    let family_of = |name: &str| match members.get(name)?.as_str() {
        Some("RS" | "RSA") => Some(Ok(KeyFamily::Rsa)),
        Some("DS" | "DSA") => Some(Ok(KeyFamily::Dsa)),
        Some(_) | None => Some(Err(InvalidKey)),
    };
    let first = family_of("algorithm").or_else(|| family_of("kty"))?.ok()?;
    let agrees = family_of("kty").is_none_or(|second| second == Ok(first));
    agrees.then_some(first)
}

/// The numbers of a key object: base64url if it has `kty`, else decimal (RSA) or hexadecimal (DSA)
/// text.
struct KeyNumbers<'a> {
    members: &'a Map<String, Value>,
    is_jwk: bool,
}

impl KeyNumbers<'_> {
    fn rsa(&self, name: &str) -> Option<BigUint> {
        self.number(name, 10)
    }

    #[cfg(feature = "browserid-dsa")]
    fn dsa(&self, name: &str) -> Option<BigUint> {
        self.number(name, 16)
    }

    fn number(&self, name: &str, radix: u32) -> Option<BigUint> {
        let text = self.members.get(name)?.as_str()?;
        if text.is_empty() || text.len() > MAX_DIGITS {
            return None;
        }
        if self.is_jwk {
            return Some(BigUint::from_bytes_be(&jws::base64url(text)?));
        }
        // The parser also accepts a sign and underscores.
        let is_plain = text.chars().all(|digit| digit.is_digit(radix));
        if is_plain { BigUint::parse_bytes(text.as_bytes(), radix) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds rule 24.
    #[test]
    fn the_key_family_is_read_from_either_name_and_both_must_agree() {
        for (text, expected) in [
            (r#"{"algorithm":"RS"}"#, Some(KeyFamily::Rsa)),
            (r#"{"kty":"DSA"}"#, Some(KeyFamily::Dsa)),
            (r#"{"algorithm":"RSA","kty":"RSA"}"#, Some(KeyFamily::Rsa)),
            (r#"{"algorithm":"RS","kty":"DSA"}"#, None),
            (r#"{"algorithm":"RS","kty":null}"#, None),
            (r#"{"algorithm":"ES","kty":"RSA"}"#, None),
            ("{}", None),
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(family(value.as_object().unwrap()), expected, "{text}");
        }
    }

    /// Holds rule 26 and threat 6.
    #[test]
    fn a_key_number_is_plain_digits_of_limited_length() {
        let number = |text: &str| {
            let value = serde_json::json!({ "n": text });
            KeyNumbers { members: value.as_object().unwrap(), is_jwk: false }.number("n", 10)
        };
        assert_eq!(number("65537"), Some(BigUint::from(65_537_u32)));
        for text in ["", "+1", "-1", "1_000", " 1", "1.0", "ff", "٣"] {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!(number(&"1".repeat(MAX_DIGITS + 1)), None);
    }
}
