//! The pages. Each handler takes the visitor and the fields of the request, calls the service and
//! fills a template. No handler uses the REST API.
//!
//! To add a page:
//! 1. Write a template in `server/templates` that extends `base.html`. Its struct has a field
//!    `layout` (see `home.rs`). Everything is escaped, nothing is inline, and files come from
//!    `server/assets` (list a new one in `page/assets.rs`).
//! 2. Write a handler whose first argument decides about access: a [`Visitor`] (every visitor), a
//!    [`SignedIn`] (other visitors are sent to the sign-in page and return afterwards) or an
//!    operator. It returns `visitor.show(&page)`. An error becomes the page of that error.
//! 3. A form posts `csrf_token` (`layout.csrf_token()`) to a handler whose first argument is a form
//!    that was verified. The handler returns a redirect with a `Notice`, so that a reload sends
//!    nothing twice.
//! 4. Add the path to [`pages`] (the only list), a link to `page/layout.rs` and a visit to
//!    `tests/browser`.

mod developer;
mod development_mode;
mod docs;
mod erase;
mod files;
mod grant;
mod home;
mod oidc;
mod operator;
mod revoke;
mod sidebar;
mod sign_in;

mod application_state;
mod forms;
mod page_routes;
mod request_parts;
mod visitor;

use std::sync::Arc;

use poem::endpoint::{ToDynEndpoint, make};
use poem::http::{Method, header};

use crate::http::accepts_html;
use crate::route_table::{RouteTable, SharedEndpoint};

use self::page_routes::PageRoutes;

pub(crate) use self::operator::FIGURES;

/// Returns all pages, and the REST API as the fallback.
pub fn pages(rest: SharedEndpoint) -> RouteTable {
    let routes = PageRoutes::new(Arc::clone(&rest))
        .get("/", home::show)
        .get("/sign-in", sign_in::show)
        .post("/sign-in/development", sign_in::development)
        .get_without_referrer("/sign-in/oidc/:provider", oidc::begin)
        .get_without_referrer("/sign-in/oidc/:provider/callback", oidc::finish)
        .post("/sign-out", sign_in::sign_out)
        .get("/grant/:appid", grant::show)
        .delegate(Method::POST, "/grant/:appid", rest)
        .get("/revoke/:appid", revoke::show)
        .post("/revoke/:appid", revoke::revoke)
        .get("/sidebar", sidebar::show)
        .post("/sidebar/ticket", sidebar::ticket)
        .post("/sidebar/pause", sidebar::pause)
        .post("/sidebar/revoke", sidebar::revoke)
        .post("/sidebar/end-device", sidebar::end_device)
        .post("/sidebar/end-session", sidebar::end_session)
        .post("/sidebar/end-other-sessions", sidebar::end_other_sessions)
        .get("/sidebar/erase", erase::show)
        .post("/sidebar/erase", erase::erase)
        .get("/dev", development_mode::show)
        .post("/dev", development_mode::make_assertions)
        .get("/docs", docs::show_rest)
        .get("/docs/channels", docs::show_channels)
        .get("/docs/errors", docs::show_errors)
        .get("/docs/quickstarts", docs::show_quickstarts)
        .get("/assets/:version/:name", files::show);
    operator::add_routes(developer::add_routes(routes)).into_table()
}

/// Returns the endpoint of an Application's path, which is both a page and a channel: a request for
/// HTML without an upgrade gets the page.
pub fn page_or_socket(pages: &SharedEndpoint, socket: SharedEndpoint) -> SharedEndpoint {
    let pages = Arc::clone(pages);
    let endpoint = make(move |request| {
        let is_page = accepts_html(&request) && !request.headers().contains_key(header::UPGRADE);
        let next = Arc::clone(if is_page { &pages } else { &socket });
        async move { next.call(request).await }
    });
    Arc::new(ToDynEndpoint(endpoint))
}
