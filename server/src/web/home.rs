//! What this is.

use askama::Template;
use poem::{Response, handler};

use crate::page::{Place, Shell};

use super::Visitor;

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    shell: Shell,
}

#[handler]
#[expect(clippy::unused_async, reason = "poem takes async handlers only")]
pub(super) async fn show(visitor: Visitor) -> Response {
    let shell = visitor.shell("Reachable, on your terms", Place::Home);
    visitor.show(&Home { shell })
}
