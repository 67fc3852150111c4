//! The registry of errors: number, name, HTTP status, and whether to try again.
//!
//! The documentation, the REST API and the error enums of the bindings are generated from it.

use std::fmt;

/// The advice to a client whose call was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAdvice {
    /// Try again once the call is corrected.
    AfterCorrection,
    /// Try the same call again after a wait.
    AfterWaiting,
    /// Do not try again.
    Never,
}

macro_rules! registry {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $name:literal, $http:literal, $advice:ident, $text:literal;)+) => {
        /// One entry of the registry of errors.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Errno {
            $($(#[doc = $doc])+ $variant = $number,)+
            /// An error of a newer server, with its number. It is in no registry of this version.
            Unknown(u16),
        }

        impl Errno {
            /// All entries that this version knows, in ascending order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the number on the wire.
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$variant => $number,)+
                    Self::Unknown(number) => number,
                }
            }

            /// Returns the entry with a number, if there is one.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// Returns the name in the documentation and the SDKs.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Unknown(_) => "unknown",
                }
            }

            /// Returns the HTTP status of a REST response.
            pub const fn http_status(self) -> u16 {
                match self {
                    $(Self::$variant => $http,)+
                    Self::Unknown(_) => 500,
                }
            }

            /// Returns the advice to the client. For an unknown error the reply itself has it: see
            /// [`ApiError::retry_advice`](crate::ApiError::retry_advice).
            pub const fn retry_advice(self) -> RetryAdvice {
                match self {
                    $(Self::$variant => RetryAdvice::$advice,)+
                    Self::Unknown(_) => RetryAdvice::Never,
                }
            }

            /// Returns the default text.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Unknown(_) => "Unknown error",
                }
            }

            /// Returns the meaning, for the documentation.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+),)+
                    Self::Unknown(_) => "An error that this version does not know.",
                }
            }
        }
    };
}

registry! {
    /// The frame or body is not a JSON object.
    NotJson = 10, "not_json", 400, AfterCorrection, "Not a JSON object";
    /// A required field is missing.
    MissingField = 11, "missing_field", 400, AfterCorrection, "A required field is missing";
    /// A field has the wrong type or a value out of bounds.
    InvalidField = 12, "invalid_field", 400, AfterCorrection, "A field is not valid";
    /// The `type` or `action` of the frame is not known.
    UnknownType = 13, "unknown_type", 400, AfterCorrection, "Unknown type";
    /// The body, the frame or the list in it is larger than allowed.
    TooLarge = 14, "too_large", 413, AfterCorrection, "Too large";
    /// The call does not accept the media type of the body.
    UnsupportedMediaType = 15, "unsupported_media_type", 415, AfterCorrection, "Unsupported media type";
    /// Too many calls; wait `retry_after` seconds.
    SlowDown = 20, "slow_down", 429, AfterWaiting, "Slow down";
    /// Too many connections of this user or from this address.
    TooManyConnections = 21, "too_many_connections", 429, AfterWaiting, "Too many connections";
    /// No credential was given, or it does not have the form of a session token.
    NotAuthenticated = 30, "not_authenticated", 401, AfterCorrection, "Not authenticated";
    /// The issuer of the assertion cannot be reached.
    IdentityUnavailable = 31, "identity_unavailable", 503, AfterWaiting, "The identity issuer cannot be reached";
    /// The session has ended; a fresh assertion renews it.
    SessionExpired = 32, "session_expired", 401, AfterCorrection, "The session has ended";
    /// The assertion is not valid, or was used for another session or device.
    InvalidAssertion = 34, "invalid_assertion", 401, AfterCorrection, "Invalid assertion";
    /// The assertion is for another e-mail address than the given one.
    EmailMismatch = 35, "email_mismatch", 401, AfterCorrection, "The assertion is for another e-mail";
    /// There is no such Application, or it belongs to another user.
    UnknownApplication = 40, "unknown_application", 404, Never, "Unknown application";
    /// The API key is not valid for this Application.
    InvalidApiKey = 41, "invalid_api_key", 401, Never, "Invalid API key";
    /// The Application is not active.
    ApplicationNotActive = 42, "application_not_active", 403, AfterWaiting, "The application is not active";
    /// The Application's domain has not been verified.
    DomainNotVerified = 43, "domain_not_verified", 409, AfterCorrection, "The domain is not verified";
    /// There is no such PUID for this Application.
    UnknownUid = 44, "unknown_uid", 404, Never, "Unknown uid";
    /// The credential is of the wrong kind, or its scope is too small.
    Forbidden = 45, "forbidden", 403, Never, "Forbidden";
    /// The redirect is not on the Application's verified domain.
    RedirectNotAllowed = 46, "redirect_not_allowed", 400, AfterCorrection, "The redirect is not on the application's domain";
    /// There is no such path or resource.
    NotFound = 47, "not_found", 404, Never, "Not found";
    /// The path does not support this method.
    MethodNotAllowed = 48, "method_not_allowed", 405, Never, "Method not allowed";
    /// The server failed.
    Internal = 50, "internal", 500, AfterWaiting, "Internal error";
    /// The server cannot store data now.
    StorageUnavailable = 51, "storage_unavailable", 503, AfterWaiting, "Storage is unavailable";
    /// The server is shutting down.
    ShuttingDown = 52, "shutting_down", 503, AfterWaiting, "The server is shutting down";
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_entries_are_one_to_one() {
        for errno in Errno::ALL {
            assert_eq!(Errno::from_number(errno.number()), Some(*errno));
        }
        assert_eq!(Errno::from_number(33), None);
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::HashSet<_> = Errno::ALL.iter().map(|e| e.name()).collect();
        assert_eq!(names.len(), Errno::ALL.len());
    }
}
