//! The page of all settings, made from their definitions: `server/SETTINGS.md`.

use std::fmt::Write as _;

use serde_json::Value;

use super::{ENVIRONMENT, Settings};

/// What is said of a setting where it is defined.
pub(super) struct Described {
    pub(super) name: &'static str,
    /// Its type in Rust.
    pub(super) kind: &'static str,
    pub(super) meaning: &'static str,
}

const INTRODUCTION: &str = "\
# Settings

Each setting has a flag, an environment variable and a line of the TOML file that `--config FILE` or `PRESENCE_CONFIG` names. A flag
beats the environment, the environment beats the file, the file beats the default. A list is given as `--flag one,two`, as
`PRESENCE_NAME='[\"one\",\"two\"]'`, and in the file as `name = [\"one\", \"two\"]`. A flag of `true` may be given without its value.

`presence-server config` prints the effective settings, secrets hidden. A setting that cannot be ends the server with exit code 2 and
one line that names it. How the server is run with them is in [OPERATION.md](OPERATION.md).

This page is made from the definitions by `UPDATE=1 cargo test -p presence-server`.

| setting | flag | environment | type | default | unit | meaning |
| --- | --- | --- | --- | --- | --- | --- |
";

/// The page of all settings.
pub fn page() -> String {
    let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
    let mut page = INTRODUCTION.to_owned();
    for Described { name, kind, meaning } in Settings::DESCRIBED {
        let flag = name.replace('_', "-");
        let variable = format!("{ENVIRONMENT}{}", name.to_uppercase());
        let default = default(defaults.get(*name));
        let (kind, unit) = (in_words(kind).unwrap_or_default(), unit(name));
        let meaning = meaning.trim();
        let _ = writeln!(
            page,
            "| `{name}` | `--{flag}` | `{variable}` | {kind} | {default} | {unit} | {meaning} |"
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

fn in_words(kind: &str) -> Option<&'static str> {
    Some(match kind {
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

/// The unit, which the end of a name says.
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
        reason = "whether to write the file is the developer's wish"
    )]
    fn the_page_of_the_settings_is_what_their_definitions_say() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("SETTINGS.md");
        if std::env::var("UPDATE").is_ok_and(|wish| wish == "1") {
            std::fs::write(&path, page()).unwrap();
            return;
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == page(),
            "SETTINGS.md is stale: run UPDATE=1 cargo test -p presence-server"
        );
    }

    #[test]
    fn every_setting_is_described_with_words_and_no_type_of_rust() {
        for Described { name, kind, meaning } in Settings::DESCRIBED {
            assert!(meaning.trim().ends_with('.'), "{name}: {meaning}");
            assert!(in_words(kind).is_some(), "{name}: {kind}");
        }
        let lines = page().lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(lines, Settings::NAMES.len());
    }
}
