//! The reasons for which a socket is lost, and what follows from each.

use std::time::Duration;

use presence_protocol::close::ReconnectAdvice;
use presence_protocol::{ApiError, CloseCode, Errno, RetryAdvice};

use crate::end_reason::EndReason;
use crate::error::{Error, retry_after};
use crate::state::ConnectionState;

/// The reason for which a socket was lost, or could not be opened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Disconnect {
    /// The server closed the socket, with a code and a reason if it sent a close frame.
    Closed(Option<(u16, String)>),
    /// The server refused the upgrade or the credential.
    Refused(ApiError),
    /// The network failed.
    Failed(Error),
    /// The server or a proxy in front of it is not available for a time that it named.
    Postponed { reason: Error, at_least: Duration },
    /// This side dropped the socket in order to open another one.
    ReconnectRequested,
}

/// The step that follows a [`Disconnect`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NextStep {
    /// Reconnect after a backoff, and not before `at_least` has passed.
    Retry { reason: Error, at_least: Option<Duration> },
    /// Reconnect at once.
    Reconnect,
    /// Wait for a credential, in this state.
    AwaitCredential(ConnectionState),
    /// End the channel.
    End(EndReason),
}

impl Disconnect {
    /// Returns the step that follows if the credential is not the cause.
    pub(crate) fn next_step(self) -> NextStep {
        match self {
            Self::Closed(None) => retry(unreachable("the connection was closed"), None),
            Self::Closed(Some((code, reason))) => step_after_close(code, &reason),
            Self::Refused(error) if is_temporary(&error) => {
                let at_least = retry_after(&error);
                retry(Error::Refused(error), at_least)
            }
            Self::Refused(error) => NextStep::End(EndReason::Incompatible(error.to_string())),
            Self::Failed(error) => {
                let at_least = error.retry_after();
                retry(error, at_least)
            }
            Self::Postponed { reason, at_least } => retry(reason, Some(at_least)),
            Self::ReconnectRequested => NextStep::Reconnect,
        }
    }

    /// Returns true if the server does not accept the credential, or does not accept it any more.
    pub(crate) fn is_caused_by_credential(&self) -> bool {
        match self {
            Self::Closed(Some((code, _))) => *code == CloseCode::NotAuthorised.number(),
            Self::Refused(error) => matches!(
                error.errno,
                Errno::NotAuthenticated
                    | Errno::SessionExpired
                    | Errno::InvalidAssertion
                    | Errno::EmailMismatch
                    | Errno::UnknownApplication
                    | Errno::InvalidApiKey
                    | Errno::Forbidden
            ),
            Self::Closed(None)
            | Self::Failed(_)
            | Self::Postponed { .. }
            | Self::ReconnectRequested => false,
        }
    }
}

/// Returns true if a later attempt may succeed. An error of a newer server does not end the
/// channel, since its meaning is not known.
fn is_temporary(error: &ApiError) -> bool {
    matches!(error.errno, Errno::Unknown(_)) || error.retry_advice() == RetryAdvice::AfterWaiting
}

fn step_after_close(number: u16, reason: &str) -> NextStep {
    let reason = format!("the server closed the connection: {number} {reason}");
    let Some(code) = CloseCode::from_number(number) else {
        return retry(unreachable(&reason), None);
    };
    match (code.reconnect_advice(), code) {
        (ReconnectAdvice::WithJitter | ReconnectAdvice::WithBackoff, _) => {
            retry(unreachable(&reason), None)
        }
        (ReconnectAdvice::Never, CloseCode::Replaced) => NextStep::End(EndReason::Replaced),
        (ReconnectAdvice::Never, CloseCode::EndedByUser) => NextStep::End(EndReason::EndedByUser),
        (ReconnectAdvice::Never, CloseCode::ApplicationClosed) => {
            NextStep::End(EndReason::ApplicationClosed)
        }
        (ReconnectAdvice::Never | ReconnectAdvice::WithNewCredential, _) => {
            NextStep::End(EndReason::Incompatible(reason))
        }
    }
}

fn retry(reason: Error, at_least: Option<Duration>) -> NextStep {
    NextStep::Retry { reason, at_least }
}

fn unreachable(reason: &str) -> Error {
    Error::Unreachable(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next_step_after(code: CloseCode) -> NextStep {
        Disconnect::Closed(Some((code.number(), String::new()))).next_step()
    }

    #[test]
    fn the_reconnect_advice_of_every_close_code_is_followed() {
        for code in CloseCode::ALL {
            let reconnects = matches!(next_step_after(*code), NextStep::Retry { .. });
            let advice = code.reconnect_advice();
            let expected =
                matches!(advice, ReconnectAdvice::WithJitter | ReconnectAdvice::WithBackoff);
            assert_eq!(reconnects, expected, "{code:?}");
        }
        assert_eq!(next_step_after(CloseCode::Replaced), NextStep::End(EndReason::Replaced));
        assert_eq!(next_step_after(CloseCode::EndedByUser), NextStep::End(EndReason::EndedByUser));
        assert_eq!(
            next_step_after(CloseCode::ApplicationClosed),
            NextStep::End(EndReason::ApplicationClosed)
        );
    }

    #[test]
    fn an_unknown_refusal_is_retried_and_not_before_the_requested_wait() {
        let unknown = ApiError::from(Errno::Unknown(77));
        for (error, expected) in
            [(unknown.clone(), None), (unknown.with_retry_after(7.0), Some(Duration::from_secs(7)))]
        {
            let NextStep::Retry { at_least, .. } = Disconnect::Refused(error).next_step() else {
                panic!("the channel should reconnect")
            };
            assert_eq!(at_least, expected);
        }
    }

    #[test]
    fn only_refusals_that_are_temporary_are_retried_and_not_before_the_requested_wait() {
        for errno in Errno::ALL {
            let refused = Disconnect::Refused(ApiError::from(*errno).with_retry_after(7.0));
            let is_temporary = errno.retry_advice() == RetryAdvice::AfterWaiting;
            match refused.next_step() {
                NextStep::Retry { at_least, .. } => {
                    assert!(is_temporary && at_least == Some(Duration::from_secs(7)), "{errno}");
                }
                NextStep::End(_) => assert!(!is_temporary, "{errno}"),
                NextStep::Reconnect | NextStep::AwaitCredential(_) => panic!("{errno}"),
            }
        }
    }
}
