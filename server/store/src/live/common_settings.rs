//! The settings that all servers of a database must share.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// The maximum number of characters of a value. The rest of a longer one is stored as its digest.
const LONGEST: usize = 200;

/// Settings by name, without secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommonSettings(BTreeMap<String, String>);

impl CommonSettings {
    /// Adds a setting.
    pub fn insert(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), shortened(value));
    }

    /// Returns the settings that are not the same at others, each with both values, on one line.
    /// A setting that only one of both programs knows is not compared. `None` if there are none.
    pub fn differences(&self, others: &Self) -> Option<String> {
        let difference = |(name, here): (&String, &String)| {
            let there = others.0.get(name).filter(|there| *there != here)?;
            Some(format!("{name} ({here} here, {there} there)"))
        };
        let all: Vec<String> = self.0.iter().filter_map(difference).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }

    /// Returns the text that is stored: a setting a line.
    pub(super) fn to_text(&self) -> String {
        let line = |(name, value): (&String, &String)| format!("{name} = {value}\n");
        self.0.iter().map(line).collect()
    }

    /// Reads the text that is stored.
    pub(super) fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.split_once(" = "));
        Self(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

fn shortened(value: &str) -> String {
    let value = value.replace(char::is_control, " ");
    match value.char_indices().nth(LONGEST) {
        None => value,
        Some((end, _)) => {
            let digest = Sha256::digest(&value);
            let [digest, ..] = digest.as_chunks::<8>().0 else { return value };
            let digest = u64::from_be_bytes(*digest);
            format!("{}… with SHA-256 {digest:016x}…", value.get(..end).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(values: &[(&str, &str)]) -> CommonSettings {
        let mut settings = CommonSettings::default();
        values.iter().for_each(|(name, value)| settings.insert(name, value));
        settings
    }

    #[test]
    fn only_what_differs_is_named_and_what_one_program_does_not_know_is_not_compared() {
        let here = settings(&[("grace", "7"), ("issuers", "a, b"), ("new", "1")]);
        let there = settings(&[("grace", "8"), ("issuers", "a, b"), ("old", "1")]);
        assert_eq!(here.differences(&there).as_deref(), Some("grace (7 here, 8 there)"));
        assert_eq!(here.differences(&here), None);
    }

    #[test]
    fn the_stored_text_is_bounded_and_long_values_that_end_differently_differ() {
        let long = |last: &str| settings(&[("issuers", &format!("{}{last}", "ä".repeat(10_000)))]);
        let (one, other) = (long("1\n"), long("2"));
        assert!(one.to_text().chars().count() < 300, "{}", one.to_text());
        let (one, other) =
            (CommonSettings::parse(&one.to_text()), CommonSettings::parse(&other.to_text()));
        assert!(one.differences(&other).is_some());
        assert_eq!(CommonSettings::parse(&one.to_text()), one);
    }
}
