//! The command line.
//!
//! The modules in reading order: the commands [`check`], [`client`], [`database`] and [`generate`]
//! with the [`manual`] page, then the [`scope`] of settings, the [`log_format`] of wrong arguments,
//! the [`output`] and the errors of wrong [`usage`].

mod check;
mod client;
mod database;
mod generate;
mod manual;

mod log_format;
mod output;
mod scope;
mod usage;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use presence_core::Clock as _;
use presence_service::clock::SystemClock;
use presence_service::operator_access::{self, OperatorTokenDigest};
use secrecy::{ExposeSecret, SecretString};
use tokio::signal::unix::{SignalKind, signal};

use self::client::ClientCommand;
use self::generate::GenerateCommand;
use self::output::{
    Announcements, CommandError, EXIT_USAGE, failure, print, print_error, usage_error,
};
use crate::lifecycle::{RunningServer, StopReason};
use crate::settings::{Flags, LogFormat, Settings, show_defaults};
use crate::traces::Traces;
use crate::{http, logging};

/// Presence shows Applications whether a user is reachable, if the user has allowed it.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// The settings file (TOML).
    #[arg(long, global = true, env = "PRESENCE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server; this is the default.
    Serve,
    /// Prints the OpenAPI document.
    Openapi,
    /// Prints the effective settings without their secrets.
    Config,
    /// Creates a token for the operator's pages, and the setting that accepts it.
    AdminToken,
    /// Gets an assertion from the development issuer of a running server.
    Assertion {
        /// The e-mail, of any user at dev.localhost.
        #[arg(long)]
        email: String,
        /// The server that the assertion is for, if it is not the one that creates it.
        #[arg(long)]
        audience: Option<String>,
    },
    /// Checks whether the database, the certificate and the issuers can be used. Changes nothing.
    /// The exit code is 0 if all can be used, 2 if no server starts with these settings, and 1 for
    /// any other problem.
    Check {
        /// Asks no issuer, collector or certificate authority, so that no other party decides
        /// whether a server starts. A certificate that is not valid now is then a warning only.
        #[arg(long)]
        offline: bool,
    },
    /// Copies the database to a new file, also while a server runs.
    Backup {
        /// The file to create; an existing file is not overwritten.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Copies a SQLite database to a PostgreSQL database without users, for a server that moves.
    /// No server may use either of them. A copy that fails leaves no row, and can be repeated.
    Copy {
        /// The PostgreSQL database, as a URL.
        #[arg(long, value_name = "URL", env = "PRESENCE_COPY_TO", hide_env_values = true)]
        to: SecretString,
    },
    /// A command that plays a client of a server.
    #[command(flatten)]
    Client(ClientCommand),
    /// A command that needs no settings.
    #[command(flatten)]
    Generate(GenerateCommand),
}

impl Cli {
    /// Reads the arguments. Prints the help, or the error in one line.
    ///
    /// # Errors
    ///
    /// The exit code, if the arguments are wrong or ask for help.
    pub fn from_arguments() -> Result<Self, ExitCode> {
        let definition = scope::limit(Self::definition());
        let arguments: Vec<OsString> = std::env::args_os().collect();
        if log_format::is_json(&arguments, &definition) {
            use_format(LogFormat::Json);
        }
        let read = definition.clone().try_get_matches_from(&arguments).and_then(|matches| {
            scope::check(&matches, &definition)?;
            Self::from_arg_matches(&matches)
        });
        read.map_err(|error| {
            if !error.use_stderr() {
                return exit_code(print(error.render().to_string().trim_end()));
            }
            print_error(&usage::describe(&error, &arguments, &definition));
            ExitCode::from(EXIT_USAGE)
        })
    }

    /// Returns the definition of the arguments, with the defaults of the settings in its help.
    fn definition() -> clap::Command {
        show_defaults(Self::command())
    }

    /// Runs the command. The exit code is 0 after success, 2 for wrong arguments or settings, and 1
    /// for any other failure.
    pub fn run(self) -> ExitCode {
        let result = self.execute();
        logging::flush();
        exit_code(result)
    }

