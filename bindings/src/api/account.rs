//! The records of an account: grants, devices and pending notifications.

use super::application::{ApplicationInfo, ApplicationState};
use crate::presence::{PresenceStatus, signed_millis};

/// A grant that was created.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct CreatedGrant {
    /// The PUID: the id of the user for this Application.
    pub uid: String,
    /// The id of the Application.
    pub appid: String,
    /// The URL to send the user to, if a redirect was requested.
    pub redirect: Option<String>,
}

impl From<presence_client::CreatedGrant> for CreatedGrant {
    fn from(grant: presence_client::CreatedGrant) -> Self {
        Self {
            uid: grant.uid.to_string(),
            appid: grant.appid.to_string(),
            redirect: grant.redirect,
        }
    }
}

/// A grant: the permission of an Application to see the user.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct GrantInfo {
    /// The id of the Application.
    pub appid: String,
    /// The PUID: the id of the user for this Application.
    pub uid: String,
    /// The name of the Application.
    pub name: String,
    /// The domain of the Application.
    pub domain: String,
    /// Is true if the user has paused the grant. The Application then sees the user as offline.
    pub paused: bool,
    /// Is true if the Application has another domain than the one that the user agreed to. It then
    /// sees the user as offline, until the user agrees again.
    pub waiting: bool,
    /// The domain that the user agreed to.
    pub granted_domain: String,
    /// The name of the Application before its last change, for 30 days after it.
    pub previous_name: Option<String>,
    /// The time when it was created: milliseconds since 1970 UTC.
    pub granted_at_ms: i64,
    /// The time of the last access of the Application to the presence of any of its users:
    /// milliseconds since 1970 UTC.
    pub last_accessed_at_ms: Option<i64>,
    /// The state of the Application.
    pub state: ApplicationState,
}

impl From<presence_client::Grant> for GrantInfo {
    fn from(grant: presence_client::Grant) -> Self {
        Self {
            appid: grant.appid.to_string(),
            uid: grant.uid.to_string(),
            name: grant.name,
            waiting: grant.waiting,
            granted_domain: grant.granted_domain,
            previous_name: grant.previous_name,
            domain: grant.domain,
            paused: grant.paused,
            granted_at_ms: signed_millis(grant.granted_at),
            last_accessed_at_ms: grant.last_accessed_at.map(signed_millis),
            state: grant.state.into(),
        }
    }
}

/// A device that is connected, or is in its grace time after a lost connection.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct DeviceInfo {
    /// The name of the device.
    pub name: String,
    /// The status that it reported last for all Applications.
    pub status: PresenceStatus,
    /// The status text.
    pub message: Option<String>,
    /// Is true if it is connected. Otherwise its presence is kept for a grace time.
    pub connected: bool,
    /// The time when it connected: milliseconds since 1970 UTC.
    pub since_ms: i64,
}

impl From<presence_client::Device> for DeviceInfo {
    fn from(device: presence_client::Device) -> Self {
        Self {
            name: device.name.to_string(),
            status: device.status.into(),
            message: device.message,
            connected: device.connected,
            since_ms: signed_millis(device.since),
        }
    }
}

/// A notification that waits for a device.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PendingNotification {
    /// The id of the notification.
    pub id: String,
    /// The id of the Application.
    pub appid: String,
    /// The sender as the AppService names it, or the name of the Application.
    pub source: String,
    /// The name of the Application.
    pub application: String,
    /// The verified domain of the Application.
    pub domain: String,
    /// The text.
    pub message: String,
    /// The URL to open, or empty.
    pub action: String,
    /// The time when the server accepted it: milliseconds since 1970 UTC.
    pub sent_at_ms: i64,
    /// The time when it expires: milliseconds since 1970 UTC.
    pub expires_at_ms: i64,
}

impl From<presence_client::PendingNotification> for PendingNotification {
    fn from(notification: presence_client::PendingNotification) -> Self {
        Self {
            id: notification.id.to_string(),
            appid: notification.appid.to_string(),
            source: notification.source,
            application: notification.application,
            domain: notification.domain,
            message: notification.message,
            action: notification.action,
            sent_at_ms: signed_millis(notification.sent_at),
            expires_at_ms: signed_millis(notification.expires_at),
        }
    }
}

/// All data that the server has stored about a user.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct AccountInfo {
    /// The verified e-mail address.
    pub email: String,
    /// The time of the first sign-in: milliseconds since 1970 UTC.
    pub created_at_ms: i64,
    /// The number of sessions.
    pub sessions: u64,
    /// The grants, the oldest first.
    pub grants: Vec<GrantInfo>,
    /// The Applications that the user has registered.
    pub applications: Vec<ApplicationInfo>,
    /// The devices that are connected, or are in their grace time.
    pub devices: Vec<DeviceInfo>,
    /// The notifications that wait for a device.
    pub notifications: Vec<PendingNotification>,
}

impl From<presence_client::Account> for AccountInfo {
    fn from(account: presence_client::Account) -> Self {
        Self {
            email: account.email,
            created_at_ms: signed_millis(account.created_at),
            sessions: account.sessions,
            grants: account.grants.into_iter().map(Into::into).collect(),
            applications: account.applications.into_iter().map(Into::into).collect(),
            devices: account.devices.into_iter().map(Into::into).collect(),
            notifications: account.notifications.into_iter().map(Into::into).collect(),
        }
    }
}
