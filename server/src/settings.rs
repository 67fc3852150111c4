//! Every setting of the server: its name, default and meaning, once. A flag beats the environment beats the file beats the default.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use presence_core::Millis;
use presence_core::stream::Kept;
use presence_service::ServiceSettings;
use presence_service::settings::Rate;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::socket::shared::SocketLimits;

/// The prefix of environment variables: `--status-burst` is `PRESENCE_STATUS_BURST`.
const ENVIRONMENT: &str = "PRESENCE_";

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $(#[arg($($arg:tt)+)])? $name:ident: $type:ty = $default:expr;)+) => {
        /// The effective settings.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        /// The settings that were given as flags.
        #[derive(Debug, Default, clap::Args, Serialize)]
        pub struct Flags {
            $(
                $(#[doc = $doc])+
                #[arg(long, global = true, $($($arg)+)?)]
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $name: Option<$type>,
            )+
        }

        impl Settings {
            /// The names of all settings, as in the file.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)+];
        }
    };
}

settings! {
    /// Address and port to listen on; port 0 takes a free one.
    listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080));
    /// The database, as a URL.
    database: String = "sqlite://presence.db?mode=rwc".to_owned();
    /// Where this server is reached from outside, such as `https://presence.example.org`: the audience of assertions. Empty: the
    /// address it listens on, which must then be a loopback address.
    public_url: String = String::new();
    /// Development mode: anybody can be anyone of `dev.localhost`. Only on a loopback address.
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    dev: bool = false;
    /// What is logged, as a `tracing` filter.
    log: String = "info,poem=warn,sea_orm_migration=warn,sqlx=warn".to_owned();
    /// How it is logged: `pretty` or `json`.
    log_format: LogFormat = LogFormat::Pretty;
    /// The most bytes of a frame from a device.
    device_frame_bytes: usize = 16 * 1024;
    /// The most bytes of a frame from an AppService.
    app_frame_bytes: usize = 1024 * 1024;
    /// The most bytes of a REST body.
    body_bytes: usize = 1024 * 1024;
    /// Status updates of a device at once.
    status_burst: u32 = 5;
    /// Status updates of a device a second, after those.
    status_per_second: u32 = 1;
    /// Notifications of an Application to one user at once.
    notify_burst: u32 = 100;
    /// Notifications of an Application to one user a second, after those.
    notify_per_second: u32 = 20;
    /// New sockets of one address a second.
    connects_per_second: u32 = 200;
    /// Connected devices of one user.
    sockets_per_user: usize = 20;
    /// Sockets of one Application.
    sockets_per_app: usize = 100;
    /// Applications of one developer.
    apps_per_developer: u64 = 200;
    /// How long a new socket may stay unknown, in seconds.
    hello_seconds: f64 = 10.0;
    /// How long a connection may take until its first request is answered, in seconds.
    request_seconds: f64 = 30.0;
    /// How often a silent peer is pinged, in seconds; silent for two intervals it is dead.
    ping_seconds: f64 = 30.0;
    /// How long a peer may let what is written to it wait, in seconds.
    write_seconds: f64 = 10.0;
    /// How long a lost device keeps its presence, in seconds.
    grace_seconds: f64 = 10.0;
    /// How long a session lasts, in seconds.
    session_seconds: f64 = 86_400.0;
    /// Whether a socket's session ends with the assertion that opened it.
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    session_ends_with_assertion: bool = false;
    /// How long an Application can resume its stream, in seconds.
    app_queue_seconds: f64 = 3_600.0;
    /// How many updates an Application can resume over.
    app_queue_updates: usize = 100_000;
    /// How many requests to the database are committed together at most; 1 is for comparisons.
    commit_group: usize = 1_000;
    /// How long the sockets are told to go when the server stops, in seconds.
    drain_seconds: f64 = 10.0;
    /// How long a restarted server waits for devices to come back before it says who is offline, in seconds.
    warm_up_seconds: f64 = 15.0;
    /// Hosts of BrowserID issuers whose assertions are accepted, each for the domains that name it.
    #[arg(value_delimiter = ',', num_args = 1)]
    browserid_issuers: Vec<String> = Vec::new();
    /// Whether a domain may show its key over plain http.
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    domain_http: bool = false;
    /// Schemes of app links that a notification's action may have, beside https.
    #[arg(value_delimiter = ',', num_args = 1)]
    action_schemes: Vec<String> = Vec::new();
}

