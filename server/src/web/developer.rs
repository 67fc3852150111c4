//! The pages of a developer, below `/myapps`: register an Application, prove its domain, start it, hold its keys, try it out.
//!
//! The path of an Application is also that of its AppService Presence Channel. Who asks for HTML and for no upgrade gets the page,
//! everybody else the socket; `lifecycle` tells them apart.
//!
//! A new API key is shown in the answer to the form that made it, and kept nowhere: not in a cookie, not in a path, not in memory. So
//! these answers are no redirects; they say in `data-at` where the page is found again, and a reload goes there.

mod application;
mod applications;
mod change;
mod console;
mod keys;
mod remove;
mod steps;

mod draft;
mod view;

use poem::{FromRequest, Request, RequestBody, Route, get, post};
use presence_protocol::{AppId, Errno};

use crate::http::ErrorResponse;

/// Adds these pages.
pub(super) fn at(routes: Route) -> Route {
    routes
        .at("/myapps", get(applications::list).post(applications::register))
        .at("/myapps/", get(applications::list))
        .at("/myapps/new", get(applications::new))
        .at("/myapps/:appid", get(application::show))
        .at("/myapps/:appid/verify", post(steps::verify))
        .at("/myapps/:appid/activate", post(steps::activate))
        .at("/myapps/:appid/deactivate", post(steps::deactivate))
        .at("/myapps/:appid/change", get(change::show).post(change::change))
        .at("/myapps/:appid/remove", get(remove::show).post(remove::remove))
        .at("/myapps/:appid/keys", post(keys::make))
        .at("/myapps/:appid/keys/:key/delete", post(keys::delete))
        .at("/myapps/:appid/console", get(console::show))
}

/// The Application in the path. The path itself is asked, since the router of the sockets may have named its parts before.
struct Named(AppId);

impl<'a> FromRequest<'a> for Named {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let text = request.uri().path().split('/').nth(2).unwrap_or_default();
        let app = text.parse().map_err(|_| ErrorResponse::from(Errno::UnknownApplication))?;
        Ok(Self(app))
    }
}
