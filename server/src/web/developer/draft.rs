//! The form of an Application: the texts that the developer typed, and the problem of each field.
//! A rejected form keeps its texts.

use presence_core::App;
use presence_service::applications::Registration;
use presence_service::{ServiceSettings, rules};

use crate::form::VerifiedForm;

/// A field.
#[derive(Default)]
pub(super) struct DraftField {
    /// The text that was typed.
    pub(super) text: String,
    /// The reason why the text is not accepted.
    pub(super) problem: Option<String>,
}

/// The form of an Application.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) name: DraftField,
    pub(super) domain: DraftField,
    pub(super) description: DraftField,
    /// A problem that belongs to no field in particular.
    pub(super) problem: Option<String>,
}

impl Draft {
    /// Reads a form.
    pub(super) fn of_form(form: &VerifiedForm) -> Self {
        // A text is one line, and people press Enter in a long one.
        let text =
            |name| form.get(name).unwrap_or_default().replace("\r\n", " ").replace('\n', " ");
        Self::of_texts(text("name"), text("domain"), text("description"))
    }

    /// Returns the current values of an Application.
    pub(super) fn of_app(app: &App) -> Self {
        Self::of_texts(app.name.clone(), app.domain.clone(), app.description.clone())
    }

    fn of_texts(name: String, domain: String, description: String) -> Self {
        let field = |text| DraftField { text, problem: None };
        let (name, domain, description) = (field(name), field(domain), field(description));
        Self { name, domain, description, problem: None }
    }

    /// Returns the values for a registration; `None` if a field has a problem, which is noted in
    /// the field.
    pub(super) fn validate(&mut self, settings: &ServiceSettings) -> Option<Registration> {
        let limits = settings.texts;
        let registration = Registration {
            name: self.name.text.clone(),
            domain: host(&self.domain.text),
            description: self.description.text.clone(),
        };
        if registration.name.is_empty() {
            self.name.reject("Enter a name. Your users see it on every notification.");
        } else if rules::check_display_text("name", &registration.name, limits.name, false).is_err()
        {
            self.name.reject(invalid_text(limits.name));
        }
        if registration.domain.is_empty() {
            self.domain.reject("Enter the domain of your website, such as chess.example.org.");
        } else if rules::check_domain(&registration.domain, limits.domain, settings.development)
            .is_err()
        {
            self.domain.reject(
                "This is not a domain name. Enter it like chess.example.org, without a port or \
                 a path.",
            );
        }
        let description = &registration.description;
        if rules::check_display_text("description", description, limits.description, true).is_err()
        {
            self.description.reject(invalid_text(limits.description));
        }
        let fields = [&self.name, &self.domain, &self.description];
        fields.iter().all(|field| field.problem.is_none()).then_some(registration)
    }
}

impl DraftField {
    fn reject(&mut self, problem: impl Into<String>) {
        self.problem = Some(problem.into());
    }
}

fn invalid_text(max_chars: usize) -> String {
    format!("Use at most {max_chars} characters, and no line breaks or invisible characters.")
}

/// Returns the host of a text, since people paste whole addresses.
fn host(text: &str) -> String {
    let lower = text.to_lowercase();
    let host = lower.strip_prefix("https://").or(lower.strip_prefix("http://")).unwrap_or(&lower);
    host.strip_suffix('/').unwrap_or(host).to_owned()
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    use super::*;

    #[test]
    fn a_pasted_address_is_read_as_its_host() {
        for typed in ["chess.example", "https://Chess.Example/", "http://chess.example"] {
            assert_eq!(host(typed), "chess.example");
        }
        assert_eq!(host("https://chess.example/x/"), "chess.example/x");
    }

    #[test]
    fn every_field_has_its_own_problem_and_keeps_what_was_typed() {
        let long = "x".repeat(2_001);
        let typed = ("\u{202e}".to_owned(), "https://a b".to_owned(), long.clone());
        let mut draft = Draft::of_texts(typed.0, typed.1, typed.2);
        let settings = Settings::default().service_settings();
        assert!(draft.validate(&settings).is_none());
        assert!(draft.name.problem.is_some() && draft.domain.problem.is_some());
        assert!(draft.description.problem.is_some());
        assert_eq!((&*draft.domain.text, &draft.description.text), ("https://a b", &long));
        let mut empty = Draft::default();
        assert!(empty.validate(&settings).is_none() && empty.description.problem.is_none());
    }
}
