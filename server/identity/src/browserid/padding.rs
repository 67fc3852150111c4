//! Big-endian numbers of a fixed length.

/// Pads `bytes` with leading zeros to `length`. Returns `None` if it is longer already.
pub(super) fn left_padded(bytes: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut padded = vec![0; length.checked_sub(bytes.len())?];
    padded.extend_from_slice(bytes);
    Some(padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds rule 28.
    #[test]
    fn a_short_number_is_padded_and_a_long_one_is_rejected() {
        assert_eq!(left_padded(&[7], 3), Some(vec![0, 0, 7]));
        assert_eq!(left_padded(&[7, 8, 9], 3), Some(vec![7, 8, 9]));
        assert_eq!(left_padded(&[0, 7, 8, 9], 3), None);
    }
}
