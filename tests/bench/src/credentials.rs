//! Tokens and API keys that are written into a database directly. The database holds their digests.

use aws_lc_rs::digest::{SHA256, digest};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The length of the prefix by which the server finds a key.
const KEY_PREFIX: usize = 17;
const CHECKSUM_DIGITS: usize = 6;

/// Returns the session token of a user.
pub(crate) fn token(user: usize) -> String {
    with_checksum(format!("prt_{user:043}"))
}

/// Returns the API key of an Application of a server in development mode.
pub(crate) fn api_key(application: usize) -> String {
    // The number is in the first characters, by which the key is found.
    with_checksum(format!("prs_test_{application:08}{:035}", 0))
}

/// Returns the part of a key by which the server finds it.
pub(crate) fn key_prefix(key: &str) -> &str {
    &key[..KEY_PREFIX]
}

/// Returns the digest of a token or key as a literal of SQL.
pub(crate) fn digest_literal(secret: &str) -> String {
    format!("X'{}'", hex::encode(digest(&SHA256, secret.as_bytes())))
}

fn with_checksum(body: String) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [0; CHECKSUM_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    body + &digits.map(char::from).iter().collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_in_their_prefix_and_have_the_length_of_real_ones() {
        assert_ne!(key_prefix(&api_key(1)), key_prefix(&api_key(2)));
        assert_eq!((token(7).len(), api_key(7).len()), (53, 58));
    }
}
