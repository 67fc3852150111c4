//! The Applications of a developer.

use poem::http::header;
use poem_openapi::param::Path;
use poem_openapi::payload::{Json, Response};
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use presence_core::App;
use presence_core::UnixMillis;
use presence_protocol::ApiError;
use presence_service::applications::{ApplicationChanges, Registration};
use secrecy::ExposeSecret;

use super::body::{Fields, FromFields, JsonBody};
use super::credential::AccountAuth;
use super::operation_error::{
    ApplicationErrors, DeclaredErrors, OperationError, StorageErrors, declared_errors,
};
use super::tag::ApiTag;
use super::views::{ApplicationStateName, Done, Id, WithHeaders, example};

pub(super) struct AppsApi;

declared_errors! {
    /// The errors of registering an Application.
    RegisterErrors: [InvalidField, TooLarge, StorageUnavailable];
    /// The errors of changing an Application.
    ChangeErrors: [InvalidField, UnknownApplication, StorageUnavailable];
    /// The errors of verifying a domain.
    VerifyErrors: [SlowDown, UnknownApplication, DomainNotVerified, StorageUnavailable];
    /// The errors of activating an Application.
    ActivateErrors: [
        UnknownApplication,
        ApplicationNotActive,
        DomainNotVerified,
        StorageUnavailable,
    ];
    /// The errors of deactivating an Application.
    DeactivateErrors: [UnknownApplication, ApplicationNotActive, StorageUnavailable];
}

/// A new Application.
#[derive(Object)]
#[oai(example)]
struct RegisterApplication {
    /// The name, at most 200 characters. Devices see it with every notification.
    #[oai(validator(max_length = 200, pattern = "name"))]
    name: String,
    /// The domain: a lower-case host name, in development mode also `localhost[:port]` or
    /// `127.0.0.1[:port]`.
    #[oai(validator(max_length = 253, pattern = "domain"))]
    domain: String,
    /// A description, at most 2,000 characters.
    #[oai(validator(max_length = 2000, pattern = "text"))]
    description: Option<String>,
}

impl Example for RegisterApplication {
    fn example() -> Self {
        Self {
            name: example::NAME.to_owned(),
            domain: example::DOMAIN.to_owned(),
            description: Some(example::DESCRIPTION.to_owned()),
        }
    }
}

impl FromFields for RegisterApplication {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            name: fields.required("name", "a string")?,
            domain: fields.required("domain", "a string")?,
            description: fields.optional("description", "a string")?,
        })
    }
}

/// Changes of an Application. A field that is left out stays as it is.
#[derive(Object)]
#[oai(example)]
struct ChangeApplication {
    /// The name.
    #[oai(validator(max_length = 200, pattern = "name"))]
    name: Option<String>,
    /// The domain. A new domain has to be verified, and the Application is inactive until then.
    #[oai(validator(max_length = 253, pattern = "domain"))]
    domain: Option<String>,
    /// The description.
    #[oai(validator(max_length = 2000, pattern = "text"))]
    description: Option<String>,
}

impl Example for ChangeApplication {
    fn example() -> Self {
        let name = Some("Chess by Post".to_owned());
        Self { name, domain: None, description: Some(example::DESCRIPTION.to_owned()) }
    }
}

impl FromFields for ChangeApplication {
    fn from_fields(fields: &Fields<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            name: fields.optional("name", "a string")?,
            domain: fields.optional("domain", "a string")?,
            description: fields.optional("description", "a string")?,
        })
    }
}

/// An Application.
#[derive(Object)]
#[oai(rename = "Application", skip_serializing_if_is_none, example)]
pub(super) struct AppView {
    /// The id.
    appid: Id,
    /// The name.
    name: String,
    /// The domain.
    domain: String,
    /// The description.
    description: String,
    /// The state.
    state: ApplicationStateName,
    /// The text that the domain must serve at `/__presence`.
    domain_key: String,
    /// The time of the registration.
    created_at: u64,
    /// The time at which the operator blocked the Application. A blocked Application is `inactive`
    /// and cannot be activated.
    blocked_at: Option<u64>,
}

impl Example for AppView {
    fn example() -> Self {
        Self {
            appid: Id::new(example::APPID),
            name: example::NAME.to_owned(),
            domain: example::DOMAIN.to_owned(),
            description: example::DESCRIPTION.to_owned(),
            state: ApplicationStateName::Active,
            domain_key: "8c3f0d6c1f5e4f3b9a70c2d41e95b6a7".to_owned(),
            created_at: example::START_TIME,
            blocked_at: None,
        }
    }
}

impl From<App> for AppView {
    fn from(app: App) -> Self {
        Self {
            appid: Id::new(app.id),
            name: app.name,
            domain: app.domain,
            description: app.description,
            state: app.state.into(),
            domain_key: app.domain_key,
            created_at: app.created_at.get(),
            blocked_at: app.blocked_at.map(UnixMillis::get),
        }
    }
}

/// The Applications of a developer.
#[derive(Object)]
#[oai(example)]
struct ApplicationList {
    /// The Applications.
    apps: Vec<AppView>,
}

impl Example for ApplicationList {
    fn example() -> Self {
        Self { apps: vec![AppView::example()] }
    }
}

/// An Application that was activated or deactivated.
#[derive(Object)]
#[oai(rename = "Switched", example, skip_serializing_if_is_none)]
struct ActivationView {
    /// The id.
    appid: Id,
    /// The state.
    state: ApplicationStateName,
    /// The first API key, returned by the first activation only.
    api_key: Option<String>,
}

