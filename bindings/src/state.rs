//! The connection state of a channel, and its time limits.

use std::time::Duration;

use presence_client::Timing;

use crate::error::{EndReason, PresenceError};
use crate::presence::signed_millis;

/// The connection state of a channel.
#[derive(Debug, Clone, PartialEq, uniffi::Enum)]
pub enum ConnectionState {
    /// The channel is connecting to the server.
    Connecting {
        /// The number of this attempt since the last connection. The first is 1.
        attempt: u32,
    },
    /// The channel is connected, and the server has accepted the credential.
    Connected,
    /// The channel is not connected. It reconnects by itself.
    Waiting {
        /// The reason why it is not connected.
        reason: PresenceError,
        /// The time until the next attempt, in seconds.
        retry_in_seconds: f64,
    },
    /// The channel is not connected, and waits for a credential from the app.
    CredentialWanted {
        /// The reason why it needs one.
        reason: CredentialReason,
    },
    /// The server refused a fresh credential. The channel waits for another one.
    SignedOut {
        /// The error of the server.
        reason: PresenceError,
    },
    /// The channel has ended, and does not reconnect.
    Ended {
        /// The reason for the end.
        reason: EndReason,
    },
}

impl From<presence_client::ConnectionState> for ConnectionState {
    fn from(state: presence_client::ConnectionState) -> Self {
        use presence_client::ConnectionState as Sdk;
        match state {
            Sdk::Connecting { attempt } => Self::Connecting { attempt },
            Sdk::Connected => Self::Connected,
            Sdk::Waiting { reason, retry_in } => {
                Self::Waiting { reason: reason.into(), retry_in_seconds: retry_in.as_secs_f64() }
            }
            Sdk::CredentialWanted(reason) => Self::CredentialWanted { reason: reason.into() },
            Sdk::SignedOut(error) => Self::SignedOut { reason: error.into() },
            Sdk::Ended(reason) => Self::Ended { reason: reason.into() },
            other => Self::Waiting {
                reason: PresenceError::Unexpected { reason: format!("{other:?}") },
                retry_in_seconds: 0.0,
            },
        }
    }
}

impl ConnectionState {
    /// Waits until the state of the channel differs from `known`. Returns the current state at once
    /// if `known` is `None`, and `None` if `known` is the end.
    pub(crate) async fn next(known: Option<Self>, channel: &impl StateChannel) -> Option<Self> {
        let Some(known) = known else { return Some(channel.current_state().into()) };
        loop {
            let state = channel.current_state();
            let exported = Self::from(state.clone());
            if exported != known {
                return Some(exported);
            }
            channel.state_change(&state).await?;
        }
    }
}

/// A change of the connection state of a channel. The state has the reason for it: `Waiting` after
/// a lost connection, for example.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
pub struct StateChange {
    /// The time of the change: milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// The state that began then.
    pub state: ConnectionState,
}

impl From<presence_client::StateChange> for StateChange {
    fn from(change: presence_client::StateChange) -> Self {
        Self { at_ms: signed_millis(change.at), state: change.state.into() }
    }
}

/// A channel of the SDK, of either kind, with a connection state.
pub(crate) trait StateChannel {
    /// Returns the state.
    fn current_state(&self) -> presence_client::ConnectionState;

    /// Waits until the state differs from `known`. Returns `None` if `known` is the end.
    async fn state_change(
        &self,
        known: &presence_client::ConnectionState,
    ) -> Option<presence_client::ConnectionState>;
}

/// Implements [`StateChannel`] with the methods that both kinds of channel have.
macro_rules! state_channels {
    ($($channel:ty),+) => {$(
        impl StateChannel for $channel {
            fn current_state(&self) -> presence_client::ConnectionState {
                self.state()
            }

            async fn state_change(
                &self,
                known: &presence_client::ConnectionState,
            ) -> Option<presence_client::ConnectionState> {
                self.wait_for_state_change(known).await
            }
        }
    )+};
}

state_channels!(presence_client::DeviceChannel, presence_client::AppServiceChannel);

/// The reason why a channel needs a credential.
#[derive(Debug, Clone, Copy, PartialEq, uniffi::Enum)]
pub enum CredentialReason {
    /// The channel has had none yet.
    First,
    /// The session ends soon. A fresh credential renews it without a reconnect.
    Expiring {
        /// The time until the session ends, in seconds.
        within_seconds: f64,
    },
    /// The server accepted the credential before, and does not accept it any more.
    Expired,
}

impl TryFrom<CredentialReason> for presence_client::CredentialReason {
    type Error = PresenceError;

