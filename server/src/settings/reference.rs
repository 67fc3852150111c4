//! The reference of all settings, made from their definitions: `server/SETTINGS.md`.

use std::fmt::Write as _;

use serde_json::Value;

use super::definition::{Definition, Settings};
use super::values::ENVIRONMENT_PREFIX;

const INTRODUCTION: &str = "\
# Settings

Each setting has a flag, an environment variable and a line in the TOML file that `--config FILE` or
`PRESENCE_CONFIG` names. A flag overrides the environment, the environment overrides the file, and
the file overrides the default. A list is given as `--flag one,two`, as
`PRESENCE_NAME='[\"one\",\"two\"]'`, and in the file as `name = [\"one\", \"two\"]`. A flag that is
`true` can be given without its value.

`presence-server config` prints the effective settings without their secrets.
`presence-server init` writes a file with all settings, their descriptions and defaults. With a
wrong setting, the server exits with code 2 and one line that names the setting.
[OPERATION.md](OPERATION.md) describes how to run the server.

This page is generated from the definitions by `UPDATE=1 cargo test -p presence-server`.
";

/// The head of the table of each group.
const TABLE: &str = "\
| setting | flag | environment | type | default | unit | description |
| --- | --- | --- | --- | --- | --- | --- |
";

/// Returns the reference as Markdown.
pub fn reference() -> String {
    let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
    let mut page = INTRODUCTION.to_owned();
    let mut previous = None;
    for Definition { name, group, rust_type, description } in Settings::DEFINITIONS {
        if previous.replace(*group) != Some(*group) {
            let _ = write!(page, "\n## {group}\n\n{TABLE}");
        }
        let flag = name.replace('_', "-");
        let variable = format!("{ENVIRONMENT_PREFIX}{}", name.to_uppercase());
        let default = default(defaults.get(*name));
        let (kind, unit) = (type_in_words(rust_type).unwrap_or_default(), unit(name));
        let description = description.trim();
        let _ = writeln!(
            page,
            "| `{name}` | `--{flag}` | `{variable}` | {kind} | {default} | {unit} | {description} |"
        );
    }
    page
}

fn default(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "empty".to_owned(),
        Some(Value::Array(items)) if items.is_empty() => "empty".to_owned(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(value) => format!("`{value}`"),
    }
}

fn type_in_words(rust_type: &str) -> Option<&'static str> {
    Some(match rust_type {
        "SocketAddr" => "address and port",
        "String" => "text",
        "Vec<String>" => "list of texts",
        "bool" => "true or false",
        "f64" => "number",
        "u16" | "u32" | "u64" | "usize" => "whole number",
        "LogFormat" => "`pretty` or `json`",
        "BrowserIdDiscovery" => "`off`, `allow-listed` or `open`",
        "OidcIssuers" => "list of tables",
        _ => return None,
    })
}

/// Returns the unit, which is the ending of the name.
fn unit(name: &str) -> &'static str {
    const UNITS: &[(&str, &str)] = &[
        ("_per_second", "a second"),
        ("_seconds", "seconds"),
        ("_bytes", "bytes"),
        ("_characters", "characters"),
    ];
    UNITS.iter().find(|(end, _)| name.ends_with(end)).map_or("", |(_, unit)| unit)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a developer decides whether the file is written"
    )]
    fn the_reference_matches_the_definitions() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("SETTINGS.md");
        if std::env::var("UPDATE").is_ok_and(|update| update == "1") {
            std::fs::write(&path, reference()).unwrap();
            return;
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == reference(),
            "SETTINGS.md is stale: run UPDATE=1 cargo test -p presence-server"
        );
    }

    #[test]
    fn every_setting_has_a_sentence_and_a_type_in_words() {
        for Definition { name, rust_type, description, .. } in Settings::DEFINITIONS {
            assert!(description.trim().ends_with('.'), "{name}: {description}");
            assert!(type_in_words(rust_type).is_some(), "{name}: {rust_type}");
        }
        let lines = reference().lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(lines, Settings::NAMES.len());
    }
}
