//! Who may see a user.

mod answer;

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use presence_core::UnixMillis;
use presence_protocol::{ApiError, Errno};
use presence_service::GrantedApp;
use presence_service::grants::RedirectTarget;

use super::ApiTag;
use super::body::{Fields, FromFields, JsonBody};
use super::credential::{AccountAuth, AuthenticatedRequest, FormSender, SessionAuth};
use super::error_response::ErrorResponse;
use super::form::{Decision, GrantBody, GrantDecision};
use super::views::{ApplicationStateName, Done, Id, example};

use self::answer::{GrantAnswer, Granted};

pub(super) struct GrantsApi;

/// The grants of a user.
#[derive(Object)]
#[oai(example)]
struct GrantList {
    /// The oldest first.
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
    /// Under which name it sees the user.
    uid: Id,
    /// The Application's name.
    name: String,
    /// Its domain.
    domain: String,
    /// Whether the user has paused it.
    paused: bool,
    /// When it was given.
    granted_at: u64,
    /// When the Application last looked at anybody's presence.
    last_looked_at: Option<u64>,
    /// How far the Application has come.
    state: ApplicationStateName,
}

impl Example for GrantView {
    fn example() -> Self {
        Self {
            appid: Id::new(example::APPID),
            uid: Id::new(example::UID),
            name: example::NAME.to_owned(),
            domain: example::DOMAIN.to_owned(),
            paused: false,
            granted_at: example::BEGINNING,
            last_looked_at: Some(example::BEGINNING + example::HOUR),
            state: ApplicationStateName::Active,
        }
    }
}

impl From<GrantedApp> for GrantView {
    fn from(granted: GrantedApp) -> Self {
        let GrantedApp { grant, name, domain, state, last_looked_at } = granted;
        Self {
            appid: Id::new(grant.app),
            uid: Id::new(grant.puid),
            name,
            domain,
            paused: grant.paused,
            granted_at: grant.granted_at.get(),
            last_looked_at: last_looked_at.map(UnixMillis::get),
            state: state.into(),
        }
    }
}

/// Whether to pause.
#[derive(Object)]
#[oai(example)]
struct PauseGrant {
    /// While it is true, the Application sees the user offline.
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
    /// Let an Application see me.
    ///
    /// Again, it answers the same `uid`; after a revoke it answers a new one. The redirect must be on exactly the Application's
    /// verified domain. JSON is answered with 200; a form is answered with 303 to the redirect, with `Presence-UID` in its query
    /// where the decision was yes, or with a page where there is no redirect.
    #[oai(path = "/grant/:appid", method = "post", operation_id = "grant_application")]
    async fn grant(
        &self,
        user: FormSender,
        appid: Path<Id>,
        body: GrantBody,
    ) -> Result<GrantAnswer, ErrorResponse> {
        match body {
            GrantBody::Json(target) => {
                user.csrf_check().check()?;
                let app = appid.app()?;
                let given = user.service().grants().grant(user.caller.user, app, &target).await?;
                Ok(GrantAnswer::Json(Granted::new(app, given)))
            }
            GrantBody::Form(form) => {
                let form = form.verify(&user.csrf_check())?;
                let GrantDecision { target, decision } = GrantDecision::of_form(&form)?;
                self.decide(&user, &appid, target, decision).await
            }
        }
    }

    /// List who may see me.
    ///
    /// With when each Application last looked, and under which name it knows the user.
    #[oai(path = "/grants", method = "get", operation_id = "list_grants")]
    async fn list(&self, user: SessionAuth) -> Result<Json<GrantList>, ErrorResponse> {
        let grants = user.service().grants().list(user.caller.user).await?;
        Ok(Json(GrantList { grants: grants.into_iter().map(GrantView::from).collect() }))
    }

    /// Pause or resume a grant.
    ///
    /// While it is paused, the Application sees the user offline, and its notifications wait.
    #[oai(path = "/grants/:appid", method = "patch", operation_id = "pause_grant")]
    async fn pause(
        &self,
        user: AccountAuth,
        appid: Path<Id>,
        body: JsonBody<PauseGrant>,
    ) -> Result<Json<GrantView>, ErrorResponse> {
        let (app, me) = (appid.app()?, user.caller.user);
        user.service().grants().pause(me, app, body.0.paused).await?;
        let grants = user.service().grants().list(me).await?;
        let grant = grants.into_iter().find(|granted| granted.grant.app == app);
        Ok(Json(grant.ok_or(Errno::UnknownApplication)?.into()))
    }

    /// Revoke a grant.
    ///
    /// The `uid` is dead, and the Application's waiting notifications are gone. Answered once no Application sees anything more.
    #[oai(path = "/grants/:appid", method = "delete", operation_id = "revoke_grant")]
    async fn revoke(
        &self,
        user: AccountAuth,
        appid: Path<Id>,
    ) -> Result<Json<Done>, ErrorResponse> {
        user.service().grants().revoke(user.caller.user, appid.app()?).await?;
        Ok(Done::new())
    }
}

impl GrantsApi {
    async fn decide(
        &self,
        user: &AuthenticatedRequest,
        appid: &Id,
        target: RedirectTarget,
        decision: Decision,
    ) -> Result<GrantAnswer, ErrorResponse> {
        let (presence, app) = (user.service(), appid.app()?);
        let name = presence.grants().find_application(app).await?.name;
        let redirect = match decision {
            Decision::Yes => presence.grants().grant(user.caller.user, app, &target).await?.redirect,
            Decision::No => presence.grants().decline(app, &target).await?,
        };
        Ok(match redirect {
            Some(url) => GrantAnswer::Redirect(url),
            None => GrantAnswer::Page { name, decision },
        })
    }
}
