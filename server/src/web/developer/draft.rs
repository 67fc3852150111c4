//! What a developer types of an Application, and what is wrong with it, field by field. Nothing typed is lost.

use presence_core::App;
use presence_service::applications::Registration;
use presence_service::{ServiceSettings, rules};

use crate::web::form::Fields;

/// A field.
#[derive(Default)]
pub(super) struct Typed {
    pub(super) text: String,
    pub(super) problem: Option<String>,
}

/// What was typed.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) name: Typed,
    pub(super) domain: Typed,
    pub(super) description: Typed,
    /// What is wrong with no field in particular.
    pub(super) problem: Option<String>,
}

impl Draft {
    /// What a form says.
    pub(super) fn of(fields: &Fields) -> Self {
        let typed = |name| Typed {
            // Forms send line breaks as two characters.
            text: fields.get(name).unwrap_or_default().replace("\r\n", "\n"),
            problem: None,
        };
        Self {
            name: typed("name"),
            domain: typed("domain"),
            description: typed("description"),
            problem: None,
        }
    }

    /// An Application as it is.
    pub(super) fn of_app(app: &App) -> Self {
        let typed = |text: &str| Typed { text: text.to_owned(), problem: None };
        Self {
            name: typed(&app.name),
            domain: typed(&app.domain),
            description: typed(&app.description),
            problem: None,
        }
    }

    /// What can be registered; none where something is wrong, which is noted beside its field.
    pub(super) fn check(&mut self, settings: &ServiceSettings) -> Option<Registration> {
        let most = settings.texts;
        let wanted = Registration {
            name: self.name.text.clone(),
            domain: host(&self.domain.text),
            description: self.description.text.clone(),
        };
        if wanted.name.is_empty() {
            self.name.refuse("Give it a name. Your users see it on every notification.");
        } else if rules::display_text("name", &wanted.name, most.name, false).is_err() {
            self.name.refuse(unseen(most.name));
        }
        if wanted.domain.is_empty() {
            self.domain.refuse("Say where it lives, such as chess.example.org.");
        } else if rules::domain(&wanted.domain, most.domain, settings.development).is_err() {
            let text =
                "This is no host name. Write it like chess.example.org, without a port or a path.";
            self.domain.refuse(text);
        }
        let described = &wanted.description;
        if rules::display_text("description", described, most.description, true).is_err() {
            self.description.refuse(unseen(most.description));
        }
        let fields = [&self.name, &self.domain, &self.description];
        fields.iter().all(|field| field.problem.is_none()).then_some(wanted)
    }
}

impl Typed {
    fn refuse(&mut self, problem: impl Into<String>) {
        self.problem = Some(problem.into());
    }
}

fn unseen(most: usize) -> String {
    format!("At most {most} characters, and none that cannot be seen.")
}

/// The host of what was typed: people paste addresses.
fn host(typed: &str) -> String {
    let lower = typed.to_lowercase();
    let host = lower.strip_prefix("https://").or(lower.strip_prefix("http://")).unwrap_or(&lower);
    host.strip_suffix('/').unwrap_or(host).to_owned()
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    use super::*;

    #[test]
    fn an_address_that_was_pasted_is_taken_for_its_host() {
        for typed in ["chess.example", "https://Chess.Example/", "http://chess.example"] {
            assert_eq!(host(typed), "chess.example");
        }
        assert_eq!(host("https://chess.example/x/"), "chess.example/x");
    }

    #[test]
    fn every_field_has_its_own_problem_and_keeps_what_was_typed() {
        let typed = |text: &str| Typed { text: text.to_owned(), problem: None };
        let long = "x".repeat(2_001);
        let mut draft = Draft {
            name: typed("\u{202e}"),
            domain: typed("https://a b"),
            description: typed(&long),
            problem: None,
        };
        let settings = Settings::default().service_settings();
        assert!(draft.check(&settings).is_none());
        assert!(draft.name.problem.is_some() && draft.domain.problem.is_some());
        assert!(draft.description.problem.is_some());
        assert_eq!((&*draft.domain.text, &draft.description.text), ("https://a b", &long));
        let mut empty = Draft::default();
        assert!(empty.check(&settings).is_none() && empty.description.problem.is_none());
    }
}
