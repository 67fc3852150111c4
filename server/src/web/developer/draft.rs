//! What a developer types of an Application, and what is wrong with it, field by field. Nothing typed is lost.

use presence_core::App;
use presence_service::applications::Registration;
use presence_service::rules::{self, DESCRIPTION_CHARS, NAME_CHARS};

use crate::web::form::Fields;

/// A field.
#[derive(Default)]
pub(super) struct Typed {
    pub(super) text: String,
    pub(super) problem: Option<&'static str>,
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
    pub(super) fn check(&mut self, development: bool) -> Option<Registration> {
        let wanted = Registration {
            name: self.name.text.clone(),
            domain: host(&self.domain.text),
            description: self.description.text.clone(),
        };
        if wanted.name.is_empty() {
            self.name.problem = Some("Give it a name. Your users see it on every notification.");
        } else if rules::display_text("name", &wanted.name, NAME_CHARS, false).is_err() {
            self.name.problem = Some("At most 200 characters, and none that cannot be seen.");
        }
        if wanted.domain.is_empty() {
            self.domain.problem = Some("Say where it lives, such as chess.example.org.");
        } else if rules::domain(&wanted.domain, development).is_err() {
            self.domain.problem = Some(
                "This is no host name. Write it like chess.example.org, without a port or a path.",
            );
        }
        let described = &wanted.description;
        if rules::display_text("description", described, DESCRIPTION_CHARS, true).is_err() {
            self.description.problem =
                Some("At most 2,000 characters, and none that cannot be seen.");
        }
        let problems = [self.name.problem, self.domain.problem, self.description.problem];
        problems.iter().all(Option::is_none).then_some(wanted)
    }
}

/// The host of what was typed: people paste addresses.
fn host(typed: &str) -> String {
    let lower = typed.to_lowercase();
    let host = lower.strip_prefix("https://").or(lower.strip_prefix("http://")).unwrap_or(&lower);
    host.strip_suffix('/').unwrap_or(host).to_owned()
}

#[cfg(test)]
mod tests {
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
        assert!(draft.check(false).is_none());
        assert!(draft.name.problem.is_some() && draft.domain.problem.is_some());
        assert!(draft.description.problem.is_some());
        assert_eq!((&*draft.domain.text, &draft.description.text), ("https://a b", &long));
        let mut empty = Draft::default();
        assert!(empty.check(true).is_none() && empty.description.problem.is_none());
    }
}