impl Example for ActivationView {
    fn example() -> Self {
        let api_key = Some(example::API_KEY.to_owned());
        Self { appid: Id::new(example::APPID), state: ApplicationStateName::Active, api_key }
    }
}

/// The response to a registration.
#[derive(ApiResponse)]
enum Registered {
    /// The Application is registered. Its domain has to be verified next.
    #[oai(status = 201)]
    Created(
        Json<AppView>,
        /// The path of the Application.
        #[oai(header = "Location")]
        String,
    ),
}

#[OpenApi(tag = "ApiTag::Applications")]
impl AppsApi {
    /// Register an Application.
    ///
    /// Next, serve its `domain_key` at `https://<domain>/__presence`, and verify the domain.
    #[oai(path = "/apps", method = "post", operation_id = "register_application")]
    async fn register(
        &self,
        auth: AccountAuth,
        body: JsonBody<RegisterApplication>,
    ) -> Result<Registered, OperationError<RegisterErrors>> {
        let RegisterApplication { name, domain, description } = body.0;
        let registration =
            Registration { name, domain, description: description.unwrap_or_default() };
        let app = auth.service().applications().register(auth.caller.user, registration).await?;
        let location = format!("/apps/{}", app.id);
        Ok(Registered::Created(Json(app.into()), location))
    }

    /// List my Applications.
    ///
    /// The list has all Applications that the user has registered, the oldest first.
    #[oai(path = "/apps", method = "get", operation_id = "list_applications")]
    async fn list(
        &self,
        auth: AccountAuth,
    ) -> Result<Json<ApplicationList>, OperationError<StorageErrors>> {
        let apps = auth.service().applications().list(auth.caller.user).await?;
        Ok(Json(ApplicationList { apps: apps.into_iter().map(AppView::from).collect() }))
    }

    /// Show one of my Applications.
    ///
    /// An Application of another developer is answered like one that does not exist.
    #[oai(path = "/apps/:appid", method = "get", operation_id = "get_application")]
    async fn show(
        &self,
        auth: AccountAuth,
        appid: Path<Id>,
    ) -> Result<Json<AppView>, OperationError<ApplicationErrors>> {
        let app = auth.service().applications().find(auth.caller.user, appid.app()?).await?;
        Ok(Json(app.into()))
    }

    /// Change an Application.
    ///
    /// A new domain has to be verified, and makes the Application inactive until then.
    #[oai(path = "/apps/:appid", method = "patch", operation_id = "change_application")]
    async fn change(
        &self,
        auth: AccountAuth,
        appid: Path<Id>,
        body: JsonBody<ChangeApplication>,
    ) -> Result<Json<AppView>, OperationError<ChangeErrors>> {
        let ChangeApplication { name, domain, description } = body.0;
        let change = ApplicationChanges { name, domain, description };
        let app =
            auth.service().applications().update(auth.caller.user, appid.app()?, change).await?;
        Ok(Json(app.into()))
    }

    /// Remove an Application.
    ///
    /// This also removes its grants, keys and waiting notifications, and closes its sockets with
    /// 4004.
    #[oai(path = "/apps/:appid", method = "delete", operation_id = "remove_application")]
    async fn remove(
        &self,
        auth: AccountAuth,
        appid: Path<Id>,
    ) -> Result<Json<Done>, OperationError<ApplicationErrors>> {
        auth.service().applications().remove(auth.caller.user, appid.app()?).await?;
        Ok(Done::new())
    }

    /// Verify an Application's domain.
    ///
    /// The server fetches `https://<domain>/__presence`, which must return exactly the
    /// `domain_key`. It follows no redirect.
    #[oai(path = "/apps/:appid/verify", method = "post", operation_id = "verify_application")]
    async fn verify(
        &self,
        auth: AccountAuth,
        appid: Path<Id>,
    ) -> Result<Json<AppView>, OperationError<VerifyErrors>> {
        let verified = auth.service().domains().verify(auth.caller.user, appid.app()?).await;
        let app = verified.map_err(ApiError::from)?;
        Ok(Json(app.into()))
    }

    /// Activate an Application.
    ///
    /// The first activation returns the first API key, which is shown only once.
    #[oai(path = "/apps/:appid/activate", method = "post", operation_id = "activate_application")]
    async fn activate(
        &self,
        auth: AccountAuth,
        appid: Path<Id>,
    ) -> Result<WithHeaders<ActivationView>, OperationError<ActivateErrors>> {
        let (app, key) =
            auth.service().applications().activate(auth.caller.user, appid.app()?).await?;
        let api_key = key.map(|created| created.secret.expose_secret().to_owned());
        let view = ActivationView { appid: Id::new(app.id), state: app.state.into(), api_key };
        Ok(Response::new(Json(view)).header(header::CACHE_CONTROL, "no-store"))
    }

    /// Deactivate an Application.
    ///
    /// The server closes its sockets with 4004. Its grants and keys stay.
    #[oai(
        path = "/apps/:appid/deactivate",
        method = "post",
        operation_id = "deactivate_application"
    )]
    async fn deactivate(
        &self,
        auth: AccountAuth,
        appid: Path<Id>,
    ) -> Result<Json<ActivationView>, OperationError<DeactivateErrors>> {
        let app = auth.service().applications().deactivate(auth.caller.user, appid.app()?).await?;
        Ok(Json(ActivationView { appid: Id::new(app.id), state: app.state.into(), api_key: None }))
    }
}
