//! The grants of a user: which Applications may see the user.

mod request;
mod response;

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use presence_core::UnixMillis;
use presence_protocol::{ApiError, AppId, Errno};
use presence_service::GrantedApp;

use super::body::{Fields, FromFields, JsonBody};
use super::credential::{AccountAuth, AuthenticatedRequest, SessionAuth};
use super::operation_error::{
    ApplicationErrors, DeclaredErrors, OperationError, StorageErrors, declared_errors,
};
use super::tag::ApiTag;
use super::views::{ApplicationStateName, Done, Id, example};

use self::request::{Decision, GrantBody, GrantDecision, VerifiedGrantRequest};
use self::response::{GrantResponse, Granted};

pub(super) struct GrantsApi;

declared_errors! {
    /// The errors of giving a grant.
    GrantErrors: [
        TooLarge,
        UnknownApplication,
        ApplicationNotActive,
        RedirectNotAllowed,
        InvalidField,
        MissingField,
        SlowDown,
        StorageUnavailable,
    ];
    /// The errors of pausing and resuming a grant.
    PauseErrors: [UnknownApplication, SlowDown, StorageUnavailable];
}

/// The grants of a user.
#[derive(Object)]
#[oai(example)]
struct GrantList {
    /// The grants, the oldest first.
    grants: Vec<GrantView>,
}

impl Example for GrantList {
    fn example() -> Self {
        Self { grants: vec![GrantView::example()] }
    }
}

/// A grant.
#[derive(Object)]
#[oai(rename = "Grant", example, skip_serializing_if_is_none)]
pub(super) struct GrantView {
    /// The Application.
    appid: Id,
    /// The id by which the Application knows the user.
    uid: Id,
    /// The Application's name.
    name: String,
    /// The name before the last change, for 30 days after it.
    previous_name: Option<String>,
    /// The Application's domain.
    domain: String,
    /// Indicates whether the user has paused the grant.
    paused: bool,
    /// Indicates whether the Application has another domain than the one that the user agreed to.
    /// It sees the user as offline until the user agrees again, and loses the grant after 90 days.
    waiting: bool,
    /// The domain that the user agreed to.
    granted_domain: String,
    /// The time at which the user gave the grant.
    granted_at: u64,
    /// The time at which the Application last read the presence of this user. It is never before
    /// the grant, and stops at a pause.
    last_looked_at: Option<u64>,
    /// The state of the Application.
    state: ApplicationStateName,
}

impl Example for GrantView {
    fn example() -> Self {
        Self {
            appid: Id::new(example::APPID),
            uid: Id::new(example::UID),
            name: example::NAME.to_owned(),
            previous_name: None,
            domain: example::DOMAIN.to_owned(),
            paused: false,
            waiting: false,
            granted_domain: example::DOMAIN.to_owned(),
            granted_at: example::START_TIME,
            last_looked_at: Some(example::START_TIME + example::HOUR),
            state: ApplicationStateName::Active,
        }
    }
}

impl From<GrantedApp> for GrantView {
    fn from(granted: GrantedApp) -> Self {
        let GrantedApp {
            grant,
            name,
            previous_name,
            domain,
            granted_domain,
            state,
            last_looked_at,
        } = granted;
        Self {
            appid: Id::new(grant.app),
            uid: Id::new(grant.puid),
            name,
            previous_name: previous_name.map(|previous| previous.name),
            domain,
            paused: grant.paused,
            waiting: grant.waiting,
            granted_domain,
            granted_at: grant.granted_at.get(),
            last_looked_at: last_looked_at.map(UnixMillis::get),
            state: state.into(),
        }
    }
}

/// The pausing or resuming of a grant.
#[derive(Object)]
#[oai(example)]
struct PauseGrant {
    /// The new state: true pauses, false resumes. A paused user is offline for the Application.
    paused: bool,
}

impl Example for PauseGrant {
    fn example() -> Self {
        Self { paused: true }
    }
}

