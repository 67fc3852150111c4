//! Loads the settings from flags, environment and file, and describes their errors in one line.

use std::io::ErrorKind;
use std::path::Path;

use figment::error::{Actual, Kind};
use figment::providers::{Env, Format, Serialized, Toml};
use figment::{Figment, Metadata, Source};

use super::definition::{Flags, LogFormat, Settings};
use super::error::SettingsError;
use super::similar::{did_you_mean, most_similar};
use super::values::ENVIRONMENT_PREFIX;

/// The setting of the address, which is written in several wrong ways.
const LISTEN: &str = "listen";
/// The form of an address.
pub(crate) const ADDRESS: &str = "an IP address and port such as \"127.0.0.1:8080\"";
/// The place of the description of issuers.
const GUIDE: &str = "SIGN-IN.md has an example for each of the usual providers";

impl Settings {
    /// Merges flags, environment, file and defaults, in this order of precedence.
    ///
    /// # Errors
    ///
    /// [`SettingsError`].
    pub fn load(flags: &Flags, file: Option<&Path>) -> Result<Self, SettingsError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file {
            if let Some(problem) = file_problem(file) {
                return Err(SettingsError::NoFile(file.to_owned(), problem));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        let settings: Self = figment
            .merge(Env::prefixed(ENVIRONMENT_PREFIX).only(Self::NAMES))
            .merge(Serialized::defaults(flags))
            .extract()
            .map_err(|error| SettingsError::Unreadable(describe(&error)))?;
        settings.check()?;
        Ok(settings)
    }

    /// Returns the format of the log, if it is set and can be read, whatever is wrong with other
    /// settings: the reason is written in that format.
    pub(crate) fn log_format(flags: &Flags, file: Option<&Path>) -> Option<LogFormat> {
        let read = |figment: Figment| figment.extract_inner("log_format").ok();
        let environment = Env::prefixed(ENVIRONMENT_PREFIX).only(Self::NAMES);
        let in_file = || read(Figment::from(Toml::file_exact(file?)));
        flags.log_format.or_else(|| read(Figment::from(environment))).or_else(in_file)
    }
}

/// Returns the reason why a settings file cannot be read, if there is one.
fn file_problem(file: &Path) -> Option<&'static str> {
    const KNOWN: [(ErrorKind, &str); 4] = [
        (ErrorKind::NotFound, "does not exist"),
        (ErrorKind::IsADirectory, "is a directory"),
        (ErrorKind::PermissionDenied, "cannot be read: its permissions do not allow it"),
        (ErrorKind::InvalidData, "is not a text in UTF-8"),
    ];
    let kind = std::fs::read_to_string(file).err()?.kind();
    let known = KNOWN.iter().find(|(known, _)| *known == kind);
    Some(known.map_or("cannot be read", |(_, problem)| problem))
}

/// Describes an error in one line: the setting, the value that it needs, and where it was given.
fn describe(error: &figment::Error) -> String {
    let name = error.path.last().map_or("a setting", String::as_str).to_lowercase();
    let problem = match &error.kind {
        Kind::InvalidType(given, _) | Kind::InvalidValue(given, _) if name == LISTEN => {
            format!("{LISTEN} must be {ADDRESS}, not {}", describe_value(given))
        }
        Kind::Message(_) if name == LISTEN => format!("{LISTEN} must be {ADDRESS}"),
        Kind::UnknownField(name, known) if known.contains(&name.replace('-', "_").as_str()) => {
            format!("{name} is not a setting: write {}", name.replace('-', "_"))
        }
        // Only tables know other names than those of the settings.
        Kind::UnknownField(name, _) if Settings::NAMES.contains(&name.as_str()) => {
            format!("{name} stands in a table: write it before the first line with [[…]]")
        }
        Kind::UnknownField(name, known) => {
            let similar = most_similar(name, known.iter().copied());
            format!("{name} is not a setting{}", did_you_mean(similar))
        }
        Kind::UnknownVariant(given, known) => {
            format!("{name} must be one of {}, not {given}", known.join(", "))
        }
        Kind::InvalidType(given, expected) | Kind::InvalidValue(given, expected) => {
            format!("{name} must be {}, not {}", describe_type(expected), describe_value(given))
        }
        Kind::Message(text) => to_single_line(text),
        // Only issuers have fields without a default.
        Kind::MissingField(field) => format!("oidc_issuers: an issuer has no {field}; {GUIDE}"),
        Kind::InvalidLength(..)
        | Kind::DuplicateField(_)
        | Kind::ISizeOutOfRange(_)
        | Kind::USizeOutOfRange(_)
        | Kind::Unsupported(_)
        | Kind::UnsupportedKey(..) => format!("{name}: {}", error.kind),
    };
    let source = error.metadata.as_ref().map(|metadata| describe_source(metadata, &name));
    format!("{problem}{}", source.unwrap_or_default())
}

/// Names the file or the environment variable of a value. The parser of the command line reports
/// wrong flags itself.
fn describe_source(metadata: &Metadata, name: &str) -> String {
    if let Some(Source::File(path)) = &metadata.source {
        return format!(" (in {})", path.display());
    }
    if metadata.name.contains(ENVIRONMENT_PREFIX) {
        return format!(" (in {ENVIRONMENT_PREFIX}{})", name.to_uppercase());
    }
    String::new()
}

fn describe_type(expected: &str) -> &str {
    match expected {
        "u16" | "u32" | "u64" | "usize" => "a whole number",
        "f64" => "a number",
        "a boolean" | "bool" => "true or false",
        "a sequence" => "a list such as [\"one\", \"two\"]",
        other => other,
    }
}

