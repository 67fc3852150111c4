//! The things that the rules speak of: users, Applications, grants, notifications.

use std::fmt;
use std::sync::Arc;

use presence_protocol::app::ReceiptState;
use presence_protocol::{AppId, NotificationId, Puid, UnixMillis};

/// A user, as the tables know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub i64);

/// A verified e-mail, its domain lower-cased. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(Box<str>);

impl Email {
    /// Takes an address with one `@` between two parts, at most 254 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        if local.is_empty() || domain.is_empty() || text.len() > 254 || local.contains('@') {
            return None;
        }
        Some(Self(format!("{local}@{}", domain.to_ascii_lowercase()).into()))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

/// How far an Application has come.
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

    /// The word on the wire and in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Verified => "verified",
            Self::Active => "active",
            Self::Inactive => "inactive",
        }
    }

    /// The state of a word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// An Application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its id.
    pub id: AppId,
    /// The AppDeveloper.
    pub owner: UserId,
    /// Its name, which devices see as the `source` of notifications.
    pub name: String,
    /// Its domain, in development mode also with a port.
    pub domain: String,
    /// What it is.
    pub description: String,
    /// How far it has come.
    pub state: ApplicationState,
    /// What its domain must show at `/__presence`.
    pub domain_key: String,
    /// When it was registered.
    pub created_at: UnixMillis,
    /// When it last looked at anybody's presence.
    pub last_looked_at: Option<UnixMillis>,
    /// Since when the operator has blocked it. A blocked one is never active, whatever its developer does.
    pub blocked_at: Option<UnixMillis>,
}

/// An API key, of which only the digest is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its name among the keys of all Applications.
    pub id: i64,
    /// Whose it is.
    pub app: AppId,
    /// Its first characters, by which it is found and shown.
    pub prefix: String,
    /// SHA-256 of the whole key.
    pub digest: [u8; 32],
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it last opened a socket or made a call, to the minute.
    pub last_used_at: Option<UnixMillis>,
}

/// What a session may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The device channel, and reading.
    Device,
    /// Also grants, devices, Applications and erasing.
    Account,
}

impl Scope {
    /// The word on the wire and in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Account => "account",
        }
    }

    /// The scope of a word.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Device, Self::Account].into_iter().find(|scope| scope.name() == name)
    }
}

/// How new the secret is by which a user proves to an issuer who it is: the number grows when the password changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialGeneration {
    /// Who counts.
    pub issuer: Box<str>,
    /// The number. Numbers of different issuers say nothing of each other.
    pub number: u64,
}

impl CredentialGeneration {
    /// Whether the same issuer has given a smaller number.
    pub fn is_older_than(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.number < other.number
    }
}

/// A user's session, of whose token only the digest is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the token.
    pub digest: [u8; 32],
    /// Whose it is.
    pub user: UserId,
    /// What it may do.
    pub scope: Scope,
    /// When it began.
    pub created_at: UnixMillis,
    /// When it ends by itself.
    pub expires_at: UnixMillis,
    /// The generation of the proof that opened it, where its issuer counts them.
    pub generation: Option<CredentialGeneration>,
}

/// A user's permission for one Application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Who may see.
    pub app: AppId,
    /// Under which name it sees the user.
    pub puid: Puid,
    /// Whether the user has paused it.
    pub paused: bool,
    /// When it was given.
    pub granted_at: UnixMillis,
}

/// All grants of a user at one moment. Of two sets the one with the greater revision holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrantSet {
    /// Grows with every change of this user's grants.
    pub revision: i64,
    /// The live grants.
    pub grants: Vec<Grant>,
}

/// A live notification, accepted and not yet settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its place in the order of acceptance, over all users.
    pub seq: i64,
    /// Its name.
    pub id: NotificationId,
    /// Who sent it.
    pub app: AppId,
    /// The name of that Application.
    pub source: Arc<str>,
    /// To whom, as the Application knows the user.
    pub puid: Puid,
    /// To whom.
    pub user: UserId,
    /// The text.
    pub message: Box<str>,
    /// Empty, or the URL to open.
    pub action: Box<str>,
    /// When it was accepted.
    pub sent_at: UnixMillis,
    /// When it expires.
    pub expires_at: UnixMillis,
}

/// How a device took a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It was written to a device that does not acknowledge.
    Delivered,
    /// A device acknowledged it.
    Acked,
}

impl From<Settlement> for ReceiptState {
    fn from(taken: Settlement) -> Self {
        match taken {
            Settlement::Delivered => Self::Delivered,
            Settlement::Acked => Self::Acked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_of_an_e_mail_has_no_case() {
        assert_eq!(Email::parse("Alice@Example.COM").unwrap().as_str(), "Alice@example.com");
        assert_eq!(Email::parse("alice"), None);
        assert_eq!(Email::parse("a@b@c"), None);
    }

    #[test]
    fn an_e_mail_does_not_reach_debug_output() {
        assert!(!format!("{:?}", Email::parse("alice@b.example").unwrap()).contains("alice"));
    }
}
