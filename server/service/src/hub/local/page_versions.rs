//! The versions of what users see on their page. A page that shows the current version gets no
//! further content, which costs neither a query of the database nor the content.
//!
//! A version is a hash of what the hub holds about the user, and of counters of committed changes.
//! It is computed before the page is read, so a change during the reading leads to another version.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use presence_core::model::Grant;
use presence_core::{Steady, UnixMillis, UserId};

/// The maximum number of users whose versions are known. Others get the whole page each time.
const CAPACITY: usize = 10_000;
/// The maximum number of grants of a page whose version is known. A longer page is read each time.
const MAX_GRANTS: usize = 100;
/// The time after which a page that was not asked for is forgotten.
const IDLE: Duration = Duration::from_mins(1);
/// The longest time for which a page is not read again, for what changes with time only.
const LONGEST: Duration = Duration::from_mins(1);

/// The version of what a user sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageVersion(pub u64);

/// The page of a user.
struct ViewedPage {
    asked_at: Steady,
    /// The number of changes of the user's rows since the page was viewed first.
    changes: u64,
    /// The grants that it has shown.
    grants: Arc<[Grant]>,
    /// The time at which a session that it has shown expires.
    expires_at: Option<UnixMillis>,
}

/// The versions of the pages that are viewed.
pub(super) struct PageVersions {
    pages: Mutex<HashMap<UserId, ViewedPage>>,
    /// The number of changes of Applications.
    applications: AtomicU64,
    hasher: RandomState,
}

impl PageVersions {
    pub(super) fn new() -> Self {
        let hasher = RandomState::new();
        Self { pages: Mutex::default(), applications: AtomicU64::new(0), hasher }
    }

    /// Records that rows of a user have changed.
    pub(super) fn change(&self, user: UserId) {
        if let Some(page) = self.lock().get_mut(&user) {
            page.changes += 1;
        }
    }

    /// Records that an Application has changed, which any user may see.
    pub(super) fn change_applications(&self) {
        self.applications.fetch_add(1, Ordering::AcqRel);
    }

    /// Returns the number of changes, and the grants that the page of a user has shown. `None` if
    /// too many pages are viewed.
    pub(super) fn view(
        &self,
        user: UserId,
        at: (Steady, UnixMillis),
    ) -> Option<(PageFacts, Arc<[Grant]>)> {
        let (steady, now) = at;
        let mut pages = self.lock();
        if pages.len() >= CAPACITY && !pages.contains_key(&user) {
            pages.retain(|_, page| steady < page.asked_at + IDLE);
            if pages.len() >= CAPACITY {
                return None;
            }
        }
        let page = pages.entry(user).or_insert_with(|| ViewedPage {
            asked_at: steady,
            // A page that was forgotten meanwhile must not find its version again.
            changes: rand::random(),
            grants: Arc::default(),
            expires_at: None,
        });
        page.asked_at = steady;
        let facts = PageFacts {
            changes: page.changes,
            applications: self.applications.load(Ordering::Acquire),
            has_expired: page.expires_at.is_some_and(|end| end <= now),
            period: now.get() / u64::try_from(LONGEST.as_millis()).unwrap_or(u64::MAX),
        };
        Some((facts, Arc::clone(&page.grants)))
    }

    /// Records what the page of a user has shown.
    pub(super) fn note_shown(
        &self,
        user: UserId,
        grants: Vec<Grant>,
        expires_at: Option<UnixMillis>,
    ) {
        let mut pages = self.lock();
        if grants.len() > MAX_GRANTS {
            pages.remove(&user);
        } else if let Some(page) = pages.get_mut(&user) {
            (page.grants, page.expires_at) = (grants.into(), expires_at);
        }
    }

    /// Returns the hasher of a version, which begins with its facts.
    pub(super) fn hasher(&self, facts: &PageFacts) -> impl Hasher + use<> {
        let mut hasher = self.hasher.build_hasher();
        facts.hash(&mut hasher);
        hasher
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, ViewedPage>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The facts that a version depends on besides the devices and topics.
#[derive(Hash)]
pub(super) struct PageFacts {
    changes: u64,
    applications: u64,
    has_expired: bool,
    /// The number of the current period.
    period: u64,
}

#[cfg(test)]
mod tests {
    use presence_protocol::{AppId, Puid};

    use super::*;

    const ALICE: UserId = UserId(1);

    fn at(seconds: u64) -> (Steady, UnixMillis) {
        let elapsed = Duration::from_secs(seconds);
        (Steady::from_start(elapsed), UnixMillis::new(1_000_000) + elapsed)
    }

    #[test]
    fn the_memory_of_viewed_pages_is_bounded_and_an_idle_one_makes_room() {
        let pages = PageVersions::new();
        for user in (1..).take(CAPACITY) {
            assert!(pages.view(UserId(user), at(0)).is_some());
        }
        assert!(pages.view(UserId(-1), at(59)).is_none());
        assert!(pages.view(ALICE, at(59)).is_some());
        assert!(pages.view(UserId(-1), at(60)).is_some());
        assert_eq!(pages.lock().len(), 2);
    }

    #[test]
    fn the_version_of_a_page_with_many_grants_is_not_kept() {
        let pages = PageVersions::new();
        let hash = || pages.hasher.hash_one(pages.view(ALICE, at(0)).unwrap().0);
        let grant = Grant {
            app: AppId::from_bits(1),
            puid: Puid::from_bits(1),
            paused: false,
            waiting: false,
            granted_at: at(0).1,
        };
        let shown = |count| {
            let before = hash();
            pages.note_shown(ALICE, vec![grant; count], None);
            hash() == before
        };
        assert!(shown(MAX_GRANTS));
        assert!(!shown(MAX_GRANTS + 1), "a new one never has the version of before");
    }

    #[test]
    fn a_change_of_rows_an_application_or_the_time_changes_the_facts() {
        let pages = PageVersions::new();
        let hash = |seconds| {
            let (facts, _) = pages.view(ALICE, at(seconds)).unwrap();
            pages.hasher.hash_one(facts)
        };
        let mut seen = vec![hash(0)];
        assert_eq!(hash(1), seen[0]);
        pages.change(UserId(2));
        assert_eq!(hash(1), seen[0]);
        pages.change(ALICE);
        seen.push(hash(1));
        pages.change_applications();
        seen.push(hash(1));
        pages.note_shown(ALICE, Vec::new(), Some(at(3).1));
        assert_eq!(hash(2), seen[2]);
        seen.push(hash(3));
        seen.push(hash(63));
        seen.dedup();
        assert_eq!(seen.len(), 5, "each is another version");
    }
}
