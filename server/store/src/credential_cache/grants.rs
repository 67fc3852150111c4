//! The grants that polls have found lately. One is valid until a grant of the same user ends.

use std::time::Duration;

use moka::sync::Cache;
use presence_core::UserId;
use presence_protocol::{AppId, Puid};

use super::forgotten::{ForgetMark, Forgotten, Owner};

/// A grant that was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FoundGrant {
    pub(crate) puid: Puid,
    pub(crate) user: UserId,
}

/// A grant, as it was read from the database.
#[derive(Clone, Copy)]
struct GrantEntry {
    app: AppId,
    user: UserId,
    /// The mark before it was read.
    mark: ForgetMark,
}

/// The cache of a server that shares its database with no other.
pub(super) struct GrantCache(Cache<Puid, GrantEntry>);

impl GrantCache {
    /// Creates a cache of about so many grants, which leave the memory after a time.
    pub(super) fn new(capacity: u64, max_age: Duration) -> Self {
        Self(Cache::builder().max_capacity(capacity).time_to_live(max_age).build())
    }

    /// Returns true if a PUID is certainly a live grant of an Application.
    pub(super) fn has(&self, app: AppId, puid: Puid, forgotten: &Forgotten) -> bool {
        let is_valid = |entry: &GrantEntry| {
            entry.app == app && !forgotten.is_forgotten(Owner::User(entry.user), entry.mark)
        };
        self.0.get(&puid).is_some_and(|entry| is_valid(&entry))
    }

    /// Adds a grant of an Application that was read after a mark.
    pub(super) fn insert(
        &self,
        app: AppId,
        FoundGrant { puid, user }: FoundGrant,
        mark: ForgetMark,
    ) {
        self.0.insert(puid, GrantEntry { app, user, mark });
    }

    pub(super) fn entry_count(&self) -> u64 {
        self.0.entry_count()
    }

    #[cfg(test)]
    pub(super) fn run_pending_tasks(&self) {
        self.0.run_pending_tasks();
    }
}
