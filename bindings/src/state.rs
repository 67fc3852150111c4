//! What a channel is doing, and how an app times it.

use std::time::Duration;

use presence_client::{CredentialReason as Wanted, Timing, Tls};

use crate::error::{ChannelEnd, PresenceError};

/// What a channel is doing at the moment.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum ConnectionState {
    /// On its way to the server.
    Connecting {
        /// The how-manieth time since it was last connected, from 1.
        attempt: u32,
    },
    /// The server has accepted the credential, and both sides can speak.
    Connected,
    /// Without a connection; comes back by itself.
    Waiting {
        /// Why it is not connected.
        reason: PresenceError,
        /// After how long it tries again.
        retry_in_seconds: f64,
    },
    /// Without a connection until a credential is given.
    CredentialWanted {
        /// Why.
        reason: CredentialReason,
    },
    /// A fresh credential was refused: nothing happens until another one is given.
    SignedOut {
        /// What the server said.
        reason: PresenceError,
    },
    /// Over, for good.
    Ended {
        /// How.
        end: ChannelEnd,
    },
}

impl From<presence_client::ConnectionState> for ConnectionState {
    fn from(state: presence_client::ConnectionState) -> Self {
        use presence_client::ConnectionState as Given;
        match state {
            Given::Connecting { attempt } => Self::Connecting { attempt },
            Given::Connected => Self::Connected,
            Given::Waiting { reason, retry_in } => {
                Self::Waiting { reason: reason.into(), retry_in_seconds: retry_in.as_secs_f64() }
            }
            Given::CredentialWanted(wanted) => Self::CredentialWanted { reason: wanted.into() },
            Given::SignedOut(ko) => Self::SignedOut { reason: ko.into() },
            Given::Ended(end) => Self::Ended { end: end.into() },
            other => Self::Waiting {
                reason: PresenceError::Unexpected { reason: format!("{other:?}") },
                retry_in_seconds: 0.0,
            },
        }
    }
}

/// Why a credential is wanted.
#[derive(Debug, Clone, Copy, PartialEq, uniffi::Enum)]
pub enum CredentialReason {
    /// None was given yet.
    First,
    /// The session ends soon; a fresh credential renews it without a reconnect.
    Expiring {
        /// After how long.
        within_seconds: f64,
    },
    /// The credential that was good is not good any more.
    Expired,
}

impl From<Wanted> for CredentialReason {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::First => Self::First,
            Wanted::Expiring { within } => Self::Expiring { within_seconds: within.as_secs_f64() },
            Wanted::Expired => Self::Expired,
        }
    }
}

/// Whether a phone app is in front of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum AppState {
    /// In front: the connection is checked at once, and a wait for the next attempt is cut short.
    Foreground,
    /// Not in front: the connection is kept with as few signs of life as it needs.
    Background,
}

impl From<AppState> for presence_client::AppVisibility {
    fn from(state: AppState) -> Self {
        match state {
            AppState::Foreground => Self::Foreground,
            AppState::Background => Self::Background,
        }
    }
}

/// The times of a channel, in seconds. What is left out is as the SDK has it, which is right for phones and back ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, uniffi::Record)]
pub struct ChannelTiming {
    /// The most that is waited before the first attempt to come back: 1. It doubles with each failure, and the wait is a random
    /// part of it.
    #[uniffi(default = None)]
    pub backoff_floor: Option<f64>,
    /// The most that is ever waited before an attempt, unless the server asks for more: 60.
    #[uniffi(default = None)]
    pub backoff_ceiling: Option<f64>,
    /// After how long a connection the failures before it are forgotten: 30.
    #[uniffi(default = None)]
    pub stable_after: Option<f64>,
    /// After how long a silence the server is asked for a sign of life: 30. A server silent for twice as long is gone.
    #[uniffi(default = None)]
    pub heartbeat: Option<f64>,
    /// How long a connection with its handshakes and its first answer may take: 10.
    #[uniffi(default = None)]
    pub connect_timeout: Option<f64>,
    /// How long a request may take, over reconnects: 30.
    #[uniffi(default = None)]
    pub request_timeout: Option<f64>,
    /// How long a sign of life may take once the network has changed or the app came to the foreground: 5.
    #[uniffi(default = None)]
    pub probe_timeout: Option<f64>,
}

/// The SDK's times, with those that the app gave.
pub(crate) fn timing(given: Option<ChannelTiming>) -> Result<Timing, PresenceError> {
    let usual = Timing::default();
    let Some(given) = given else { return Ok(usual) };
    Ok(Timing {
        backoff_floor: or(given.backoff_floor, usual.backoff_floor)?,
        backoff_ceiling: or(given.backoff_ceiling, usual.backoff_ceiling)?,
        stable_after: or(given.stable_after, usual.stable_after)?,
        heartbeat: or(given.heartbeat, usual.heartbeat)?,
        connect_timeout: or(given.connect_timeout, usual.connect_timeout)?,
        request_timeout: or(given.request_timeout, usual.request_timeout)?,
        probe_timeout: or(given.probe_timeout, usual.probe_timeout)?,
    })
}

fn or(seconds: Option<f64>, usual: Duration) -> Result<Duration, PresenceError> {
    let Some(seconds) = seconds else { return Ok(usual) };
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| PresenceError::argument(format!("{seconds} is not a time: {error}")))
}

/// Whom to trust: the usual authorities and these certificates, each in DER.
pub(crate) fn tls(root_certificates: Vec<Vec<u8>>) -> Tls {
    root_certificates.into_iter().fold(Tls::default(), Tls::with_root_certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_are_left_out_are_the_usual_ones() {
        let given = ChannelTiming { heartbeat: Some(0.25), ..ChannelTiming::default() };
        let expected = Timing { heartbeat: Duration::from_millis(250), ..Timing::default() };
        assert_eq!(timing(Some(given)), Ok(expected));
        assert_eq!(timing(None), Ok(Timing::default()));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for seconds in [-1.0, f64::NAN, f64::INFINITY] {
            let given = ChannelTiming { heartbeat: Some(seconds), ..ChannelTiming::default() };
            let refused = timing(Some(given));
            assert!(matches!(refused, Err(PresenceError::InvalidArgument { .. })), "{seconds}");
        }
    }
}
