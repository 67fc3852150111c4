//! The registry of close codes: the reasons for which a socket is closed, and whether to reconnect.

/// The advice to a client whose socket was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReconnectAdvice {
    /// Reconnect after a random wait.
    WithJitter,
    /// Reconnect with an exponential backoff.
    WithBackoff,
    /// Reconnect only with a new credential.
    WithNewCredential,
    /// Do not reconnect automatically.
    Never,
}

macro_rules! registry {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $reason:literal, $advice:ident;)+) => {
        /// One entry of the registry of close codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum CloseCode {
            $($(#[doc = $doc])+ $variant = $number,)+
        }

        impl CloseCode {
            /// All entries, in ascending order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the number on the wire.
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// Returns the entry with a number, if there is one.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// Returns the reason in the close frame.
            pub const fn reason(self) -> &'static str {
                match self {
                    $(Self::$variant => $reason,)+
                }
            }

            /// Returns the advice to the client.
            pub const fn reconnect_advice(self) -> ReconnectAdvice {
                match self {
                    $(Self::$variant => ReconnectAdvice::$advice,)+
                }
            }

            /// Returns the meaning, for the documentation.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+),)+
                }
            }
        }
    };
}

registry! {
    /// The connection ended normally.
    Normal = 1000, "normal", Never;
    /// The server shuts down, or the client goes away.
    GoingAway = 1001, "going_away", WithJitter;
    /// The peer broke the WebSocket protocol.
    ProtocolError = 1002, "protocol_error", Never;
    /// A binary frame was sent.
    Unsupported = 1003, "binary_not_supported", Never;
    /// A text frame was not UTF-8.
    InvalidUtf8 = 1007, "not_utf8", Never;
    /// A frame was larger than allowed.
    TooLarge = 1009, "too_large", Never;
    /// The server restarts.
    Restart = 1012, "restart", WithBackoff;
    /// The server or the user has too many sockets, or the presence cannot be loaded now.
    TryAgainLater = 1013, "try_again_later", WithBackoff;
    /// A newer connection of the same device has replaced this one.
    Replaced = 4001, "replaced", Never;
    /// No frame arrived in time after connecting.
    Silent = 4002, "silent", WithJitter;
    /// The client is not authorised, or is no longer authorised.
    NotAuthorised = 4003, "not_authorised", WithNewCredential;
    /// The Application was deactivated or removed, or its API key was deleted.
    ApplicationClosed = 4004, "application_closed", Never;
    /// The user ended this device, or deleted the account.
    EndedByUser = 4005, "ended_by_user", Never;
    /// The client ignored `slow_down`, or reads or sends a frame too slowly.
    TooSlowOrTooFast = 4008, "slow_down_ignored_or_reads_too_slowly", WithBackoff;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_fit_a_close_frame() {
        assert!(CloseCode::ALL.iter().all(|code| code.reason().len() <= 123));
    }

    #[test]
    fn numbers_and_entries_are_one_to_one() {
        for code in CloseCode::ALL {
            assert_eq!(CloseCode::from_number(code.number()), Some(*code));
        }
        assert_eq!(CloseCode::from_number(4006), None);
    }
}
