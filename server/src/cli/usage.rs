//! The errors of the command line, each in one line.

use clap::error::{ContextKind, ContextValue};

use crate::settings::ADDRESS;

/// The words of the parser for a text that is no address.
const PARSER_PROBLEM: &str = "invalid socket address syntax";

/// Describes wrong arguments in one line, with the argument that is most similar to a wrong one.
pub(super) fn describe(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let line = line.replace(PARSER_PROBLEM, &format!("write {ADDRESS}"));
    match suggestion(error) {
        Some(suggestion) => format!("{line}; did you mean {suggestion}? (try --help)"),
        None => format!("{line} (try --help)"),
    }
}

/// Returns the first suggestion of the parser.
fn suggestion(error: &clap::Error) -> Option<&str> {
    const KINDS: [ContextKind; 3] =
        [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    let value = KINDS.iter().find_map(|kind| error.get(*kind))?;
    if let ContextValue::String(name) = value {
        return Some(name);
    }
    if let ContextValue::Strings(names) = value {
        return names.first().map(String::as_str);
    }
    None
}
