//! What the service counts. There are no labels but words of the contract: no id, no e-mail.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use presence_protocol::app::ReceiptState;
use presence_protocol::{ApiError, Errno};

/// What the hub counts.
pub(crate) struct HubMeters {
    /// Changes that Applications were told of.
    pub(crate) updates: Counter,
    /// Notifications handed to devices' mailboxes.
    pub(crate) deliveries: Counter,
    time_to_offline: Histogram,
    commit_requests: Histogram,
    commit_seconds: Histogram,
    receipts: [Counter; 5],
}

/// The last words on a notification, with the place of each.
const STATES: [&str; 5] = ["delivered", "acked", "expired", "dropped", "revoked"];

impl Default for HubMeters {
    fn default() -> Self {
        Self {
            updates: counter!("presence_updates_total"),
            deliveries: counter!("presence_deliveries_total"),
            time_to_offline: histogram!("presence_time_to_offline_seconds"),
            commit_requests: histogram!("presence_commit_requests"),
            commit_seconds: histogram!("presence_commit_seconds"),
            receipts: STATES.map(|state| counter!("presence_receipts_total", "state" => state)),
        }
    }
}

impl HubMeters {
    /// Counts the last word on a notification.
    pub(crate) fn receipt(&self, state: ReceiptState) {
        let place = match state {
            ReceiptState::Delivered => 0,
            ReceiptState::Acked => 1,
            ReceiptState::Expired => 2,
            ReceiptState::Dropped => 3,
            ReceiptState::Revoked => 4,
        };
        if let Some(counter) = self.receipts.get(place) {
            counter.increment(1);
        }
    }

    /// Records the time from the loss of a user's last connection to the offline update.
    pub(crate) fn told_offline(&self, after: Duration) {
        self.time_to_offline.record(after.as_secs_f64());
    }

    /// The writer committed so many requests together.
    pub(crate) fn committed(&self, requests: usize, took: Duration) {
        self.commit_requests.record(u32::try_from(requests).map_or(f64::MAX, f64::from));
        self.commit_seconds.record(took.as_secs_f64());
    }
}

/// What the rooms count, each with clones of the same handles.
#[derive(Clone)]
pub(crate) struct TopicMeters {
    /// Updates written to sockets.
    pub(crate) written: Counter,
    /// Seconds from a change to its being handed to a socket.
    pub(crate) fan_out_seconds: Histogram,
}

impl Default for TopicMeters {
    fn default() -> Self {
        Self {
            written: counter!("presence_updates_written_total"),
            fan_out_seconds: histogram!("presence_fan_out_seconds"),
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
    signed_in: Counter,
    turned_away: Vec<(Errno, Counter)>,
    devices: Gauge,
    app_sockets: Gauge,
    users: Gauge,
    writer: Gauge,
    mailboxes: Gauge,
    streams: Gauge,
}

impl Default for ServiceMeters {
    fn default() -> Self {
        Self {
            commit_seconds: histogram!("presence_notify_commit_seconds"),
            accepted: counter!("presence_notifications_accepted_total"),
            sign_in_seconds: histogram!("presence_sign_in_seconds"),
            signed_in: signed_in("ok"),
            turned_away: TURNED_AWAY
                .iter()
                .map(|errno| (*errno, signed_in(errno.name())))
                .collect(),
            devices: gauge!("presence_devices_connected"),
            app_sockets: gauge!("presence_app_sockets"),
            users: gauge!("presence_users_present"),
            writer: gauge!("presence_writer_queue_depth"),
            mailboxes: gauge!("presence_mailbox_depth"),
            streams: gauge!("presence_stream_depth"),
        }
    }
}

/// What is looked up only when somebody reads the metrics.
pub(crate) struct Levels {
    pub(crate) devices: usize,
    pub(crate) app_sockets: usize,
    pub(crate) users: usize,
    pub(crate) writer: usize,
    pub(crate) mailboxes: usize,
    pub(crate) streams: usize,
}

/// What a sign-in can be refused with.
const TURNED_AWAY: &[Errno] = &[
    Errno::InvalidAssertion,
    Errno::EmailMismatch,
    Errno::SessionExpired,
    Errno::NotAuthenticated,
    Errno::IdentityUnavailable,
    Errno::SlowDown,
    Errno::StorageUnavailable,
    Errno::Internal,
];

fn signed_in(outcome: &'static str) -> Counter {
    counter!("presence_sign_ins_total", "outcome" => outcome)
}

impl ServiceMeters {
    /// Counts how a sign-in went, and gives it on.
    pub(crate) fn signed_in<T>(&self, outcome: Result<T, ApiError>) -> Result<T, ApiError> {
        let counter = match &outcome {
            Ok(_) => Some(&self.signed_in),
            Err(ko) => self
                .turned_away
                .iter()
                .find(|(errno, _)| *errno == ko.errno)
                .map(|(_, counter)| counter),
        };
        if let Some(counter) = counter {
            counter.increment(1);
        }
        outcome
    }

    pub(crate) fn set(&self, levels: &Levels) {
        let pairs = [
            (&self.devices, levels.devices),
            (&self.app_sockets, levels.app_sockets),
            (&self.users, levels.users),
            (&self.writer, levels.writer),
            (&self.mailboxes, levels.mailboxes),
            (&self.streams, levels.streams),
        ];
        for (gauge, level) in pairs {
            gauge.set(u32::try_from(level).map_or(f64::MAX, f64::from));
        }
    }
}
