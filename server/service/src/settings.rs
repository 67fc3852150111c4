//! What the service is told of its limits and its mode.

use std::time::Duration;

use presence_core::stream::Retention;

/// The settings of the service.
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// Development mode: loopback domains, `http` on loopback, test keys.
    pub development: bool,
    /// How long a session lasts.
    pub session: Duration,
    /// Whether a socket's session ends with the assertion that opened it.
    pub session_ends_with_assertion: bool,
    /// How long a lost device keeps its presence.
    pub grace: Duration,
    /// How long a restarted server waits for devices to come back before it says who is offline.
    pub warm_up: Duration,
    /// The most connected devices of a user.
    pub sockets_per_user: usize,
    /// The most sockets of an Application.
    pub sockets_per_app: usize,
    /// The most Applications of a developer.
    pub apps_per_developer: u64,
    /// How much of the past an Application can resume.
    pub kept: Retention,
    /// Status updates of a device at once, then a second.
    pub status_rate: Rate,
    /// Notifications of an Application to a PUID at once, then a second.
    pub notify_rate: Rate,
    /// New sockets of an address a second.
    pub connect_rate: Rate,
    /// The most requests to the database that are committed together.
    pub commit_group: usize,
    /// Sign-ins over REST of an address a second.
    pub sign_in_rate: Rate,
    /// Refused credentials of an address at once, then a second.
    pub failure_rate: Rate,
    /// The most characters of an Application's texts.
    pub texts: TextLimits,
    /// Whether a domain may show its key over plain `http`.
    pub domain_http: bool,
    /// Schemes of app links that a notification's `action` may have, beside `https`.
    pub action_schemes: Vec<String>,
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many at once.
    pub burst: u32,
    /// How many a second after that.
    pub per_second: u32,
}

/// The most characters of an Application's texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextLimits {
    /// Of its name.
    pub name: usize,
    /// Of its description.
    pub description: usize,
    /// Of its domain.
    pub domain: usize,
}
