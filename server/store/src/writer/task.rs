//! The task of the writer: it gathers requests, commits them in a group, and replies.

mod grouping;
mod preparation;

use std::error::Error;
use std::slice;
use std::sync::Arc;

use presence_core::{Clock, LogLimit, TRACE_TARGET};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, TransactionTrait};
use tokio::time::sleep;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::inbox::Inbox;
use super::load::{self, LoadSource};
use super::senders::Senders;
use super::sequence;
use super::target::Targets;
use super::write_op::{self, Retry, WriteOp};
use super::write_txn::{WriteTxn, WriterMemory};
use crate::bounded::{LOCK_RETRY, begin_immediate};
use crate::commit_hook::{CommitHook, CommittedEvent, NotifyLimit};
use crate::credential_cache::Owner;
use crate::error::{ErrorKind, StoreError};
use crate::live::grants::Announcement;
use crate::store::Store;

/// The default maximum number of requests in a transaction.
const GROUP: usize = 1000;
/// The maximum number of times that the sockets' tasks run before a group is closed.
const MAX_YIELDS: usize = 16;
/// The size of the last group from which it pays to wait for further requests.
const LARGE_GROUP: usize = 16;

/// The work of a transaction, which counts only once it is committed.
struct Done {
    events: Vec<CommittedEvent>,
    /// The greatest sequence number so far.
    last_seq: i64,
    announcement: Announcement,
}

/// The task of the writer, which the caller spawns. It ends when all handles are dropped and what
/// they had submitted is done.
#[expect(clippy::struct_excessive_bools, reason = "each tells something else about the next group")]
pub struct WriterTask {
    store: Store,
    inbox: Inbox,
    hook: Arc<dyn CommitHook>,
    notify_limit: Option<Arc<dyn NotifyLimit>>,
    clock: Arc<dyn Clock>,
    /// The maximum number of requests in a transaction.
    max_group: usize,
    /// The greatest sequence number so far, if it is known.
    last_seq: Option<i64>,
    targets: Targets,
    senders: Senders,
    /// The size of the last group, zero if it failed.
    last_group: usize,
    /// Set if the last group took as many releases as it may, so that there may be more.
    more_releases: bool,
    /// The limit of log lines about failures.
    failures: LogLimit,
    /// Set if the last release failed. The next one waits for a group that writes.
    release_failed: bool,
    /// Set if the rest of the noted settlements is to be written with the next group.
    writes_noted: bool,
    /// Set if notifications were queued since expired ones were dropped.
    has_queued: bool,
}

