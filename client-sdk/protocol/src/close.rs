//! The registry of close codes: why a socket was closed, and whether to come back.

/// Whether a client may come back after a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReconnectAdvice {
    /// Yes, after a random wait.
    WithJitter,
    /// Yes, backing off.
    WithBackoff,
    /// Not until it has other credentials.
    WithNewCredential,
    /// Not by itself.
    Never,
}

macro_rules! registry {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $name:literal, $back:ident;)+) => {
        /// One entry of the registry of close codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum CloseCode {
            $($(#[doc = $doc])+ $variant = $number,)+
        }

        impl CloseCode {
            /// All entries, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The number on the wire.
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// The entry of a number, if the registry has it.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The reason in the close frame.
            pub const fn reason(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Whether the client may come back.
            pub const fn reconnect_advice(self) -> ReconnectAdvice {
                match self {
                    $(Self::$variant => ReconnectAdvice::$back,)+
                }
            }

            /// What it means, for the documents.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+),)+
                }
            }
        }
    };
}

registry! {
    /// Normal end.
    Normal = 1000, "normal", Never;
    /// The server drains, or the client leaves.
    GoingAway = 1001, "going_away", WithJitter;
    /// A binary frame was sent.
    Unsupported = 1003, "binary_not_supported", Never;
    /// A text frame was not UTF-8.
    InvalidUtf8 = 1007, "not_utf8", Never;
    /// A frame was larger than allowed.
    TooLarge = 1009, "too_large", Never;
    /// The server restarts.
    Restart = 1012, "restart", WithBackoff;
    /// The server or the user's set of sockets is full, or it cannot be told now who is there.
    TryAgainLater = 1013, "try_again_later", WithBackoff;
    /// A newer connection of the same device has taken over.
    Replaced = 4001, "replaced", Never;
    /// Nothing was said in time after connecting.
    Silent = 4002, "silent", WithJitter;
    /// Not authorised, or not any more.
    NotAuthorised = 4003, "not_authorised", WithNewCredential;
    /// The Application was deactivated or removed, or its key revoked.
    ApplicationClosed = 4004, "application_closed", Never;
    /// The user ended this device, or erased the account.
    EndedByUser = 4005, "ended_by_user", Never;
    /// Ignored `slow_down`, or reads too slowly.
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
