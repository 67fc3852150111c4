//! The pages: each handler finds out who looks, asks the service and fills a template. Nothing here goes over the REST API.
//!
//! To add a page:
//! 1. a template in `server/templates` that extends `base.html`, filled by a struct with a field `shell` (see `home.rs`);
//!    everything is escaped, files come from `server/assets` (list a new one in `page/assets.rs`), nothing is inline;
//! 2. a handler that takes a [`Visitor`] (anybody) or a [`SignedIn`] (others are sent to sign in and come back), and answers
//!    `visitor.show(&page)`; a refusal (`ApiError` or `Errno`, by `ErrorResponse`) becomes the page of that refusal by itself;
//! 3. a form posts `csrf_token` (`shell.csrf_token()`) to a handler that takes a [`SignedForm`], which has checked it, and answers
//!    `see_other` with a [`Notice`](crate::page::Notice), so that a reload sends nothing twice;
//! 4. its path in [`pages`], its place in the navigation in `page/shell.rs`, its visit in `tests/browser`.
//!
//! The modules in reading order: the pages by subject, then who looks and what they send.

mod assets;
mod developer;
mod development;
mod docs;
mod grant;
mod home;
mod oidc;
mod operator;
mod sidebar;
mod sign_in;

mod form;
mod return_path;
mod visitor;

use std::sync::Arc;

use poem::endpoint::{ToDynEndpoint, make};
use poem::http::header;
use poem::{Endpoint, EndpointExt, Request, Response, Route, get, post};

use crate::http::{SharedEndpoint, accepts_html};

pub(crate) use self::form::{Form, SignedForm};
pub(crate) use self::operator::FIGURES;
pub(crate) use self::visitor::{SignedIn, Visitor};

/// All pages, and behind them the REST API.
pub fn pages(rest: SharedEndpoint) -> Route {
    let routes = operator::at(developer::at(Route::new()));
    routes
        .at("/sign-in", get(sign_in::show))
        .at("/sign-in/development", post(sign_in::development))
        .at("/sign-in/oidc/:provider", get(oidc::begin))
        .at("/sign-in/oidc/:provider/callback", get(oidc::finish))
        .at("/sign-out", post(sign_in::sign_out))
        .at("/grant/:appid", get(grant::show).post(Arc::clone(&rest)))
        .at("/sidebar", get(sidebar::show))
        .at("/sidebar/ticket", post(sidebar::ticket))
        .at("/sidebar/pause", post(sidebar::pause))
        .at("/sidebar/revoke", post(sidebar::revoke))
        .at("/sidebar/end-device", post(sidebar::end_device))
        .at("/sidebar/erase", get(sidebar::erase::show).post(sidebar::erase::erase))
        .at("/dev", get(development::show).post(development::fill))
        .at("/docs", get(docs::show_rest))
        .at("/docs/channels", get(docs::show_channels))
        .at("/docs/errors", get(docs::show_errors))
        .at("/docs/viewer/:name", get(docs::viewer_file))
        .at("/assets/:version/:name", get(assets::show))
        .nest_no_strip("/", rest.around(home_or_rest))
}

/// An Application's path is that of its page and of its channel: who asks for HTML and for no upgrade gets the page.
pub fn page_or(pages: &SharedEndpoint, socket: SharedEndpoint) -> SharedEndpoint {
    let pages = Arc::clone(pages);
    let endpoint = make(move |request| {
        let page = accepts_html(&request) && !request.headers().contains_key(header::UPGRADE);
        let next = Arc::clone(if page { &pages } else { &socket });
        async move { next.call(request).await }
    });
    Arc::new(ToDynEndpoint(endpoint))
}

/// A router takes what is behind the root for the root itself.
async fn home_or_rest(rest: Arc<SharedEndpoint>, request: Request) -> poem::Result<Response> {
    if request.uri().path() == "/" {
        get(home::show).call(request).await
    } else {
        rest.call(request).await
    }
}

/// The pages and the methods that each knows, beside those of the REST API.
pub const METHODS: &[(&str, &str)] = &[
    ("/", "GET"),
    ("/sign-in", "GET"),
    ("/sign-in/development", "POST"),
    ("/sign-in/oidc/{provider}", "GET"),
    ("/sign-in/oidc/{provider}/callback", "GET"),
    ("/sign-out", "POST"),
    ("/grant/{appid}", "GET"),
    ("/sidebar", "GET"),
    ("/sidebar/ticket", "POST"),
    ("/sidebar/pause", "POST"),
    ("/sidebar/revoke", "POST"),
    ("/sidebar/end-device", "POST"),
    ("/sidebar/erase", "GET"),
    ("/sidebar/erase", "POST"),
    ("/dev", "GET"),
    ("/dev", "POST"),
    ("/docs", "GET"),
    ("/docs/channels", "GET"),
    ("/docs/errors", "GET"),
    ("/docs/viewer/{name}", "GET"),
    ("/assets/{version}/{name}", "GET"),
    ("/myapps", "GET"),
    ("/myapps", "POST"),
    ("/myapps/", "GET"),
    ("/myapps/new", "GET"),
    ("/myapps/{appid}", "GET"),
    ("/myapps/{appid}/verify", "POST"),
    ("/myapps/{appid}/activate", "POST"),
    ("/myapps/{appid}/deactivate", "POST"),
    ("/myapps/{appid}/change", "GET"),
    ("/myapps/{appid}/change", "POST"),
    ("/myapps/{appid}/remove", "GET"),
    ("/myapps/{appid}/remove", "POST"),
    ("/myapps/{appid}/keys", "POST"),
    ("/myapps/{appid}/keys/{key}/delete", "POST"),
    ("/myapps/{appid}/console", "GET"),
    ("/admin", "GET"),
    ("/admin/sign-in", "POST"),
    ("/admin/sign-out", "POST"),
    ("/admin/figures", "GET"),
    ("/admin/applications", "GET"),
    ("/admin/applications/{appid}/block", "POST"),
    ("/admin/applications/{appid}/unblock", "POST"),
];
