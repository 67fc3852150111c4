//! Pages that are the same for every visitor without a session: rendered and compressed once.

use std::sync::OnceLock;

use askama::Template;

use crate::compression::PublicText;

/// The stored form of a page for visitors without a session. Development mode adds a line to every
/// page, so there is one for each mode.
#[derive(Debug)]
pub(crate) struct PublicPage {
    production: OnceLock<PublicText>,
    development: OnceLock<PublicText>,
}

impl PublicPage {
    /// Returns a page that is not rendered yet.
    pub(crate) const fn new() -> Self {
        Self { production: OnceLock::new(), development: OnceLock::new() }
    }

    /// Returns the stored form; renders it at the first call.
    ///
    /// # Errors
    ///
    /// If the template cannot be rendered.
    pub(crate) fn render(
        &self,
        template: &impl Template,
        development: bool,
    ) -> Result<&PublicText, askama::Error> {
        let stored = if development { &self.development } else { &self.production };
        if let Some(text) = stored.get() {
            return Ok(text);
        }
        let html = template.render()?;
        Ok(stored.get_or_init(|| PublicText::new(html)))
    }
}
