//! The connection of a device to one of several servers.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use presence_core::{UserId, View};
use presence_protocol::{ApiError, AppId, DeviceName, Errno, Status};
use presence_store::StoreError;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::SharedHub;
use super::change::{Change, Outcome};
use crate::errors::{from_store, or_logged};

/// The connection of a device. If it is dropped without a disconnect, it counts as lost.
pub(crate) struct SharedConnection {
    hub: Arc<SharedHub>,
    user: UserId,
    device: DeviceName,
    number: u64,
    disconnected: bool,
}

/// The effect of a change on what Applications see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It may take sight away: it is done only once the database has it.
    MayHide,
    /// It shows something: while the database fails, it is kept and written later.
    Shows,
}

impl SharedConnection {
    pub(super) fn new(hub: Arc<SharedHub>, user: UserId, device: DeviceName, number: u64) -> Self {
        Self { hub, user, device, number, disconnected: false }
    }

    /// Returns the user of the device.
    pub(in crate::hub) fn user(&self) -> UserId {
        self.user
    }

    /// Sets the status of the device.
    pub(in crate::hub) fn report(
        &self,
        view: View,
        only: Option<Vec<AppId>>,
    ) -> BoxFuture<'static, Result<(), ApiError>> {
        let effect = if view.status == Status::Offline { Effect::MayHide } else { Effect::Shows };
        let (device, number) = (self.device.clone(), self.number);
        self.change(Change::Report { device, number, view, only }, effect)
    }

    /// Lets only these Applications see the device from now on.
    pub(in crate::hub) fn set_visibility(
        &self,
        apps: Vec<AppId>,
    ) -> BoxFuture<'static, Result<(), ApiError>> {
        let (device, number) = (self.device.clone(), self.number);
        self.change(Change::SetVisibility { device, number, apps }, Effect::MayHide)
    }

    /// Ends the connection.
    pub(in crate::hub) fn disconnect(mut self, clean: bool) -> BoxFuture<'static, ()> {
        let reply = self.disconnect_once(clean);
        let deadline = self.hub.settings.deadline;
        Box::pin(async move {
            if let Some(reply) = reply {
                timeout(deadline, reply).await.ok();
            }
        })
    }

    fn change(&self, change: Change, effect: Effect) -> BoxFuture<'static, Result<(), ApiError>> {
        let (hub, user) = (Arc::clone(&self.hub), self.user);
        let reply = hub.lane.submit(user, change);
        Box::pin(async move {
            if effect == Effect::Shows && hub.lane.is_failing() {
                return Ok(());
            }
            match timeout(hub.settings.deadline, reply).await {
                Ok(Ok(Ok(Outcome::Stale))) => {
                    // The note of the newer connection may be lost.
                    let looked = hub.look_at_connections(&[user]).await;
                    or_logged("a replaced connection is not closed", looked);
                    Ok(())
                }
                Ok(Ok(Ok(_))) => Ok(()),
                Ok(Ok(Err(error))) => Err(from_store(error)),
                Ok(Err(_)) => Err(Errno::ShuttingDown.into()),
                Err(_) if effect == Effect::Shows => Ok(()),
                Err(_) => Err(from_store(StoreError::TooLate)),
            }
        })
    }

    fn disconnect_once(
        &mut self,
        clean: bool,
    ) -> Option<oneshot::Receiver<Result<Outcome, StoreError>>> {
        if std::mem::replace(&mut self.disconnected, true) {
            return None;
        }
        let grace = (!clean).then(|| self.hub.grace());
        let (device, number) = (self.device.clone(), self.number);
        let reply = self.hub.lane.submit(self.user, Change::Disconnect { device, number, grace });
        self.hub.registry.remove(self.user, self.number);
        Some(reply)
    }
}

impl Drop for SharedConnection {
    fn drop(&mut self) {
        drop(self.disconnect_once(false));
    }
}
