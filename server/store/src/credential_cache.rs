//! The cache of the API keys and sessions that were found lately: most requests come with one that
//! was used a moment before. The grants that polls ask for are cached beside them.
//!
//! An entry is used for at most a minute, and until its Application or its user changes. Where
//! several servers share the database, keys and sessions are used only while this server knows what
//! the others have changed, and no grants are cached. What was not found, or is not accepted, is
//! not cached.

mod forgotten;
mod grants;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use presence_core::model::{ApplicationState, Email, Scope, UserId};
use presence_core::{Steady, UnixMillis};
use presence_protocol::{AppId, Puid};

pub use self::forgotten::ForgetMark;
use self::forgotten::Forgotten;
pub(crate) use self::forgotten::Owner;
pub(crate) use self::grants::FoundGrant;
use self::grants::GrantCache;
use crate::error::StoreError;
use crate::live::notes::Notes;

/// The time for which an entry is used.
const MAX_AGE: Duration = Duration::from_mins(1);
/// The time after the last read of what other servers have changed for which entries are used. A
/// server reads it each second.
const TRUST: Duration = Duration::from_secs(5);

/// The digest of a secret.
type Digest = [u8; 32];

/// An API key that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundKey {
    /// The number of the key.
    pub id: i64,
    /// The Application.
    pub app: AppId,
    /// The state of the Application.
    pub state: ApplicationState,
}

/// A session that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSession {
    /// The user.
    pub user: UserId,
    /// The e-mail of the user.
    pub email: Email,
    /// The rights.
    pub scope: Scope,
    /// The end.
    pub expires_at: UnixMillis,
}

/// A credential with its owner.
pub(crate) trait Credential: Clone + Send + Sync + 'static {
    fn owner(&self) -> Owner;

    /// Returns true if a request with it is accepted. Others are not cached: what accepts them
    /// again has its effect at once, at all servers.
    fn is_accepted(&self) -> bool;

    fn entries(cache: &CredentialCache) -> &Cache<Digest, Entry<Self>>;
}

impl Credential for FoundKey {
    fn owner(&self) -> Owner {
        Owner::App(self.app)
    }

    fn is_accepted(&self) -> bool {
        self.state == ApplicationState::Active
    }

    fn entries(cache: &CredentialCache) -> &Cache<Digest, Entry<Self>> {
        &cache.keys
    }
}

impl Credential for FoundSession {
    fn owner(&self) -> Owner {
        Owner::User(self.user)
    }

    fn is_accepted(&self) -> bool {
        true
    }

    fn entries(cache: &CredentialCache) -> &Cache<Digest, Entry<Self>> {
        &cache.sessions
    }
}

/// A credential, as it was read from the database.
#[derive(Clone)]
pub(crate) struct Entry<T> {
    credential: T,
    /// The mark and the time before it was read.
    mark: ForgetMark,
    read_at: Steady,
}

/// The cache of one server.
pub(crate) struct CredentialCache {
    keys: Cache<Digest, Entry<FoundKey>>,
    sessions: Cache<Digest, Entry<FoundSession>>,
    /// None if several servers share the database: the revocation of a grant counts at all of them
    /// once it is answered.
    grants: Option<GrantCache>,
    forgotten: Forgotten,
    /// The time until which entries are used, in milliseconds, if several servers share the
    /// database.
    trusted_until: Option<AtomicU64>,
    from_cache: AtomicU64,
    from_database: AtomicU64,
}

/// The numbers of a cache for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialFigures {
    /// The number of entries, about.
    pub entries: u64,
    /// The number of credentials that were found in the cache.
    pub from_cache: u64,
    /// The number of credentials that were found in the database.
    pub from_database: u64,
}

impl CredentialCache {
    /// Returns the mark of now.
    pub(crate) fn mark(&self) -> ForgetMark {
        self.forgotten.mark()
    }

    /// Creates a cache of about so many keys, and of as many sessions and grants. Beyond it the
    /// least used ones are forgotten.
    pub(crate) fn new(capacity: u64, is_shared: bool) -> Self {
        Self {
            keys: short_lived(capacity),
            sessions: short_lived(capacity),
            grants: (!is_shared).then(|| GrantCache::new(capacity, MAX_AGE)),
            forgotten: Forgotten::default(),
            trusted_until: is_shared.then(AtomicU64::default),
            from_cache: AtomicU64::default(),
            from_database: AtomicU64::default(),
        }
    }

