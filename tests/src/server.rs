//! A running server of one test.

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use presence_protocol::{AppId, Puid};
use presence_test_postgres::Cluster;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::fixtures::{Application, User, email};
use crate::rest::{RestCall, RestClient, RestResponse};
use crate::server_options::{METRICS_FLAG, ServerOptions};
use crate::{CertificateAuthority, DomainServer, TIMEOUT, binary, child_command};

/// The prefix of the line that contains the address.
const LISTENING_PREFIX: &str = "Presence is listening on ";
/// The prefix of the line that contains the address of the metrics.
const METRICS_PREFIX: &str = "Metrics are on ";

/// The way in which a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoppedServer {
    /// By itself, with an exit code.
    With(i32),
    /// By a signal.
    BySignal,
}

impl From<ExitStatus> for StoppedServer {
    fn from(status: ExitStatus) -> Self {
        status.code().map_or(Self::BySignal, Self::With)
    }
}

/// A running server. Dropping it kills it, and prints its log if the test has failed.
pub struct Server {
    options: ServerOptions,
    directory: Arc<TempDir>,
    process: Option<Process>,
    address: Arc<Mutex<SocketAddr>>,
    rest: RestClient,
}

/// A process with its standard output, which stays open so that the process can always print.
struct Process {
    child: Child,
    _stdout: Lines<BufReader<ChildStdout>>,
    /// The URL of the metrics, if they have an address of their own.
    metrics: Option<String>,
}

