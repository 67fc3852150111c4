//! The pages of a developer, below `/myapps`: register an Application, verify its domain, start it,
//! manage its keys, and try it out.
//!
//! The path of an Application is also that of its AppService Presence Channel. A request for HTML
//! without an upgrade gets the page, any other request the socket; `lifecycle` decides.
//!
//! A new API key is shown in the response to the form that created it, and is not stored in a
//! cookie, a path or memory. This response is not a redirect. It names the path of the page in
//! `data-page-path`, and a reload leads there.

mod activation;
mod application;
mod applications;
mod change;
mod console;
mod keys;
mod remove;

mod details;
mod draft;

use super::page_routes::PageRoutes;

/// Adds these pages.
pub(super) fn add_routes(routes: PageRoutes) -> PageRoutes {
    routes
        .get("/myapps", applications::list)
        .post("/myapps", applications::register)
        .get("/myapps/", applications::list)
        .get("/myapps/new", applications::new)
        .get("/myapps/:appid", application::show)
        .post("/myapps/:appid/verify", activation::verify)
        .post("/myapps/:appid/activate", activation::activate)
        .post("/myapps/:appid/deactivate", activation::deactivate)
        .get("/myapps/:appid/change", change::show)
        .post("/myapps/:appid/change", change::change)
        .get("/myapps/:appid/remove", remove::show)
        .post("/myapps/:appid/remove", remove::remove)
        .post("/myapps/:appid/keys", keys::create)
        .post("/myapps/:appid/keys/:key/delete", keys::delete)
        .get("/myapps/:appid/console", console::show)
}
