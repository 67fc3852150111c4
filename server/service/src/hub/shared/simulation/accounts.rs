//! The accounts of users, each with a session, and their erasure.

use presence_core::model::{Email, Scope, Session};
use presence_core::{EndedDevices, UnixMillis, UserId};
use presence_store::{SessionLimit, Store};

/// The end of all sessions.
pub(super) const SESSION_END: UnixMillis = UnixMillis::new(2_000_000_000_000);

/// The erasure of what is stored of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Erasure {
    /// The user has not asked for it.
    None,
    /// The user has asked for it. It may be done or not.
    Asked,
    Done,
}

/// Creates a user with a session, unless there is one.
pub(super) async fn create_user(store: &Store, user: usize, now: u64) -> UserId {
    let now = UnixMillis::new(now);
    let email = Email::parse(&format!("user{user}@mail.example")).unwrap();
    let user = store.find_or_create_user(&email, now).await.unwrap();
    let session = Session {
        digest: session_of(user),
        user,
        scope: Scope::Account,
        created_at: now,
        expires_at: SESSION_END,
        generation: None,
        ended_devices: EndedDevices::default(),
    };
    let limit = SessionLimit { max: 9, last_use: &|_| None };
    store.insert_session(&session, limit).await.unwrap();
    user
}

/// Returns the digest of a user's session.
pub(super) fn session_of(user: UserId) -> [u8; 32] {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&user.0.to_be_bytes());
    digest
}
