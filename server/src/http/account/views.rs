//! The data about a user, as a response shows it.

use poem_openapi::Object;
use poem_openapi::types::Example;
use presence_core::roster::DeviceInfo;
use presence_core::{Notification, Scope};
use presence_service::Account;

use crate::http::apps::AppView;
use crate::http::grants::GrantView;
use crate::http::views::{Id, StatusName, example};

/// A device.
#[derive(Object)]
#[oai(rename = "Device", example, skip_serializing_if_is_none)]
pub(super) struct DeviceView {
    /// The name of the device.
    device: String,
    /// The last status that the device reported to all Applications.
    status: StatusName,
    /// The status text.
    message: Option<String>,
    /// Indicates whether the device is connected. If not, its presence is kept for a grace time.
    connected: bool,
    /// The time at which the device connected.
    since: u64,
}

impl Example for DeviceView {
    fn example() -> Self {
        Self {
            device: "phone".to_owned(),
            status: StatusName::Unavailable,
            message: Some("At lunch".to_owned()),
            connected: true,
            since: example::START_TIME,
        }
    }
}

impl From<DeviceInfo> for DeviceView {
    fn from(info: DeviceInfo) -> Self {
        Self {
            device: info.device.to_string(),
            status: info.view.status.into(),
            message: info.view.text.map(String::from),
            connected: info.connected,
            since: info.since.get(),
        }
    }
}

/// The stored data about a user.
#[derive(Object)]
#[oai(rename = "Account", example)]
pub(super) struct AccountView {
    /// The verified e-mail.
    email: String,
    /// The time at which the user first signed in; 0 for a session of the scope `device`.
    created_at: u64,
    /// The number of sessions; 0 for a session of the scope `device`.
    sessions: u64,
    /// The grants: which Applications may see the user.
    grants: Vec<GrantView>,
    /// The user's own Applications; none for a session of the scope `device`.
    apps: Vec<AppView>,
    /// The devices that are connected, or in their grace time.
    devices: Vec<DeviceView>,
    /// The notifications that wait for delivery.
    notifications: Vec<NotificationView>,
}

impl AccountView {
    /// Shows an account without its notifications. A session of the scope `device` sees no more
    /// than what it can read elsewhere.
    pub(super) fn new(account: Account, scope: Scope, devices: Vec<DeviceView>) -> Self {
        let Account { email, created_at, sessions, grants, apps, .. } = account;
        let (created_at, sessions, apps) = match scope {
            Scope::Account => (created_at.get(), sessions, apps),
            Scope::Device => (0, 0, Vec::new()),
        };
        Self {
            email: email.as_str().to_owned(),
            created_at,
            sessions,
            grants: grants.into_iter().map(GrantView::from).collect(),
            apps: apps.into_iter().map(AppView::from).collect(),
            devices,
            notifications: Vec::new(),
        }
    }
}

impl Example for AccountView {
    fn example() -> Self {
        Self {
            email: example::EMAIL.to_owned(),
            created_at: example::START_TIME,
            sessions: 1,
            grants: vec![GrantView::example()],
            apps: Vec::new(),
            devices: vec![DeviceView::example()],
            notifications: vec![NotificationView::example()],
        }
    }
}

/// A notification that waits for delivery.
#[derive(Object)]
#[oai(rename = "Notification", example)]
pub(super) struct NotificationView {
    /// The id of the notification.
    id: Id,
    /// The Application.
    appid: Id,
    /// The sender as the AppService names it, or the Application's name.
    source: String,
    /// The Application's name.
    application: String,
    /// The Application's verified domain.
    domain: String,
    /// The text.
    message: String,
    /// Empty, or the URL to open.
    action: String,
    /// The time at which the server accepted the notification.
    sent_at: u64,
    /// The time at which the notification expires.
    expires_at: u64,
}

impl Example for NotificationView {
    fn example() -> Self {
        Self {
            id: Id::new(example::NOTIFICATION),
            appid: Id::new(example::APPID),
            source: example::SOURCE.to_owned(),
            application: example::NAME.to_owned(),
            domain: example::DOMAIN.to_owned(),
            message: "Your move".to_owned(),
            action: example::ACTION.to_owned(),
            sent_at: example::START_TIME,
            expires_at: example::START_TIME + example::HOUR,
        }
    }
}

impl From<Notification> for NotificationView {
    fn from(notification: Notification) -> Self {
        Self {
            id: Id::new(notification.id),
            appid: Id::new(notification.app),
            source: notification.source.to_string(),
            application: notification.application.to_string(),
            domain: notification.domain.to_string(),
            message: notification.message.into(),
            action: notification.action.into(),
            sent_at: notification.sent_at.get(),
            expires_at: notification.expires_at.get(),
        }
    }
}
