//! Secrets that are shown once: API keys and bearer tokens. Only their digest is stored.

use aws_lc_rs::digest::{SHA256, digest};
use presence_core::phase::TOKEN_PREFIX;
use secrecy::SecretString;
use subtle::ConstantTimeEq;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The number of random characters: 43 base-62 digits hold 256 bits.
const RANDOM_CHARS: usize = 43;
/// The number of characters of the checksum, which reveals typing errors and lets scanners
/// recognize a secret without the database.
const CHECKSUM_CHARS: usize = 6;
/// The number of random characters that are shown in lists, and by which a key is found.
const PREFIX_CHARS: usize = 8;

/// The kind of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretKind {
    /// An API key of a server in production.
    LiveKey,
    /// An API key of a server in development mode.
    TestKey,
    /// A bearer token of a user's session, or a ticket.
    Token,
    /// The token with which an operator signs in.
    OperatorToken,
    /// The token of an operator's session.
    OperatorSession,
}

impl SecretKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::LiveKey => "prs_live_",
            Self::TestKey => "prs_test_",
            Self::Token => TOKEN_PREFIX,
            Self::OperatorToken => "pro_",
            Self::OperatorSession => "pos_",
        }
    }
}

/// Generates a secret: 256 random bits and a checksum, in base 62, after the prefix of its kind.
pub(crate) fn generate(kind: SecretKind) -> SecretString {
    let random: String = (0..RANDOM_CHARS).map(|_| letter(rand::random_range(0..62))).collect();
    let body = format!("{}{random}", kind.prefix());
    format!("{body}{}", checksum(&body)).into()
}

/// Returns true if a text has the prefix of such a secret.
pub(crate) fn has_prefix(kind: SecretKind, text: &str) -> bool {
    text.starts_with(kind.prefix())
}

/// Returns true if a text has the form and the checksum of such a secret.
pub(crate) fn is_well_formed(kind: SecretKind, text: &str) -> bool {
    let length = kind.prefix().len() + RANDOM_CHARS + CHECKSUM_CHARS;
    text.len() == length
        && text.is_ascii()
        && text.starts_with(kind.prefix())
        && text
            .split_at_checked(length - CHECKSUM_CHARS)
            .is_some_and(|(body, check)| checksum(body) == check)
}

/// Returns the first characters of a key, by which it is found and shown.
pub(crate) fn key_prefix(text: &str) -> Option<&str> {
    let kind = [SecretKind::LiveKey, SecretKind::TestKey]
        .into_iter()
        .find(|kind| is_well_formed(*kind, text))?;
    text.get(..kind.prefix().len() + PREFIX_CHARS)
}

/// Returns the SHA-256 of a text, which is sufficient for a secret of 256 random bits.
pub(crate) fn sha256(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

/// Compares two texts in a time that does not depend on where they differ.
pub(crate) fn equal_in_constant_time(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// Derives a text that only the holder of a secret can make, such as the CSRF token of a session.
pub(crate) fn derive(secret: &str, purpose: &str) -> String {
    use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
    let tag = sign(&Key::new(HMAC_SHA256, secret.as_bytes()), purpose.as_bytes());
    hex::encode(tag.as_ref())
}

fn letter(digit: u32) -> char {
    ALPHABET.get(digit as usize).map_or('0', |byte| char::from(*byte))
}

fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [0; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = rest % 62;
        rest /= 62;
    }
    digits.into_iter().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_generated_key_is_well_formed_and_a_changed_one_is_not() {
        let key = generate(SecretKind::LiveKey);
        let key = key.expose_secret();
        assert!(is_well_formed(SecretKind::LiveKey, key));
        assert!(!is_well_formed(SecretKind::TestKey, key));
        let last = if key.ends_with('0') { "1" } else { "0" };
        assert!(!is_well_formed(SecretKind::LiveKey, &format!("{}{last}", &key[..key.len() - 1])));
        assert!(!is_well_formed(SecretKind::LiveKey, ""));
    }

    #[test]
    fn two_secrets_differ_and_the_prefix_of_a_key_is_short() {
        let (one, other) = (generate(SecretKind::TestKey), generate(SecretKind::TestKey));
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert_eq!(key_prefix(one.expose_secret()).unwrap().len(), 17);
    }

    #[test]
    fn debug_output_does_not_show_a_secret() {
        let key = generate(SecretKind::Token);
        assert!(!format!("{key:?}").contains(&key.expose_secret()[8..]));
    }
}
