//! The conversion of our own Markdown to HTML.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd};

/// Converts Markdown to HTML. It is for texts of this repository only, since Markdown may contain
/// HTML.
pub(super) fn html(markdown: &str) -> String {
    let mut tables = StackedTables::default();
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).map(|event| tables.mark(event));
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, events);
    html
}

/// The conversion of tables to the form in which each row becomes a card on a small screen: every
/// cell has the title of its column.
#[derive(Default)]
struct StackedTables {
    titles: Vec<String>,
    is_in_head: bool,
    column: usize,
}

impl StackedTables {
    /// Returns the event that is written instead.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all other events stay as they are")]
    fn mark<'a>(&mut self, event: Event<'a>) -> Event<'a> {
        let html = |text: &str| Event::Html(CowStr::from(text.to_owned()));
        match event {
            Event::Start(Tag::Table(_)) => {
                self.titles.clear();
                html("<table class=\"stacked\">")
            }
            Event::End(TagEnd::Table) => html("</tbody></table>\n"),
            Event::Start(Tag::TableHead) => {
                self.is_in_head = true;
                html("<thead><tr>")
            }
            Event::End(TagEnd::TableHead) => {
                self.is_in_head = false;
                html("</tr></thead><tbody>\n")
            }
            Event::Start(Tag::TableRow) => {
                self.column = 0;
                html("<tr>")
            }
            Event::End(TagEnd::TableRow) => html("</tr>\n"),
            Event::Start(Tag::TableCell) if self.is_in_head => {
                self.titles.push(String::new());
                html("<th scope=\"col\">")
            }
            Event::End(TagEnd::TableCell) if self.is_in_head => html("</th>"),
            Event::Start(Tag::TableCell) => {
                let title = self.titles.get(self.column).map_or("", String::as_str);
                self.column += 1;
                html(&format!("<td data-label=\"{title}\">"))
            }
            Event::End(TagEnd::TableCell) => html("</td>"),
            other => {
                if let (true, Event::Text(text), Some(title)) =
                    (self.is_in_head, &other, self.titles.last_mut())
                {
                    title.push_str(text);
                }
                other
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_of_a_table_has_the_title_of_its_column() {
        let html = html("| errno | name |\n| --- | --- |\n| 10 | `not_json` |\n| 11 | b |\n\nEnd.");
        assert_eq!(
            html,
            "<table class=\"stacked\"><thead><tr><th scope=\"col\">errno</th>\
             <th scope=\"col\">name</th></tr></thead><tbody>\n\
             <tr><td data-label=\"errno\">10</td>\
             <td data-label=\"name\"><code>not_json</code></td></tr>\n\
             <tr><td data-label=\"errno\">11</td><td data-label=\"name\">b</td></tr>\n\
             </tbody></table>\n<p>End.</p>\n"
        );
    }
}
