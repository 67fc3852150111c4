//! What the service counts. There are no labels but words of the contract: no id, no e-mail.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use presence_identity::{Identity, IdentityError};
use presence_protocol::app::ReceiptState;

/// What the hub counts.
pub(crate) struct HubMeters {
    /// Changes that Applications were told of.
    pub(crate) updates: Counter,
    /// Notifications handed to devices' mailboxes.
    pub(crate) deliveries: Counter,
}

impl Default for HubMeters {
    fn default() -> Self {
        Self {
            updates: counter!("presence_updates_total"),
            deliveries: counter!("presence_deliveries_total"),
        }
    }
}

/// What the use cases count.
pub(crate) struct ServiceMeters {
    /// Seconds from a notify to its commit.
    pub(crate) commit_seconds: Histogram,
    /// Notifications that were accepted.
    pub(crate) accepted: Counter,
    /// Seconds that a sign-in by assertion took.
    pub(crate) sign_in_seconds: Histogram,
    devices: Gauge,
    app_sockets: Gauge,
    users: Gauge,
    writer: Gauge,
}

impl Default for ServiceMeters {
    fn default() -> Self {
        Self {
            commit_seconds: histogram!("presence_notify_commit_seconds"),
            accepted: counter!("presence_notifications_accepted_total"),
            sign_in_seconds: histogram!("presence_sign_in_seconds"),
            devices: gauge!("presence_devices_connected"),
            app_sockets: gauge!("presence_app_sockets"),
            users: gauge!("presence_users_present"),
            writer: gauge!("presence_writer_queue_depth"),
        }
    }
}

/// What is looked up only when somebody reads the metrics.
pub(crate) struct Levels {
    pub(crate) devices: usize,
    pub(crate) app_sockets: usize,
    pub(crate) users: usize,
    pub(crate) writer: usize,
}

impl ServiceMeters {
    pub(crate) fn set(&self, levels: &Levels) {
        let pairs = [
            (&self.devices, levels.devices),
            (&self.app_sockets, levels.app_sockets),
            (&self.users, levels.users),
            (&self.writer, levels.writer),
        ];
        for (gauge, level) in pairs {
            gauge.set(u32::try_from(level).map_or(f64::MAX, f64::from));
        }
    }
}

/// Counts an assertion that was looked into, by what came of it.
pub(crate) fn verification(outcome: &Result<Identity, IdentityError>) {
    let outcome = match outcome {
        Ok(_) => "proven",
        Err(IdentityError::Invalid(_)) => "invalid",
        Err(IdentityError::Unavailable) => "unavailable",
        Err(IdentityError::Busy) => "busy",
    };
    counter!("presence_verifications_total", "outcome" => outcome).increment(1);
}

/// Counts the last word on a notification.
pub(crate) fn receipt(state: ReceiptState) {
    let state = match state {
        ReceiptState::Delivered => "delivered",
        ReceiptState::Acked => "acked",
        ReceiptState::Expired => "expired",
        ReceiptState::Dropped => "dropped",
        ReceiptState::Revoked => "revoked",
    };
    counter!("presence_receipts_total", "state" => state).increment(1);
}
