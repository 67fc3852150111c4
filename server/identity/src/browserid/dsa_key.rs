//! DSA keys and the verification of their signatures (rules 25, 26 and 28).
//!
//! Every number is checked before any arithmetic with it: a reference verifier loops forever on a
//! signature with `s` = 0.

use aws_lc_rs::digest;
use dsa::signature::hazmat::PrehashVerifier as _;
use dsa::{BoxedUint, Components, Signature, VerifyingKey};
use num_bigint::BigUint;

use super::padding::left_padded;

/// A DSA key with checked numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DsaKey {
    p: BigUint,
    q: BigUint,
    g: BigUint,
    y: BigUint,
}

impl DsaKey {
    /// Creates a key, if `q` divides `p` - 1, and `g` and `y` are in the subgroup of order `q`. The
    /// caller has checked the sizes.
    pub(super) fn checked([p, q, g, y]: [BigUint; 4]) -> Option<Self> {
        let one = BigUint::from(1_u8);
        let zero = BigUint::ZERO;
        let whole = p.bit(0) && q.bit(0) && (&p - &one) % &q == zero;
        let in_group =
            |number: &BigUint| *number > one && *number < p && number.modpow(&q, &p) == one;
        (whole && in_group(&g) && in_group(&y)).then_some(Self { p, q, g, y })
    }

    /// Returns true if `signature`, which is `r` followed by `s`, is valid for `signed`.
    pub(super) fn verify(&self, signed: &[u8], signature: &[u8]) -> bool {
        self.check(signed, signature).is_some()
    }

    fn check(&self, signed: &[u8], signature: &[u8]) -> Option<()> {
        let length = usize::try_from(self.q.bits().div_ceil(8)).ok()?;
        let padded = left_padded(signature, length.checked_mul(2)?)?;
        let (r, s) = padded.split_at_checked(length)?;
        let (r, s) = (BigUint::from_bytes_be(r), BigUint::from_bytes_be(s));
        let in_range = |number: &BigUint| *number > BigUint::ZERO && *number < self.q;
        if !in_range(&r) || !in_range(&s) {
            return None;
        }
        let bits = self.q.bits();
        let signature = Signature::from_components(boxed(&r, bits)?, boxed(&s, bits)?)?;
        let hash = digest::digest(self.hash(), signed);
        self.verifying_key()?.verify_prehash(hash.as_ref(), &signature).ok()
    }

    fn hash(&self) -> &'static digest::Algorithm {
        if self.q.bits() <= 160 { &digest::SHA1_FOR_LEGACY_USE_ONLY } else { &digest::SHA256 }
    }

    fn verifying_key(&self) -> Option<VerifyingKey> {
        let (wide, narrow) = (self.p.bits(), self.q.bits());
        let components = Components::from_components(
            boxed(&self.p, wide)?,
            boxed(&self.q, narrow)?,
            boxed(&self.g, wide)?,
        )
        .ok()?;
        VerifyingKey::from_components(components, boxed(&self.y, wide)?).ok()
    }
}

/// Converts a number to exactly `bits` bits: the crate `dsa` takes the key size from this width.
fn boxed(number: &BigUint, bits: u64) -> Option<BoxedUint> {
    let length = usize::try_from(bits.div_ceil(8)).ok()?;
    let bytes = left_padded(&number.to_bytes_be(), length)?;
    BoxedUint::from_be_slice(&bytes, u32::try_from(bits).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are 23 = 2 * 11 + 1, and 4 and 9, which are in the subgroup of order 11.
    /// Holds rule 26.
    #[test]
    fn dsa_numbers_without_a_subgroup_are_rejected() {
        let key = |numbers: [u32; 4]| DsaKey::checked(numbers.map(BigUint::from)).is_some();
        assert!(key([23, 11, 4, 9]));
        assert!(!key([23, 7, 4, 9]), "q does not divide p - 1");
        assert!(!key([23, 11, 5, 9]), "g is outside");
        assert!(!key([23, 11, 4, 5]), "y is outside");
        for outside in [0, 1, 23, 24] {
            assert!(!key([23, 11, outside, 9]) && !key([23, 11, 4, outside]), "{outside}");
        }
        assert!(!key([0, 0, 0, 0]));
    }
}
