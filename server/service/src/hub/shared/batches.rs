//! The batches in which changes of rosters are written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use presence_core::roster::ViewChange;
use presence_core::{GrantSet, LogLimit, UserId};
use presence_protocol::{AppId, Puid};
use presence_store::{Applied, Link, LiveError, RosterChange, SharedRoster, StoreError};
use tokio::time::sleep;

use super::SharedHub;
use super::change::{Change, Context, Outcome};
use super::lane::Waiting;

/// The shortest time between the beginnings of two batches. Larger batches cost less for each
/// change.
const INTERVAL: Duration = Duration::from_millis(5);
/// The time between two attempts while the database fails.
const RETRY: Duration = Duration::from_millis(200);

/// A user whose roster is being changed.
struct Draft {
    rev: Option<i64>,
    before: SharedRoster,
    roster: SharedRoster,
    grants: Option<i64>,
    changes: Vec<ViewChange>,
    outcomes: Vec<Outcome>,
}

impl SharedHub {
    /// Writes the changes of rosters, forever.
    pub(super) async fn run_lane(&self) {
        let mut failures = LogLimit::default();
        loop {
            let batch = self.lane.take();
            if batch.is_empty() {
                self.lane.signal.notified().await;
                continue;
            }
            let begun = self.clock.steady();
            self.write(batch, &mut failures).await;
            let elapsed = self.clock.steady() - begun;
            sleep(INTERVAL.saturating_sub(elapsed)).await;
        }
    }

    /// Writes a batch. While the database fails, it is tried again: what was answered must be
    /// written.
    async fn write(&self, batch: Vec<Waiting>, failures: &mut LogLimit) {
        let mut users: BTreeMap<UserId, Vec<Waiting>> = BTreeMap::new();
        for waiting in batch {
            users.entry(waiting.user).or_default().push(waiting);
        }
        let known = |user: &UserId| {
            let (rev, roster) = self.registry.roster(*user)?;
            Some((*user, (rev, (*roster).clone())))
        };
        let mut known: HashMap<UserId, (i64, SharedRoster)> =
            users.keys().filter_map(known).collect();
        while !users.is_empty() {
            let identity = self.identity();
            match self.try_write(&users, &mut known).await {
                Ok(done) => {
                    self.lane.set_failing(false);
                    for (user, draft, rev) in done {
                        self.complete(user, draft, rev, users.remove(&user).unwrap_or_default());
                    }
                }
                Err(LiveError::OtherEpoch | LiveError::DeclaredDead) => {
                    known.clear();
                    self.rejoin_once(identity.node).await;
                }
                Err(LiveError::MissingStreams) => {}
                Err(LiveError::Store(error @ StoreError::CorruptRow(_))) => {
                    return fail_all(users, &error);
                }
                Err(LiveError::Store(error)) => {
                    // The answer may be lost: the revisions tell what was written.
                    known.clear();
                    self.wait_after(&error, failures).await;
                }
            }
        }
    }

    async fn wait_after(&self, error: &StoreError, failures: &mut LogLimit) {
        self.lane.set_failing(true);
        if let Some(count) = failures.count(self.clock.steady()) {
            tracing::warn!(%error, count, "live.failed: presence is not written");
        }
        sleep(RETRY).await;
    }

    /// Writes the changes of these users. Returns those that were written. The rosters of the
    /// others are in `known`.
    async fn try_write(
        &self,
        users: &BTreeMap<UserId, Vec<Waiting>>,
        known: &mut HashMap<UserId, (i64, SharedRoster)>,
    ) -> Result<Vec<(UserId, Draft, i64)>, LiveError> {
        let needs = |user: &UserId, is_needed: fn(&Change) -> bool| {
            users.get(user).is_some_and(|it| it.iter().any(|waiting| is_needed(&waiting.change)))
        };
        let unknown: Vec<UserId> =
            users.keys().filter(|user| !known.contains_key(user)).copied().collect();
        // A user whose first device connects has no roster, which the database checks.
        let unread: Vec<UserId> = unknown
            .into_iter()
            .filter(|user| !needs(user, Change::may_be_first) || self.lane.is_failing())
            .collect();
        if !unread.is_empty() {
            known.extend(self.live.rosters(&unread).await?);
        }
        let connecting: Vec<UserId> =
            users.keys().filter(|user| needs(user, Change::needs_grants)).copied().collect();
        let grants = if connecting.is_empty() {
            HashMap::new()
        } else {
            self.store.grant_sets(&connecting).await?
        };
        let identity = self.identity();
        let context = Context { now: self.roster_time(), node: identity.node };
        let mut drafts: Vec<(UserId, Draft)> = users
            .iter()
            .map(|(user, waiting)| {
                let known = known.remove(user);
                (*user, Draft::make(known, waiting, grants.get(user), &context))
            })
            .collect();
        let result = self.apply(&mut drafts, (identity.epoch.id, identity.node)).await;
        let mut applied = match result {
            Ok(applied) => applied,
            Err(error) => {
                let give_back =
                    |(user, draft): (UserId, Draft)| Some((user, (draft.rev?, draft.before)));
                known.extend(drafts.into_iter().filter_map(give_back));
                if matches!(error, LiveError::MissingStreams) {
                    self.create_missing_streams(&grants, known).await?;
                }
                return Err(error);
            }
        };
        self.time.hear(applied.at);
        let mut done = Vec::with_capacity(drafts.len());
        for (user, draft) in drafts {
            if let Some(refused) = applied.refused.remove(&user) {
                known.insert(user, refused);
            } else {
                let rev = applied.created.get(&user).copied();
                let rev = rev.or(draft.rev.map(|rev| rev + 1)).unwrap_or_default();
                done.push((user, draft, rev));
            }
        }
        Ok(done)
    }

