//! What a device keeps over restarts: acknowledgements that the server has not confirmed, and the
//! notifications that the user has seen.

use std::collections::VecDeque;
use std::time::Duration;

use presence_protocol::NotificationId;
use tokio::time::timeout;

use super::protocol::DeviceProtocol;
use crate::channel::{ProtocolState, SharedState};
use crate::state::ConnectionState;
use crate::storage::{Saver, StoredDevice};

/// The maximum number of ids of each kind that are kept. Beyond it the oldest ones are forgotten.
const MAX_KEPT: usize = 1_000;
/// The time limit of loading. After it the channel begins without a document.
const LOAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The notifications that the user has seen and that are not acknowledged, and the number of changes
/// of what is kept.
#[derive(Debug, Default)]
pub(super) struct KeptIds {
    shown: VecDeque<NotificationId>,
    revision: u64,
}

impl KeptIds {
    pub(super) fn add_shown(&mut self, id: NotificationId) {
        if self.shown.contains(&id) {
            return;
        }
        if self.shown.len() == MAX_KEPT {
            self.shown.pop_front();
        }
        self.shown.push_back(id);
        self.note_change();
    }

    /// Records that a notification was acknowledged.
    pub(super) fn remove_shown(&mut self, id: NotificationId) {
        self.shown.retain(|shown| *shown != id);
        self.note_change();
    }

    /// Records that the acknowledgements have changed.
    pub(super) fn note_change(&mut self) {
        self.revision += 1;
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns what is to be stored with these acknowledgements.
    pub(super) fn to_stored(&self, acknowledged: Vec<NotificationId>) -> StoredDevice {
        let excess = acknowledged.len().saturating_sub(MAX_KEPT);
        StoredDevice {
            acknowledged: acknowledged.into_iter().skip(excess).collect(),
            shown: self.shown.iter().copied().collect(),
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_thousand_ids_of_each_kind_are_kept() {
        let mut kept = KeptIds::default();
        for id in 0..3_000 {
            kept.add_shown(NotificationId::from_bits(id));
        }
        let acknowledged = (0..3_000).map(NotificationId::from_bits).collect();
        let expected: Vec<_> = (2_000..3_000).map(NotificationId::from_bits).collect();
        let stored = kept.to_stored(acknowledged);
        assert_eq!((&stored.shown, &stored.acknowledged), (&expected, &expected));
    }
}
