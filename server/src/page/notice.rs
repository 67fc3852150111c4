//! Notices: the result of an action, shown once on the next page. A cookie carries the notice over
//! the redirect that follows a form. It holds a name and never a text, so that no other
//! site can choose the text that the page shows.

/// The result that a notice reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The action was done.
    Success,
    /// The action was not done.
    Error,
}

impl Severity {
    /// Returns the CSS class of the notice.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
        }
    }
}

macro_rules! notices {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $severity:ident, $text:literal;)+) => {
        /// The result of an action.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Notice {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Notice {
            /// Returns the notice with a name.
            pub(crate) fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// Returns the name for the cookie.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Returns the severity.
            pub(crate) fn severity(self) -> Severity {
                match self {
                    $(Self::$variant => Severity::$severity,)+
                }
            }

            /// Returns the text that the page shows.
            pub(crate) fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

notices! {
    /// The user signed in.
    SignedIn = "signed-in", Success, "You are signed in.";
    /// The user signed out.
    SignedOut = "signed-out", Success, "You are signed out.";
    /// The user paused a grant.
    Paused = "paused", Success, "Paused. The Application sees you as offline until you resume it.";
    /// The user resumed a grant.
    Resumed = "resumed", Success, "Resumed. The Application sees your status again.";
    /// The user revoked a grant.
    Revoked = "revoked", Success, "Revoked. The Application can no longer see you.";
    /// The grant did not exist any more.
    NoSuchGrant = "no-such-grant", Error, "You had already revoked the permission of that Application.";
    /// The user disconnected a device.
    DeviceEnded = "device-ended", Success, "The device was disconnected and signed out.";
    /// The user disconnected a device that the session of the page had let in.
    OwnDeviceEnded = "own-device-ended", Success, "The device was disconnected. This browser stays signed in.";
    /// The user ended another session.
    SessionEnded = "session-ended", Success, "That session has ended, and its devices were disconnected.";
    /// The session did not exist any more.
    NoSuchSession = "no-such-session", Error, "That session had already ended.";
    /// The user ended all other sessions.
    OtherSessionsEnded = "other-sessions-ended", Success, "All other sessions have ended, and their devices were disconnected.";
    /// The device did not exist any more.
    NoSuchDevice = "no-such-device", Error, "That device was already disconnected.";
    /// The user erased the account.
    Erased = "erased", Success, "Your account was erased. We have deleted everything about you.";
    /// The user typed another e-mail address than that of the account.
    NotErased = "not-erased", Error, "Nothing was erased: the text you typed is not your e-mail address.";
    /// The developer registered an Application.
    Registered = "registered", Success, "Registered. Next, verify your domain.";
    /// The developer verified a domain.
    DomainVerified = "domain-verified", Success, "Your domain is verified. Now you can activate the Application.";
    /// The developer activated an Application.
    Activated = "activated", Success, "Activated. The Application receives the status of its users again.";
    /// The developer deactivated an Application.
    Deactivated = "deactivated", Success, "Deactivated. Its connections were closed. Its keys and permissions are kept.";
    /// The developer changed an Application.
    ApplicationChanged = "application-changed", Success, "Your changes were saved.";
    /// The developer changed the domain of an Application.
    DomainChanged = "domain-changed", Success, "Your changes were saved. The Application is inactive until you verify the new domain.";
    /// The developer removed an Application.
    ApplicationRemoved = "application-removed", Success, "The Application and all its data were removed.";
    /// The developer deleted a key.
    KeyDeleted = "key-deleted", Success, "The key was deleted, and all connections that used it were closed.";
    /// The key did not exist any more.
    NoSuchKey = "no-such-key", Error, "That key was already deleted.";
    /// The operator signed in.
    OperatorSignedIn = "operator-signed-in", Success, "You are signed in as the operator.";
    /// The operator blocked an Application.
    Blocked = "blocked", Success, "Blocked. The Application's connections were closed, and its developer cannot activate it.";
    /// The operator unblocked an Application.
    Unblocked = "unblocked", Success, "Unblocked. The Application is back in the state that its developer chose.";
}
