//! The command line.

mod database;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use presence_core::Clock as _;
use presence_identity::browserid::{KeySource, Question};
use presence_service::clock::SystemClock;
use presence_service::operator_access::{self, OperatorTokenDigest};
use secrecy::ExposeSecret;

use crate::lifecycle::{Running, Stop, with_causes};
use crate::settings::{Flags, Settings};
use crate::tls::Tls;
use crate::{browserid, http, logging, oidc};

/// Presence tells an application that a person is reachable, because that person said so.
#[derive(Debug, Parser)]
#[command(version, about)]
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
    /// Runs the server (also without any command).
    Serve,
    /// Prints the OpenAPI document.
    Openapi,
    /// Prints the effective settings, secrets hidden.
    Config,
    /// Makes a token for the operator's pages, and the setting that lets it in.
    AdminToken,
    /// Gets an assertion from the development issuer of a running server.
    Assertion {
        /// For whom: anybody of dev.localhost.
        #[arg(long)]
        email: String,
        /// For which server, where it is not the one that is asked.
        #[arg(long)]
        audience: Option<String>,
    },
    /// Looks whether the database and the certificate can be used and the issuers be reached; the exit code tells. Changes nothing.
    Check,
    /// Copies the database to a new file, also while a server runs.
    Backup {
        /// Where to; a file that is there is not overwritten.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

/// A failure, with what to say and the exit code.
struct Failure(u8, String);

impl Cli {
    /// Reads the arguments. Where they cannot be, or where help was asked for, it is said already, and the code is to exit with.
    ///
    /// # Errors
    ///
    /// The exit code.
    pub fn of_arguments() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            if !error.use_stderr() {
                say(error.render().to_string().trim_end());
                return ExitCode::SUCCESS;
            }
            let text = error.render().to_string();
            let line = text.lines().next().unwrap_or_default();
            let line = line.strip_prefix("error: ").unwrap_or(line);
            say_to_stderr(&format!("presence-server: {line} (--help tells more)"));
            ExitCode::from(2)
        })
    }

    /// Does what was asked. The exit code is 0 where it was done, 2 for arguments or settings that cannot be, 1 for anything else.
    pub fn run(self) -> ExitCode {
        match self.run_or_fail() {
            Ok(()) => ExitCode::SUCCESS,
            Err(Failure(code, text)) => {
                let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
                say_to_stderr(&format!("presence-server: {line}"));
                ExitCode::from(code)
            }
        }
    }

    fn run_or_fail(self) -> Result<(), Failure> {
        let settings = Settings::load(&self.flags, self.config.as_deref())
            .map_err(|error| Failure(2, error.to_string()))?;
        match self.command.unwrap_or(Command::Serve) {
            Command::Openapi => say(&http::document()),
            Command::Config => say(settings.shown().trim_end()),
            Command::AdminToken => say(&admin_token()),
            Command::Serve => return block_on(serve(settings)),
            Command::Check => return block_on(check(settings)),
            Command::Backup { to } => return block_on(database::back_up(settings, to)),
            Command::Assertion { email, audience } => {
                return block_on(assertion(settings, email, audience));
            }
        }
        Ok(())
    }
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure(1, error.to_string()))?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    done
}

async fn serve(settings: Settings) -> Result<(), Failure> {
    logging::start(&settings).map_err(|text| Failure(2, text))?;
    let development = settings.dev;
    let asked = asked_to_stop().map_err(|error| Failure(1, error.to_string()))?;
    let tls = settings.tls().map(Tls::load).transpose().map_err(|text| Failure(2, text))?;
    let starting = Running::start(settings, tls.map(Arc::new)).await;
    let running = starting.map_err(|error| Failure(1, error.to_string()))?;
    let url = running.url().as_str().trim_end_matches('/').to_owned();
    let local = running.local_url();
    let known_as = if url == local { String::new() } else { format!(", known as {url}") };
    say(&format!("Presence is listening on {local}{known_as}"));
    if let Some(address) = running.metrics_address() {
        say(&format!("Metrics are on http://{address}/metrics"));
    }
    if development {
        say(&format!(
            "Development mode: anybody can be anyone of dev.localhost. Never open this to others.\n\
             Next: open {url}/ in a browser, {url}/docs for the API, {url}/dev for an assertion."
        ));
    }
    running.serve(asked).await.map_err(|error| Failure(1, error.to_string()))
}

