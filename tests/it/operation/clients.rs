//! The commands that play a client of a server: `device`, `listen` and `prove-domain`.

use std::process::Stdio;

use presence_tests::{
    Application, CertificateAuthority, Server, ServerOptions, TIMEOUT, child_command, email, run,
    server_binary,
};
use serde_json::{Value, json};
use tempfile::tempdir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

const KEY: &str = "PRESENCE_API_KEY";

/// A running command. Its drop kills it.
struct ClientCommand {
    process: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl ClientCommand {
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = command(arguments, environment);
        let mut process = command.spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { input: process.stdin.take(), output, process }
    }

    fn device(server: &Server, name: &str, more: &[&str]) -> Self {
        let (url, email) = (server.url(), email(name));
        let arguments = ["device", "--server", &url, "--email", &email];
        Self::start(&[&arguments, more].concat(), &[])
    }

    fn listen(server: &Server, application: &Application, more: &[&str]) -> Self {
        let url = server.url();
        let arguments = ["listen", "--server", &url, "--appid", &application.appid];
        Self::start(&[&arguments, more].concat(), &[(KEY, &application.api_key)])
    }

    /// Returns the next line.
    async fn line(&mut self) -> String {
        let line = timeout(TIMEOUT, self.output.next_line()).await;
        line.unwrap().unwrap().unwrap()
    }

    /// Returns the next frame.
    async fn frame(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }

    async fn write_line(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    async fn signal(&self, name: &str) {
        let pid = self.process.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().await.unwrap();
        assert!(sent.success());
    }

    /// Waits for the end, and returns the exit code and standard error.
    async fn ended(mut self) -> (Option<i32>, String) {
        let mut error = String::new();
        let mut reader = self.process.stderr.take().unwrap();
        let ending = async {
            reader.read_to_string(&mut error).await.unwrap();
            self.process.wait().await.unwrap()
        };
        let status = timeout(TIMEOUT, ending).await.unwrap();
        (status.code(), error)
    }

    /// Waits until the command has failed with one line.
    async fn failed_with(self, text: &str) {
        let (code, error) = self.ended().await;
        assert_eq!((code, error.lines().count()), (Some(1), 1), "{error}");
        assert!(error.contains(text), "{error}");
    }

    async fn ended_in_order(self) {
        assert_eq!(self.ended().await, (Some(0), String::new()));
    }
}

fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = child_command(server_binary());
    command.args(arguments).envs(environment.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ok() -> Value {
    json!({"result": "OK"})
}

#[tokio::test]
async fn a_device_reports_gets_notifications_and_ends_in_order() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut back_end = ClientCommand::listen(&server, &application, &["--receipts"]);
    assert_eq!(back_end.frame().await, json!({"action": "auth", "result": "OK"}));
    assert_eq!(back_end.frame().await["snapshot"], true);

    let text = ["--status", "unavailable", "--message", "in a meeting", "--name", "phone"];
    let mut device = ClientCommand::device(&server, "alice", &text);
    assert_eq!(device.frame().await, ok());
    let update = back_end.frame().await["presence"][0].clone();
    assert_eq!(
        (&update["uid"], &update["status"], &update["message"]),
        (&json!(uid), &json!("unavailable"), &json!("in a meeting"))
    );
    application.notify(&json!([{"uid": uid, "message": "Lunch?"}])).await.ok();
    assert_eq!(device.frame().await["notifications"][0]["message"], "Lunch?");

    device.signal("TERM").await;
    device.ended_in_order().await;
    // At once: the grace time would give the cause `lost`.
    let mut update = back_end.frame().await;
    while update.get("presence").is_none() {
        update = back_end.frame().await;
    }
    assert_eq!(update["presence"][0]["cause"], "left", "{update}");
    back_end.signal("INT").await;
    back_end.ended_in_order().await;
}

#[tokio::test]
async fn a_device_reads_further_statuses_and_ends_with_its_input() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("bob").await;
    let mut back_end = ClientCommand::listen(&server, &application, &[]);
    back_end.frame().await;
    back_end.frame().await;
    let mut device = ClientCommand::device(&server, "bob", &["--stdin"]);
    assert_eq!((device.frame().await, device.input.is_some()), (ok(), true));
    device.write_line("asleep").await;
    device.write_line("unavailable in a meeting").await;
    assert_eq!(device.frame().await, ok());
    device.write_line(&format!("online {}", "x".repeat(129))).await;
    assert_eq!(device.frame().await["result"], "KO");
    device.input = None;
    let (code, error) = device.ended().await;
    assert_eq!((code, error.lines().count()), (Some(0), 1), "{error}");
    assert!(error.contains("online, unavailable or offline"), "{error}");
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(back_end.frame().await["presence"][0]["status"].clone());
    }
    assert_eq!(statuses, ["online", "unavailable", "offline"]);
}

