//! The seal of what is secret in the records: AES-256-GCM with a key that is derived from the
//! secret that all servers of a database have. Without a secret, the records are readable.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{Context, SHA256};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

/// The first byte of a record that is readable.
const READABLE: u8 = 0;
/// The first byte of a record that is sealed.
const SEALED: u8 = 1;
/// The prefix of the secret, so that the key differs from those of other purposes.
const PURPOSE: &[u8] = b"acme key: ";

/// The seal of records.
pub(super) struct Seal(Option<RandomizedNonceKey>);

/// The content of a record.
pub(super) struct OpenedRecord {
    pub(super) content: SecretSlice<u8>,
    /// Is true if the record is readable in the database although there is a key.
    pub(super) needs_seal: bool,
}

/// The reason why a record cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SealError {
    #[error(
        "the keys of ACME in the database are sealed: shared_secret_file is not set, or it is \
         another one"
    )]
    WrongSecret,
    #[error("a record of ACME in the database is damaged")]
    Damaged,
    #[error("no key for the records of ACME can be made")]
    NoKey,
}

impl Seal {
    /// Derives the key from a secret, if there is one.
    ///
    /// # Errors
    ///
    /// `NoKey`.
    pub(super) fn new(secret: Option<&SecretString>) -> Result<Self, SealError> {
        let Some(secret) = secret else { return Ok(Self(None)) };
        let mut digest = Context::new(&SHA256);
        digest.update(PURPOSE);
        digest.update(secret.expose_secret().as_bytes());
        let key = RandomizedNonceKey::new(&AES_256_GCM, digest.finish().as_ref());
        key.map(|key| Self(Some(key))).map_err(|_| SealError::NoKey)
    }

    /// Seals the content of the record with this name, which then is that of no other record.
    ///
    /// # Errors
    ///
    /// `NoKey`.
    pub(super) fn seal(&self, name: &str, content: &[u8]) -> Result<Vec<u8>, SealError> {
        let Some(key) = &self.0 else { return Ok([&[READABLE], content].concat()) };
        let mut text = content.to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(name), &mut text);
        let nonce = nonce.map_err(|_| SealError::NoKey)?;
        Ok([&[SEALED], nonce.as_ref().as_slice(), &text].concat())
    }

    /// Opens the record with this name.
    ///
    /// # Errors
    ///
    /// `WrongSecret`, `Damaged`.
    pub(super) fn open(&self, name: &str, record: &[u8]) -> Result<OpenedRecord, SealError> {
        match (record.split_first(), &self.0) {
            (Some((&READABLE, content)), key) => {
                Ok(OpenedRecord { content: content.to_vec().into(), needs_seal: key.is_some() })
            }
            (Some((&SEALED, _)), None) => Err(SealError::WrongSecret),
            (Some((&SEALED, sealed)), Some(key)) => {
                let mut sealed = sealed.to_vec();
                let (nonce, text) =
                    sealed.split_at_mut_checked(NONCE_LEN).ok_or(SealError::Damaged)?;
                let nonce =
                    Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Damaged)?;
                let content = key.open_in_place(nonce, Aad::from(name), text);
                let content = content.map_err(|_| SealError::WrongSecret)?;
                Ok(OpenedRecord { content: content.to_vec().into(), needs_seal: false })
            }
            (Some(_) | None, _) => Err(SealError::Damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(secret: &str) -> Seal {
        Seal::new(Some(&secret.into())).unwrap()
    }

    fn opened(seal: &Seal, name: &str, record: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(seal.open(name, record)?.content.expose_secret().to_vec())
    }

    #[test]
    fn a_sealed_record_is_unreadable_and_belongs_to_its_name_and_secret() {
        let (own, other, none) = (seal("a"), seal("b"), Seal::new(None).unwrap());
        let record = own.seal("account x", b"the key").unwrap();
        assert!(!record.windows(7).any(|part| part == b"the key"));
        assert_eq!(opened(&own, "account x", &record).unwrap(), b"the key");
        for (seal, name) in [(&own, "account y"), (&other, "account x"), (&none, "account x")] {
            assert_eq!(opened(seal, name, &record), Err(SealError::WrongSecret));
        }
        for index in 1..record.len() {
            let mut changed = record.clone();
            changed[index] ^= 1;
            assert!(opened(&own, "account x", &changed).is_err(), "{index}");
        }
        for damaged in [&record[..0], &record[..5], b"\x07abc"] {
            assert_eq!(opened(&own, "account x", damaged), Err(SealError::Damaged));
        }
    }

    #[test]
    fn a_readable_record_is_opened_with_a_secret_too_and_then_needs_the_seal() {
        let (own, none) = (seal("a"), Seal::new(None).unwrap());
        let record = none.seal("account x", b"the key").unwrap();
        assert!(!none.open("account x", &record).unwrap().needs_seal);
        assert!(own.open("account x", &record).unwrap().needs_seal);
        assert_eq!(opened(&own, "account x", &record).unwrap(), b"the key");
    }
}
