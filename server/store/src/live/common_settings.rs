//! The settings that all servers of a database must share.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// The maximum number of characters of a value. The rest of a longer one is stored as its digest.
const LONGEST: usize = 200;

/// The mark of a stored setting that may differ for some time.
const MAY_DIFFER: &str = "? ";

/// Settings by name, without secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommonSettings {
    same: BTreeMap<String, String>,
    may_differ: BTreeMap<String, String>,
}

impl CommonSettings {
    /// Adds a setting that must be the same at all times.
    pub fn insert(&mut self, name: &str, value: &str) {
        self.same.insert(name.to_owned(), shortened(value));
    }

    /// Adds a setting that may differ while servers are restarted one after another.
    pub fn insert_changing(&mut self, name: &str, value: &str) {
        self.may_differ.insert(name.to_owned(), shortened(value));
    }

    /// Returns the settings that are not the same at others, each with both values, on one line.
    /// A setting that only one of both programs knows is not compared. `None` if there are none.
    pub fn differences(&self, others: &Self) -> Option<String> {
        differences(&self.same, &others.same)
    }

    /// Returns the same for the settings that may differ for some time.
    pub fn passing_differences(&self, others: &Self) -> Option<String> {
        differences(&self.may_differ, &others.may_differ)
    }

    /// Returns the text that is stored: a setting a line.
    pub(super) fn to_text(&self) -> String {
        let line =
            |mark| move |(name, value): (&String, &String)| format!("{mark}{name} = {value}\n");
        self.same.iter().map(line("")).chain(self.may_differ.iter().map(line(MAY_DIFFER))).collect()
    }

    /// Reads the text that is stored.
    pub(super) fn parse(text: &str) -> Self {
        let mut settings = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once(" = ")) {
            let (map, name) = match name.strip_prefix(MAY_DIFFER) {
                Some(name) => (&mut settings.may_differ, name),
                None => (&mut settings.same, name),
            };
            map.insert(name.to_owned(), value.to_owned());
        }
        settings
    }
}

fn differences(
    here: &BTreeMap<String, String>,
    there: &BTreeMap<String, String>,
) -> Option<String> {
    let difference = |(name, here): (&String, &String)| {
        let there = there.get(name).filter(|there| *there != here)?;
        Some(format!("{name} ({here} here, {there} there)"))
    };
    let all: Vec<String> = here.iter().filter_map(difference).collect();
    (!all.is_empty()).then(|| all.join(", "))
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
    fn settings_that_may_differ_for_some_time_are_told_apart_also_when_stored() {
        let [mut here, mut there] = [settings(&[("grace", "7")]), settings(&[("grace", "7")])];
        here.insert_changing("issuers", "a");
        there.insert_changing("issuers", "b");
        let there = CommonSettings::parse(&there.to_text());
        assert_eq!(here.differences(&there), None);
        assert_eq!(here.passing_differences(&there).as_deref(), Some("issuers (a here, b there)"));
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
