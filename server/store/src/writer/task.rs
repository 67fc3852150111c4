//! The task: gathers, commits, tells, answers.

use std::error::Error;
use std::slice;
use std::sync::Arc;

use presence_core::Clock;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement, TransactionTrait};
use tokio::sync::mpsc::Receiver;

use super::commit_hook::{CommitHook, CommittedEvent};
use super::op::{self, Op};
use super::target::Targets;
use super::write_txn::WriteTxn;
use crate::error::StoreError;
use crate::store::Store;

/// The most requests of one transaction, where it is not said otherwise, and about the most rows.
const GROUP: usize = 1000;
const GROUP_ROWS: usize = 5000;
/// How often the sockets get their turn at most before a group is closed.
const TURNS: usize = 16;
/// How many are answered at once before others are let in.
const MANY: usize = 16;

/// The writer's task, which the caller spawns. It ends when all handles are gone, and not before what they had
/// submitted is done.
pub struct WriterTask {
    store: Store,
    inbox: Receiver<Op>,
    observer: Arc<dyn CommitHook>,
    clock: Arc<dyn Clock>,
    /// The most requests of one transaction.
    group: usize,
    /// The greatest sequence number accepted so far, once it was read.
    up_to: Option<i64>,
    targets: Targets,
    /// How many the last group had that was committed; none after one that failed.
    answered: usize,
}

impl WriterTask {
    pub(super) fn new(
        store: Store,
        inbox: Receiver<Op>,
        observer: Arc<dyn CommitHook>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (group, up_to, targets) = (GROUP, None, Targets::default());
        Self { store, inbox, observer, clock, group, up_to, targets, answered: 0 }
    }

    /// Commits at most so many requests together: fewer are answered sooner, and take longer in all.
    #[must_use]
    pub fn in_groups_of(self, most: usize) -> Self {
        Self { group: most.max(1), ..self }
    }

    /// Serves until all handles are gone. No failure of the database ends it.
    pub async fn run(mut self) {
        while let Some(first) = self.inbox.recv().await {
            self.let_others_come().await;
            let group = self.gather(first);
            self.serve(group).await;
        }
    }

    /// Lets the sockets have their turn as long as more keeps coming. Of many who were just answered some ask again at once: with them
    /// the group is larger, and a page that several of them change is written once. Where nobody comes, nobody is waited for; and
    /// after a small group, or one that failed, nobody else is let in before those who wait.
    async fn let_others_come(&self) {
        if self.answered < MANY {
            return;
        }
        let mut waiting = 0;
        for _ in 0..TURNS {
            let now = self.inbox.len() + 1;
            if now >= self.group || now == waiting {
                return;
            }
            waiting = now;
            tokio::task::yield_now().await;
        }
    }

    /// What has gathered while the last group was committed.
    fn gather(&mut self, first: Op) -> Vec<Op> {
        let mut weight = first.weight();
        let mut group = vec![first];
        while group.len() < self.group && weight < GROUP_ROWS {
            let Ok(next) = self.inbox.try_recv() else { break };
            weight += next.weight();
            group.push(next);
        }
        group
    }

    async fn serve(&mut self, mut group: Vec<Op>) {
        let outcome = self.attempt(&mut group).await;
        self.answered = if outcome.is_ok() { group.len() } else { 0 };
        match outcome {
            Err(error) if group.len() > 1 => self.serve_one_by_one(group, &error).await,
            outcome => {
                if let Err(error) = &outcome {
                    log_failure(error, 1, 1);
                }
                for op in group {
                    op.close(outcome.clone());
                }
            }
        }
    }

    /// A group failed: only the culprits are to fail. Where the file is locked each try would wait long, so
    /// then no further write is tried.
    async fn serve_one_by_one(&mut self, group: Vec<Op>, error: &StoreError) {
        let (of, mut failed) = (group.len(), 0);
        let mut locked = error.is_busy().then(|| error.clone());
        for mut op in group {
            let outcome = match &locked {
                Some(error) if !op.only_reads() => Err(error.clone()),
                Some(_) | None => self.attempt(slice::from_mut(&mut op)).await,
            };
            if let Err(error) = &outcome {
                failed += 1;
                if error.is_busy() {
                    locked = Some(error.clone());
                }
            }
            op.close(outcome);
        }
        log_failure(error, failed, of);
    }

    /// All of it in one transaction, or nothing.
    async fn attempt(&mut self, ops: &mut [Op]) -> Result<(), StoreError> {
        let begun = self.clock.steady();
        let transaction = self.begin(ops).await?;
        let outcome = self.work(&transaction, ops).await;
        let (done, up_to) = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                self.forget();
                // Where this fails, the pool throws the connection away.
                transaction.rollback().await.ok();
                return Err(error);
            }
        };
        if let Err(error) = transaction.commit().await {
            self.forget();
            return Err(error.into());
        }
        self.up_to = Some(up_to);
        self.observer.took(ops.len(), self.clock.steady() - begun);
        if !done.is_empty() {
            self.observer.committed(&done);
        }
        Ok(())
    }

    /// What was undone may be among what is known; and whether a commit that failed was undone is not known at all.
    fn forget(&mut self) {
        self.targets = Targets::default();
        self.up_to = None;
    }

    /// What is done, and the greatest sequence number then, once it is committed.
    async fn work(
        &mut self,
        transaction: &DatabaseTransaction,
        ops: &mut [Op],
    ) -> Result<(Vec<CommittedEvent>, i64), StoreError> {
        let up_to = match self.up_to {
            Some(up_to) => up_to,
            None => greatest_seq(transaction).await?,
        };
        let now = self.clock.now();
        let mut round = WriteTxn::new(transaction, &*self.observer, now, up_to, &mut self.targets);
        op::run_all(&mut round, ops).await?;
        Ok(round.finish())
    }

    /// Who only reads takes no lock, which a full or read-only disk might refuse.
    async fn begin(&self, ops: &[Op]) -> Result<DatabaseTransaction, StoreError> {
        if ops.iter().all(Op::only_reads) {
            return Ok(self.store.write().begin().await?);
        }
        self.store.begin_writing().await
    }
}

/// Once for a group, since a full disk would else fill the logs.
fn log_failure(error: &StoreError, failed: usize, of: usize) {
    tracing::error!(failed, of, error = error as &dyn Error, "store.writer.failed");
}

/// The greatest that was ever given out, also where its notification is gone: no number is used twice.
async fn greatest_seq(transaction: &DatabaseTransaction) -> Result<i64, StoreError> {
    let select = "SELECT seq FROM sqlite_sequence WHERE name = 'notifications'";
    let row = transaction.query_one_raw(Statement::from_string(DbBackend::Sqlite, select)).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0))
}