    fn try_from(reason: CredentialReason) -> Result<Self, PresenceError> {
        Ok(match reason {
            CredentialReason::First => Self::First,
            CredentialReason::Expiring { within_seconds } => {
                Self::Expiring { within: to_duration(within_seconds)? }
            }
            CredentialReason::Expired => Self::Expired,
        })
    }
}

impl From<presence_client::CredentialReason> for CredentialReason {
    fn from(reason: presence_client::CredentialReason) -> Self {
        use presence_client::CredentialReason as Sdk;
        match reason {
            Sdk::First => Self::First,
            Sdk::Expiring { within } => Self::Expiring { within_seconds: within.as_secs_f64() },
            Sdk::Expired => Self::Expired,
        }
    }
}

/// The visibility of a phone app to its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum AppVisibility {
    /// The app is visible. The connection is checked at once, or the next attempt starts at once.
    Foreground,
    /// The app is not visible. The connection is kept with as few pings as possible.
    Background,
}

impl From<AppVisibility> for presence_client::AppVisibility {
    fn from(visibility: AppVisibility) -> Self {
        match visibility {
            AppVisibility::Foreground => Self::Foreground,
            AppVisibility::Background => Self::Background,
        }
    }
}

/// The time limits of a channel, in seconds. A field that is left out has the default of the SDK,
/// which suits phones and back ends. Each must lie between a millisecond and a year.
#[derive(Debug, Clone, Copy, Default, PartialEq, uniffi::Record)]
pub struct ChannelTiming {
    /// The longest wait before the first reconnect, 1 by default. It doubles with each failure, and
    /// the actual wait is a random part of it.
    #[uniffi(default = None)]
    pub backoff_floor: Option<f64>,
    /// The longest wait before any reconnect, unless the server asks for a longer one. 60 by
    /// default.
    #[uniffi(default = None)]
    pub backoff_ceiling: Option<f64>,
    /// The time for which a connection must last before the wait starts again at `backoff_floor`.
    /// 30 by default.
    #[uniffi(default = None)]
    pub stable_after: Option<f64>,
    /// The time without a frame from the server after which the channel sends a ping. After twice
    /// this time the connection counts as lost. 30 by default.
    #[uniffi(default = None)]
    pub heartbeat: Option<f64>,
    /// The time limit for connecting, including the handshakes and the first reply. 10 by default.
    #[uniffi(default = None)]
    pub connect_timeout: Option<f64>,
    /// The time limit for a request, including reconnects. 30 by default.
    #[uniffi(default = None)]
    pub request_timeout: Option<f64>,
    /// The time limit for the reply to a ping that is sent because the network has changed or the
    /// app became visible. 5 by default.
    #[uniffi(default = None)]
    pub probe_timeout: Option<f64>,
}

/// Returns the time limits that the app has set, and the defaults of the SDK for the others.
pub(crate) fn to_timing(given: Option<ChannelTiming>) -> Result<Timing, PresenceError> {
    let default = Timing::default();
    let Some(given) = given else { return Ok(default) };
    Ok(Timing {
        backoff_floor: duration_or(given.backoff_floor, default.backoff_floor)?,
        backoff_ceiling: duration_or(given.backoff_ceiling, default.backoff_ceiling)?,
        stable_after: duration_or(given.stable_after, default.stable_after)?,
        heartbeat: duration_or(given.heartbeat, default.heartbeat)?,
        connect_timeout: duration_or(given.connect_timeout, default.connect_timeout)?,
        request_timeout: duration_or(given.request_timeout, default.request_timeout)?,
        probe_timeout: duration_or(given.probe_timeout, default.probe_timeout)?,
    })
}

fn duration_or(seconds: Option<f64>, default: Duration) -> Result<Duration, PresenceError> {
    seconds.map_or(Ok(default), to_duration)
}

/// Returns a time in seconds as a duration.
pub(crate) fn to_duration(seconds: f64) -> Result<Duration, PresenceError> {
    Duration::try_from_secs_f64(seconds).map_err(|error| {
        PresenceError::invalid_argument(format!("{seconds} seconds is not a valid time: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_left_out_has_the_default_of_the_sdk() {
        let given = ChannelTiming { heartbeat: Some(0.25), ..ChannelTiming::default() };
        let expected = Timing { heartbeat: Duration::from_millis(250), ..Timing::default() };
        assert_eq!(to_timing(Some(given)), Ok(expected));
        assert_eq!(to_timing(None), Ok(Timing::default()));
    }

    #[test]
    fn a_negative_or_infinite_time_is_refused() {
        for seconds in [-1.0, f64::NAN, f64::INFINITY] {
            let given = ChannelTiming { heartbeat: Some(seconds), ..ChannelTiming::default() };
            let refused = to_timing(Some(given));
            assert!(matches!(refused, Err(PresenceError::InvalidArgument { .. })), "{seconds}");
        }
    }
}
