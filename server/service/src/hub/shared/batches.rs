//! The batches in which changes of rosters are written.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use presence_core::roster::ViewChange;
use presence_core::{GrantSet, LogLimit, UserId};
use presence_protocol::{AppId, Puid};
use presence_store::{Applied, LiveError, RosterChange, SharedRoster, StoreError};
use tokio::time::sleep;

use super::change::{Change, Context, Outcome};
use super::lane::Waiting;
use super::{Identity, SharedHub};

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
            self.lane.end_batch();
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
        let mut known: HashMap<UserId, (i64, SharedRoster)> = HashMap::new();
        for (user, waiting) in &mut users {
            let Some((rev, roster)) = self.registry.roster(*user) else { continue };
            let restores = waiting.iter_mut().filter_map(|it| it.begin_restore(&roster)).count();
            if restores == 0 {
                known.insert(*user, (rev, (*roster).clone()));
            }
        }
        while !users.is_empty() {
            let identity = self.identity();
            users.retain(|_, waiting| {
                waiting.retain(|waiting| !waiting.is_abandoned());
                !waiting.is_empty()
            });
            if self.lane.has_restores() {
                return self.lane.put_back(users.into_values().flatten().collect());
            }
            match self.try_write(identity, &mut users, &mut known).await {
                Ok(done) => {
                    self.lane.set_failing(false);
                    for (user, draft, rev) in done {
                        let waiting = users.remove(&user).unwrap_or_default();
                        if self.complete(user, draft, rev, waiting) {
                            // The next tick announces it.
                            self.moved.add(user);
                        }
                    }
                }
                Err(LiveError::OtherEpoch | LiveError::DeclaredDead) => {
                    known.clear();
                    // The connections of this server are put back before other changes are made.
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
        identity: Identity,
        users: &mut BTreeMap<UserId, Vec<Waiting>>,
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
        let context = Context { now: self.roster_time(), node: identity.node };
        let mut drafts: Vec<(UserId, Draft)> = users
            .iter()
            .map(|(user, waiting)| {
                let known = known.remove(user);
                (*user, Draft::make(known, waiting, grants.get(user), &context))
            })
            .collect();
        let asked = self.clock.steady();
        let result = self.apply(&mut drafts, (identity.epoch.id, identity.node)).await;
        let mut applied = match result {
            Ok(applied) => applied,
            Err(error) => {
                if matches!(error, LiveError::Store(_)) {
                    let drafts = drafts.iter_mut().map(|(_, draft)| draft);
                    drafts.zip(users.values_mut()).for_each(|it| it.0.remember_outcomes(it.1));
                }
                let give_back =
                    |(user, draft): (UserId, Draft)| Some((user, (draft.rev?, draft.before)));
                known.extend(drafts.into_iter().filter_map(give_back));
                if matches!(error, LiveError::MissingStreams) {
                    self.create_missing_streams(&grants, known).await?;
                }
                return Err(error);
            }
        };
        self.time.hear(asked, applied.at);
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
            .map(|(user, draft)| {
                let (comes, gone) = draft.moves(identity.1);
                RosterChange {
                    user: *user,
                    rev: draft.rev,
                    grants: draft.grants,
                    roster: &draft.roster,
                    comes,
                    gone,
                    changes: last_of_each(&draft.changes),
                }
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

    /// Lets the callers know that their changes of a user are written. Returns true if a device has
    /// left its server, and the caller, who announces it, does not wait any more.
    fn complete(&self, user: UserId, draft: Draft, rev: i64, waiting: Vec<Waiting>) -> bool {
        self.meters.updates.increment(draft.changes.len() as u64);
        if draft.outcomes.iter().any(|outcome| matches!(outcome, Outcome::NoUser)) {
            self.registry.close_connections(user, |_| true);
        }
        if waiting.iter().any(|waiting| matches!(waiting.change, Change::Restore { .. })) {
            self.registry.end_restoring(user, &draft.roster);
        }
        self.registry.set_roster(user, rev, draft.roster);
        let mut is_unannounced = false;
        for (waiting, outcome) in waiting.into_iter().zip(draft.outcomes) {
            let outcome = outcome.after(waiting.earlier);
            self.measure(&outcome);
            let unsent = waiting.reply.send(Ok(outcome)).err();
            is_unannounced |= matches!(
                unsent,
                Some(Ok(Outcome::Connected { elsewhere: true, .. } | Outcome::Ended(Some(_))))
            );
        }
        is_unannounced
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
            | Outcome::Ended(_)
            | Outcome::NoUser => {}
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
        let mut roster = before.clone();
        if roster.is_empty() {
            // The live tables may have been emptied.
            roster.begin_at(context.now);
        }
        let mut draft = Self {
            rev,
            roster,
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

    /// Remembers the outcomes of an attempt of which it is not known whether it was committed.
    fn remember_outcomes(&mut self, waiting: &mut [Waiting]) {
        for (waiting, outcome) in waiting.iter_mut().zip(self.outcomes.drain(..)) {
            waiting.earlier = Some(outcome.after(waiting.earlier.take()));
        }
    }

    /// Returns true if this server holds a connection from now on, and the servers that hold none
    /// any more.
    fn moves(&self, node: i64) -> (bool, Vec<i64>) {
        let nodes = |roster: &SharedRoster| {
            roster.handles().map(|handle| handle.node).collect::<BTreeSet<i64>>()
        };
        let (before, after) = (nodes(&self.before), nodes(&self.roster));
        let comes = after.contains(&node) && !before.contains(&node);
        (comes, before.difference(&after).copied().collect())
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