    fn execute(self) -> Result<(), CommandError> {
        let Self { command, config, flags } = self;
        let command = command.unwrap_or(Command::Serve);
        // The lines of other commands are for a person.
        if matches!(command, Command::Serve)
            && let Some(format) = Settings::log_format(&flags, config.as_deref())
        {
            use_format(format);
        }
        let settings = || Settings::load(&flags, config.as_deref()).map_err(usage_error);
        match command {
            Command::Generate(command) => generate::run(command, Self::definition()),
            Command::Client(command) => block_on(client::run(command)),
            Command::Openapi => print(&http::document()),
            Command::Config => print(settings()?.redacted().trim_end()),
            Command::AdminToken => print(&admin_token()),
            Command::Serve => block_on(serve(settings()?)),
            Command::Check { offline } => block_on(check::run(settings()?, offline)),
            Command::Backup { to } => block_on(database::back_up(settings()?, to)),
            Command::Copy { to } => block_on(database::copy(settings()?, to)),
            Command::Assertion { email, audience } => {
                block_on(assertion(settings()?, email, audience))
            }
        }
    }
}

/// Uses a format for all that is written besides the log.
fn use_format(format: LogFormat) {
    output::set_format(format);
    if format == LogFormat::Json {
        logging::catch_early_panics();
    }
}

/// Returns the exit code of a command, and prints the reason of a failure.
fn exit_code(result: Result<(), CommandError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(CommandError(code, reason)) => {
            print_error(&reason);
            ExitCode::from(code)
        }
    }
}

fn block_on(work: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    let runtime = tokio::runtime::Runtime::new().map_err(failure)?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

async fn serve(settings: Settings) -> Result<(), CommandError> {
    let traces = Traces::configured(&settings).map_err(usage_error)?;
    logging::start(&settings, traces.as_ref().map(Traces::layer)).map_err(usage_error)?;
    // From here on SIGHUP does not end the process; the running server reloads at it.
    let hang_ups = signal(SignalKind::hangup()).map_err(failure)?;
    let announcements = Announcements::start().map_err(failure)?;
    let development = settings.dev;
    let stop_request = stop_request().map_err(failure)?;
    let tls = settings.prepare_tls().map_err(usage_error)?;
    settings.check_sign_in().map_err(usage_error)?;
    let mut warnings = settings.warnings();
    if let Some(tls) = &tls {
        let url = settings.public_url(settings.listen);
        warnings.extend(tls.warnings(url.as_ref(), SystemClock::default().now()));
    }
    let server = RunningServer::start(settings, tls).await.map_err(failure)?;
    // A start that fails has one line, the reason.
    warnings.iter().for_each(|warning| log_warning(warning));
    let url = server.public_url().as_str().trim_end_matches('/').to_owned();
    let local = server.local_url();
    let known_as = if url == local { String::new() } else { format!(", known as {url}") };
    announcements.print(&format!("Presence is listening on {local}{known_as}"));
    if let Some(address) = server.metrics_address() {
        announcements.print(&format!("Metrics are on http://{address}/metrics"));
    }
    if development {
        announcements.print(&format!(
            "Development mode: anyone can sign in as any user of dev.localhost. Do not make this\n\
             server reachable by others.\n\
             Next: open {url}/ in a browser, {url}/docs for the API, {url}/dev for an assertion."
        ));
    }
    let export = traces.map(Traces::start);
    let result = server.serve(stop_request, hang_ups).await.map_err(failure);
    if let Some(export) = export {
        export.finish().await;
    }
    result
}

fn log_warning(warning: &str) {
    tracing::warn!("settings.warning: {warning}");
}

/// Resolves at SIGTERM or SIGINT, which stop the server, or at SIGUSR2, which announces a restart.
fn stop_request() -> std::io::Result<impl Future<Output = StopReason>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut restart = signal(SignalKind::user_defined2())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => StopReason::Shutdown,
            _ = interrupt.recv() => StopReason::Shutdown,
            _ = restart.recv() => StopReason::Restart,
        }
    })
}

async fn assertion(
    settings: Settings,
    email: String,
    audience: Option<String>,
) -> Result<(), CommandError> {
    let url = settings.public_url(settings.listen);
    let server = url.and_then(|url| url.as_str().parse().ok());
    let server = server.ok_or_else(|| usage_error("public_url is not a URL"))?;
    let assertion = client::assertion(&server, &email, audience).await?;
    print(assertion.expose_secret())
}

/// Creates an operator's token, and describes where it and its digest belong.
fn admin_token() -> String {
    let token = operator_access::generate_operator_token();
    let digest = OperatorTokenDigest::of(&token).to_hex();
    let token = token.expose_secret();
    format!(
        "The token, which is shown only once; keep it with your passwords:\n\n    {token}\n\n\
         The setting for the server, which does not reveal the token. In the settings file it stands\n\
         before the first line with [[…]], since all lines after it belong to a table:\n\n    \
         admin_token_digest = \"{digest}\"\n\n\
         With this setting the operator's pages are at /admin."
    )
}