/// Resolves at SIGTERM or SIGINT, or at SIGUSR2, which announces a restart.
fn asked_to_stop() -> std::io::Result<impl Future<Output = Stop>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut restart = signal(SignalKind::user_defined2())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => Stop::ForGood,
            _ = interrupt.recv() => Stop::ForGood,
            _ = restart.recv() => Stop::ForRestart,
        }
    })
}

async fn check(settings: Settings) -> Result<(), Failure> {
    if let Some(files) = settings.tls() {
        Tls::load(files).map_err(|text| Failure(1, text))?;
        say("certificate: ok");
    }
    database::check(&settings).await?;
    let discovery = browserid::discovery(&settings, Arc::new(SystemClock::default()))
        .map_err(|error| Failure(1, with_causes(&error)))?;
    for issuer in &settings.browserid_hosts() {
        // Without discovery no host is named.
        let Some(discovery) = &discovery else { break };
        let question = Question { host: issuer, domain: issuer, client: None };
        let answer = discovery.document(question).await;
        let problem = match answer {
            Ok(Some(_)) => None,
            Ok(None) => Some("has no support document".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem {
            return Err(Failure(1, format!("issuer {issuer}: {problem}")));
        }
        say(&format!("issuer {issuer}: ok"));
    }
    check_oidc(&settings).await?;
    if settings.dev {
        say("issuer dev.localhost: ok, made at start");
    }
    Ok(())
}

/// Looks whether the OpenID Connect issuers can be reached; all are looked at before it fails.
async fn check_oidc(settings: &Settings) -> Result<(), Failure> {
    let oidc = oidc::verifier(settings).map_err(|error| Failure(1, error.to_string()))?;
    let Some(oidc) = oidc else { return Ok(()) };
    let mut problems = Vec::new();
    for (name, answer) in oidc.check(SystemClock::default().now()).await {
        match answer {
            Ok(0) => problems.push(format!("issuer {name}: has no key that can be used")),
            Ok(keys) => say(&format!("issuer {name}: ok, {keys} usable keys")),
            Err(error) => problems.push(format!("issuer {name}: {error}")),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure(1, problems.join("; "))) }
}

async fn assertion(
    settings: Settings,
    email: String,
    audience: Option<String>,
) -> Result<(), Failure> {
    let failed = |error: String| Failure(1, error);
    let url = settings
        .public_url(settings.listen)
        .and_then(|url| url.join("/dev/assertion").ok())
        .ok_or_else(|| Failure(2, "public_url is not a URL".to_owned()))?;
    let mut body = serde_json::json!({ "email": email });
    if let (Some(audience), Some(fields)) = (audience, body.as_object_mut()) {
        fields.insert("audience".to_owned(), audience.into());
    }
    let answer = reqwest::Client::new()
        .post(url.as_str())
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .map_err(|_| failed(format!("no server answers at {url}: start one with --dev")))?;
    let text = answer.text().await.map_err(|error| failed(error.to_string()))?;
    let answer: serde_json::Value =
        serde_json::from_str(&text).map_err(|_| failed("the answer is not JSON".to_owned()))?;
    match (answer.get("assertion"), answer.get("error")) {
        (Some(serde_json::Value::String(assertion)), _) => say(assertion),
        (_, Some(serde_json::Value::String(error))) => return Err(failed(error.clone())),
        _ => return Err(failed("the answer holds no assertion".to_owned())),
    }
    Ok(())
}

/// The token goes to the operator, the setting to the server.
fn admin_token() -> String {
    let token = operator_access::generate_operator_token();
    let digest = OperatorTokenDigest::of(&token).to_hex();
    let token = token.expose_secret();
    format!(
        "The token, shown this once; keep it where you keep passwords:\n\n    {token}\n\n\
         The setting, which does not tell the token:\n\n    admin_token_digest = \"{digest}\"\n\n\
         With it the server has a page for you at /admin."
    )
}

#[expect(clippy::print_stdout, reason = "what a command prints is its result")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "the one line that says why")]
fn say_to_stderr(text: &str) {
    eprintln!("{text}");
}