fn describe_value(given: &Actual) -> String {
    if let Actual::Str(text) = given { format!("{text:?}") } else { given.to_string() }
}

/// Joins the lines of a parser's error: its place, the text there, and the problem. Leaves out the
/// lines that only draw markers.
fn to_single_line(text: &str) -> String {
    let is_marker = |line: &&str| line.trim_matches(['|', ' ', '^']).is_empty();
    let lines = text.lines().map(str::trim).filter(|line| !is_marker(line));
    lines
        .map(|line| line.split_once(" | ").map_or(line, |(_, shown)| shown.trim()))
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unwrap_in_result, reason = "a test that cannot write its file has failed")]
    fn load(flags: &Flags, file: &str) -> Result<Settings, SettingsError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("presence.toml");
        std::fs::write(&path, file).unwrap();
        Settings::load(flags, Some(&path))
    }

    #[test]
    fn a_flag_overrides_the_file_and_the_file_overrides_the_default() {
        let flags = Flags { status_burst: Some(7), ..Flags::default() };
        let settings = load(&flags, "status_burst = 9\nnotify_burst = 3").unwrap();
        assert_eq!((settings.status_burst, settings.notify_burst), (7, 3));
        assert_eq!(settings.sockets_per_user, 20);
    }

    #[test]
    fn an_unknown_setting_and_a_wrong_type_are_reported_in_one_line() {
        for file in ["status_bursts = 9", "status_burst = \"many\"", "status_burst = "] {
            let error = load(&Flags::default(), file).unwrap_err().to_string();
            assert!(!error.trim().is_empty() && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_misspelled_setting_has_a_suggestion() {
        for (file, suggestion) in [
            ("status_bursts = 9", "status_bursts is not a setting; did you mean status_burst?"),
            ("lisen = \"127.0.0.1:80\"", "lisen is not a setting; did you mean listen?"),
            ("status-burst = 9", "status-burst is not a setting: write status_burst"),
            ("status-brust = 9", "status-brust is not a setting; did you mean status_burst?"),
            ("no_setting = 9", "no_setting is not a setting (in"),
        ] {
            let error = load(&Flags::default(), file).unwrap_err().to_string();
            assert!(error.starts_with(suggestion), "{error}");
        }
        let issuer = "[[oidc_issuers]]\nname = \"a\"\nclient_idss = [\"presence\"]";
        let error = load(&Flags::default(), issuer).unwrap_err().to_string();
        assert!(error.contains("did you mean client_ids?"), "{error}");
    }

    #[test]
    fn a_setting_in_a_table_is_sent_to_its_place() {
        let issuer = "[[oidc_issuers]]\nname = \"a\"\n";
        for line in ["admin_token_digest = \"a\"", "grace_seconds = 5"] {
            let error =
                load(&Flags::default(), &format!("{issuer}{line}")).unwrap_err().to_string();
            let name = line.split(' ').next().unwrap();
            let expected = format!("{name} stands in a table: write it before the first line with");
            assert!(error.starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn a_field_that_an_issuer_lacks_is_named_with_the_setting_and_the_guide() {
        let error = load(&Flags::default(), "[[oidc_issuers]]\nname = \"a\"").unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("oidc_issuers: an issuer has no issuer; SIGN-IN.md"), "{error}");
        for json in ["[{}]", "[{name: 1}]", "{", "\"example\""] {
            let error = json.parse::<super::super::oidc::OidcIssuers>().unwrap_err();
            assert!(error.starts_with("oidc_issuers must be a JSON list"), "{error}");
            assert!(error.contains("SIGN-IN.md"), "{error}");
        }
    }

    #[test]
    fn development_mode_needs_a_loopback_address() {
        let listen = Some("0.0.0.0:80".parse().unwrap());
        let flags = Flags { listen, dev: Some(true), ..Flags::default() };
        let error = Settings::load(&flags, None).unwrap_err().to_string();
        assert!(error.starts_with("dev needs a loopback address in listen"), "{error}");
        assert!(error.contains("not 0.0.0.0:80") && error.contains("phone"), "{error}");
    }

    #[test]
    fn a_server_on_a_public_address_needs_a_public_url() {
        let listen = Some("0.0.0.0:80".parse().unwrap());
        let flags = Flags { listen, ..Flags::default() };
        assert!(Settings::load(&flags, None).is_err());
        let public_url = Some("https://presence.example.org".to_owned());
        assert!(Settings::load(&Flags { listen, public_url, ..Flags::default() }, None).is_ok());
        let public_url = Some("https://presence.example.org/path".to_owned());
        assert!(Settings::load(&Flags { listen, public_url, ..Flags::default() }, None).is_err());
    }

    #[test]
    fn redacted_settings_can_be_loaded_again_and_hold_no_password() {
        let settings = Settings { action_schemes: vec!["myapp".to_owned()], ..Settings::default() };
        assert_eq!(load(&Flags::default(), &settings.redacted()).unwrap(), settings);
        let database = "postgres://presence:hunter2@db.example/presence".to_owned();
        let redacted = Settings { database, ..Settings::default() }.redacted();
        assert!(redacted.contains("***") && !redacted.contains("hunter2"));
        let admin_token_digest = "beef".repeat(16);
        let redacted = Settings { admin_token_digest, ..Settings::default() }.redacted();
        assert!(redacted.contains("admin_token_digest = \"***\"") && !redacted.contains("beef"));
        let acme_contact = "operator@example.org".to_owned();
        let redacted = Settings { acme_contact, ..Settings::default() }.redacted();
        assert!(redacted.contains("acme_contact = \"***\"") && !redacted.contains("operator@"));
    }
}
