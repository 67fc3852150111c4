//! One Application: how far it has come, what to do next, its keys, and how it is reached.

use askama::Template;
use poem::http::StatusCode;
use poem::{Response, handler};
use presence_core::{App, UserId};
use secrecy::{ExposeSecret, SecretString};

use crate::http::ErrorResponse;
use crate::page::{Place, Policy, Shell};
use crate::web::{SignedIn, Visitor};

use super::Named;
use super::view::{AppView, KeyView};

/// What a page shows once, in the answer to a form.
#[derive(Default)]
pub(super) struct Once {
    /// A key that was just made.
    pub(super) made: Option<SecretString>,
    /// Why the domain could not be verified.
    pub(super) unproven: Option<String>,
    /// Why there is no further key.
    pub(super) no_key: Option<String>,
}

#[derive(Template)]
#[template(path = "developer/application.html")]
pub(super) struct ApplicationPage {
    shell: Shell,
    app: AppView,
    keys: Vec<KeyView>,
    grants: u64,
    /// Where the domain must show its key.
    proof_url: String,
    /// The origin of this server.
    origin: String,
    /// The same for sockets.
    socket_origin: String,
    /// The origin of the Application.
    app_origin: String,
    /// A link that asks somebody, as an example.
    grant_link: String,
    unproven: Option<String>,
    no_key: Option<String>,
    made: Option<SecretString>,
}

impl ApplicationPage {
    /// Everything of an Application that its developer may see.
    pub(super) async fn of(
        visitor: &Visitor,
        owner: UserId,
        app: App,
        once: Once,
    ) -> Result<Self, ErrorResponse> {
        let presence = visitor.service();
        let keys = presence.api_keys().list(owner, app.id).await?;
        let grants = presence.applications().count_grants(owner, app.id).await?;
        let proof_url =
            presence.domains().proof_url(&app.domain).map(String::from).unwrap_or_default();
        let app_origin = proof_url
            .strip_suffix(presence_service::domains::DOMAIN_PROOF_PATH)
            .unwrap_or_default()
            .to_owned();
        let origin = visitor.context.origin();
        let back: String =
            url::form_urlencoded::byte_serialize(format!("{app_origin}/welcome").as_bytes())
                .collect();
        Ok(Self {
            shell: visitor.shell(app.name.clone(), Place::Developer),
            grant_link: format!("{origin}/grant/{}?redirect={back}&state=SECRET", app.id),
            socket_origin: origin.replacen("http", "ws", 1),
            app: app.into(),
            keys: keys.into_iter().map(KeyView::from).collect(),
            grants,
            proof_url,
            origin,
            app_origin,
            made: once.made,
            unproven: once.unproven,
            no_key: once.no_key,
        })
    }

    /// The page as the answer to a form.
    pub(super) fn answer(&self, visitor: &Visitor, status: StatusCode) -> Response {
        visitor.show_with(self, status, &Policy::new())
    }
}

#[handler]
pub(super) async fn show(signed_in: SignedIn, Named(app): Named) -> poem::Result<Response> {
    let me = signed_in.me();
    let app =
        signed_in.service().applications().find(me, app).await.map_err(ErrorResponse::from)?;
    let page = ApplicationPage::of(&signed_in, me, app, Once::default()).await?;
    Ok(signed_in.show(&page))
}
