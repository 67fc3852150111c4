//! The sessions of a user.

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use presence_service::sessions::OpenSession;

use super::credential::AccountAuth;
use super::operation_error::{DeclaredErrors, OperationError, StorageErrors, declared_errors};
use super::tag::ApiTag;
use super::views::{Done, Id, ScopeName, example};

pub(super) struct SessionsApi;

declared_errors! {
    /// The errors of ending another session.
    EndSessionErrors: [NotFound, StorageUnavailable];
}

/// The sessions of a user.
#[derive(Object)]
#[oai(example)]
struct SessionList {
    /// The sessions, the newest first.
    sessions: Vec<OpenSessionView>,
}

impl Example for SessionList {
    fn example() -> Self {
        Self { sessions: vec![OpenSessionView::example()] }
    }
}

/// A session in the list of a user.
#[derive(Object)]
#[oai(rename = "OpenSession", example)]
struct OpenSessionView {
    /// The id of the session, with which it can be ended. It is not the token.
    id: Id,
    /// The scope of the session.
    scope: ScopeName,
    /// The time of the sign-in.
    created_at: u64,
    /// The time at which the session ends.
    expires_at: u64,
    /// Indicates whether it is the session of this call.
    current: bool,
    /// The devices that this session has let in, and that are connected or in their grace time.
    devices: Vec<String>,
}

impl Example for OpenSessionView {
    fn example() -> Self {
        Self {
            id: Id::new("5f4dcc3b5aa765d61d8327deb882cf99"),
            scope: ScopeName::Device,
            created_at: example::START_TIME,
            expires_at: example::START_TIME + 24 * example::HOUR,
            current: false,
            devices: vec!["phone".to_owned()],
        }
    }
}

impl From<OpenSession> for OpenSessionView {
    fn from(session: OpenSession) -> Self {
        Self {
            id: Id::new(session.id),
            scope: session.scope.into(),
            created_at: session.created_at.get(),
            expires_at: session.expires_at.get(),
            current: session.is_current,
            devices: session.devices.iter().map(ToString::to_string).collect(),
        }
    }
}

#[OpenApi(tag = "ApiTag::Session")]
impl SessionsApi {
    /// List my sessions.
    ///
    /// Each has the devices that it has let in.
    #[oai(path = "/sessions", method = "get", operation_id = "list_sessions")]
    async fn list(
        &self,
        auth: AccountAuth,
    ) -> Result<Json<SessionList>, OperationError<StorageErrors>> {
        let sessions = auth.service().sessions().list(&auth.caller).await?;
        Ok(Json(SessionList { sessions: sessions.into_iter().map(Into::into).collect() }))
    }

    /// End my other sessions.
    ///
    /// This ends all sessions of the user but the one of the call, and closes the sockets that were
    /// opened with them.
    #[oai(path = "/sessions", method = "delete", operation_id = "end_other_sessions")]
    async fn end_others(
        &self,
        auth: AccountAuth,
    ) -> Result<Json<Done>, OperationError<StorageErrors>> {
        auth.service().sessions().end_others(&auth.caller).await?;
        Ok(Done::new())
    }

    /// End another session.
    ///
    /// This closes the sockets that were opened with it. The session of the call is ended by
    /// signing out instead.
    #[oai(path = "/sessions/:id", method = "delete", operation_id = "end_session")]
    async fn end(
        &self,
        auth: AccountAuth,
        id: Path<Id>,
    ) -> Result<Json<Done>, OperationError<EndSessionErrors>> {
        auth.service().sessions().end_other(&auth.caller, id.as_str()).await?;
        Ok(Done::new())
    }
}
