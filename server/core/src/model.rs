//! The domain types: users, Applications, sessions, grants, notifications.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::ended_devices::EndedDevices;
use presence_protocol::app::ReceiptState;
use presence_protocol::{AppId, NotificationId, Puid, UnixMillis};

/// The number of a user in the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub i64);

/// A verified e-mail with a lower-case domain. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(Box<str>);

impl Email {
    /// Parses an address: one `@` between two parts, at most 254 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        if local.is_empty() || domain.is_empty() || text.len() > 254 || local.contains('@') {
            return None;
        }
        Some(Self(format!("{local}@{}", domain.to_ascii_lowercase()).into()))
    }

    /// Returns the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

/// The state of an Application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplicationState {
    /// Its domain has yet to be verified.
    Registered,
    /// Its domain is verified, and it was never activated since.
    Verified,
    /// It gets presence.
    Active,
    /// Its domain is verified, and it was deactivated.
    Inactive,
}

impl ApplicationState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Registered, Self::Verified, Self::Active, Self::Inactive];

    /// Returns the name on the wire and in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Verified => "verified",
            Self::Active => "active",
            Self::Inactive => "inactive",
        }
    }

    /// Returns the state with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// An Application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its id.
    pub id: AppId,
    /// The AppDeveloper who owns it.
    pub owner: UserId,
    /// The name, which devices see with its notifications.
    pub name: String,
    /// The name before the last change.
    pub previous_name: Option<PreviousName>,
    /// The domain, in development mode also with a port.
    pub domain: String,
    /// The description.
    pub description: String,
    /// The state.
    pub state: ApplicationState,
    /// The text that its domain must serve at `/__presence`.
    pub domain_key: String,
    /// The time of its registration.
    pub created_at: UnixMillis,
    /// The time at which it last accessed presence.
    pub last_looked_at: Option<UnixMillis>,
    /// The time since which the operator blocks it. While it is blocked, it is not active.
    pub blocked_at: Option<UnixMillis>,
}

impl App {
    /// Returns the name that users see.
    pub fn displayed_name(&self, now: UnixMillis) -> String {
        displayed_name(&self.name, self.previous_name.as_ref(), now)
    }
}

/// The name that an Application had before a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousName {
    /// The name.
    pub name: String,
    /// The time of the last change.
    pub changed_at: UnixMillis,
}

impl PreviousName {
    /// The time for which users see it beside the new name.
    pub const DISPLAY_TIME: Duration = Duration::from_hours(30 * 24);

    /// Returns true if users still see it beside the new name.
    pub fn is_displayed(&self, now: UnixMillis) -> bool {
        now < self.changed_at + Self::DISPLAY_TIME
    }
}

/// Returns the name that users see: for 30 days after a change, with the old one.
pub fn displayed_name(name: &str, previous: Option<&PreviousName>, now: UnixMillis) -> String {
    match previous.filter(|previous| previous.is_displayed(now)) {
        Some(previous) => format!("{name} (before: {})", previous.name),
        None => name.to_owned(),
    }
}

/// An API key. Only its digest is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The number of the key among the keys of all Applications.
    pub id: i64,
    /// The Application that it belongs to.
    pub app: AppId,
    /// The first characters, by which it is found and displayed.
    pub prefix: String,
    /// The SHA-256 of the whole key.
    pub digest: [u8; 32],
    /// The time of its creation.
    pub created_at: UnixMillis,
    /// The time at which it was last used for a socket or a call, to the minute.
    pub last_used_at: Option<UnixMillis>,
}

/// The rights of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Use of the device channel, and reading.
    Device,
    /// Also changes of grants, devices, Applications and the account.
    Account,
}

impl Scope {
    /// Returns the name on the wire and in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Account => "account",
        }
    }

    /// Returns the scope with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Device, Self::Account].into_iter().find(|scope| scope.name() == name)
    }
}

/// The generation of the secret that a user has at an issuer: its number grows when the password
/// changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialGeneration {
    /// The issuer.
    pub issuer: Box<str>,
    /// The number. Numbers of different issuers cannot be compared.
    pub number: u64,
}

