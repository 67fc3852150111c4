//! A settings file with all settings, made from their definitions.

use std::fmt::Write as _;

use super::definition::{Definition, Settings};
use super::redacted::toml;

/// The length of the lines of descriptions.
const WIDTH: usize = 96;

const INTRODUCTION: &str = "\
# The settings of the Presence server. Each has its default, as a comment. The flag --status-burst 9
# and the environment variable PRESENCE_STATUS_BURST=9 override `status_burst = 9` in this file.
# `presence-server check --config FILE` tests the file, and changes nothing.
";

/// The setting that is written as tables, which have to be at the end.
const TABLES: &str = "oidc_issuers";

/// The end of the file. Its lines are indented, since they are an example and no defaults.
const EXAMPLE: &str = r#"
# --- Identity providers ---

# A table for each OpenID Connect issuer. SIGN-IN.md has one for each of the usual providers. Other
# settings stand before the first table: all lines after [[oidc_issuers]] belong to it.
#
#     [[oidc_issuers]]
#     name = "example"
#     title = "Example Inc."
#     issuer = "https://sso.example.org/realms/main"
#     client_ids = ["presence"]
#     client_secret = "from-the-provider"
#     email_domains = ["example.org"]
"#;

/// Returns the text of a settings file that sets nothing and explains everything.
pub(crate) fn template() -> String {
    let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
    let mut file = INTRODUCTION.to_owned();
    let mut previous = None;
    for Definition { name, group, description, .. } in Settings::DEFINITIONS {
        if previous.replace(*group) != Some(*group) {
            let _ = write!(file, "\n# --- {group} ---\n");
        }
        file.push('\n');
        comment(&mut file, description);
        if *name == TABLES {
            file.push_str("# The tables are at the end of this file.\n");
        } else if let Some(default) = defaults.get(*name) {
            let _ = writeln!(file, "#{name} = {}", toml(default));
        }
    }
    file.push_str(EXAMPLE);
    file
}

/// Appends a text as comment lines.
fn comment(file: &mut String, text: &str) {
    let mut line = "#".to_owned();
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(file, "{line}");
            line.truncate(1);
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(file, "{line}");
}

#[cfg(test)]
mod tests {
    use super::super::Flags;
    use super::*;

    fn load(file: &str) -> Settings {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("presence.toml");
        std::fs::write(&path, file).unwrap();
        Settings::load(&Flags::default(), Some(&path)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Returns the lines of settings without the sign of a comment.
    fn settings(file: &str) -> Vec<&str> {
        file.lines()
            .filter_map(|line| line.strip_prefix('#'))
            .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()))
            .collect()
    }

    #[test]
    fn the_file_sets_nothing_as_it_is_written() {
        let file = template();
        assert!(file.lines().all(|line| line.is_empty() || line.starts_with('#')));
        assert!(file.lines().all(|line| line.len() <= 100), "a line is too long");
        assert_eq!(load(&file), Settings::default());
    }

    #[test]
    fn each_line_alone_and_all_together_set_the_defaults() {
        let file = template();
        let lines = settings(&file);
        let names: Vec<_> = lines.iter().map(|line| line.split_once(" = ").unwrap().0).collect();
        let expected: Vec<_> =
            Settings::NAMES.iter().copied().filter(|name| *name != TABLES).collect();
        assert_eq!(names, expected);
        for line in &lines {
            assert_eq!(load(line), Settings::default(), "{line}");
        }
        assert_eq!(load(&lines.join("\n")), Settings::default());
    }

    #[test]
    fn the_example_of_an_identity_provider_can_be_used() {
        let lines = EXAMPLE.lines().filter_map(|line| line.strip_prefix("#     "));
        let issuer = load(&lines.collect::<Vec<_>>().join("\n"));
        assert_eq!(issuer.oidc_issuers.as_slice().len(), 1);
        assert!(issuer.check_sign_in().is_ok());
    }

    #[test]
    fn what_most_servers_set_comes_first() {
        let first = &Settings::NAMES[..4];
        assert_eq!(first, ["listen", "public_url", "database", TABLES]);
    }
}
