//! Public keys as certificates and support documents hold them (rules 24 to 26), and what they
//! verify (rule 28).
//!
//! A key that was parsed is sound; whether it is strong enough is the policy's to say. Parsing a
//! DSA key takes some milliseconds of arithmetic, as does verifying with one: keep both off the
//! async threads.

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY as PKCS1_SHA256;
use num_bigint::BigUint;
use serde_json::{Map, Value};

#[cfg(feature = "browserid-dsa")]
use super::dsa_key::DsaKey;
use crate::jws;

/// The longest digits of a number: a decimal RSA-2048 modulus has 617.
const MAX_DIGITS: usize = 700;

/// A signature algorithm: a family of keys and a security level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA 512. Only known in order to be refused.
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

impl Algorithm {
    /// The name in a token's header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs64 => "RS64",
            Self::Rs128 => "RS128",
            Self::Rs256 => "RS256",
            Self::Ds128 => "DS128",
            Self::Ds256 => "DS256",
        }
    }

    /// Whether the name in a header is that of a DSA algorithm, so that the work is heavy.
    pub(crate) fn is_dsa_name(name: &str) -> bool {
        name.starts_with("DS")
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: Algorithm,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    /// Modulus and exponent, big-endian without leading zeros.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    #[cfg(feature = "browserid-dsa")]
    Dsa(DsaKey),
}

/// The value is no key that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a usable public key")]
pub struct NotAKey;

impl PublicKey {
    /// Reads a key object of a certificate or a support document.
    ///
    /// # Errors
    /// If its family, size or numbers are not those of a key.
    pub fn parse(value: &Value) -> Result<Self, NotAKey> {
        Self::read(value).ok_or(NotAKey)
    }

    fn read(value: &Value) -> Option<Self> {
        let members = value.as_object()?;
        let numbers = Numbers { members, jwk: members.contains_key("kty") };
        match family(members)? {
            Family::Rsa => Self::rsa(&numbers.rsa("n")?, &numbers.rsa("e")?),
            Family::Dsa => Self::dsa(&numbers),
        }
    }

    fn rsa(modulus: &BigUint, exponent: &BigUint) -> Option<Self> {
        let algorithm = match modulus.bits() {
            511..=513 => Algorithm::Rs64,
            1023..=1025 => Algorithm::Rs128,
            2047..=2049 => Algorithm::Rs256,
            _ => return None,
        };
        let exponent_fits = exponent.bit(0) && (2..=33).contains(&exponent.bits());
        (modulus.bit(0) && exponent_fits).then(|| Self {
            algorithm,
            material: Material::Rsa {
                modulus: modulus.to_bytes_be(),
                exponent: exponent.to_bytes_be(),
            },
        })
    }

    #[cfg(feature = "browserid-dsa")]
    fn dsa(numbers: &Numbers<'_>) -> Option<Self> {
        let [p, q, g, y] =
            [numbers.dsa("p")?, numbers.dsa("q")?, numbers.dsa("g")?, numbers.dsa("y")?];
        let algorithm = match (p.bits(), q.bits()) {
            (1024, 160) => Algorithm::Ds128,
            (2048, 256) => Algorithm::Ds256,
            _ => return None,
        };
        let key = DsaKey::checked([p, q, g, y])?;
        Some(Self { algorithm, material: Material::Dsa(key) })
    }

    #[cfg(not(feature = "browserid-dsa"))]
    fn dsa(_numbers: &Numbers<'_>) -> Option<Self> {
        None
    }

    /// The algorithm that this key is for.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature` is this key's over `signed`.
    pub(crate) fn verify(&self, signed: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Rsa { modulus, exponent } => {
                // The signers of 2013 drop leading zero bytes, one signature in 256.
                left_padded(signature, modulus.len()).is_some_and(|signature| {
                    let key = PublicKeyComponents { n: modulus, e: exponent };
                    key.verify(&PKCS1_SHA256, signed, &signature).is_ok()
                })
            }
            #[cfg(feature = "browserid-dsa")]
            Material::Dsa(key) => key.verify(signed, signature),
        }
    }
}

/// Puts zeros before `bytes` up to `length`; `None` if it is longer already.
pub(super) fn left_padded(bytes: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut padded = vec![0; length.checked_sub(bytes.len())?];
    padded.extend_from_slice(bytes);
    Some(padded)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    Dsa,
}

/// Whether `key` says that it is a DSA key, so that reading it is heavy.
pub(crate) fn claims_dsa(key: &Value) -> bool {
    key.as_object().and_then(family) == Some(Family::Dsa)
}

/// The family from `algorithm` or `kty`; where both are given they must agree.
fn family(members: &Map<String, Value>) -> Option<Family> {
    let named = |name: &str| match members.get(name)?.as_str() {
        Some("RS" | "RSA") => Some(Ok(Family::Rsa)),
        Some("DS" | "DSA") => Some(Ok(Family::Dsa)),
        Some(_) | None => Some(Err(NotAKey)),
    };
    let first = named("algorithm").or_else(|| named("kty"))?.ok()?;
    let agrees = named("kty").is_none_or(|second| second == Ok(first));
    agrees.then_some(first)
}

/// The numbers of a key object: with `kty` they are base64url, without it decimal (RSA) or
/// hexadecimal (DSA) text.
struct Numbers<'a> {
    members: &'a Map<String, Value>,
    jwk: bool,
}

impl Numbers<'_> {
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
        if self.jwk {
            return Some(BigUint::from_bytes_be(&jws::base64url(text)?));
        }
        // The parser would also take a sign and underscores.
        let plain = text.chars().all(|digit| digit.is_digit(radix));
        if plain { BigUint::parse_bytes(text.as_bytes(), radix) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_padded_and_a_long_one_refused() {
        assert_eq!(left_padded(&[7], 3), Some(vec![0, 0, 7]));
        assert_eq!(left_padded(&[7, 8, 9], 3), Some(vec![7, 8, 9]));
        assert_eq!(left_padded(&[0, 7, 8, 9], 3), None);
    }

    #[test]
    fn the_family_comes_from_either_name_and_both_must_agree() {
        for (text, expected) in [
            (r#"{"algorithm":"RS"}"#, Some(Family::Rsa)),
            (r#"{"kty":"DSA"}"#, Some(Family::Dsa)),
            (r#"{"algorithm":"RSA","kty":"RSA"}"#, Some(Family::Rsa)),
            (r#"{"algorithm":"RS","kty":"DSA"}"#, None),
            (r#"{"algorithm":"RS","kty":null}"#, None),
            (r#"{"algorithm":"ES","kty":"RSA"}"#, None),
            ("{}", None),
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(family(value.as_object().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn a_number_is_plain_digits_of_limited_length() {
        let number = |text: &str| {
            let value = serde_json::json!({ "n": text });
            Numbers { members: value.as_object().unwrap(), jwk: false }.number("n", 10)
        };
        assert_eq!(number("65537"), Some(BigUint::from(65_537_u32)));
        for text in ["", "+1", "-1", "1_000", " 1", "1.0", "ff", "٣"] {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!(number(&"1".repeat(MAX_DIGITS + 1)), None);
    }
}
