//! The examples do what they say, as processes of their own against the real server.

mod chatroom;

use std::path::Path;
use std::process::Stdio;

use presence_tests::{Server, TIMEOUT, example_binary};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

#[tokio::test]
async fn the_watcher_tells_what_the_device_reports() {
    let server = Server::quick().await;
    let owner = server.sign_in("developer").await;
    let application = server.application(&owner).await;
    let key =
        [("PRESENCE_APPID", &*application.appid), ("PRESENCE_API_KEY", &*application.api_key)];
    let mut watch = Example::start(&server, "watch", &[], &key);
    watch.shows("Connected").await;
    let mut device = Example::start(&server, "device", &["alice", &application.appid], &[]);
    let granted = device.shows("knows alice as").await;
    let uid = granted.rsplit(' ').next().unwrap();
    watch.shows(&format!("{uid} is Online")).await;
    device.types("unavailable in a meeting").await;
    watch.shows(&format!("{uid} is Unavailable in a meeting")).await;
    device.types("asleep").await;
    device.shows("online, unavailable or offline").await;
    device.ends().await;
    watch.shows(&format!("{uid} is Offline")).await;
    server.sign_in("alice").await.revoke(&application).await;
    watch.shows(&format!("{uid} may not be seen any more")).await;
}

#[tokio::test]
async fn a_notification_waits_for_the_device_and_its_receipt_comes_back() {
    let server = Server::quick().await;
    let words = ["bob", "Lunch?", "https://chat.example/lunch"];
    let mut notify = Example::start(&server, "notify", &words, &[]);
    notify.shows("1 waiting").await;
    let mut device = Example::start(&server, "device", &["bob"], &[]);
    device.shows("Notify: Lunch? https://chat.example/lunch").await;
    notify.shows("Acked").await;
    notify.ends().await;
    device.ends().await;
}

/// An example that runs. Dropping it kills it.
struct Example {
    name: &'static str,
    process: Child,
    keyboard: Option<ChildStdin>,
    screen: Lines<BufReader<ChildStdout>>,
}

impl Example {
    fn start(
        server: &Server,
        name: &'static str,
        words: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut process = Command::new(example_binary(name))
            .args(words)
            .env("PRESENCE_SERVER", server.url())
            .envs(environment.iter().copied())
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let screen = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { name, keyboard: process.stdin.take(), screen, process }
    }

    async fn types(&mut self, line: &str) {
        let keyboard = self.keyboard.as_mut().unwrap();
        keyboard.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// The next line with a text in it.
    async fn shows(&mut self, wanted: &str) -> String {
        let mut seen = Vec::new();
        loop {
            let line = timeout(3 * TIMEOUT, self.screen.next_line()).await;
            let Ok(Ok(Some(line))) = line else {
                panic!("{} does not show {wanted:?}, but {seen:#?}", self.name);
            };
            if line.contains(wanted) {
                return line;
            }
            seen.push(line);
        }
    }

    /// Ends its input, and waits until it has ended well.
    async fn ends(mut self) {
        drop(self.keyboard.take());
        let ended = timeout(TIMEOUT, self.process.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("{} does not end", self.name)).unwrap();
        assert!(ended.success(), "{}: {ended}", self.name);
    }
}
