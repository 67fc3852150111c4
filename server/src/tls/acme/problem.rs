//! The texts of failures, as they are logged.

use std::error::Error;
use std::fmt;
use std::iter;

/// The maximum number of characters of a text. A certificate authority chooses a part of it.
const MAX_CHARS: usize = 400;
/// The text in the place of what could be an e-mail address.
const HIDDEN: &str = "(hidden)";

/// The reason why an order failed, in one line of bounded length without an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OrderProblem(String);

impl OrderProblem {
    /// Makes a reason of any text.
    pub(super) fn new(text: &str) -> Self {
        let words = text.split(|it: char| it.is_whitespace() || it.is_control());
        let mut shown = String::new();
        for word in words.filter(|word| !word.is_empty()) {
            if !shown.is_empty() {
                shown.push(' ');
            }
            shown.push_str(if word.contains('@') { HIDDEN } else { word });
        }
        if let Some((end, _)) = shown.char_indices().nth(MAX_CHARS) {
            shown.truncate(end);
            shown.push('…');
        }
        Self(shown)
    }

    /// Makes a reason of an error and its causes.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let mut texts: Vec<String> = Vec::new();
        for text in iter::successors(Some(error), |&error| error.source()).map(ToString::to_string)
        {
            // Some errors repeat their cause.
            if texts.last().is_none_or(|last| !last.ends_with(&text)) {
                texts.push(text);
            }
        }
        Self::new(&texts.join(": "))
    }
}

impl From<instant_acme::Error> for OrderProblem {
    fn from(error: instant_acme::Error) -> Self {
        Self::of(&error)
    }
}

impl From<presence_service::StoreError> for OrderProblem {
    fn from(error: presence_service::StoreError) -> Self {
        Self::of(&error)
    }
}

impl fmt::Display for OrderProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_authority_is_one_bounded_line_without_addresses() {
        let text = "Error:\n contact \"mailto:admin@example.org\" is\tinvalid\u{7}!";
        assert_eq!(OrderProblem::new(text).to_string(), "Error: contact (hidden) is invalid !");
        let long = OrderProblem::new(&"ü".repeat(10_000)).to_string();
        assert_eq!(long.chars().count(), MAX_CHARS + 1);
    }

    #[test]
    fn the_causes_of_an_error_are_shown_once() {
        let inner = std::io::Error::other("connection refused");
        let error = instant_acme::Error::Other(Box::new(inner));
        assert_eq!(OrderProblem::from(error).to_string(), "connection refused");
    }
}