    async fn apply(
        &self,
        drafts: &mut [(UserId, Draft)],
        identity: (i64, i64),
    ) -> Result<Applied, LiveError> {
        let changes = drafts
            .iter_mut()
            .map(|(user, draft)| RosterChange {
                user: *user,
                rev: draft.rev,
                grants: draft.grants,
                roster: &draft.roster,
                link: draft.link(identity.1),
                changes: last_of_each(&draft.changes),
            })
            .collect();
        self.live.apply(identity, self.settings.limits.update_delay, changes).await
    }

    /// Creates the streams of all Applications that may see the users.
    async fn create_missing_streams(
        &self,
        grants: &HashMap<UserId, GrantSet>,
        known: &HashMap<UserId, (i64, SharedRoster)>,
    ) -> Result<(), LiveError> {
        let of_sets = grants.values().flat_map(|set| &set.grants).map(|grant| grant.app);
        let of_rosters = known.values().flat_map(|(_, roster)| roster.granted_apps());
        let apps: HashSet<AppId> = of_sets.chain(of_rosters).collect();
        let apps: Vec<AppId> = apps.into_iter().collect();
        Ok(self.live.create_streams(&apps).await?)
    }

    fn complete(&self, user: UserId, draft: Draft, rev: i64, waiting: Vec<Waiting>) {
        self.meters.updates.increment(draft.changes.len() as u64);
        self.registry.set_roster(user, rev, draft.roster);
        for (waiting, outcome) in waiting.into_iter().zip(draft.outcomes) {
            self.measure(&outcome);
            // The caller may be gone.
            drop(waiting.reply.send(Ok(outcome)));
        }
    }

    /// Measures what a committed change has done.
    fn measure(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Connected { returned, .. } => {
                self.meters.returns.increment(u64::from(*returned));
            }
            Outcome::Ticked(Some(due)) => {
                let late = self.roster_time() - *due;
                self.meters.record_time_to_offline(self.settings.limits.grace + late);
            }
            Outcome::Ticked(None)
            | Outcome::Done
            | Outcome::TooManyDevices(_)
            | Outcome::Stale
            | Outcome::Ended(_) => {}
        }
    }
}

impl Draft {
    fn make(
        known: Option<(i64, SharedRoster)>,
        waiting: &[Waiting],
        grants: Option<&GrantSet>,
        context: &Context,
    ) -> Self {
        let (rev, before) = match known {
            Some((rev, roster)) => (Some(rev), roster),
            None => (None, SharedRoster::default()),
        };
        let mut draft = Self {
            rev,
            roster: before.clone(),
            before,
            grants: grants.map(|set| set.revision),
            changes: Vec::new(),
            outcomes: Vec::with_capacity(waiting.len()),
        };
        for waiting in waiting {
            let grants = grants.filter(|_| waiting.change.needs_grants());
            let (roster, changes) = (&mut draft.roster, &mut draft.changes);
            draft.outcomes.push(waiting.change.make(roster, grants, context, changes));
        }
        draft
    }

    /// Returns the change of whether this server holds a connection.
    fn link(&self, node: i64) -> Link {
        let holds = |roster: &SharedRoster| roster.handles().any(|handle| handle.node == node);
        match (holds(&self.before), holds(&self.roster)) {
            (false, true) => Link::Come,
            (true, false) => Link::Gone,
            (true, true) | (false, false) => Link::Same,
        }
    }
}

/// Returns the last change of each Application: those between are as if they had not been.
fn last_of_each(changes: &[ViewChange]) -> Vec<ViewChange> {
    let mut seen: HashSet<(AppId, Puid)> = HashSet::new();
    let last = changes.iter().rev().filter(|change| seen.insert((change.app, change.puid)));
    last.cloned().collect()
}

fn fail_all(users: BTreeMap<UserId, Vec<Waiting>>, error: &StoreError) {
    for waiting in users.into_values().flatten() {
        drop(waiting.reply.send(Err(error.clone())));
    }
}
