//! The metrics of the service. Labels hold words of the protocol only: no id and no e-mail.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use presence_identity::IdentityError;
use presence_protocol::app::ReceiptState;
use presence_protocol::{ApiError, Errno};
use presence_store::CredentialFigures;

/// The metrics of the hub.
pub(crate) struct HubMeters {
    /// The changes that were published to Applications.
    pub(crate) updates: Counter,
    /// The notifications that were put into mailboxes of devices.
    pub(crate) deliveries: Counter,
    /// The lost devices that came back in their grace time.
    pub(crate) returns: Counter,
    time_to_offline: Histogram,
    commit_requests: Histogram,
    commit_seconds: Histogram,
    receipts: [Counter; 5],
}

/// The final states of notifications, in the order of [`receipt_index`].
const RECEIPT_STATES: [&str; 5] = ["delivered", "acked", "expired", "dropped", "revoked"];

impl Default for HubMeters {
    fn default() -> Self {
        Self {
            updates: counter!("presence_updates_total"),
            deliveries: counter!("presence_deliveries_total"),
            returns: counter!("presence_returns_total"),
            time_to_offline: histogram!("presence_time_to_offline_seconds"),
            commit_requests: histogram!("presence_commit_requests"),
            commit_seconds: histogram!("presence_commit_seconds"),
            receipts: RECEIPT_STATES
                .map(|state| counter!("presence_receipts_total", "state" => state)),
        }
    }
}

impl HubMeters {
    /// Counts notifications with the same final state.
    pub(crate) fn count_receipts(&self, state: ReceiptState, count: u64) {
        if let Some(counter) = self.receipts.get(receipt_index(state)) {
            counter.increment(count);
        }
    }

    /// Records the time from the loss of a user's last connection to the offline update.
    pub(crate) fn record_time_to_offline(&self, elapsed: Duration) {
        self.time_to_offline.record(elapsed.as_secs_f64());
    }

    /// Records a commit of the writer, with the number of its requests.
    pub(crate) fn record_commit(&self, requests: usize, elapsed: Duration) {
        self.commit_requests.record(as_f64(requests));
        self.commit_seconds.record(elapsed.as_secs_f64());
    }
}

const fn receipt_index(state: ReceiptState) -> usize {
    match state {
        ReceiptState::Delivered => 0,
        ReceiptState::Acked => 1,
        ReceiptState::Expired => 2,
        ReceiptState::Dropped => 3,
        ReceiptState::Revoked => 4,
    }
}

/// The metrics of the topics. All topics share the same handles.
#[derive(Clone)]
pub(crate) struct TopicMeters {
    /// The updates that were written to sockets.
    pub(crate) written: Counter,
    /// The seconds from a change to its delivery to a socket.
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

/// The metrics of the copies of streams that follow the database.
pub(crate) struct ReplicaMeters {
    lag: Histogram,
}

impl Default for ReplicaMeters {
    fn default() -> Self {
        Self { lag: histogram!("presence_replica_lag_seconds") }
    }
}

impl ReplicaMeters {
    /// Records the age of the newest entry that a copy has applied.
    pub(crate) fn record_lag(&self, age: Duration) {
        self.lag.record(age.as_secs_f64());
    }
}

/// The metrics of notifications that AppServices send.
#[derive(Clone)]
pub(crate) struct NotifyMeters {
    commit_seconds: Histogram,
    accepted: Counter,
}

impl Default for NotifyMeters {
    fn default() -> Self {
        Self {
            commit_seconds: histogram!("presence_notify_commit_seconds"),
            accepted: counter!("presence_notifications_accepted_total"),
        }
    }
}

impl NotifyMeters {
    /// Records that notifications were committed.
    pub(crate) fn record_commit(&self, elapsed: Duration, accepted: usize) {
        self.commit_seconds.record(elapsed.as_secs_f64());
        self.accepted.increment(accepted as u64);
    }
}

/// The metrics of sign-ins.
pub(crate) struct SignInMeters {
    verification_seconds: Histogram,
    verifications: [Counter; 4],
    accepted: Counter,
    refused: Vec<(Errno, Counter)>,
}

/// The outcomes of verifications, in the order of [`verification_index`].
const VERIFICATIONS: [&str; 4] = ["proven", "invalid", "unavailable", "busy"];

const fn verification_index<T>(outcome: &Result<T, IdentityError>) -> usize {
    match outcome {
        Ok(_) => 0,
        Err(IdentityError::Invalid(_)) => 1,
        Err(IdentityError::Unavailable) => 2,
        Err(IdentityError::Busy) => 3,
    }
}

/// The errors of sign-ins that are counted.
const SIGN_IN_ERRORS: &[Errno] = &[
    Errno::InvalidAssertion,
    Errno::EmailMismatch,
    Errno::SessionExpired,
    Errno::NotAuthenticated,
    Errno::IdentityUnavailable,
    Errno::SlowDown,
    Errno::StorageUnavailable,
    Errno::Internal,
];

impl Default for SignInMeters {
    fn default() -> Self {
        let counter =
            |outcome: &'static str| counter!("presence_sign_ins_total", "outcome" => outcome);
        Self {
            verification_seconds: histogram!("presence_sign_in_seconds"),
            verifications: VERIFICATIONS
                .map(|outcome| counter!("presence_verifications_total", "outcome" => outcome)),
            accepted: counter("ok"),
            refused: SIGN_IN_ERRORS.iter().map(|errno| (*errno, counter(errno.name()))).collect(),
        }
    }
}

impl SignInMeters {
    /// Counts the outcome of a sign-in, and returns it.
    pub(crate) fn count<T>(&self, outcome: Result<T, ApiError>) -> Result<T, ApiError> {
        let counter = match &outcome {
            Ok(_) => Some(&self.accepted),
            Err(error) => {
                let mut refused = self.refused.iter();
                refused.find(|(errno, _)| *errno == error.errno).map(|(_, counter)| counter)
            }
        };
        if let Some(counter) = counter {
            counter.increment(1);
        }
        outcome
    }

