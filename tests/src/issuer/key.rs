//! Key pairs, and tokens signed with them. DSA is computed here with big integers, independently of
//! the code of the server.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use num_bigint::BigUint;
use serde_json::{Value, json};

/// A key pair.
#[derive(Debug, Clone)]
pub enum Key {
    /// RSA with 2048 bits, which signs as RS256.
    Rsa(Arc<RsaKeyPair>),
    /// DSA with 1024 bits, which signs as DS128.
    Dsa(Arc<Dsa>),
}

/// A DSA key pair.
#[derive(Debug)]
pub struct Dsa {
    p: BigUint,
    q: BigUint,
    g: BigUint,
    y: BigUint,
    x: BigUint,
}

impl Key {
    /// Returns an RSA key pair that is generated once for each process, because that is slow.
    pub fn rsa() -> Self {
        static MADE: LazyLock<Arc<RsaKeyPair>> =
            LazyLock::new(|| Arc::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));
        Self::Rsa(Arc::clone(&MADE))
    }

    /// Generates a DSA key pair in the group of the FIPS 186-3 test vectors, which nearly all
    /// clients used.
    #[expect(clippy::many_single_char_names, reason = "the letters of the standard")]
    pub fn dsa() -> Self {
        let number = |digits: &str| BigUint::parse_bytes(digits.as_bytes(), 16).unwrap();
        let (p, q, g) = (number(P), number(Q), number(G));
        let x = below(&q);
        let y = g.modpow(&x, &p);
        Self::Dsa(Arc::new(Dsa { p, q, g, y, x }))
    }

    /// Returns the public key, as certificates and support documents contain it.
    pub fn public(&self) -> Value {
        match self {
            Self::Rsa(pair) => {
                let der = pair.public_key().as_ref();
                // A DER sequence of the modulus (257 bytes with the leading zero) and the exponent
                // (3 bytes).
                let (modulus, exponent) = (&der[8..265], &der[267..]);
                let decimal = |bytes: &[u8]| BigUint::from_bytes_be(bytes).to_string();
                json!({"algorithm": "RS", "n": decimal(modulus), "e": decimal(exponent)})
            }
            Self::Dsa(dsa) => {
                let hex = |number: &BigUint| number.to_str_radix(16);
                json!({
                    "algorithm": "DS",
                    "p": hex(&dsa.p),
                    "q": hex(&dsa.q),
                    "g": hex(&dsa.g),
                    "y": hex(&dsa.y),
                })
            }
        }
    }

    /// Returns a signed token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let algorithm = match self {
            Self::Rsa(_) => "RS256",
            Self::Dsa(_) => "DS128",
        };
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let header = encode(json!({"alg": algorithm}).to_string().as_bytes());
        let input = format!("{header}.{}", encode(claims.to_string().as_bytes()));
        let signature = match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let random = SystemRandom::new();
                pair.sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::Dsa(dsa) => dsa.sign(input.as_bytes()),
        };
        format!("{input}.{}", encode(&signature))
    }
}

impl Dsa {
    fn sign(&self, text: &[u8]) -> Vec<u8> {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text);
        let hash = BigUint::from_bytes_be(hash.as_ref());
        loop {
            let k = below(&self.q);
            let r = self.g.modpow(&k, &self.p) % &self.q;
            let s = k.modinv(&self.q).unwrap() * (&hash + &self.x * &r) % &self.q;
            if r != BigUint::ZERO && s != BigUint::ZERO {
                return [twenty(&r), twenty(&s)].concat();
            }
        }
    }
}

/// Returns a number as 20 bytes.
fn twenty(number: &BigUint) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    [vec![0; 20 - bytes.len()], bytes].concat()
}

/// Returns a random number from 1 up to a limit.
fn below(limit: &BigUint) -> BigUint {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    BigUint::from_bytes_be(&bytes) % (limit - 1_u8) + 1_u8
}

/// Returns a random text.
pub(super) fn nonce() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    URL_SAFE_NO_PAD.encode(bytes)
}

const P: &str = "ff600483db6abfc5b45eab78594b3533d550d9f1bf2a992a7a8daa6dc34f8045ad4e6e0c429d334eeeaaefd7e23d4810be00e4cc1492cba325ba81ff2d5a5b305a8d17eb3bf4a06a349d392e00d329744a5179380344e82a18c47933438f891e22aeef812d69c8f75e326cb70ea000c3f776dfdbd604638c2ef717fc26d02e17";
const Q: &str = "e21e04f911d1ed7991008ecaab3bf775984309c3";
const G: &str = "c52a4a0ff3b7e61fdf1867ce84138369a6154f4afa92966e3c827e25cfa6cf508b90e5de419e1337e07a2e9e2a3cd5dea704d175f8ebf6af397d69e110b96afb17c7a03259329e4829b0d03bbc7896b15b4ade53e130858cc34d96269aa89041f409136c7242a38895c9d5bccad4f389af1d7a4bd1398bd072dffa896233397a";
