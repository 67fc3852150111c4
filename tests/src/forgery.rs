//! Forged secrets, which have a valid form and were never issued.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The length of the checksum at the end of a secret.
const CHECK: usize = 6;

/// Returns a secret with a valid checksum that differs from a real one only in the last random
/// character, which no page or log shows.
pub fn forged(secret: &str) -> String {
    let (body, check) = secret.split_at(secret.len() - CHECK);
    assert_eq!(checksum(body), check, "the checksum differs");
    let (rest, last) = body.split_at(body.len() - 1);
    let body = format!("{rest}{}", if last == "x" { "y" } else { "x" });
    format!("{body}{}", checksum(&body))
}

/// Returns the CRC-32 of a text as six digits to the base 62.
fn checksum(text: &str) -> String {
    let mut rest = !text.bytes().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    });
    let mut digits = [0; CHECK];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[rest as usize % DIGITS.len()];
        rest /= 62;
    }
    digits.into_iter().map(char::from).collect()
}