    /// Counts the verification of an assertion, and records the time of one that succeeded.
    pub(crate) fn record_verification<T>(
        &self,
        outcome: &Result<T, IdentityError>,
        elapsed: Duration,
    ) {
        if let Some(counter) = self.verifications.get(verification_index(outcome)) {
            counter.increment(1);
        }
        if outcome.is_ok() {
            self.verification_seconds.record(elapsed.as_secs_f64());
        }
    }
}

/// The gauges of the service.
pub(crate) struct ServiceMeters {
    devices: Gauge,
    app_sockets: Gauge,
    users: Gauge,
    writer: Gauge,
    mailboxes: Gauge,
    streams: Gauge,
    credentials: Gauge,
    credential_reads: [Counter; 2],
    /// The name by which other servers know this one. It changes if they declared this one dead.
    server_name: Mutex<Option<String>>,
}

/// The values of the gauges, which are only computed when the metrics are read.
pub(crate) struct GaugeValues {
    /// The number of open device connections.
    pub(crate) devices: usize,
    /// The number of open sockets of AppServices.
    pub(crate) app_sockets: usize,
    /// The number of users with a device.
    pub(crate) users: usize,
    /// The number of requests that wait for the writer.
    pub(crate) writer: usize,
    /// The number of notifications in the mailboxes of devices.
    pub(crate) mailboxes: usize,
    /// The number of entries that the streams retain.
    pub(crate) streams: usize,
    /// The numbers of the cache of credentials.
    pub(crate) credentials: CredentialFigures,
}

impl Default for ServiceMeters {
    fn default() -> Self {
        Self {
            devices: gauge!("presence_devices_connected"),
            app_sockets: gauge!("presence_app_sockets"),
            users: gauge!("presence_users_present"),
            writer: gauge!("presence_writer_queue_depth"),
            mailboxes: gauge!("presence_mailbox_depth"),
            streams: gauge!("presence_stream_depth"),
            credentials: gauge!("presence_cached_credentials"),
            credential_reads: ["cache", "database"]
                .map(|place| counter!("presence_credential_reads_total", "place" => place)),
            server_name: Mutex::default(),
        }
    }
}

impl ServiceMeters {
    /// Sets the name by which other servers know this one, empty if it is alone.
    pub(crate) fn set_server_name(&self, name: String) {
        let info = |name: &String| gauge!("presence_server_info", "server" => name.clone());
        let mut known = self.server_name.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref() != Some(&name) {
            known.iter().for_each(|earlier| info(earlier).set(0.0));
            info(&name).set(1.0);
            *known = Some(name);
        }
    }

    /// Sets all gauges.
    pub(crate) fn set(&self, values: &GaugeValues) {
        let pairs = [
            (&self.devices, values.devices),
            (&self.app_sockets, values.app_sockets),
            (&self.users, values.users),
            (&self.writer, values.writer),
            (&self.mailboxes, values.mailboxes),
            (&self.streams, values.streams),
        ];
        for (gauge, value) in pairs {
            gauge.set(as_f64(value));
        }
        let CredentialFigures { entries, from_cache, from_database } = values.credentials;
        self.credentials.set(u32::try_from(entries).map_or(f64::MAX, f64::from));
        for (counter, count) in self.credential_reads.iter().zip([from_cache, from_database]) {
            counter.absolute(count);
        }
    }
}

fn as_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
