//! Tests of the examples, each in a process of its own, against a real server.

mod chatroom;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

use presence_tests::{Server, TIMEOUT, child_command, example_binary, free_address, server_binary};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

#[tokio::test]
async fn the_back_end_prints_what_the_device_reports() {
    let server = Server::start_default().await;
    let owner = server.sign_in("developer").await;
    let application = server.application(&owner).await;
    let key =
        [("PRESENCE_APPID", &*application.appid), ("PRESENCE_API_KEY", &*application.api_key)];
    let mut watch = Example::start(&server, "watch", &[], &key);
    watch.wait_for("Connected").await;
    let mut device = Example::start(&server, "device", &["alice", &application.appid], &[]);
    let line = device.wait_for("can see alice as").await;
    let uid = line.rsplit(' ').next().unwrap();
    watch.wait_for(&format!("{uid} is Online")).await;
    device.write_line("unavailable in a meeting").await;
    watch.wait_for(&format!("{uid} is Unavailable in a meeting")).await;
    device.write_line("asleep").await;
    device.wait_for("online, unavailable or offline").await;
    device.close().await;
    watch.wait_for(&format!("{uid} is Offline")).await;
    server.sign_in("alice").await.revoke(&application).await;
    watch.wait_for(&format!("{uid} has revoked the grant")).await;
}

#[tokio::test]
async fn a_notification_waits_for_the_device_and_its_receipt_is_printed() {
    let server = Server::start_default().await;
    let arguments = ["bob", "Lunch?", "https://chat.example/lunch"];
    let mut notify = Example::start(&server, "notify", &arguments, &[]);
    notify.wait_for("1 waiting").await;
    let mut device = Example::start(&server, "device", &["bob"], &[]);
    device.wait_for("): Lunch? https://chat.example/lunch").await;
    notify.wait_for("Acked").await;
    notify.close().await;
    device.close().await;
}

#[tokio::test]
async fn the_curl_quickstart_ends_with_the_presence_of_its_user() {
    let server = Server::start_default().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/curl/quickstart.sh");
    // It needs what the walkthrough of the README needs, and `setpriv` is of the test.
    let folder = folder_of_programs(&["bash", "curl", "grep", "sed", "tr", "setpriv"]);
    symlink(server_binary(), folder.path().join("presence-server")).unwrap();
    let (path, domain) = (folder.path().to_str().unwrap(), free_address().to_string());
    let environment = [("PATH", path)];
    let mut quickstart =
        Example::start_program(&server, "curl", script.as_ref(), &[&domain], &environment);
    quickstart.wait_for("its domain is verified").await;
    quickstart.wait_for("it knows alice as").await;
    quickstart.wait_for("\"queue_size\":1").await;
    quickstart.wait_for("\"status\":\"offline\"").await;
    quickstart.close().await;
}

/// Returns a folder with links to those of these programs that the machine has, and no others.
fn folder_of_programs(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    for name in names {
        let found = std::env::split_paths(&path).map(|place| place.join(name));
        if let Some(found) = found.into_iter().find(|file| file.is_file()) {
            symlink(found, folder.path().join(name)).unwrap();
        }
    }
    folder
}

/// A running example. Dropping it kills the process.
struct Example {
    name: &'static str,
    process: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Example {
    fn start(
        server: &Server,
        name: &'static str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        Self::start_program(server, name, &example_binary(name), arguments, environment)
    }

    fn start_program(
        server: &Server,
        name: &'static str,
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut process = child_command(program)
            .args(arguments)
            .env("PRESENCE_SERVER", server.url())
            .envs(environment.iter().copied())
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { name, input: process.stdin.take(), output, process }
    }

    /// Writes a line to the input of the process.
    async fn write_line(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Waits for a line of the output that contains a text, and returns the line.
    async fn wait_for(&mut self, text: &str) -> String {
        let mut lines = Vec::new();
        loop {
            let line = timeout(TIMEOUT, self.output.next_line()).await;
            let Ok(Ok(Some(line))) = line else {
                panic!("{} does not print {text:?}, but {lines:#?}", self.name);
            };
            if line.contains(text) {
                return line;
            }
            lines.push(line);
        }
    }

    /// Closes the input, and waits until the process has ended successfully.
    async fn close(mut self) {
        drop(self.input.take());
        let ended = timeout(TIMEOUT, self.process.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("{} has not ended", self.name)).unwrap();
        assert!(ended.success(), "{}: {ended}", self.name);
    }
}
