//! The REST API as poem-openapi serves and describes it: all operations, by subject.

use poem_openapi::{LicenseObject, OpenApiService};

use super::account::AccountApi;
use super::app_service::AppServiceApi;
use super::apps::AppsApi;
use super::development::DevelopmentApi;
use super::documents::DocumentsApi;
use super::grants::GrantsApi;
use super::keys::KeysApi;
use super::operation::OperationApi;
use super::session::SessionApi;
use super::sessions::SessionsApi;

/// All operations.
pub(super) type Api = (
    SessionApi,
    SessionsApi,
    GrantsApi,
    AccountApi,
    AppsApi,
    KeysApi,
    AppServiceApi,
    OperationApi,
    DevelopmentApi,
    DocumentsApi,
);

/// Returns the service of all operations.
pub(super) fn service() -> OpenApiService<Api, ()> {
    let api = (
        SessionApi,
        SessionsApi,
        GrantsApi,
        AccountApi,
        AppsApi,
        KeysApi,
        AppServiceApi,
        OperationApi,
        DevelopmentApi,
        DocumentsApi,
    );
    OpenApiService::new(api, "Presence", env!("CARGO_PKG_VERSION"))
        .description(include_str!("introduction.md"))
        .license(LicenseObject::new(env!("CARGO_PKG_LICENSE")).url("https://spdx.org/licenses/"))
        .server("/")
}
