//! Questions to the hub about the visibility list of a device.

use presence_core::UserId;
use presence_protocol::{AppId, DeviceName};

use super::LocalHub;

impl LocalHub {
    /// Returns true if a visibility list shows a device to no Application that does not see it
    /// already. A device that the hub does not know is seen by none.
    pub(crate) fn narrows_visibility(
        &self,
        user: UserId,
        device: &DeviceName,
        apps: &[AppId],
    ) -> bool {
        self.with_shard(user, |shard, _| {
            let roster = shard.get_mut(user);
            roster.is_none_or(|roster| roster.narrows_visibility(device, apps))
        })
    }
}
