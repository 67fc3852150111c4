//! The ids that a device keeps over restarts: of acknowledgements that the server has not
//! confirmed, and of notifications that the user has seen.

use std::collections::VecDeque;

use presence_protocol::NotificationId;

use crate::storage::StoredDevice;

/// The maximum number of ids of each kind that are kept. Beyond it the oldest ones are forgotten.
const MAX_KEPT: usize = 1_000;

/// The notifications that the user has seen and that are not acknowledged, and the number of
/// changes of what is kept.
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
