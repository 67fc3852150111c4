//! The reads and locks of a group before its first operation.

use std::collections::HashMap;

use presence_core::UserId;
use presence_protocol::{AppId, Puid};
use sea_orm::DatabaseTransaction;

use super::WriterTask;
use crate::error::StoreError;
use crate::live::Live;
use crate::live::grants::Locked;
use crate::live::roster::SharedRoster;
use crate::writer::notify::NotifyInput;
use crate::writer::target::Targets;
use crate::writer::write_op::{ChangedGrants, WriteOp};
use crate::writer::{domain, group_locks};

impl WriterTask {
    /// Reads what the operations need to know of presence. Where several servers share it, locks
    /// what they change, and returns it.
    pub(super) async fn prepare(
        &mut self,
        transaction: &DatabaseTransaction,
        ops: &mut [WriteOp],
    ) -> Result<Option<Locked>, StoreError> {
        for op in ops.iter_mut() {
            if let WriteOp::RevokeWaiting(request) = op {
                let now = self.clock.now();
                request.input = domain::grants_waiting_too_long(now, transaction).await?;
            }
        }
        let Some(live) = self.store.live().cloned() else {
            self.read_visibility(transaction, ops).await?;
            return Ok(None);
        };
        let granted: Vec<AppId> = ops.iter().filter_map(WriteOp::granted_app).collect();
        if !granted.is_empty() {
            live.create_streams(&granted).await?;
        }
        let apps = group_locks::lock_apps(transaction, ops).await?;
        let rosters = lock_users(&live, transaction, ops, &apps).await?;
        let locked = Locked { rosters, apps: live.numbers(&apps, transaction).await? };
        // Other servers change grants and queues too.
        self.targets = Targets::default();
        group_locks::lock_grants(transaction, ops, &apps).await?;
        for op in ops {
            match op {
                WriteOp::Notify(request) => {
                    self.read_shared_reachability(&live, transaction, &mut request.input).await?;
                }
                WriteOp::ChangeDomain(request) => {
                    request.input.connected = locked.with_roster().collect();
                }
                WriteOp::Settle(_)
                | WriteOp::SettleNoted(_)
                | WriteOp::WriteNoted(_)
                | WriteOp::Load(_)
                | WriteOp::Release(_)
                | WriteOp::Grant(_)
                | WriteOp::Pause(_)
                | WriteOp::Revoke(_)
                | WriteOp::RevokeWaiting(_)
                | WriteOp::RemoveApp(_)
                | WriteOp::EraseUser(_)
                | WriteOp::Expire(_) => {}
            }
        }
        Ok(Some(locked))
    }

    /// Reads from the hub what the operations need of it, before the first of them: the hub is not
    /// part of a transaction, and what the writer decides by its answers is final. All settlements
    /// of a user get the same answer, so that no receipt comes before that of an older settlement.
    async fn read_visibility(
        &mut self,
        transaction: &DatabaseTransaction,
        ops: &mut [WriteOp],
    ) -> Result<(), StoreError> {
        let mut immediate: HashMap<UserId, Vec<Puid>> = HashMap::new();
        for op in ops {
            match op {
                WriteOp::Settle(request) => {
                    let user = request.input.user;
                    let read = || self.hook.grants_with_immediate_receipts(user);
                    let grants = immediate.entry(user).or_insert_with(read);
                    request.input.immediate.clone_from(grants);
                }
                WriteOp::SettleNoted(input) => {
                    let user = input.user;
                    let read = || self.hook.grants_with_immediate_receipts(user);
                    input.immediate.clone_from(immediate.entry(user).or_insert_with(read));
                }
                WriteOp::Notify(request) => {
                    self.read_reachability(transaction, &mut request.input).await?;
                }
                WriteOp::ChangeDomain(request) => {
                    let users = domain::users_of(request.input.app, transaction).await?;
                    request.input.connected = self.hook.connected_users(users);
                }
                WriteOp::WriteNoted(_)
                | WriteOp::Load(_)
                | WriteOp::Release(_)
                | WriteOp::Grant(_)
                | WriteOp::Pause(_)
                | WriteOp::Revoke(_)
                | WriteOp::RevokeWaiting(_)
                | WriteOp::RemoveApp(_)
                | WriteOp::EraseUser(_)
                | WriteOp::Expire(_) => {}
            }
        }
        Ok(())
    }

    async fn read_reachability(
        &mut self,
        transaction: &DatabaseTransaction,
        input: &mut NotifyInput,
    ) -> Result<(), StoreError> {
        let targets = self.live_only_targets(transaction, input).await?;
        let is_reachable =
            |(app, puid, user): &(AppId, Puid, UserId)| self.hook.is_reachable(*app, *puid, *user);
        input.reachable = targets.iter().filter(|it| is_reachable(it)).map(|it| it.1).collect();
        Ok(())
    }

    async fn read_shared_reachability(
        &mut self,
        live: &Live,
        transaction: &DatabaseTransaction,
        input: &mut NotifyInput,
    ) -> Result<(), StoreError> {
        let targets = self.live_only_targets(transaction, input).await?;
        if !targets.is_empty() {
            input.reachable = live.reachable(&targets, transaction).await?;
        }
        Ok(())
    }

    /// Returns the grants that the live-only items of a batch are for.
    async fn live_only_targets(
        &mut self,
        transaction: &DatabaseTransaction,
        input: &NotifyInput,
    ) -> Result<Vec<(AppId, Puid, UserId)>, StoreError> {
        let live_only = input.items.iter().filter(|item| item.is_live_only());
        let puids: Vec<Puid> = live_only.map(|item| item.puid).collect();
        if puids.is_empty() {
            return Ok(Vec::new());
        }
        self.targets.read(&puids, transaction).await?;
        let target = |puid: &Puid| {
            let target = self.targets.get(puid)?;
            Some((target.app, *puid, target.user))
        };
        Ok(puids.iter().filter_map(target).collect())
    }
}

/// Locks the users whose grants the operations change: also all users of these Applications.
async fn lock_users(
    live: &Live,
    transaction: &DatabaseTransaction,
    ops: &[WriteOp],
    apps: &[AppId],
) -> Result<HashMap<UserId, SharedRoster>, StoreError> {
    let changed = ops.iter().flat_map(WriteOp::changed_grants);
    let mut users: Vec<UserId> = changed.map(ChangedGrants::user).collect();
    for app in apps {
        users.extend(domain::users_of(*app, transaction).await?);
    }
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    live.lock_users(users, transaction).await
}
