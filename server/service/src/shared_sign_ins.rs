//! The things that servers of one database have in common for the sign-ins of browsers at
//! providers.

use std::sync::Arc;

use presence_core::{Clock, UserId};
use presence_identity::oidc::{
    FinishError, FinishedSignIn, FinishedSignIns, Recorded, SharedSignIns,
};
use presence_store::{Live, NewOneTimeValue, OneTimeKind, OneTimeOutcome, Store, StoreError};
use secrecy::{ExposeSecret, SecretString};

use crate::secret;

/// The maximum number of finished sign-ins of one e-mail that are recorded.
const FOR_EACH_EMAIL: usize = 100;
/// The name of the key.
const KEY: &str = "sign-in";

/// Returns what a server shares with others, `None` if it is alone. The key is derived from
/// `secret`. Without one it is in the database.
pub(crate) async fn of(
    store: &Store,
    clock: Arc<dyn Clock>,
    secret: Option<&SecretString>,
) -> Result<Option<SharedSignIns>, StoreError> {
    let Some(live) = store.live() else { return Ok(None) };
    let key = match secret {
        Some(secret) => secret::sha256(&format!("{KEY} key: {}", secret.expose_secret())),
        None => live.server_key(KEY, &rand::random()).await?,
    };
    let record = Arc::new(DatabaseRecord { live: live.clone(), clock });
    Ok(Some(SharedSignIns { key, record }))
}

/// The record of finished sign-ins in the database.
struct DatabaseRecord {
    live: Live,
    clock: Arc<dyn Clock>,
}

impl FinishedSignIns for DatabaseRecord {
    fn add<'a>(&'a self, sign_in: FinishedSignIn<'a>) -> Recorded<'a> {
        Box::pin(async move {
            let FinishedSignIn { digest, email, expires_at } = sign_in;
            // The user may have no account yet.
            let owner = secret::sha256(email);
            let owner = owner.first_chunk().map_or(0, |first| i64::from_be_bytes(*first));
            let (kind, owner) = (OneTimeKind::SignIn, UserId(owner));
            let value = NewOneTimeValue { kind, digest, owner, content: b"", expires_at };
            match self.live.add_one_time(value, FOR_EACH_EMAIL, self.clock.now()).await {
                Ok(OneTimeOutcome::New) => Ok(()),
                Ok(OneTimeOutcome::Known(_)) => Err(FinishError::AlreadyFinished),
                Ok(OneTimeOutcome::Full(_)) => Err(FinishError::Full),
                Err(_) => Err(FinishError::Unavailable),
            }
        })
    }
}
