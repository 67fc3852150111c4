//! The live console: the frames that an Application's back end would receive, and a form that sends
//! a notification. All of it happens in the browser, over the AppService Presence Channel, with a
//! key that the developer types in and that the page keeps in memory only.

use askama::Template;

use crate::page::{Layout, Section};
use crate::web::page_routes::PageResult;
use crate::web::request_parts::AppInPath;
use crate::web::visitor::SignedIn;

use super::details::ApplicationDetails;

#[derive(Template)]
#[template(path = "developer/console.html")]
struct ConsolePage {
    layout: Layout,
    app: ApplicationDetails,
}

/// Shows the console.
pub(super) async fn show(signed_in: SignedIn, AppInPath(app): AppInPath) -> PageResult {
    let app = signed_in.service().applications().find(signed_in.user_id(), app).await?;
    let app = ApplicationDetails::from(app);
    let layout = signed_in.layout(format!("Console of {}", app.name), Section::Developer);
    Ok(signed_in.show(&ConsolePage { layout, app }))
}
