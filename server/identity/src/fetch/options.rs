//! The choices of a guarded client.

use std::time::Duration;

/// The exceptions that a guarded client makes from `https` on public addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GuardOptions {
    /// Also allows plain `http`.
    pub allow_http: bool,
    /// Also allows `localhost`, `127.0.0.1` and `[::1]`, by `http` too and on every port. For
    /// development only.
    pub allow_loopback: bool,
    /// Also allows every address and every port. Only for addresses that the operator chose.
    pub allow_internal: bool,
}

/// The limits of time and size of one request, and of the number of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchLimits {
    /// The maximum time for resolving and connecting.
    pub connect: Duration,
    /// The maximum time for the whole request, up to the last byte of the body.
    pub total: Duration,
    /// The maximum length of the body, in bytes.
    pub body: usize,
    /// The maximum number of requests of one client that are in progress.
    pub concurrent: usize,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            total: Duration::from_secs(5),
            body: 64 * 1024,
            concurrent: 128,
        }
    }
}
