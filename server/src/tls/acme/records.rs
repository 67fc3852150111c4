//! The records of ACME in the database, sealed and opened.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use instant_acme::AccountCredentials;
use presence_core::{Steady, UnixMillis};
use presence_service::acme_records::AcmeRecords;
use presence_service::{AcmeRecord, AcmeRecordKind, StoreError};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::issued::IssuedCertificate;
use super::problem::OrderProblem;
use super::schedule::FailedAttempts;
use super::seal::{Seal, SealError};
use super::setup::AcmeSetup;

/// The time after which failed attempts are forgotten.
const ATTEMPTS_KEPT: Duration = Duration::from_hours(48);
/// The time after which an answer to a challenge is forgotten that was not removed.
const CHALLENGE_KEPT: Duration = Duration::from_mins(15);
/// The number of bytes of the answer to a challenge.
pub(super) const ANSWER_BYTES: usize = 32;

/// The records of one directory and of one list of names.
#[derive(Clone)]
pub(super) struct SealedRecords {
    records: AcmeRecords,
    seal: Arc<Seal>,
    /// The name of the account's record: of the directory.
    account: String,
    /// The name of the certificate's record: of the directory and the names.
    certificate: String,
}

/// An account at a certificate authority.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredAccount {
    pub(super) credentials: AccountCredentials,
    /// The digest of the contact that the authority has.
    pub(super) contact: String,
}

/// The reason why a record cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordsError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("{0}")]
    Damaged(String),
}

impl From<RecordsError> for OrderProblem {
    fn from(error: RecordsError) -> Self {
        Self::of(&error)
    }
}

impl SealedRecords {
    /// Returns the records for the names of the settings.
    ///
    /// # Errors
    ///
    /// `NoKey`.
    pub(super) fn new(records: AcmeRecords, setup: &AcmeSetup) -> Result<Self, SealError> {
        let seal = Arc::new(Seal::new(setup.secret.as_ref())?);
        let account = digest_of(&setup.directory);
        let certificate = digest_of(&format!("{} {}", setup.directory, setup.domains.join(" ")));
        Ok(Self { records, seal, account, certificate })
    }

    /// Returns the time that all servers of the database agree on.
    pub(super) async fn now(&self) -> Result<UnixMillis, RecordsError> {
        Ok(self.records.now().await?)
    }

    /// Returns the monotonic time of this server.
    pub(super) fn steady(&self) -> Steady {
        self.records.steady()
    }

    /// Returns the account, if there is one.
    pub(super) async fn account(&self) -> Result<Option<StoredAccount>, RecordsError> {
        let content = self.sealed(AcmeRecordKind::Account, &self.account).await?;
        let parse = |content: Vec<u8>| {
            serde_json::from_slice(&content)
                .map_err(|_| RecordsError::Damaged("the account in the database is damaged".into()))
        };
        content.map(parse).transpose()
    }

    pub(super) async fn put_account(&self, account: &StoredAccount) -> Result<(), RecordsError> {
        let content = serde_json::to_vec(account)
            .map_err(|_| RecordsError::Damaged("the account cannot be stored".into()))?;
        self.put_sealed((AcmeRecordKind::Account, &self.account), &content, None).await
    }

    /// Forgets the account, which the authority does not know any more.
    pub(super) async fn remove_account(&self) -> Result<(), RecordsError> {
        Ok(self.records.remove(AcmeRecordKind::Account, &self.account).await?)
    }

    /// Returns the certificate for the names of the settings, if there is one.
    pub(super) async fn certificate(&self) -> Result<Option<IssuedCertificate>, RecordsError> {
        let content = self.sealed(AcmeRecordKind::Certificate, &self.certificate).await?;
        content.map(|content| read_certificate(&content)).transpose()
    }

    /// Returns another certificate, which was for other names or of another authority.
    pub(super) async fn earlier_certificate(
        &self,
    ) -> Result<Option<IssuedCertificate>, RecordsError> {
        let kind = AcmeRecordKind::Certificate;
        let Some((name, _)) = self.records.last(kind).await? else { return Ok(None) };
        let content = self.sealed(kind, &name).await?;
        content.map(|content| read_certificate(&content)).transpose()
    }

