//! The response to a request for a grant: JSON, a page, or a redirect.

use askama::Template;
use poem::http::{StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::payload::{Html, Json, Payload};
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::{Example, Type};
use poem_openapi::{ApiResponse, Object};
use presence_protocol::AppId;
use presence_service::grants::GrantOutcome;

use super::request::Decision;
use crate::http::views::{Id, example};
use crate::page::{ContentPolicy, Layout, PageResponse};

/// A grant that was given.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(super) struct Granted {
    /// The id by which the Application knows the user.
    uid: Id,
    /// The Application.
    appid: Id,
    /// The URL to go to, if the request had a redirect.
    redirect: Option<String>,
}

impl Example for Granted {
    fn example() -> Self {
        let redirect = "https://chess.example.org/joined?state=af0ifjsldkj&Presence-UID=c9f0f895fb98ab9159f51fd0297e236d";
        Self {
            uid: Id::new(example::UID),
            appid: Id::new(example::APPID),
            redirect: Some(redirect.to_owned()),
        }
    }
}

impl Granted {
    pub(super) fn new(app: AppId, given: GrantOutcome) -> Self {
        Self { uid: Id::new(given.uid), appid: Id::new(app), redirect: given.redirect }
    }
}

/// The response to a request for a grant.
pub(super) enum GrantResponse {
    /// The response to a script.
    Json(Granted),
    /// The response to a form with a redirect.
    Redirect(String),
    /// The response to a form without a redirect.
    Page {
        /// The name of the Application.
        name: String,
        /// The decision of the user.
        decision: Decision,
    },
}

#[derive(Template)]
#[template(path = "decided.html")]
struct DecidedPage {
    layout: Layout,
    name: String,
    is_granted: bool,
}

impl IntoResponse for GrantResponse {
    fn into_response(self) -> Response {
        let response = match self {
            Self::Json(granted) => Json(granted).into_response(),
            Self::Redirect(url) => Response::builder()
                .status(StatusCode::SEE_OTHER)
                .header(header::LOCATION, url)
                .finish(),
            Self::Page { name, decision } => {
                let is_granted = match decision {
                    Decision::Yes => true,
                    Decision::No => false,
                };
                let page = DecidedPage { layout: Layout::bare("Your decision"), name, is_granted };
                let page = PageResponse::html(&page, StatusCode::OK, &ContentPolicy::page());
                return page.without_referrer().into_response();
            }
        };
        response
            .with_header(header::REFERRER_POLICY, "no-referrer")
            .with_header(header::CACHE_CONTROL, "no-store")
            .into_response()
    }
}

impl ApiResponse for GrantResponse {
    fn meta() -> MetaResponses {
        let json = Json::<Granted>::CONTENT_TYPE;
        let html = Html::<String>::CONTENT_TYPE;
        let content = vec![
            MetaMediaType { content_type: json, schema: Granted::schema_ref() },
            MetaMediaType { content_type: html, schema: String::schema_ref() },
        ];
        let location = MetaHeader {
            name: "Location".to_owned(),
            description: Some(
                "The redirect, with `Presence-UID` if the user allowed it, and `state`.".to_owned(),
            ),
            required: true,
            deprecated: false,
            schema: String::schema_ref(),
        };
        MetaResponses {
            responses: vec![
                response(
                    200,
                    "The decision was stored. The response to JSON is JSON, and the response to a form without a redirect is a page.",
                    content,
                    vec![],
                ),
                response(
                    303,
                    "The decision of a form was stored, and the user goes to the redirect.",
                    vec![],
                    vec![location],
                ),
            ],
        }
    }

    fn register(registry: &mut Registry) {
        Granted::register(registry);
    }
}

fn response(
    status: u16,
    description: &'static str,
    content: Vec<MetaMediaType>,
    headers: Vec<MetaHeader>,
) -> MetaResponse {
    MetaResponse { description, status: Some(status), status_range: None, content, headers }
}
