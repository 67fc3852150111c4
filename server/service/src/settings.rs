//! The limits and the mode of the service.

use std::time::Duration;

use presence_core::stream::Retention;

/// The settings of the service.
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// Development mode: loopback domains, `http` on loopback, test keys.
    pub development: bool,
    /// The public URL for comparison with other servers of a database.
    pub common_public_url: String,
    /// The further settings that should be the same at all servers of a database, and may differ
    /// while servers are restarted: their names and values, without secrets.
    pub further_common: Vec<(&'static str, String)>,
    /// The lifetime of a session.
    pub session: Duration,
    /// The choice to end a device connection with the assertion that opened it.
    pub session_ends_with_assertion: bool,
    /// The time for which a device keeps its presence after its connection is lost.
    pub grace: Duration,
    /// The maximum number of bytes of the retained parts of all streams.
    pub stream_bytes: usize,
    /// The time for which an Application that begins to see a user gets none of the user's
    /// receipts.
    pub receipt_hold: Duration,
    /// The mean time between two writes of the settlements of notifications.
    pub settle_interval: Duration,
    /// The time for which a restarted server waits for devices before it shows users as offline.
    pub warm_up: Duration,
    /// The maximum number of connected devices of a user.
    pub sockets_per_user: usize,
    /// The maximum number of used assertions of a user that are remembered.
    pub proofs_per_user: usize,
    /// The maximum number of sockets of an Application.
    pub sockets_per_app: usize,
    /// The time for which a call may wait for the database.
    pub database_deadline: Duration,
    /// The maximum number of grants of a user.
    pub grants_per_user: u64,
    /// The maximum number of sessions of a user.
    pub sessions_per_user: usize,
    /// The maximum number of API keys that are cached, of sessions, and of grants.
    pub cached_credentials: u64,
    /// The maximum number of Applications of a developer.
    pub apps_per_developer: u64,
    /// The part of a stream that is retained, so that an AppService can resume it.
    pub retention: Retention,
    /// The time for which an update waits at most before an Application sees it; zero for none.
    pub update_delay: Duration,
    /// The rate of the status updates of a device.
    pub status_rate: Rate,
    /// The rate of the changes that a user makes to what Applications see.
    pub user_change_rate: Rate,
    /// The rate of the notifications of an Application to a user.
    pub notify_rate: Rate,
    /// The rate of the notifications of an Application to all users.
    pub app_notify_rate: Rate,
    /// The rate of the frames of a user's devices, and of those of an Application, that no other
    /// rate limits.
    pub frame_rate: Rate,
    /// The rate of the verifications of domains of a developer, and of a host.
    pub verification_rate: Rate,
    /// The rate of new sockets of an address.
    pub connect_rate: Rate,
    /// The maximum number of requests that the writer commits together.
    pub commit_group: usize,
    /// The rate of sign-ins of an address.
    pub sign_in_rate: Rate,
    /// The rate of refused credentials of an address.
    pub failure_rate: Rate,
    /// The maximum lengths of an Application's texts.
    pub texts: TextLimits,
    /// The permission for domains to show their key over `http`.
    pub domain_http: bool,
    /// The schemes of app links that the `action` of a notification may have, besides `https`.
    pub action_schemes: Vec<String>,
}

/// The rate of a token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The capacity of the bucket.
    pub burst: u32,
    /// The number of tokens that the bucket gets each second.
    pub per_second: u32,
}

/// The maximum lengths of an Application's texts, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextLimits {
    /// The length of the name.
    pub name: usize,
    /// The length of the description.
    pub description: usize,
    /// The length of the domain.
    pub domain: usize,
}