impl FromFields for PauseGrant {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, ApiError> {
        Ok(Self { paused: fields.required("paused", "true or false")? })
    }
}

#[OpenApi(tag = "ApiTag::Grants")]
impl GrantsApi {
    /// Let an Application see my presence.
    ///
    /// A repeated call returns the same `uid`; after a revocation it returns a new one. The grant
    /// is for the Application's domain of today: under another domain it waits for a new yes. The
    /// redirect must be on exactly the Application's verified domain. JSON is answered with 200. A
    /// form is answered with 303 to the redirect, with `Presence-UID` in its query if the decision
    /// was yes, and with `error=access_denied` otherwise; without a redirect, with a page.
    #[oai(path = "/grant/:appid", method = "post", operation_id = "grant_application")]
    async fn grant(
        &self,
        request: VerifiedGrantRequest,
        appid: Path<Id>,
    ) -> Result<GrantResponse, OperationError<GrantErrors>> {
        let VerifiedGrantRequest { auth, body } = request;
        let app = appid.app()?;
        match body {
            GrantBody::Json(target) => {
                let given = auth.service().grants().grant(auth.caller.user, app, &target).await?;
                Ok(GrantResponse::Json(Granted::new(app, given)))
            }
            GrantBody::Form(decision) => self.decide(&auth, app, decision).await,
        }
    }

    /// List my grants.
    ///
    /// Each has the PUID by which the Application knows the user, and the time at which it last
    /// read presence.
    #[oai(path = "/grants", method = "get", operation_id = "list_grants")]
    async fn list(
        &self,
        auth: SessionAuth,
    ) -> Result<Json<GrantList>, OperationError<StorageErrors>> {
        let grants = auth.service().grants().list(auth.caller.user).await?;
        Ok(Json(GrantList { grants: grants.into_iter().map(GrantView::from).collect() }))
    }

    /// Pause or resume a grant.
    ///
    /// While it is paused, the user is offline for the Application, and its notifications wait.
    #[oai(path = "/grants/:appid", method = "patch", operation_id = "pause_grant")]
    async fn pause(
        &self,
        auth: AccountAuth,
        appid: Path<Id>,
        body: JsonBody<PauseGrant>,
    ) -> Result<Json<GrantView>, OperationError<PauseErrors>> {
        let (app, user) = (appid.app()?, auth.caller.user);
        auth.service().grants().pause(user, app, body.0.paused).await?;
        let grants = auth.service().grants().list(user).await?;
        let grant = grants.into_iter().find(|granted| granted.grant.app == app);
        Ok(Json(grant.ok_or(Errno::UnknownApplication)?.into()))
    }

    /// Revoke a grant.
    ///
    /// This ends the `uid`, and removes the Application's waiting notifications. The response is
    /// sent once the Application can no longer see the user.
    #[oai(path = "/grants/:appid", method = "delete", operation_id = "revoke_grant")]
    async fn revoke(
        &self,
        auth: AccountAuth,
        appid: Path<Id>,
    ) -> Result<Json<Done>, OperationError<ApplicationErrors>> {
        auth.service().grants().revoke(auth.caller.user, appid.app()?).await?;
        Ok(Done::new())
    }
}

impl GrantsApi {
    async fn decide(
        &self,
        auth: &AuthenticatedRequest,
        app: AppId,
        decision: GrantDecision,
    ) -> Result<GrantResponse, OperationError<GrantErrors>> {
        let (grants, GrantDecision { target, decision }) = (auth.service().grants(), decision);
        let name = grants.find_application(app).await?.displayed_name(auth.service().now());
        let redirect = match decision {
            Decision::Yes => grants.grant(auth.caller.user, app, &target).await?.redirect,
            Decision::No => grants.decline(app, &target).await?,
        };
        Ok(match redirect {
            Some(url) => GrantResponse::Redirect(url),
            None => GrantResponse::Page { name, decision },
        })
    }
}
