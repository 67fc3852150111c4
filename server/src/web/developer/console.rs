//! The live console: what an Application's back end would hear, and a notification to try. All of it happens in the browser, over
//! the AppService Presence Channel, with a key that the page is given and keeps in its memory only.

use askama::Template;
use poem::{Response, handler};

use crate::http::ErrorResponse;
use crate::page::{Place, Shell};
use crate::web::SignedIn;

use super::Named;
use super::view::AppView;

#[derive(Template)]
#[template(path = "developer/console.html")]
struct ConsolePage {
    shell: Shell,
    app: AppView,
}

#[handler]
pub(super) async fn show(signed_in: SignedIn, Named(app): Named) -> poem::Result<Response> {
    let app = signed_in.service().applications().find(signed_in.me(), app).await;
    let app = AppView::from(app.map_err(ErrorResponse::from)?);
    let shell = signed_in.shell(format!("Console of {}", app.name), Place::Developer);
    Ok(signed_in.show(&ConsolePage { shell, app }))
}
