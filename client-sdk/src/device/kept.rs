//! The loading and saving of what a device keeps over restarts.

use std::time::Duration;

use tokio::time::timeout;

use super::protocol::DeviceProtocol;
use crate::channel::{ProtocolState, SharedState};
use crate::state::ConnectionState;
use crate::storage::{Saver, StoredDevice};

/// The time limit of loading. After it the channel begins without a document.
const LOAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Loads what was kept, unless the channel is closed meanwhile.
pub(super) async fn restore(shared: &SharedState<DeviceProtocol>, saver: &Saver) {
    let loaded = timeout(LOAD_TIMEOUT, saver.load::<StoredDevice>());
    tokio::select! {
        stored = loaded => {
            if let Ok(Some(stored)) = stored {
                shared.update_as_task(|protocol| protocol.restore(stored));
            }
        }
        () = shared.close_requested() => {}
    }
}

/// Saves each change after the one before, until the channel has ended and the last one is saved.
/// Changes that come meanwhile are saved together.
pub(super) async fn save_changes(shared: &SharedState<DeviceProtocol>, saver: &Saver) {
    let mut saved_revision = 0;
    loop {
        let next = |protocol: &mut DeviceProtocol| match protocol.kept_revision() {
            revision if revision != saved_revision => Some(Some((revision, protocol.to_stored()))),
            _ => matches!(protocol.state(), ConnectionState::Ended(_)).then_some(None),
        };
        let Some((revision, stored)) = shared.wait_for_change(next).await else { return };
        saver.save(move || stored).await;
        saved_revision = revision;
    }
}