    pub(super) async fn put_certificate(
        &self,
        certificate: &IssuedCertificate,
    ) -> Result<(), RecordsError> {
        let (kind, content) = (AcmeRecordKind::Certificate, certificate.to_stored());
        let expires_at = Some(certificate.validity.not_after);
        self.put_sealed((kind, &self.certificate), &content, expires_at).await
    }

    /// Returns the answer to the challenge for a name, if there is one.
    pub(super) async fn challenge(
        &self,
        domain: &str,
    ) -> Result<Option<[u8; ANSWER_BYTES]>, RecordsError> {
        let record = self.records.get(AcmeRecordKind::Challenge, domain).await?;
        Ok(record.and_then(|record| record.content.try_into().ok()))
    }

    /// Stores the answer to a challenge. It is no secret: whoever asks for it gets it.
    pub(super) async fn put_challenge(
        &self,
        domain: &str,
        answer: [u8; ANSWER_BYTES],
    ) -> Result<(), RecordsError> {
        let expires_at = Some(self.now().await? + CHALLENGE_KEPT);
        let record = AcmeRecord { content: answer.to_vec(), expires_at };
        Ok(self.records.put((AcmeRecordKind::Challenge, domain), record).await?)
    }

    pub(super) async fn remove_challenge(&self, domain: &str) -> Result<(), RecordsError> {
        Ok(self.records.remove(AcmeRecordKind::Challenge, domain).await?)
    }

    /// Returns the failed attempts since the last certificate.
    pub(super) async fn failed_attempts(&self) -> Result<Option<FailedAttempts>, RecordsError> {
        let record = self.records.get(AcmeRecordKind::Attempt, &self.certificate).await?;
        Ok(record.and_then(|record| serde_json::from_slice(&record.content).ok()))
    }

    pub(super) async fn put_failed_attempts(
        &self,
        failed: FailedAttempts,
    ) -> Result<(), RecordsError> {
        let content = serde_json::to_vec(&failed)
            .map_err(|_| RecordsError::Damaged("the attempts cannot be stored".into()))?;
        let record = AcmeRecord { content, expires_at: Some(failed.not_before + ATTEMPTS_KEPT) };
        Ok(self.records.put((AcmeRecordKind::Attempt, &self.certificate), record).await?)
    }

    /// Forgets the failed attempts, so that the next one is at once.
    pub(super) async fn remove_failed_attempts(&self) -> Result<(), RecordsError> {
        Ok(self.records.remove(AcmeRecordKind::Attempt, &self.certificate).await?)
    }

    /// Takes or extends the lease of the server that orders.
    pub(super) async fn take_lease(&self, duration: Duration) -> Result<bool, RecordsError> {
        Ok(self.records.take_lease(duration).await?)
    }

    /// Gives the lease back, if this server has it.
    pub(super) async fn release_lease(&self) -> Result<(), RecordsError> {
        Ok(self.records.release_lease().await?)
    }

    /// Reads and opens a record. One that is readable although there is a key is sealed.
    async fn sealed(
        &self,
        kind: AcmeRecordKind,
        name: &str,
    ) -> Result<Option<Vec<u8>>, RecordsError> {
        let Some(record) = self.records.get(kind, name).await? else { return Ok(None) };
        let opened = self.seal.open(&sealed_name(kind, name), &record.content)?;
        let content = opened.content.expose_secret().to_vec();
        if opened.needs_seal {
            self.put_sealed((kind, name), &content, record.expires_at).await?;
        }
        Ok(Some(content))
    }

    async fn put_sealed(
        &self,
        (kind, name): (AcmeRecordKind, &str),
        content: &[u8],
        expires_at: Option<UnixMillis>,
    ) -> Result<(), RecordsError> {
        let content = self.seal.seal(&sealed_name(kind, name), content)?;
        Ok(self.records.put((kind, name), AcmeRecord { content, expires_at }).await?)
    }
}

fn read_certificate(content: &[u8]) -> Result<IssuedCertificate, RecordsError> {
    IssuedCertificate::from_stored(content).map_err(RecordsError::Damaged)
}

/// Returns the name to which the seal of a record is bound.
fn sealed_name(kind: AcmeRecordKind, name: &str) -> String {
    format!("{} {name}", kind.name())
}

/// Returns the digest of a text, as text.
pub(super) fn digest_of(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}