impl CredentialGeneration {
    /// Returns true if the other generation is a newer one of the same issuer.
    pub fn is_older_than(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.number < other.number
    }
}

/// A user's session. Only the digest of its token is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The SHA-256 of the token.
    pub digest: [u8; 32],
    /// The user.
    pub user: UserId,
    /// The rights.
    pub scope: Scope,
    /// The time of its start.
    pub created_at: UnixMillis,
    /// The time at which it expires.
    pub expires_at: UnixMillis,
    /// The generation of the proof that opened it, if its issuer counts them.
    pub generation: Option<CredentialGeneration>,
    /// The devices that the user has ended since its start.
    pub ended_devices: EndedDevices,
}

/// The permission of a user for one Application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The Application.
    pub app: AppId,
    /// The pseudonym under which the Application sees the user.
    pub puid: Puid,
    /// Set while the user has paused it.
    pub paused: bool,
    /// Set while the Application has another domain than the one for which it was given.
    pub waiting: bool,
    /// The time at which it was given.
    pub granted_at: UnixMillis,
}

impl Grant {
    /// The time after which a grant ends that waits for the user's consent to another domain.
    pub const MAX_WAIT: Duration = Duration::from_hours(90 * 24);

    /// Returns true if the Application sees the user as offline, and its notifications wait.
    pub fn is_suspended(&self) -> bool {
        self.paused || self.waiting
    }
}

/// All grants of a user at one moment. Of two sets the one with the greater revision is valid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrantSet {
    /// The revision, which grows with every change of this user's grants.
    pub revision: i64,
    /// The live grants.
    pub grants: Vec<Grant>,
}

/// A notification that was accepted and is not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The position in the order of acceptance, over all users.
    pub seq: i64,
    /// The id.
    pub id: NotificationId,
    /// The Application that sent it.
    pub app: AppId,
    /// The sender: the text that the AppService gave, or the name of the Application.
    pub source: Arc<str>,
    /// The name of the Application, as users see it.
    pub application: Arc<str>,
    /// The verified domain of the Application.
    pub domain: Arc<str>,
    /// The receiver, as the Application knows the user.
    pub puid: Puid,
    /// The receiver.
    pub user: UserId,
    /// The text.
    pub message: Box<str>,
    /// The URL to open, or empty.
    pub action: Box<str>,
    /// The time at which it was accepted.
    pub sent_at: UnixMillis,
    /// The time at which it expires.
    pub expires_at: UnixMillis,
}

/// The way in which a device took a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It was written to a device that does not acknowledge.
    Delivered,
    /// A device acknowledged it.
    Acked,
}

impl From<Settlement> for ReceiptState {
    fn from(settlement: Settlement) -> Self {
        match settlement {
            Settlement::Delivered => Self::Delivered,
            Settlement::Acked => Self::Acked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_of_an_email_is_case_insensitive() {
        assert_eq!(Email::parse("Alice@Example.COM").unwrap().as_str(), "Alice@example.com");
        assert_eq!(Email::parse("alice"), None);
        assert_eq!(Email::parse("a@b@c"), None);
    }

    #[test]
    fn a_changed_name_is_displayed_with_the_old_one_for_30_days() {
        let at = UnixMillis::new(1_000);
        let previous = PreviousName { name: "Chat".to_owned(), changed_at: at };
        let shown = |now| displayed_name("Talk", Some(&previous), now);
        assert_eq!(
            shown(at + PreviousName::DISPLAY_TIME - Duration::from_millis(1)),
            "Talk (before: Chat)"
        );
        assert_eq!(shown(at + PreviousName::DISPLAY_TIME), "Talk");
        assert_eq!(displayed_name("Talk", None, at), "Talk");
    }

    #[test]
    fn an_email_is_not_in_debug_output() {
        assert!(!format!("{:?}", Email::parse("alice@b.example").unwrap()).contains("alice"));
    }
}
