//! The order of what was forgotten: whether something that was read before is still true.
//!
//! It needs no list of the credentials of an owner, and a read that began before a change cannot
//! bring the old credential back.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use presence_core::UserId;
use presence_protocol::AppId;

/// The owner of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    App(AppId),
    User(UserId),
}

/// A place in the order of what was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForgetMark(u64);

/// The number of groups of owners. Those of one group are forgotten together.
const GROUPS: usize = 4096;

/// The numbers of the last changes.
pub(super) struct Forgotten {
    /// The number of changes so far.
    count: AtomicU64,
    /// The number of the last change that concerned all owners.
    all: AtomicU64,
    /// The number of the last change of each group.
    groups: Box<[AtomicU64]>,
}

impl Default for Forgotten {
    fn default() -> Self {
        let groups = (0..GROUPS).map(|_| AtomicU64::default()).collect();
        Self { count: AtomicU64::default(), all: AtomicU64::default(), groups }
    }
}

impl Forgotten {
    /// Returns the mark of now. What is read from now on has all changes before.
    pub(super) fn mark(&self) -> ForgetMark {
        ForgetMark(self.count.load(Ordering::SeqCst))
    }

    /// Records a change that was made before.
    pub(super) fn forget(&self, owner: Owner) {
        self.record(self.group(owner));
    }

    /// Records changes of any owners that were made before.
    pub(super) fn forget_all(&self) {
        self.record(&self.all);
    }

    fn record(&self, last: &AtomicU64) {
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        last.fetch_max(number, Ordering::SeqCst);
    }

    /// Returns true if an owner may have changed since a mark.
    pub(super) fn is_forgotten(&self, owner: Owner, since: ForgetMark) -> bool {
        let last = self.all.load(Ordering::SeqCst).max(self.group(owner).load(Ordering::SeqCst));
        last > since.0
    }

    fn group(&self, owner: Owner) -> &AtomicU64 {
        let mut hasher = DefaultHasher::new();
        owner.hash(&mut hasher);
        // The remainder fits into an index, and there are so many groups.
        #[expect(clippy::cast_possible_truncation, clippy::indexing_slicing, reason = "see above")]
        &self.groups[(hasher.finish() % GROUPS as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use presence_core::model::UserId;

    use super::*;

    const ALICE: Owner = Owner::User(UserId(1));
    const BOB: Owner = Owner::User(UserId(2));

    #[test]
    fn only_what_was_read_before_a_change_of_its_owner_is_forgotten() {
        let forgotten = Forgotten::default();
        let before = forgotten.mark();
        assert!(!forgotten.is_forgotten(ALICE, before));
        forgotten.forget(ALICE);
        assert!(forgotten.is_forgotten(ALICE, before));
        assert!(!forgotten.is_forgotten(BOB, before));
        let after = forgotten.mark();
        assert!(!forgotten.is_forgotten(ALICE, after));
        forgotten.forget_all();
        assert!(forgotten.is_forgotten(ALICE, after) && forgotten.is_forgotten(BOB, after));
        assert!(!forgotten.is_forgotten(BOB, forgotten.mark()));
    }
}