/// How it is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines, an object a line.
    Json,
}

/// Settings that cannot be used; the text is one line.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is not there.
    #[error("the settings file {} cannot be read", .0.display())]
    NoFile(PathBuf),
    /// A setting is unknown or of the wrong type.
    #[error("{0}")]
    Wrong(Box<figment::Error>),
    /// A setting has a value that cannot be.
    #[error("{name} {problem}")]
    Impossible {
        /// Which setting.
        name: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Settings {
    /// Brings flags, environment, file and defaults together.
    ///
    /// # Errors
    ///
    /// [`SettingsError`].
    pub fn load(flags: &Flags, file: Option<&Path>) -> Result<Self, SettingsError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file {
            if !file.is_file() {
                return Err(SettingsError::NoFile(file.to_owned()));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        let settings: Self = figment
            .merge(Env::prefixed(ENVIRONMENT).only(Self::NAMES))
            .merge(Serialized::defaults(flags))
            .extract()
            .map_err(|error| SettingsError::Wrong(Box::new(error)))?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), SettingsError> {
        let wrong = |name, problem| Err(SettingsError::Impossible { name, problem });
        let loopback = self.listen.ip().is_loopback();
        if self.dev && !loopback {
            return wrong(
                "dev",
                "needs a loopback address to listen on: it lets anybody be anyone",
            );
        }
        if self.public_url.is_empty() && !loopback {
            return wrong("public_url", "must be given where the address is not a loopback one");
        }
        if !self.public_url.is_empty() && origin(&self.public_url).is_none() {
            return wrong("public_url", "must be an origin such as https://presence.example.org");
        }
        let seconds = [
            self.hello_seconds,
            self.request_seconds,
            self.ping_seconds,
            self.write_seconds,
            self.grace_seconds,
            self.session_seconds,
            self.app_queue_seconds,
            self.drain_seconds,
            self.warm_up_seconds,
        ];
        if seconds.iter().any(|seconds| !(0.0..=1e9).contains(seconds)) {
            return wrong("a setting in seconds", "must be between 0 and 1000000000");
        }
        if self.ping_seconds < 0.1 || self.hello_seconds < 0.1 || self.session_seconds < 1.0 {
            return wrong("ping_seconds, hello_seconds or session_seconds", "is too short");
        }
        Ok(())
    }

    /// Where the server is reached from outside, once it is known where it listens.
    pub fn public_url(&self, listening: SocketAddr) -> Option<Url> {
        if self.public_url.is_empty() {
            Url::parse(&format!("http://{listening}")).ok()
        } else {
            origin(&self.public_url)
        }
    }

    /// What the service is told.
    pub fn service(&self) -> ServiceSettings {
        ServiceSettings {
            development: self.dev,
            session: millis(self.session_seconds),
            session_ends_with_assertion: self.session_ends_with_assertion,
            grace: millis(self.grace_seconds),
            warm_up: millis(self.warm_up_seconds),
            sockets_per_user: self.sockets_per_user,
            sockets_per_app: self.sockets_per_app,
            apps_per_developer: self.apps_per_developer,
            kept: Kept { entries: self.app_queue_updates, age: millis(self.app_queue_seconds) },
            status_rate: Rate { burst: self.status_burst, per_second: self.status_per_second },
            notify_rate: Rate { burst: self.notify_burst, per_second: self.notify_per_second },
            connect_rate: Rate {
                burst: self.connects_per_second,
                per_second: self.connects_per_second,
            },
            commit_group: self.commit_group,
            domain_http: self.domain_http,
            action_schemes: self.action_schemes.clone(),
        }
    }

    /// What the sockets are told.
    pub fn sockets(&self) -> SocketLimits {
        SocketLimits {
            device_frame: self.device_frame_bytes,
            app_frame: self.app_frame_bytes,
            hello: millis(self.hello_seconds),
            ping: millis(self.ping_seconds),
            write: millis(self.write_seconds),
        }
    }

    /// How long the sockets are told to go.
    pub fn drain(&self) -> Duration {
        Duration::from_millis(millis(self.drain_seconds))
    }

    /// How long nothing may be written to a connection: until its first answer, and later.
    pub fn silences(&self) -> (Millis, Millis) {
        let first = millis(self.request_seconds);
        (first, first.max(millis(self.ping_seconds) * 2 + 5_000))
    }

    /// All settings as lines of the file, secrets hidden.
    pub fn shown(&self) -> String {
        let hidden = Self { database: without_password(&self.database), ..self.clone() };
        let Ok(serde_json::Value::Object(values)) = serde_json::to_value(&hidden) else {
            return String::new();
        };
        let line = |name: &&str| values.get(*name).map(|value| format!("{name} = {value}\n"));
        Self::NAMES.iter().filter_map(line).collect()
    }
}

fn origin(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    plain.then_some(url)
}

fn without_password(database: &str) -> String {
    match Url::parse(database) {
        Ok(mut url) if url.password().is_some() => {
            let hidden = url.set_password(Some("***")).is_ok();
            if hidden { url.into() } else { "***".to_owned() }
        }
        Ok(_) | Err(_) => database.to_owned(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be in bounds"
)]
fn millis(seconds: f64) -> Millis {
    (seconds * 1000.0).round() as Millis
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
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let flags = Flags { status_burst: Some(7), ..Flags::default() };
        let settings = load(&flags, "status_burst = 9\nnotify_burst = 3").unwrap();
        assert_eq!((settings.status_burst, settings.notify_burst), (7, 3));
        assert_eq!(settings.sockets_per_user, 20);
    }

    #[test]
    fn an_unknown_setting_and_a_wrong_type_are_told_in_one_line() {
        for file in ["status_bursts = 9", "status_burst = \"many\"", "status_burst = "] {
            let error = load(&Flags::default(), file).unwrap_err().to_string();
            assert!(!error.trim().is_empty(), "{error}");
        }
    }

    #[test]
    fn development_mode_is_for_loopback_addresses_only() {
        let listen = Some("0.0.0.0:80".parse().unwrap());
        let flags = Flags { listen, dev: Some(true), ..Flags::default() };
        assert!(Settings::load(&flags, None).unwrap_err().to_string().starts_with("dev needs"));
    }

    #[test]
    fn a_server_for_others_must_know_its_name() {
        let listen = Some("0.0.0.0:80".parse().unwrap());
        let flags = Flags { listen, ..Flags::default() };
        assert!(Settings::load(&flags, None).is_err());
        let public_url = Some("https://presence.example.org".to_owned());
        assert!(Settings::load(&Flags { listen, public_url, ..Flags::default() }, None).is_ok());
        let public_url = Some("https://presence.example.org/path".to_owned());
        assert!(Settings::load(&Flags { listen, public_url, ..Flags::default() }, None).is_err());
    }

    #[test]
    fn what_is_shown_can_be_read_again_and_holds_no_password() {
        let settings = Settings { action_schemes: vec!["myapp".to_owned()], ..Settings::default() };
        assert_eq!(load(&Flags::default(), &settings.shown()).unwrap(), settings);
        let database = "postgres://presence:secret@db.example/presence".to_owned();
        let shown = Settings { database, ..Settings::default() }.shown();
        assert!(shown.contains("***") && !shown.contains("secret"));
    }
}
