//! The start page.

use askama::Template;

use crate::page::{Layout, Section};

use super::page_routes::PageResult;
use super::visitor::Visitor;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    layout: Layout,
}

/// Shows the start page.
pub(super) async fn show(visitor: Visitor) -> PageResult {
    let layout = visitor.layout("Your status, on your terms", Section::Home);
    Ok(visitor.show(&HomePage { layout }))
}