#[tokio::test]
async fn a_back_end_continues_after_a_cursor() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("carol").await;
    let mut first = ClientCommand::listen(&server, &application, &[]);
    first.frame().await;
    let cursor = first.frame().await["cursor"].as_str().unwrap().to_owned();
    drop(first);
    let mut device = ClientCommand::device(&server, "carol", &[]);
    device.frame().await;
    let mut second = ClientCommand::listen(&server, &application, &["--cursor", &cursor]);
    second.frame().await;
    let missed = second.frame().await;
    assert_eq!(
        (&missed["snapshot"], &missed["presence"][0]["status"]),
        (&Value::Null, &json!("online"))
    );
}

#[tokio::test]
async fn a_refused_credential_ends_a_client_with_the_error_of_the_server() {
    let server = Server::start_default().await;
    let directory = tempdir().unwrap();
    let (application, _, _) = server.application_with("dave").await;
    let server_flag = format!("--server={}", server.url());
    let appid = format!("--appid={}", application.appid);
    let wrong = format!("{}x", application.api_key);
    let listen = ["listen", &server_flag, &appid];
    let output = run(directory.path(), &listen, &[(KEY, &wrong)]).await;
    output.failed(1, "refuses: errno 41: ");
    assert!(!output.err.contains(&wrong), "{output:?}");

    std::fs::write(directory.path().join("assertion"), "no.assertion\n").unwrap();
    let device = ["device", &server_flag, "--assertion-file", "assertion"];
    run(directory.path(), &device, &[]).await.failed(1, "the server refuses: errno 34: Invalid");
    let foreign = ["device", &server_flag, "--email", "alice@example.org"];
    run(directory.path(), &foreign, &[]).await.failed(1, "refuses: errno 12: ");
    let strict = Server::start(ServerOptions::default().production()).await;
    let strict_flag = format!("--server={}", strict.url());
    let device = ["device", &strict_flag, "--email", &email("alice")];
    run(directory.path(), &device, &[]).await.failed(1, "only a server in development mode");
}

#[tokio::test]
async fn a_client_says_what_it_lacks_and_takes_no_credential_as_an_argument() {
    let directory = tempdir().unwrap();
    let run = |arguments| run(directory.path(), arguments, &[]);
    run(&["listen"]).await.failed(2, "--key-file or PRESENCE_API_KEY");
    run(&["listen", "--key-file", "nowhere"]).await.failed(2, "nowhere cannot be read");
    run(&["listen", "--appid", "7"]).await.failed(2, "--appid");
    run(&["listen", "--api-key", "prs_a"]).await.failed(2, "--api-key");
    run(&["listen", "prs_a"]).await.failed(2, "");
    run(&["device"]).await.failed(2, "--assertion-file or PRESENCE_ASSERTION");
    run(&["device", "--assertion", "a"]).await.failed(2, "--assertion");
    run(&["device", "--server", "nowhere"]).await.failed(2, "write a URL");
    let nobody = ["device", "--server", "http://127.0.0.1:1", "--email", "a@dev.localhost"];
    run(&nobody).await.failed(1, "no server answers at http://127.0.0.1:1: ");
}

