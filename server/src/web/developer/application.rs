//! The page of one Application: its setup, its keys, its details and its integration.

use askama::Template;
use poem::http::StatusCode;
use presence_core::{App, UserId};
use presence_service::domains::DOMAIN_PROOF_PATH;
use presence_service::rules;
use secrecy::{ExposeSecret, SecretString};

use crate::http::ErrorResponse;
use crate::page::{Layout, PageResponse, Section};
use crate::web::page_routes::PageResult;
use crate::web::request_parts::AppInPath;
use crate::web::visitor::{SignedIn, Visitor};

use super::details::{ApplicationDetails, KeyRow};

/// The result of a form that the page shows once, in the response to that form.
#[derive(Default)]
pub(super) struct FormResult {
    /// A new key.
    pub(super) new_key: Option<SecretString>,
    /// The reason why the domain could not be verified.
    pub(super) verification_problem: Option<String>,
    /// The reason why no key was created.
    pub(super) key_problem: Option<String>,
}

#[derive(Template)]
#[template(path = "developer/application.html")]
pub(super) struct ApplicationPage {
    layout: Layout,
    app: ApplicationDetails,
    keys: Vec<KeyRow>,
    grants: u64,
    /// The URL at which the domain must show its key.
    proof_url: String,
    /// The origin of this server.
    origin: String,
    /// The origin of the Application.
    app_origin: String,
    /// The command that takes the place of the web server of a domain on this machine, which only
    /// development mode allows.
    local_proof: Option<String>,
    /// An example of a link that asks a user for permission.
    grant_link: String,
    result: FormResult,
}

impl ApplicationPage {
    /// Returns the page of an Application for its owner.
    pub(super) async fn of(
        visitor: &Visitor,
        owner: UserId,
        app: App,
        result: FormResult,
    ) -> Result<Self, ErrorResponse> {
        let service = visitor.service();
        let keys = service.api_keys().list(owner, app.id).await?;
        let grants = service.applications().count_grants(owner, app.id).await?;
        let proof_url =
            service.domains().proof_url(&app.domain).map(String::from).unwrap_or_default();
        let app_origin = proof_url.strip_suffix(DOMAIN_PROOF_PATH).unwrap_or_default().to_owned();
        let origin = visitor.context().origin();
        let redirect = format!("{app_origin}/welcome");
        let redirect: String = url::form_urlencoded::byte_serialize(redirect.as_bytes()).collect();
        let is_local = service.settings().development && rules::is_loopback(&app.domain);
        let (domain, key) = (&app.domain, &app.domain_key);
        let local_proof =
            is_local.then(|| format!("presence-server prove-domain --domain {domain} --key {key}"));
        Ok(Self {
            layout: visitor.layout(app.name.clone(), Section::Developer),
            grant_link: format!("{origin}/grant/{}?redirect={redirect}&state=SECRET", app.id),
            local_proof,
            app: app.into(),
            keys: keys.into_iter().map(KeyRow::from).collect(),
            grants,
            proof_url,
            origin,
            app_origin,
            result,
        })
    }

    /// Returns the page as the response to a form.
    pub(super) fn respond(&self, visitor: &Visitor, status: StatusCode) -> PageResponse {
        visitor.show_problem(self, status)
    }
}

/// Shows the page.
pub(super) async fn show(signed_in: SignedIn, AppInPath(app): AppInPath) -> PageResult {
    let user = signed_in.user_id();
    let app = signed_in.service().applications().find(user, app).await?;
    let page = ApplicationPage::of(&signed_in, user, app, FormResult::default()).await?;
    Ok(signed_in.show(&page))
}