impl WriterTask {
    pub(super) fn new(
        store: Store,
        inbox: Inbox,
        hook: Arc<dyn CommitHook>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            store,
            inbox,
            hook,
            notify_limit: None,
            clock,
            max_group: GROUP,
            last_seq: None,
            targets: Targets::default(),
            senders: Senders::default(),
            last_group: 0,
            more_releases: false,
            failures: LogLimit::default(),
            release_failed: false,
            writes_noted: false,
            has_queued: false,
        }
    }

    /// Sets the maximum number of requests in a transaction. With fewer, replies come sooner, and
    /// all together take longer.
    #[must_use]
    pub fn in_groups_of(self, limit: usize) -> Self {
        Self { max_group: limit.max(1), ..self }
    }

    /// Sets the limit on the notifications of each grant. Without it there is none.
    #[must_use]
    pub fn with_notify_limit(self, limit: Arc<dyn NotifyLimit>) -> Self {
        Self { notify_limit: Some(limit), ..self }
    }

    /// Runs until all handles are dropped, and writes the noted settlements at last. No failure of
    /// the database ends it.
    pub async fn run(mut self) {
        loop {
            let first = if self.more_releases || self.writes_noted {
                None
            } else {
                // The requests that wait are served with the releases.
                tokio::select! {
                    biased;
                    () = self.hook.release_signal().notified() => None,
                    op = self.inbox.recv() => match op {
                        Some(op) => Some(op),
                        None => return self.write_rest().await,
                    },
                }
            };
            self.yield_for_batching().await;
            let group = self.gather(first);
            self.serve(group).await;
        }
    }

    /// Writes all noted settlements.
    async fn write_rest(&mut self) {
        self.writes_noted = true;
        while self.writes_noted {
            self.serve(Vec::new()).await;
        }
    }

    /// Lets the tasks of the sockets run as long as more requests come. Of many clients that just
    /// got a reply some send the next request at once: with them the group is larger, and a page
    /// that several of them change is written once. A small or failed group is not followed by a
    /// wait, so that waiting requests are served first.
    async fn yield_for_batching(&self) {
        if self.last_group < LARGE_GROUP {
            return;
        }
        let mut waiting = 0;
        for _ in 0..MAX_YIELDS {
            let now = self.inbox.len() + 1;
            if now >= self.max_group || now == waiting {
                return;
            }
            waiting = now;
            tokio::task::yield_now().await;
        }
    }

    /// Serves a group. While another process holds the lock of the database, the writes of the
    /// group wait until their callers do not wait any more, and loads are served meanwhile.
    async fn serve(&mut self, mut group: Vec<WriteOp>) {
        loop {
            self.refuse_late(&mut group);
            self.add_noted(&mut group).await;
            if group.is_empty() {
                return;
            }
            match self.try_commit(&mut group).await {
                Err(error) if error.is_busy() => {
                    self.last_group = 0;
                    group = self.serve_loads(group).await;
                    if !group.is_empty() {
                        sleep(LOCK_RETRY).await;
                    }
                }
                result => return self.finish(group, result).await,
            }
        }
    }

    /// Completes a group. If it failed, its members are tried one by one, so that only those fail
    /// that caused it.
    async fn finish(&mut self, group: Vec<WriteOp>, result: Result<(), StoreError>) {
        self.last_group = if result.is_ok() { group.len() } else { 0 };
        self.has_queued |=
            result.is_ok() && group.iter().any(|op| matches!(op, WriteOp::Notify(_)));
        if result.is_ok() && !group.iter().all(WriteOp::is_read_only) {
            self.release_failed = false;
        }
        match result {
            Err(error) if group.len() > 1 => self.serve_one_by_one(group, &error).await,
            result => {
                if let Err(error) = &result {
                    self.log_failure(error, 1, 1);
                }
                for op in group {
                    self.complete(op, result.clone());
                }
            }
        }
    }

    async fn serve_one_by_one(&mut self, group: Vec<WriteOp>, error: &StoreError) {
        let (of, mut failed) = (group.len(), 0);
        for mut op in group {
            let result = if op.is_late() {
                Err(StoreError::TooLate)
            } else {
                self.try_commit(slice::from_mut(&mut op)).await
            };
            failed += usize::from(result.is_err());
            self.complete(op, result);
        }
        self.log_failure(error, failed, of);
    }

    /// Serves the loads of a group that cannot be written now, and those that wait. Returns the
    /// rest of the group. Releases and noted settlements are given back: the users may hide, and
    /// loads must know what is not written.
    async fn serve_loads(&mut self, group: Vec<WriteOp>) -> Vec<WriteOp> {
        let (mut loads, mut rest): (Vec<_>, Vec<_>) =
            group.into_iter().partition(WriteOp::is_read_only);
        for op in rest.extract_if(.., |op| op.is_taken_for_group()) {
            self.complete(op, Err(StoreError::TooLate));
        }
        loads.extend(self.inbox.take_loads(self.max_group));
        if !loads.is_empty() {
            let result = self.try_commit(&mut loads).await;
            self.finish(loads, result).await;
        }
        rest
    }

    /// Refuses the requests that have not begun by their deadline.
    fn refuse_late(&mut self, group: &mut Vec<WriteOp>) {
        let of = group.len();
        let late: Vec<WriteOp> = group.extract_if(.., |op| op.is_late()).collect();
        if !late.is_empty() {
            self.log_failure(&StoreError::TooLate, late.len(), of);
        }
        for op in late {
            self.complete(op, Err(StoreError::TooLate));
        }
    }

    fn complete(&mut self, op: WriteOp, result: Result<(), StoreError>) {
        if matches!(op, WriteOp::Release(_)) {
            self.release_failed = result.is_err();
        }
        match op.complete(result) {
            Retry::Nothing => {}
            Retry::Releases(grants) => {
                self.more_releases = false;
                self.hook.releases_failed(grants);
            }
            Retry::Settlements(user, settlements) => {
                self.writes_noted = false;
                self.inbox.noted.put_back(user, settlements);
            }
        }
    }

    /// Logs one line a minute, so that a full disk does not fill the logs.
    fn log_failure(&mut self, error: &StoreError, failed: usize, of: usize) {
        if let Some(groups) = self.failures.count(self.clock.steady()) {
            tracing::error!(failed, of, groups, error = error as &dyn Error, "store.writer.failed");
        }
    }

    /// Commits all operations in one transaction, or none of them, in a span of its own: it belongs
    /// to many calls.
    async fn try_commit(&mut self, ops: &mut [WriteOp]) -> Result<(), StoreError> {
        let span = self.span(ops.len());
        let result = self.commit(ops).instrument(span.clone()).await;
        self.forget_ended(ops);
        if result.is_err() {
            span.record("otel.status_code", "error");
        }
        result
    }

    /// Forgets the cached credentials and grants that operations may have ended.
    fn forget_ended(&self, ops: &[WriteOp]) {
        let cache = self.store.credentials();
        if ops.iter().any(WriteOp::ends_credentials) {
            return cache.forget_all();
        }
        let ending = ops.iter().filter(|op| op.ends_grants());
        let changed = ending.flat_map(WriteOp::changed_grants);
        changed.for_each(|grants| cache.forget(Owner::User(grants.user())));
    }

    fn span(&self, operations: usize) -> Span {
        tracing::info_span!(
            target: TRACE_TARGET,
            parent: None,
            "database.commit",
            otel.kind = "client",
            "db.system.name" = self.store.system_name(),
            "db.operation.batch.size" = operations,
            otel.status_code = Empty,
        )
    }

    async fn commit(&mut self, ops: &mut [WriteOp]) -> Result<(), StoreError> {
        let begun = self.clock.steady();
        if self.store.live().is_none() && ops.iter().all(WriteOp::is_read_only) {
            self.load(ops).await?;
            self.hook.group_committed(ops.len(), self.clock.steady() - begun);
            return Ok(());
        }
        let transaction = self.begin(ops).await?;
        let Done { events, last_seq, announcement } = match self.run_in(&transaction, ops).await {
            Ok(done) => done,
            Err(error) => {
                self.forget();
                // If the rollback fails, the pool drops the connection.
                transaction.rollback().await.ok();
                return Err(error);
            }
        };
        if ops.iter().any(WriteOp::is_late) {
            // Done now, it might undo something newer that its caller has done since.
            self.forget();
            transaction.rollback().await.ok();
            return Err(StoreError::TooLate);
        }
        if let Err(error) = transaction.commit().await {
            self.forget();
            if !self.was_committed(&error, &announcement).await {
                return Err(error.into());
            }
        }
        self.last_seq = Some(last_seq);
        self.hook.group_committed(ops.len(), self.clock.steady() - begun);
        if let Some(live) = self.store.live() {
            // The servers, this one too, look at what the announcement names.
            live.announce(announcement).await;
        }
        if !events.is_empty() {
            self.hook.committed(&events);
        }
        Ok(())
    }

    /// Returns true if a transaction was committed for certain although its commit has failed: the
    /// answer was lost. Several servers may reach a database that one of them has lost.
    async fn was_committed(&self, error: &DbErr, announcement: &Announcement) -> bool {
        let is_in_doubt = matches!(ErrorKind::of(error), ErrorKind::Lost | ErrorKind::TimedOut);
        match self.store.live() {
            Some(live) if is_in_doubt => live.was_committed(announcement).await,
            Some(_) | None => false,
        }
    }

    /// Forgets what may be wrong after a rollback, or after a commit of which the result is not
    /// known.
    fn forget(&mut self) {
        self.targets = Targets::default();
        self.senders = Senders::default();
        self.last_seq = None;
    }

    /// Runs the operations.
    async fn run_in(
        &mut self,
        transaction: &DatabaseTransaction,
        ops: &mut [WriteOp],
    ) -> Result<Done, StoreError> {
        let locked = self.prepare(transaction, ops).await?;
        let last_seq = self.last_seq(transaction).await?;
        let now = self.clock.now();
        let memory = WriterMemory {
            targets: &mut self.targets,
            senders: &mut self.senders,
            credentials: self.store.credentials(),
            noted: &self.inbox.noted,
        };
        let mut txn = WriteTxn::new(transaction, now, last_seq, memory);
        txn.notify_limit = self.notify_limit.as_deref();
        write_op::run_all(&mut txn, ops).await?;
        let (events, last_seq) = txn.finish();
        let announcement = match (self.store.live(), locked) {
            (Some(live), Some(locked)) => live.absorb(&events, locked, (transaction, now)).await?,
            _ => Announcement::default(),
        };
        Ok(Done { events, last_seq, announcement })
    }

    /// Runs operations that are loads, without a transaction.
    async fn load(&mut self, ops: &mut [WriteOp]) -> Result<(), StoreError> {
        let db = self.store.read().pool();
        let (now, last_seq) = (self.clock.now(), self.last_seq(db).await?);
        let source = LoadSource { db, now, last_seq, noted: &self.inbox.noted };
        let mut loads: Vec<_> = ops.iter_mut().filter_map(WriteOp::as_load).collect();
        load::load(&source, &mut loads).await?;
        self.last_seq = Some(last_seq);
        Ok(())
    }

    /// Returns the greatest sequence number so far.
    async fn last_seq<C: ConnectionTrait>(&self, db: &C) -> Result<i64, StoreError> {
        match self.last_seq {
            Some(last_seq) => Ok(last_seq),
            None => sequence::greatest(db).await,
        }
    }

    /// Begins a transaction. One that only reads takes no lock, and does not wait for the
    /// connection that writes.
    async fn begin(&self, ops: &[WriteOp]) -> Result<DatabaseTransaction, StoreError> {
        if ops.iter().all(WriteOp::is_read_only) {
            return Ok(self.store.read().pool().begin().await?);
        }
        begin_immediate(self.store.write().pool()).await
    }
}
