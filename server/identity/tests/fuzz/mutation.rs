//! Mutations that reach deep into the parsers: inside the decoded parts of a token, and with words
//! that the parsers recognize.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;

/// The words that the parsers of JSON, keys, times and names recognize.
const WORDS: [&[u8]; 36] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"null",
    b"true",
    b"false",
    b"0",
    b"-1",
    b"1e999",
    b"1767225600000",
    b"99999999999999999999",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\"exp\":",
    b"\"iat\":",
    b"\"aud\":",
    b"\"iss\":",
    b"\"sub\":",
    b"\"principal\":",
    b"\"email\":",
    b"\"public-key\":",
    b"\"alg\":\"RS256\"",
    b"\"alg\":\"DS128\"",
    b"\"alg\":\"none\"",
    b"\"crit\":[]",
    b"\"kty\":\"RSA\"",
    b"\"algorithm\":\"DS\"",
    b"\"fxa-generation\":",
    b"idp.example",
    b"@",
    b"https://",
];

/// Changes a few bytes.
fn mutate_bytes(rng: &mut Xoshiro256PlusPlus, text: &mut Vec<u8>) {
    for _ in 0..=rng.random_range(..3_usize) {
        let at = rng.random_range(..(text.len() + 1));
        let end = (at + rng.random_range(..12_usize)).min(text.len());
        match rng.random_range(..6_usize) {
            0 => drop(text.drain(at..end)),
            1 => drop(text.splice(at..at, WORDS.choose(rng).unwrap().iter().copied())),
            2 => drop(text.splice(at..end, WORDS.choose(rng).unwrap().iter().copied())),
            3 => {
                let copy = text[at..end].to_vec();
                text.splice(at..at, copy);
            }
            4 => text.truncate(at),
            _ => {
                if let Some(byte) = text.get_mut(at) {
                    *byte ^= 1 << rng.random_range(..8_usize);
                }
            }
        }
    }
}

/// Returns a text of the corpus with changes.
pub(crate) fn text(rng: &mut Xoshiro256PlusPlus, corpus: &[Vec<u8>]) -> String {
    let mut text = corpus.choose(rng).unwrap().clone();
    mutate_bytes(rng, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Returns a JSON text of the corpus with or without changes.
pub(crate) fn json(rng: &mut Xoshiro256PlusPlus, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut text = corpus.choose(rng).unwrap().clone();
    if rng.random_range(..8_usize) > 0 {
        mutate_bytes(rng, &mut text);
    }
    text
}

/// Returns an assertion with one change: in the text of a part, in a decoded part, or with a part
/// of another assertion.
pub(crate) fn assertion(rng: &mut Xoshiro256PlusPlus, from: &str, pool: &[String]) -> String {
    let mut tokens: Vec<Vec<String>> = split_tokens(from);
    let token = rng.random_range(..tokens.len());
    let part = rng.random_range(..tokens[token].len());
    let other = &pool[rng.random_range(..pool.len())];
    let other: Vec<String> = split_tokens(other)
        .swap_remove(rng.random_range(..2_usize).min(other.matches('~').count()));
    match rng.random_range(..8_usize) {
        0 => tokens.push(other),
        1 => tokens[token] = other,
        2 => tokens[token][part].clone_from(other.choose(rng).unwrap()),
        3 => {
            let mut text = std::mem::take(&mut tokens[token][part]).into_bytes();
            mutate_bytes(rng, &mut text);
            tokens[token][part] = String::from_utf8_lossy(&text).into_owned();
        }
        _ => {
            let mut inside = URL_SAFE_NO_PAD.decode(&tokens[token][part]).unwrap_or_default();
            mutate_bytes(rng, &mut inside);
            tokens[token][part] = URL_SAFE_NO_PAD.encode(inside);
        }
    }
    tokens.iter().map(|parts| parts.join(".")).collect::<Vec<_>>().join("~")
}

fn split_tokens(assertion: &str) -> Vec<Vec<String>> {
    let parts = |token: &str| token.split('.').map(str::to_owned).collect();
    assertion.split('~').map(parts).collect()
}
