//! The devices of a user, and the stored data about the user.

mod stream;
mod views;

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use presence_protocol::ApiError;

use self::stream::{StoredNotifications, StreamedAccount};
use self::views::{AccountView, DeviceView};
use super::credential::{AccountAuth, AuthenticatedRequest, SessionAuth};
use super::operation_error::{DeclaredErrors, OperationError, StorageErrors, declared_errors};
use super::session::done_without_cookie;
use super::tag::ApiTag;
use super::views::{DeviceParam, Done, WithHeaders};

pub(super) struct AccountApi;

declared_errors! {
    /// The errors of ending a device.
    EndDeviceErrors: [NotFound, StorageUnavailable];
    /// The errors of reading the account.
    AccountErrors: [SlowDown, SessionExpired, StorageUnavailable];
}

/// The devices of a user.
#[derive(Object)]
#[oai(example)]
struct DeviceList {
    /// The devices that are connected, or whose presence is kept for a grace time.
    devices: Vec<DeviceView>,
}

impl Example for DeviceList {
    fn example() -> Self {
        Self { devices: vec![DeviceView::example()] }
    }
}

/// The end of a device.
#[derive(Object)]
#[oai(example)]
struct DeviceEnded {
    /// `OK`.
    result: String,
    /// Indicates whether the session of the call had let the device in. It did not end.
    session_kept: bool,
}

impl Example for DeviceEnded {
    fn example() -> Self {
        Self { result: "OK".to_owned(), session_kept: false }
    }
}

#[OpenApi(tag = "ApiTag::Account")]
impl AccountApi {
    /// List my devices.
    ///
    /// A device whose connection was lost is listed until its grace time is over.
    #[oai(path = "/devices", method = "get", operation_id = "list_devices")]
    async fn devices(
        &self,
        auth: SessionAuth,
    ) -> Result<Json<DeviceList>, OperationError<StorageErrors>> {
        Ok(Json(DeviceList { devices: devices_of(&auth).await? }))
    }

    /// End a device.
    ///
    /// The server closes its socket with 4005, and its presence ends at once. The sessions and
    /// assertions that let it in end too, and the name of the device opens again after a new
    /// sign-in only. If the session of this call is one of them, it stays, and may open the device
    /// again.
    #[oai(path = "/devices/:device", method = "delete", operation_id = "end_device")]
    async fn end_device(
        &self,
        auth: AccountAuth,
        device: Path<DeviceParam>,
    ) -> Result<Json<DeviceEnded>, OperationError<EndDeviceErrors>> {
        let ended = auth.service().devices().end(&auth.caller, &device.name()?).await?;
        Ok(Json(DeviceEnded { session_kept: ended.keeps_session, ..DeviceEnded::example() }))
    }

    /// Show all stored data about me.
    ///
    /// The statuses that a device reports while it is connected are not stored. A session of the
    /// scope `device` gets only what it can read elsewhere too. A user can have two such requests
    /// at once.
    #[oai(path = "/account", method = "get", operation_id = "get_account")]
    async fn show(
        &self,
        auth: SessionAuth,
    ) -> Result<StreamedAccount, OperationError<AccountErrors>> {
        let user = auth.caller.user;
        let export = auth.service().accounts().begin_export(user)?;
        let account = auth.service().accounts().load(user).await?;
        let seqs = account.notifications.clone();
        let (service, scope) = (Arc::clone(&auth.context.service), auth.caller.scope);
        let notifications = StoredNotifications::new(service, (user, scope), seqs, export);
        let view = AccountView::new(account, scope, devices_of(&auth).await?);
        Ok(StreamedAccount::new(view, notifications))
    }

    /// Erase my account.
    ///
    /// This removes the grants, waiting notifications, sessions and Applications of the user, and
    /// closes all sockets of the user.
    #[oai(path = "/account", method = "delete", operation_id = "delete_account")]
    async fn erase(
        &self,
        auth: AccountAuth,
    ) -> Result<WithHeaders<Done>, OperationError<StorageErrors>> {
        auth.service().accounts().erase(auth.caller.user).await?;
        Ok(done_without_cookie(auth.clear_cookie()))
    }
}

async fn devices_of(auth: &AuthenticatedRequest) -> Result<Vec<DeviceView>, ApiError> {
    let devices = auth.service().devices().list(auth.caller.user).await?;
    Ok(devices.into_iter().map(DeviceView::from).collect())
}
