//! Secrets that are handed out once: API keys and bearer tokens. Only their digest is kept.

use aws_lc_rs::digest::{SHA256, digest};
use presence_core::phase::TOKEN_PREFIX;
use secrecy::SecretString;
use subtle::ConstantTimeEq;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Random characters of a secret: 43 base-62 digits hold 256 bits.
const RANDOM: usize = 43;
/// Characters of the checksum, by which a typing error or a scanner's false alarm is told without asking the tables.
const CHECK: usize = 6;
/// Random characters that are shown in lists, and by which a key is found.
const SHOWN: usize = 8;

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An API key of a server in production.
    LiveKey,
    /// An API key of a server in development mode.
    TestKey,
    /// A user's bearer token.
    Token,
    /// What lets an operator in.
    OperatorToken,
    /// A session of an operator.
    OperatorSession,
}

impl Kind {
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

/// A new secret: 256 random bits and a checksum, in base 62, after a prefix that tells what it is.
pub(crate) fn mint(kind: Kind) -> SecretString {
    let random: String = (0..RANDOM).map(|_| letter(rand::random_range(0..62))).collect();
    let body = format!("{}{random}", kind.prefix());
    format!("{body}{}", checksum(&body)).into()
}

/// Whether a text begins like such a secret.
pub(crate) fn is_meant_as(kind: Kind, text: &str) -> bool {
    text.starts_with(kind.prefix())
}

/// Whether a text has the form and the checksum of such a secret.
pub(crate) fn is_well_formed(kind: Kind, text: &str) -> bool {
    let length = kind.prefix().len() + RANDOM + CHECK;
    text.len() == length
        && text.is_ascii()
        && text.starts_with(kind.prefix())
        && text
            .split_at_checked(length - CHECK)
            .is_some_and(|(body, check)| checksum(body) == check)
}

/// The first characters of a key, by which it is found and shown.
pub(crate) fn shown_part(text: &str) -> Option<&str> {
    let kind =
        [Kind::LiveKey, Kind::TestKey].into_iter().find(|kind| is_well_formed(*kind, text))?;
    text.get(..kind.prefix().len() + SHOWN)
}

/// SHA-256, which is enough for a text of 256 random bits.
pub(crate) fn sha256(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

/// Whether two digests are equal, in a time that does not tell where they differ.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// A text that only the holder of a secret can make: proves that a form was made for this session.
pub(crate) fn bound_to(secret: &str, purpose: &str) -> String {
    use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
    let tag = sign(&Key::new(HMAC_SHA256, secret.as_bytes()), purpose.as_bytes());
    hex::encode(tag.as_ref())
}

fn letter(digit: u32) -> char {
    ALPHABET.get(digit as usize).map_or('0', |byte| char::from(*byte))
}

fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [0; CHECK];
    for place in digits.iter_mut().rev() {
        *place = rest % 62;
        rest /= 62;
    }
    digits.into_iter().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_minted_key_is_well_formed_and_a_changed_one_is_not() {
        let key = mint(Kind::LiveKey);
        let key = key.expose_secret();
        assert!(is_well_formed(Kind::LiveKey, key));
        assert!(!is_well_formed(Kind::TestKey, key));
        let last = if key.ends_with('0') { "1" } else { "0" };
        assert!(!is_well_formed(Kind::LiveKey, &format!("{}{last}", &key[..key.len() - 1])));
        assert!(!is_well_formed(Kind::LiveKey, ""));
    }

    #[test]
    fn no_two_secrets_are_alike_and_the_shown_part_tells_little() {
        let (one, other) = (mint(Kind::TestKey), mint(Kind::TestKey));
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert_eq!(shown_part(one.expose_secret()).unwrap().len(), 17);
    }

    #[test]
    fn a_secret_does_not_reach_debug_output() {
        let key = mint(Kind::Token);
        assert!(!format!("{key:?}").contains(&key.expose_secret()[8..]));
    }
}
