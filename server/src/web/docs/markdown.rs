//! Our own Markdown as HTML.

use pulldown_cmark::{Options, Parser};

/// As HTML. Only for texts of our own, since Markdown may hold HTML.
pub(super) fn html(markdown: &str) -> String {
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, Parser::new_ext(markdown, Options::ENABLE_TABLES));
    // A wide table scrolls by itself rather than the page.
    html.replace("<table>", "<div class=\"scrolls\" tabindex=\"0\"><table>")
        .replace("</table>", "</table></div>")
}
