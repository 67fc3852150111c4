//! The tags by which the OpenAPI document groups the operations.

use poem_openapi::Tags;

/// The subject of an operation.
#[derive(Tags)]
pub(super) enum ApiTag {
    /// Signing in and out.
    Session,
    /// The grants of a user: which Applications may see the user.
    Grants,
    /// The devices of a user, and the stored data about the user.
    Account,
    /// The Applications of a developer.
    Applications,
    /// The calls of an AppService, the back end of an Application, made with its API key.
    AppService,
    /// Health and version.
    Operation,
    /// Calls that exist in development mode only.
    Development,
    /// Pages and documents.
    Documents,
}
