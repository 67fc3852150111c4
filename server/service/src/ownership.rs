//! Finds the Applications of a developer.

use presence_core::UserId;
use presence_core::model::App;
use presence_protocol::{ApiError, AppId, Errno};
use presence_store::Store;

use crate::errors::from_store;

/// Finds an Application of a developer.
///
/// # Errors
///
/// `unknown_application`, also if the Application belongs to another developer;
/// `storage_unavailable`.
pub(crate) async fn find_owned(store: &Store, owner: UserId, app: AppId) -> Result<App, ApiError> {
    let app = store.app(app).await.map_err(from_store)?;
    app.filter(|app| app.owner == owner).ok_or(Errno::UnknownApplication.into())
}
