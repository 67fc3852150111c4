//! What both channels have in common: one task that connects, converses and comes back.
//!
//! What is said on the socket is a [`Talk`], sans-IO: it hears frames and losses, and says frames. [`driver`] owns the socket and
//! the clock, [`shared`] is what the task and the handles of the application share.

mod backoff;
mod conversation;
mod driver;
mod shared;
mod socket;

use std::time::Duration;

use presence_protocol::close::ReconnectAdvice;
use presence_protocol::{ApiError, CloseCode};
use tokio::time::Instant;

pub(crate) use backoff::Backoff;
pub(crate) use driver::{Link, run};
pub(crate) use shared::{Handle, Shared};

use crate::error::{Error, retry_after};
use crate::state::{ConnectionState, EndReason};

/// The runtime that a channel's task runs in.
pub(crate) fn runtime() -> Result<tokio::runtime::Handle, Error> {
    tokio::runtime::Handle::try_current().map_err(|_| {
        Error::InvalidArgument("a channel can only be opened in a tokio runtime".to_owned())
    })
}

/// What is said on a socket, without the socket.
pub(crate) trait Talk: Send + 'static {
    /// The WebSocket subprotocol.
    const SUBPROTOCOL: Option<&'static str>;

    /// The path of the socket.
    fn path(&self) -> String;

    /// Whether there is a credential to connect with.
    fn is_ready(&self) -> bool;

    /// A socket is open; whatever an earlier one heard without an answer is unsaid.
    fn on_open(&mut self);

    /// Whether the server has accepted the credential on this socket.
    fn is_accepted(&self) -> bool;

    /// The next frame to be sent.
    fn next_frame(&mut self, now: Instant) -> Option<String>;

    /// When there may be a frame to be sent that is held back now.
    fn wakes_at(&self) -> Option<Instant>;

    /// Whether this socket has to be given up and another one opened.
    fn wants_another_socket(&mut self) -> bool {
        false
    }

    /// A frame from the server.
    ///
    /// # Errors
    ///
    /// The socket is given up.
    fn on_frame(&mut self, text: &str, now: Instant) -> Result<(), Loss>;

    /// The socket is gone: what now?
    fn on_loss(&mut self, loss: Loss) -> Verdict;

    /// What the channel is doing.
    fn state(&self) -> &ConnectionState;

    /// The channel does something else now.
    fn set_state(&mut self, state: ConnectionState);
}

/// What the application pulls.
#[derive(Debug, PartialEq)]
pub(crate) enum Pulled<E> {
    /// An event.
    Event(E),
    /// There will be no more.
    End,
}

impl<E> Pulled<E> {
    pub(crate) fn event(self) -> Option<E> {
        match self {
            Self::Event(event) => Some(event),
            Self::End => None,
        }
    }
}

/// Why there is no socket any more, or there never was one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Loss {
    /// The server closed it, with a code and a reason where it was polite.
    Closed(Option<(u16, String)>),
    /// The server refused the upgrade or the credential.
    Refused(ApiError),
    /// The network broke, or was never there.
    Broken(Error),
    /// The server said what no server says.
    Nonsense(String),
    /// This side gave it up to begin anew.
    GivenUp,
}

/// What follows a loss.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// Come back after a backoff, and not before some time has passed.
    Retry { reason: Error, at_least: Option<Duration> },
    /// Come back at once.
    AtOnce,
    /// Wait for a credential, in this state.
    Await(ConnectionState),
    /// It is over.
    End(EndReason),
}

