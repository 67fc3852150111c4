//! The record of finished sign-ins that several servers share, so that none is finished twice.

use std::pin::Pin;
use std::sync::Arc;

use presence_core::UnixMillis;

/// A sign-in that was finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinishedSignIn<'a> {
    /// The digest of its secret.
    pub digest: [u8; 32],
    /// The e-mail that was signed in.
    pub email: &'a str,
    /// The time until which it is recorded.
    pub expires_at: UnixMillis,
}

/// The reason why a sign-in is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishError {
    /// It was finished before.
    AlreadyFinished,
    /// Too many are recorded.
    Full,
    /// The record does not answer.
    Unavailable,
}

/// The answer of a record.
pub type Recorded<'a> = Pin<Box<dyn Future<Output = Result<(), FinishError>> + Send + 'a>>;

/// The record of several servers.
pub trait FinishedSignIns: Send + Sync {
    /// Records a sign-in. Of several calls for the same one, also at several servers, one succeeds.
    fn add<'a>(&'a self, sign_in: FinishedSignIn<'a>) -> Recorded<'a>;
}

/// The things that servers have in common so that a browser can begin a sign-in at one and finish
/// it at another.
#[derive(Clone)]
pub struct SharedSignIns {
    /// The key with which the states of sign-ins are encrypted.
    pub key: [u8; 32],
    /// The record.
    pub record: Arc<dyn FinishedSignIns>,
}