    /// Returns the credential with a digest: the cached one, or what `read` finds.
    pub(crate) async fn find<T: Credential>(
        &self,
        digest: Digest,
        now: Steady,
        read: impl Future<Output = Result<Option<T>, StoreError>>,
    ) -> Result<Option<T>, StoreError> {
        let cached = T::entries(self).get(&digest).filter(|entry| self.is_valid(entry, now));
        if let Some(Entry { credential, .. }) = cached {
            self.from_cache.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(credential));
        }
        let mark = self.forgotten.mark();
        let Some(credential) = read.await? else { return Ok(None) };
        self.from_database.fetch_add(1, Ordering::Relaxed);
        if credential.is_accepted() {
            let entry = Entry { credential: credential.clone(), mark, read_at: now };
            T::entries(self).insert(digest, entry);
        }
        Ok(Some(credential))
    }

    /// Returns true if a PUID is certainly a live grant of an Application.
    pub(crate) fn has_grant(&self, app: AppId, puid: Puid) -> bool {
        self.grants.as_ref().is_some_and(|grants| grants.has(app, puid, &self.forgotten))
    }

    /// Adds grants of an Application that were read after a mark.
    pub(crate) fn add_grants(&self, app: AppId, found: &[FoundGrant], mark: ForgetMark) {
        if let Some(grants) = &self.grants {
            found.iter().for_each(|grant| grants.insert(app, *grant, mark));
        }
    }

    fn is_valid<T: Credential>(&self, entry: &Entry<T>, now: Steady) -> bool {
        now < entry.read_at + MAX_AGE
            && !self.may_have_changed(entry.credential.owner(), entry.mark, now)
    }

    /// Returns false if an owner has certainly not changed since a mark.
    pub(crate) fn may_have_changed(&self, owner: Owner, since: ForgetMark, now: Steady) -> bool {
        let is_trusted = self.trusted_until.as_ref().is_none_or(|until| {
            now.since_start() < Duration::from_millis(until.load(Ordering::SeqCst))
        });
        !is_trusted || self.forgotten.is_forgotten(owner, since)
    }

    /// Returns true if an owner has certainly not changed since a mark, also not at another server.
    pub(crate) fn is_certainly_unchanged(&self, owner: Owner, since: ForgetMark) -> bool {
        self.trusted_until.is_none() && !self.forgotten.is_forgotten(owner, since)
    }

    /// Forgets the credentials and grants of an owner that has changed.
    pub(crate) fn forget(&self, owner: Owner) {
        self.forgotten.forget(owner);
    }

    /// Forgets all credentials.
    pub(crate) fn forget_all(&self) {
        self.forgotten.forget_all();
    }

    /// Returns a guard that forgets the credentials of an owner when it is dropped.
    pub(crate) fn forget_after(&self, owner: Owner) -> ForgetGuard<'_> {
        ForgetGuard { cache: self, owner }
    }

    /// Takes in what other servers have changed. All of it until `now` was read.
    pub(crate) fn take_in(&self, changes: &Notes, now: Steady) {
        changes.users.iter().for_each(|user| self.forget(Owner::User(*user)));
        changes.apps.iter().for_each(|app| self.forget(Owner::App(*app)));
        if changes.unknown_apps {
            self.forget_all();
        }
        self.trust_until(now.since_start() + TRUST);
    }

    /// Forgets everything, and uses no entry until changes are taken in again.
    pub(crate) fn doubt(&self) {
        self.trust_until(Duration::ZERO);
        self.forget_all();
    }

    pub(crate) fn figures(&self) -> CredentialFigures {
        CredentialFigures {
            entries: self.keys.entry_count()
                + self.sessions.entry_count()
                + self.grants.as_ref().map_or(0, GrantCache::entry_count),
            from_cache: self.from_cache.load(Ordering::Relaxed),
            from_database: self.from_database.load(Ordering::Relaxed),
        }
    }

    /// Returns the numbers after the work that the caches have put off.
    #[cfg(test)]
    pub(crate) fn settled_figures(&self) -> CredentialFigures {
        self.keys.run_pending_tasks();
        self.sessions.run_pending_tasks();
        self.grants.iter().for_each(GrantCache::run_pending_tasks);
        self.figures()
    }

    /// Sets the time until which entries are used.
    fn trust_until(&self, until: Duration) {
        if let Some(trusted_until) = &self.trusted_until {
            let millis = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
            trusted_until.store(millis, Ordering::SeqCst);
        }
    }
}

/// Returns a cache whose entries leave the memory too once they are not used any more: they hold
/// e-mails, also of users who are erased meanwhile.
fn short_lived<T: Credential>(capacity: u64) -> Cache<Digest, Entry<T>> {
    Cache::builder().max_capacity(capacity).time_to_live(MAX_AGE).build()
}

/// Forgets the credentials of an owner when a change of it is over, however it ends.
pub(crate) struct ForgetGuard<'a> {
    cache: &'a CredentialCache,
    owner: Owner,
}

impl Drop for ForgetGuard<'_> {
    fn drop(&mut self) {
        self.cache.forget(self.owner);
    }
}
