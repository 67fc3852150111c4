//! The cached API keys and sessions, as the service uses them.

use presence_core::{Steady, UserId};
use presence_protocol::AppId;

use crate::credential_cache::{CredentialFigures, ForgetMark, Owner};
use crate::live::notes::Notes;
use crate::store::Store;

impl Store {
    /// Returns the mark of now, for [`Store::may_have_changed`].
    pub fn forget_mark(&self) -> ForgetMark {
        self.credentials().mark()
    }

    /// Returns false if no key of an Application was deleted since a mark, and its state is the
    /// same.
    pub fn may_have_changed(&self, app: AppId, since: ForgetMark, now: Steady) -> bool {
        self.credentials().may_have_changed(Owner::App(app), since, now)
    }

    /// Returns true if no session of a user has certainly ended since a mark, nor a device that a
    /// session opens. Never where several servers share the database: another one may have ended
    /// it.
    pub fn has_ended_nothing_of(&self, user: UserId, since: ForgetMark) -> bool {
        self.credentials().is_certainly_unchanged(Owner::User(user), since)
    }

    /// Takes in what other servers have changed. All of it until `now` was read.
    pub fn take_in_changes(&self, changes: &Notes, now: Steady) {
        self.credentials().take_in(changes, now);
    }

    /// Forgets all credentials, and uses no cached ones until changes are taken in again: this
    /// server may have missed some.
    pub fn doubt_credentials(&self) {
        self.credentials().doubt();
    }

    /// Returns the numbers of the cache for the metrics.
    pub fn credential_figures(&self) -> CredentialFigures {
        self.credentials().figures()
    }
}
