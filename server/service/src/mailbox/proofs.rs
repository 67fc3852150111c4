//! The proofs that let the connection of a mailbox in, and hold it open.

use presence_core::{CredentialGeneration, UnixMillis};

/// The maximum number of earlier sessions that a connection remembers.
pub(super) const MAX_EARLIER: usize = 32;

/// The digests of the sessions' tokens that let a device in, from its first connection on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admissions(pub Vec<[u8; 32]>);

impl Admissions {
    /// Adds what is not known yet. Beyond the limit the oldest ones are forgotten: such a session
    /// does not open the device after its end, but it does not end with it.
    pub(super) fn add(&mut self, digests: &[[u8; 32]]) {
        for digest in digests {
            if !self.0.contains(digest) {
                self.0.push(*digest);
            }
        }
        self.0.drain(..self.0.len().saturating_sub(MAX_EARLIER));
    }
}

/// The proofs that let the connection in.
#[derive(Debug, Default)]
pub(super) struct MailboxProofs {
    /// The end of the first proof, if it is a session.
    pub(super) first_session_until: Option<UnixMillis>,
    /// All others. Boxed, since most connections have nothing more.
    pub(super) others: Option<Box<OtherProofs>>,
}

/// The proofs that let a connection in, except its first session.
#[derive(Debug, Default)]
pub(super) struct OtherProofs {
    /// The earlier sessions of the device.
    pub(super) earlier: Admissions,
    /// The digest of the proof that renewed the connection last.
    pub(super) digest: Option<[u8; 32]>,
    /// The generation of the newest proof, if its issuer counts them.
    pub(super) generation: Option<CredentialGeneration>,
    /// The generation of a proof that renews the connection and is being recorded.
    pub(super) expected: Option<CredentialGeneration>,
    /// The end of the proof that renewed it last, if it is a session.
    pub(super) last_session_until: Option<UnixMillis>,
}

impl MailboxProofs {
    /// Returns the other proofs, to change them.
    pub(super) fn others_mut(&mut self) -> &mut OtherProofs {
        self.others.get_or_insert_default()
    }

    /// Returns the digest of the proof that renewed the connection last.
    pub(super) fn renewed_by(&self) -> Option<[u8; 32]> {
        self.others.as_ref()?.digest
    }
}
