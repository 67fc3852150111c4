//! What a page says once about what was just done: carried by a cookie over the redirect that follows a form. The cookie holds
//! the name of a notice and never a text, so nobody can put words into our mouth.

/// The cookie that carries a notice.
pub(crate) const NOTICE_COOKIE: &str = "presence-notice";

/// How a notice is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It was done.
    Good,
    /// It was not.
    Bad,
}

impl Tone {
    /// The class of the notice.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
        }
    }
}

macro_rules! notices {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $tone:ident, $text:literal;)+) => {
        /// Something that was done, or was not.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Notice {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Notice {
            /// The notice of a name.
            pub(crate) fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The name in the cookie.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// How it is meant.
            pub(crate) fn tone(self) -> Tone {
                match self {
                    $(Self::$variant => Tone::$tone,)+
                }
            }

            /// What the page says.
            pub(crate) fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

notices! {
    /// Signed in.
    SignedIn = "signed-in", Good, "You are signed in.";
    /// Signed out.
    SignedOut = "signed-out", Good, "You are signed out.";
    /// A grant was paused.
    Paused = "paused", Good, "Paused. The application sees you offline until you resume it.";
    /// A grant was resumed.
    Resumed = "resumed", Good, "Resumed. The application sees you again.";
    /// A grant was revoked.
    Revoked = "revoked", Good, "Revoked. The application has lost sight of you, for good.";
    /// The grant was not there any more.
    NoSuchGrant = "no-such-grant", Bad, "That application could not see you any more already.";
    /// A device was ended.
    DeviceEnded = "device-ended", Good, "The device was signed off.";
    /// The device was not there any more.
    NoSuchDevice = "no-such-device", Bad, "That device was gone already.";
    /// The account was erased.
    Erased = "erased", Good, "Your account is erased. Nothing about you is left here.";
    /// An account was to be erased, and the e-mail was not that of it.
    NotErased = "not-erased", Bad, "Nothing was erased: what you typed is not your e-mail address.";
    /// An Application was registered.
    Registered = "registered", Good, "Registered. Now show that the domain is yours.";
    /// The domain of an Application was verified.
    DomainVerified = "domain-verified", Good, "Verified: the domain is yours. Now start the application.";
    /// An Application was started.
    Started = "started", Good, "Started. The application is told of its users again.";
    /// An Application was stopped.
    Stopped = "stopped", Good, "Stopped. Its sockets were closed; its keys and its users' grants stay.";
    /// An Application was changed.
    ApplicationChanged = "application-changed", Good, "Changed.";
    /// An Application got another domain.
    DomainChanged = "domain-changed", Good, "Changed. The application is stopped until the new domain is verified.";
    /// An Application was removed.
    ApplicationRemoved = "application-removed", Good, "Removed, with everything that was held of the application.";
    /// A key was revoked.
    KeyDeleted = "key-deleted", Good, "The key was revoked, and the sockets that used it were closed.";
    /// The key was not there any more.
    NoSuchKey = "no-such-key", Bad, "That key was revoked already.";
    /// The operator signed in.
    OperatorSignedIn = "operator-signed-in", Good, "You are signed in as the operator.";
    /// The operator blocked an Application.
    Blocked = "blocked", Good, "Blocked. Its sockets were closed, and its developer cannot start it.";
    /// The operator ended a block.
    Unblocked = "unblocked", Good, "Not blocked any more. The application is again what its developer made it.";
}
