//! The end of a device by its user.

use std::sync::Arc;

use presence_protocol::{ApiError, DeviceName, Errno};
use presence_store::DeviceEnd;

use super::{Devices, EndedDevice};
use crate::errors::from_store;
use crate::sessions::AuthenticatedUser;
use crate::to_end::to_end;

impl Devices {
    /// Ends a device at once, without a grace time, with the sessions and assertions that let it
    /// in. Its name opens again after a new sign-in only, also after a restart. If the session of
    /// the caller is one of them, it stays, and may open the device again.
    ///
    /// # Errors
    ///
    /// `not_found`, and `storage_unavailable`: then the device was ended all the same, but may come
    /// back with its session.
    pub async fn end(
        &self,
        caller: &AuthenticatedUser,
        device: &DeviceName,
    ) -> Result<EndedDevice, ApiError> {
        let (user, own) = (caller.user, caller.digest);
        let known = self.hub.devices_with_sessions(user).await.map_err(from_store)?;
        let known = known.into_iter().find(|(name, _)| name == device).ok_or(Errno::NotFound)?;
        let keeps_session = known.1.contains(&own);
        let mut end = DeviceEnd {
            user,
            device: device.clone(),
            kept_session: keeps_session.then_some(own),
            sessions: without(&own, known.1),
            assertions: self.proofs.verifier.used().end_device(user, device).await?,
        };
        let (store, hub, changes) =
            (self.store.clone(), Arc::clone(&self.hub), Arc::clone(&self.changes));
        to_end(async move {
            // A connection that is registered after this is refused when its proof is confirmed,
            // and one that was registered before is ended below.
            let recorded = store.end_device(&end).await;
            let last = hub.end_device(user, &end.device).await.map_err(from_store)?;
            let last = last.unwrap_or_default();
            changes.hide(user);
            let later = without(&own, last.0);
            hub.end_sessions(user, &end.sessions).await;
            recorded.map_err(from_store)?;
            if later.iter().any(|digest| !end.sessions.contains(digest)) {
                end.sessions = later;
                store.end_device(&end).await.map_err(from_store)?;
                hub.end_sessions(user, &end.sessions).await;
            }
            hub.note_user_change(user);
            Ok(EndedDevice { keeps_session })
        })
        .await
    }
}

/// Returns the digests except one.
fn without(digest: &[u8; 32], mut digests: Vec<[u8; 32]>) -> Vec<[u8; 32]> {
    digests.retain(|other| other != digest);
    digests
}