impl Server {
    /// Starts a server on a free port with an empty database.
    pub async fn start(options: ServerOptions) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let (process, address) = spawn(&options, &directory, 0).await;
        let address = Arc::new(Mutex::new(address));
        let rest = RestClient::new(Arc::clone(&address), options.tls.as_ref());
        Self { options, directory, process: Some(process), address, rest }
    }

    /// Starts servers that share the presence of a new PostgreSQL database.
    pub async fn start_sharing<const N: usize>(options: ServerOptions) -> [Self; N] {
        let options = options.with_database(&Cluster::shared().create_database());
        let mut servers = Vec::with_capacity(N);
        for _ in 0..N {
            servers.push(Self::start(options.clone()).await);
        }
        servers.try_into().unwrap_or_else(|_| panic!("{N} servers were started"))
    }

    /// Starts a server with the short times of [`ServerOptions::default`].
    pub async fn start_default() -> Self {
        Self::start(ServerOptions::default()).await
    }

    /// Returns the current address, or the last one.
    pub fn address(&self) -> SocketAddr {
        *self.address.lock().unwrap()
    }

    /// Returns the URL without a trailing slash, which is the audience of assertions.
    pub fn url(&self) -> String {
        let scheme = if self.tls().is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address())
    }

    /// Returns the authority of its TLS certificate, if it serves TLS.
    pub fn tls(&self) -> Option<&CertificateAuthority> {
        self.options.tls.as_ref()
    }

    /// Returns the URL of the metrics of a server that was started with
    /// [`ServerOptions::with_metrics`].
    pub fn metrics_url(&self) -> &str {
        let url = self.running().metrics.as_deref();
        url.unwrap_or_else(|| panic!("the metrics have no address"))
    }

    /// Returns the metrics of a server that was started with [`ServerOptions::with_metrics`].
    pub async fn metrics(&self) -> RestResponse {
        let answer = self.rest.get(self.metrics_url()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer
    }

    /// Waits until the log contains a text, and returns the log so far.
    pub async fn wait_for_log(&self, text: &str) -> String {
        self.wait_for_log_line(&[text]).await;
        self.log_so_far()
    }

    /// Waits until a line of the log contains all the texts, and returns it.
    pub async fn wait_for_log_line(&self, texts: &[&str]) -> String {
        let logged = async {
            loop {
                let log = self.log_so_far();
                let has_all = |line: &&str| texts.iter().all(|text| line.contains(text));
                if let Some(line) = log.lines().find(has_all) {
                    return line.to_owned();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let line = timeout(TIMEOUT, logged).await;
        line.unwrap_or_else(|_| panic!("{texts:?} is not logged: {}", self.log_so_far()))
    }

    /// Returns the path of the SQLite file.
    pub fn database(&self) -> PathBuf {
        self.directory.path().join("presence.db")
    }

    /// Returns the name of the PostgreSQL database of a server that was started with
    /// [`ServerOptions::with_database`].
    pub fn database_name(&self) -> String {
        let url = self.options.database.as_deref();
        let url = url.unwrap_or_else(|| panic!("the server has a database of its own"));
        url.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.running().child.id().unwrap()
    }

    /// Stops the server with `TERM`. Returns the log of all runs, which is complete then.
    pub async fn complete_log(&mut self) -> String {
        self.terminate().await;
        self.log_so_far()
    }

    /// Returns what is logged so far. The server writes its log in the background: a line may be
    /// missing here although what it tells was answered before.
    pub fn log_so_far(&self) -> String {
        std::fs::read_to_string(log_of(&self.directory)).unwrap_or_default()
    }

    /// Kills the server: no destructor runs, and nothing is flushed.
    pub async fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.child.kill().await.unwrap();
    }

    /// Sends `TERM`, and waits until the server has stopped.
    pub async fn terminate(&mut self) -> StoppedServer {
        self.signal("TERM").await;
        self.stopped().await
    }

    /// Sends it a signal by name, such as `TERM`.
    pub async fn signal(&self, name: &str) {
        let number = self.pid().to_string();
        // The shell has a `kill` of its own, and some systems have no other.
        let script = ["-c", "kill -s \"$0\" \"$1\"", name, &number];
        let sent = Command::new("sh").args(script).status().await.unwrap();
        assert!(sent.success(), "the signal {name} could not be sent");
    }

    /// Waits until the server has stopped.
    pub async fn stopped(&mut self) -> StoppedServer {
        let mut process = self.process.take().unwrap();
        let status = timeout(TIMEOUT, process.child.wait()).await;
        status
            .unwrap_or_else(|_| {
                panic!("the server did not stop; it logged:\n{}", self.log_so_far())
            })
            .unwrap()
            .into()
    }

    /// Restarts a stopped server, with the same database on another free port.
    pub async fn restart(&mut self) {
        self.run_again(0).await;
    }

    /// Restarts a stopped server, with the same database on the same port.
    pub async fn restart_in_place(&mut self) {
        self.run_again(self.address().port()).await;
    }

    /// Returns the value of a flag with which the server was started.
    pub fn flag(&self, name: &str) -> Option<&str> {
        let flags = self.options.flags.iter();
        flags.rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Changes the options of the next start.
    pub fn change(&mut self, change: impl FnOnce(ServerOptions) -> ServerOptions) {
        self.options = change(self.options.clone());
    }

    /// Returns the client of the REST API.
    pub fn rest(&self) -> &RestClient {
        &self.rest
    }

    /// Returns a REST call without any credential.
    pub fn call(&self, method: &str, path: &str) -> RestCall {
        self.rest.call(method, path)
    }

    /// Returns an assertion for a user of `dev.localhost`, or for an e-mail address.
    pub async fn assertion(&self, name: &str) -> String {
        let answer = self.call("POST", "/dev/assertion").json(&json!({"email": email(name)})).await;
        let assertion = answer.ok()["assertion"].as_str().map(str::to_owned);
        assertion.unwrap_or_else(|| panic!("no assertion in {answer:?}"))
    }

    /// Signs a user in, with a session of the scope `account`.
    pub async fn sign_in(&self, name: &str) -> User {
        self.sign_in_for(name, "account").await
    }

    /// Signs a user in, with a session of the given scope.
    pub async fn sign_in_for(&self, name: &str, scope: &str) -> User {
        let assertion = self.assertion(name).await;
        let body = json!({"assertion": assertion, "scope": scope});
        let answer = self.call("POST", "/session").json(&body).await;
        let token = answer.ok()["token"].as_str().unwrap().to_owned();
        User::new(name, token, self.rest.clone())
    }

    /// Makes an active Application with its own domain and its first API key.
    pub async fn application(&self, owner: &User) -> Application {
        self.application_named(owner, "Chat").await
    }

    /// Makes an active Application with a name.
    pub async fn application_named(&self, owner: &User, name: &str) -> Application {
        let domain = DomainServer::start().await;
        Application::make(owner, name, domain).await
    }

    /// Makes an Application of a developer, and a user who granted it: the setup of most tests.
    pub async fn application_with(&self, name: &str) -> (Application, User, Puid) {
        let owner = self.sign_in("developer").await;
        let application = self.application(&owner).await;
        let user = self.sign_in(name).await;
        let uid = user.grant(&application).await;
        (application, user, uid)
    }

    async fn run_again(&mut self, port: u16) {
        assert!(self.process.is_none(), "the server runs");
        let (process, address) = spawn(&self.options, &self.directory, port).await;
        *self.address.lock().unwrap() = address;
        self.process = Some(process);
    }

    fn running(&self) -> &Process {
        self.process.as_ref().unwrap_or_else(|| panic!("the server does not run"))
    }
}

impl Drop for Server {
    #[expect(clippy::print_stderr, reason = "the log of the server explains the failure")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server logged:\n{}", self.log_so_far());
        }
    }
}

impl Application {
    /// Returns the id in the type of the protocol.
    pub fn id(&self) -> AppId {
        self.appid.parse().unwrap()
    }
}

/// Returns the URL of the server's database: a SQLite file in its folder, or, if
/// `PRESENCE_TEST_STORAGE` is `postgres`, a PostgreSQL database named after the folder.
#[expect(clippy::disallowed_methods, reason = "the developer chooses the storage of the tests")]
fn database_url(options: &ServerOptions, directory: &TempDir) -> String {
    if let Some(url) = &options.database {
        return url.clone();
    }
    if std::env::var("PRESENCE_TEST_STORAGE").is_ok_and(|storage| storage == "postgres") {
        let name = directory.path().file_name().and_then(|name| name.to_str()).unwrap();
        return Cluster::shared().database(&name.replace('.', "presence"));
    }
    format!("sqlite://{}?mode=rwc", directory.path().join("presence.db").display())
}

async fn spawn(options: &ServerOptions, directory: &TempDir, port: u16) -> (Process, SocketAddr) {
    let mut command = command(options);
    command
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .args(["--database", &database_url(options, directory)])
        .args(options.flags.iter().map(|(name, value)| format!("--{name}={value}")))
        .args((!options.production).then_some("--dev"))
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log_output(options, directory));
    let mut child = command.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = next_line(&mut stdout).await;
    // A public URL, if there is one, follows after a comma.
    let url = line.strip_prefix(LISTENING_PREFIX).and_then(|rest| rest.split(',').next());
    let address = url.and_then(|url| url.split_once("://")?.1.parse().ok());
    let address = address.unwrap_or_else(|| {
        let log = std::fs::read_to_string(log_of(directory)).unwrap_or_default();
        panic!("the server did not start: it printed {line:?} and logged:\n{log}")
    });
    let has_metrics = options.flags.iter().any(|(name, _)| name == METRICS_FLAG);
    let metrics = if has_metrics { Some(next_line(&mut stdout).await) } else { None };
    let metrics = metrics.and_then(|line| Some(line.strip_prefix(METRICS_PREFIX)?.to_owned()));
    (Process { child, _stdout: stdout, metrics }, address)
}