impl Loss {
    /// What follows where the credential is not to blame.
    pub(crate) fn verdict(self) -> Verdict {
        let retry = |reason, at_least| Verdict::Retry { reason, at_least };
        match self {
            Self::Closed(None) => retry(unreachable("the connection was closed"), None),
            Self::Closed(Some((code, reason))) => after_close(code, &reason),
            Self::Refused(ko)
                if ko.errno.retry_advice() == presence_protocol::RetryAdvice::AfterWaiting =>
            {
                let at_least = retry_after(&ko);
                retry(Error::Refused(ko), at_least)
            }
            Self::Refused(ko) => Verdict::End(EndReason::Incompatible(ko.to_string())),
            Self::Broken(error) => retry(error, None),
            Self::Nonsense(text) => Verdict::End(EndReason::Incompatible(text)),
            Self::GivenUp => Verdict::AtOnce,
        }
    }

    /// Whether the server says that the credential is not good, or not any more.
    pub(crate) fn blames_the_credential(&self) -> bool {
        match self {
            Self::Closed(Some((code, _))) => *code == CloseCode::NotAuthorised.number(),
            Self::Refused(ko) => {
                use presence_protocol::Errno;
                matches!(
                    ko.errno,
                    Errno::NotAuthenticated
                        | Errno::SessionExpired
                        | Errno::InvalidAssertion
                        | Errno::EmailMismatch
                        | Errno::UnknownApplication
                        | Errno::InvalidApiKey
                        | Errno::Forbidden
                )
            }
            Self::Closed(None) | Self::Broken(_) | Self::Nonsense(_) | Self::GivenUp => false,
        }
    }
}

fn after_close(number: u16, reason: &str) -> Verdict {
    let reason = format!("the server closed the connection: {number} {reason}");
    let Some(code) = CloseCode::from_number(number) else {
        return Verdict::Retry { reason: unreachable(&reason), at_least: None };
    };
    match (code.reconnect_advice(), code) {
        (ReconnectAdvice::WithJitter | ReconnectAdvice::WithBackoff, _) => {
            Verdict::Retry { reason: unreachable(&reason), at_least: None }
        }
        (ReconnectAdvice::Never, CloseCode::Replaced) => Verdict::End(EndReason::Replaced),
        (ReconnectAdvice::Never, CloseCode::EndedByUser) => Verdict::End(EndReason::EndedByUser),
        (ReconnectAdvice::Never, CloseCode::ApplicationClosed) => {
            Verdict::End(EndReason::ApplicationClosed)
        }
        (ReconnectAdvice::Never | ReconnectAdvice::WithNewCredential, _) => {
            Verdict::End(EndReason::Incompatible(reason))
        }
    }
}

fn unreachable(reason: &str) -> Error {
    Error::Unreachable(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use presence_protocol::Errno;

    use super::*;

    fn after(code: CloseCode) -> Verdict {
        Loss::Closed(Some((code.number(), String::new()))).verdict()
    }

    #[test]
    fn every_close_code_s_rule_is_obeyed() {
        for code in CloseCode::ALL {
            let comes_back = matches!(after(*code), Verdict::Retry { .. });
            let may = matches!(
                code.reconnect_advice(),
                ReconnectAdvice::WithJitter | ReconnectAdvice::WithBackoff
            );
            assert_eq!(comes_back, may, "{code:?}");
        }
        assert_eq!(after(CloseCode::Replaced), Verdict::End(EndReason::Replaced));
        assert_eq!(after(CloseCode::EndedByUser), Verdict::End(EndReason::EndedByUser));
        assert_eq!(after(CloseCode::ApplicationClosed), Verdict::End(EndReason::ApplicationClosed));
    }

    #[test]
    fn only_refusals_that_waiting_cures_are_tried_again_and_not_before_the_server_said() {
        for errno in Errno::ALL {
            let verdict = Loss::Refused(ApiError::from(*errno).after(7.0)).verdict();
            let waits = errno.retry_advice() == presence_protocol::RetryAdvice::AfterWaiting;
            match verdict {
                Verdict::Retry { at_least, .. } => {
                    assert!(waits && at_least == Some(Duration::from_secs(7)), "{errno}");
                }
                Verdict::End(_) => assert!(!waits, "{errno}"),
                Verdict::AtOnce | Verdict::Await(_) => panic!("{errno}"),
            }
        }
    }
}