#[tokio::test]
async fn the_end_of_a_connection_ends_a_client_with_the_reason() {
    let mut server = Server::start(ServerOptions::default().with("drain-seconds", 0)).await;
    let (application, _, _) = server.application_with("erin").await;
    let mut back_end = ClientCommand::listen(&server, &application, &[]);
    back_end.frame().await;
    application.deactivate().await;
    back_end.failed_with("the server has closed the channel: 4004 The Application was").await;

    let mut first = ClientCommand::device(&server, "erin", &["--name", "phone"]);
    first.frame().await;
    let mut second = ClientCommand::device(&server, "erin", &["--name", "phone"]);
    second.frame().await;
    first.failed_with("the server has closed the channel: 4001 A newer connection").await;
    server.terminate().await;
    second.failed_with("the server has closed the channel: 1001 The server shuts down").await;

    server.restart().await;
    let mut device = ClientCommand::device(&server, "erin", &[]);
    device.frame().await;
    server.kill().await;
    device.failed_with("the connection to the server is lost").await;
}

#[tokio::test]
async fn a_client_whose_output_nobody_reads_ends_quietly() {
    let server = Server::start_default().await;
    let mut device = ClientCommand::device(&server, "frank", &["--stdin"]);
    device.frame().await;
    let mut input = device.input.take().unwrap();
    let (pid, process) = (device.process.id(), device.process);
    drop(device.output);
    assert!(pid.is_some());
    input.write_all(b"offline\n").await.unwrap();
    let ended = timeout(TIMEOUT, process.wait_with_output()).await.unwrap().unwrap();
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), Vec::new()));
}

#[tokio::test]
async fn a_client_speaks_tls_and_accepts_no_unknown_authority() {
    let authority = CertificateAuthority::default();
    let server = Server::start(ServerOptions::default().over_tls(&authority)).await;
    let directory = tempdir().unwrap();
    std::fs::write(directory.path().join("assertion"), server.assertion("grace").await).unwrap();
    let roots = directory.path().join("roots.pem");
    std::fs::write(&roots, authority.root_pem()).unwrap();
    let file = directory.path().join("assertion").display().to_string();
    let url = server.url().replace("127.0.0.1", "localhost");
    let arguments = ["device", "--server", &url, "--assertion-file", &file];
    run(directory.path(), &arguments, &[]).await.failed(1, "certificate");
    let roots = [("SSL_CERT_FILE", roots.to_str().unwrap())];
    let mut device = ClientCommand::start(&arguments, &roots);
    assert_eq!(device.frame().await, ok());
}

#[tokio::test]
async fn a_domain_is_proven_and_its_pages_show_who_comes_back() {
    let server = Server::start_default().await;
    let owner = server.sign_in("developer").await;
    // The port is that of a server that has ended.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let domain = address.to_string();
    let body = json!({"name": "Chat", "domain": domain, "description": "A test"});
    let registered = owner.call("POST", "/apps").json(&body).await.ok();
    let (appid, key) = (&registered["appid"], registered["domain_key"].as_str().unwrap());
    let arguments = ["prove-domain", "--domain", &domain, "--key", key];
    let mut web_server = ClientCommand::start(&arguments, &[]);
    assert!(web_server.line().await.contains(&domain));
    let verify = format!("/apps/{}/verify", appid.as_str().unwrap());
    assert_eq!(owner.call("POST", &verify).await.ok()["state"], "verified");

    let url = format!("http://{domain}/welcome?Presence-UID=0123&state=a+%3Cb%3E");
    let page = reqwest::get(url).await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/plain; charset=utf-8");
    let text = page.text().await.unwrap();
    assert!(text.ends_with("Presence-UID = 0123\nstate = a <b>\n"), "{text}");

    let directory = tempdir().unwrap();
    run(directory.path(), &arguments, &[]).await.failed(1, "cannot be used");
    let public = ["prove-domain", "--domain", "0.0.0.0:0", "--key", key];
    run(directory.path(), &public, &[]).await.failed(2, "an address of this machine");
    web_server.signal("TERM").await;
    web_server.ended_in_order().await;
}
