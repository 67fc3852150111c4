//! The conversion of our own Markdown to HTML.

use pulldown_cmark::{Options, Parser};

/// Converts Markdown to HTML. It is for texts of this repository only, since Markdown may contain
/// HTML.
pub(super) fn html(markdown: &str) -> String {
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, Parser::new_ext(markdown, Options::ENABLE_TABLES));
    // A wide table scrolls by itself rather than the page.
    html.replace("<table>", "<div class=\"scrollable\" tabindex=\"0\"><table>")
        .replace("</table>", "</table></div>")
}