/// Returns the next line that a starting server prints.
async fn next_line(stdout: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = timeout(TIMEOUT, stdout.next_line()).await;
    let line = line.unwrap_or_else(|_| panic!("the server prints nothing"));
    let line = line.unwrap().unwrap_or_default();
    // With a log in JSON, this line is JSON too.
    let object: Option<Value> = serde_json::from_str(&line).ok();
    let message = object.and_then(|line| line["fields"]["message"].as_str().map(str::to_owned));
    message.unwrap_or(line)
}

fn log_output(options: &ServerOptions, directory: &TempDir) -> OwnedFd {
    match &options.log {
        Some(output) => output.try_clone().unwrap(),
        None => File::options().create(true).append(true).open(log_of(directory)).unwrap().into(),
    }
}

fn command(options: &ServerOptions) -> Command {
    let program = options.program.clone().unwrap_or_else(|| binary::server_binary().to_owned());
    if options.limits.is_empty() {
        return child_command(program);
    }
    let mut shell = child_command("bash");
    // An ignored signal stays ignored over `exec`, so that a write over the limit fails and does
    // not kill the process.
    let script = format!("trap '' XFSZ; ulimit {}; exec \"$0\" \"$@\"", options.limits.join(" "));
    shell.args(["-c", &script]).arg(program);
    shell
}

fn log_of(directory: &TempDir) -> PathBuf {
    directory.path().join("stderr.log")
}
