//! The close codes for what a peer may not send.

use std::io::ErrorKind;

use presence_protocol::CloseCode;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};

/// Returns the code for an error of a peer that broke the protocol, `None` for any other error.
pub(super) fn close_code(error: &Error) -> Option<CloseCode> {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Some(CloseCode::TooLarge),
        // The peer has sent too much before it was authenticated.
        Error::Io(error) if error.kind() == ErrorKind::FileTooLarge => Some(CloseCode::TooLarge),
        Error::Utf8(_) => Some(CloseCode::InvalidUtf8),
        Error::Protocol(error) if *error != ProtocolError::ResetWithoutClosingHandshake => {
            Some(CloseCode::ProtocolError)
        }
        Error::Protocol(_)
        | Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Io(_)
        | Error::Tls(_)
        | Error::Capacity(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => None,
    }
}
