//! Forged secrets: they look right, and were never given out.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Characters of the checksum at the end of a secret.
const CHECK: usize = 6;

/// A secret that begins like a real one and whose checksum is right, and which differs from it in a
/// single character: that of the random part that comes last, and so is shown nowhere.
pub fn forged(secret: &str) -> String {
    let (body, check) = secret.split_at(secret.len() - CHECK);
    assert_eq!(checksum(body), check, "a checksum is not made like this");
    let (rest, last) = body.split_at(body.len() - 1);
    let body = format!("{rest}{}", if last == "x" { "y" } else { "x" });
    format!("{body}{}", checksum(&body))
}

/// The CRC-32 of zip and PNG, as six digits to the base 62.
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
