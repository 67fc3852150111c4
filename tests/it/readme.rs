//! Runs the walkthrough of the README as it is written.

use std::os::unix::fs::symlink;
use std::process::{Output, Stdio};

use presence_tests::{DomainServer, Server, TIMEOUT, free_address, server_binary};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// The addresses in the README.
const SERVER: &str = "127.0.0.1:8080";
const DOMAIN: &str = "127.0.0.1:9090";

/// A block of commands, and the lines that it must print. `…` matches any text.
struct Step {
    input: String,
    output: Vec<String>,
}

#[tokio::test]
async fn the_walkthrough_in_the_readme_works_as_written() {
    let (server, domain) = (free_address().to_string(), free_address().to_string());
    let steps = |mark| steps_of(mark).into_iter().map(|step| step.at(&server, &domain));
    let mut first = Terminal::open();
    for step in steps("walk: server") {
        first.run(step).await;
    }
    let mut second = Terminal::open();
    let mut count = 0;
    for step in steps("walk") {
        second.run(step).await;
        count += 1;
    }
    assert_eq!(count, 8, "the walkthrough was not found");
    second.close().await;
    // Ctrl-C does the same.
    signal(first.group, "INT");
    first.close().await;
}

#[tokio::test]
async fn each_step_of_the_walkthrough_that_fails_says_why() {
    let server = Server::start_default().await;
    let address = server.address().to_string();
    // No server.
    let output = walk(&free_address().to_string(), &free_address().to_string(), 2).await;
    assert!(stopped_with(&output, "the developer is not signed in"), "{output:?}");
    // A port that another program uses.
    let taken = DomainServer::start().await;
    taken.publish_key("another key");
    let output = walk(&address, &taken.name(), 2).await;
    assert!(stopped_with(&output, "the domain is not verified"), "{output:?}");
    assert!(stopped_with(&output, "cannot be used: Address already in use"), "{output:?}");
    assert!(stopped_with(&output, "the page does not hold the domain key"), "{output:?}");
}

#[tokio::test]
async fn the_links_of_the_readme_to_a_server_lead_to_its_pages() {
    let server = Server::start_default().await;
    let (readme, begin) = (readme(), format!("<http://{SERVER}"));
    let links = readme.split(&begin).skip(1);
    let links: Vec<&str> = links.map(|rest| rest.split_once('>').unwrap().0).collect();
    assert!(links.len() > 5, "{links:?}");
    for link in links {
        let page = server.call("GET", link).header("accept", "text/html").await;
        // Some ask the visitor to sign in first.
        assert!([200, 303].contains(&page.status), "{link}: {}", page.status);
    }
}

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap()
}

/// Returns the blocks after a mark, each with the text block that follows it directly.
fn steps_of(mark: &str) -> Vec<Step> {
    let block = |text: &str| text.split_once("\n```").unwrap().0.to_owned() + "\n";
    readme()
        .split(&format!("<!-- {mark} -->\n```sh\n"))
        .skip(1)
        .map(|rest| {
            let (_, after) = rest.split_once("\n```").unwrap();
            let output = after.strip_prefix("\n```text\n").map(block).unwrap_or_default();
            Step { input: block(rest), output: output.lines().map(str::to_owned).collect() }
        })
        .collect()
}

impl Step {
    /// Returns the step with other addresses.
    fn at(self, server: &str, domain: &str) -> Self {
        let replace = |text: String| text.replace(SERVER, server).replace(DOMAIN, domain);
        let output = self.output.into_iter().map(replace).collect();
        Self { input: replace(self.input), output }
    }
}

/// Runs the first steps of the second terminal as a script.
async fn walk(server: &str, domain: &str, count: usize) -> Output {
    let steps = steps_of("walk").into_iter().take(count);
    let script: String = steps.map(|step| step.at(server, domain).input).collect();
    let home = home();
    let mut shell = shell(&home);
    // A program that has failed too may print its reason last.
    shell.arg("-c").arg(format!("trap wait EXIT\n{script}")).stderr(Stdio::piped());
    let shell = shell.spawn().unwrap();
    let group = shell.id().unwrap();
    let ended = timeout(TIMEOUT, shell.wait_with_output()).await;
    signal(group, "TERM");
    ended.unwrap().unwrap()
}

/// Returns true if a script has failed and has printed this sentence.
fn stopped_with(output: &Output, sentence: &str) -> bool {
    !output.status.success() && String::from_utf8_lossy(&output.stderr).contains(sentence)
}

/// Returns an empty folder, in which the server is on the `PATH`.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    symlink(server_binary(), home.path().join("presence-server")).unwrap();
    home
}

fn shell(home: &TempDir) -> Command {
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let mut shell = Command::new("bash");
    shell
        .current_dir(home.path())
        .env("PATH", format!("{}:{path}", home.path().display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0);
    shell
}

/// Sends a signal to a shell and its programs.
fn signal(group: u32, name: &str) {
    let mut kill = std::process::Command::new("kill");
    // Without a process in the group there is nothing to end.
    let _ = kill.args(["-s", name, "--", &format!("-{group}")]).stderr(Stdio::null()).status();
}

/// A shell. Its drop ends the programs that it started.
struct Terminal {
    shell: Child,
    stdin: Option<ChildStdin>,
    group: u32,
    stdout: Lines<BufReader<ChildStdout>>,
    _home: TempDir,
}

impl Terminal {
    fn open() -> Self {
        let home = home();
        let mut shell = shell(&home).spawn().unwrap();
        let (stdin, group) = (shell.stdin.take(), shell.id().unwrap());
        let stdout = BufReader::new(shell.stdout.take().unwrap()).lines();
        Self { shell, stdin, group, stdout, _home: home }
    }

    /// Types a step, and waits until all its lines were printed.
    async fn run(&mut self, step: Step) {
        self.stdin.as_mut().unwrap().write_all(step.input.as_bytes()).await.unwrap();
        self.wait_for_lines(step.output).await;
    }

    /// Waits until all these lines were printed, in any order, because several programs write.
    async fn wait_for_lines(&mut self, mut expected: Vec<String>) {
        let mut output = Vec::new();
        while !expected.is_empty() {
            let line = timeout(TIMEOUT, self.stdout.next_line()).await;
            let Ok(Ok(Some(line))) = line else {
                panic!("not printed: {expected:#?}, but: {output:#?}");
            };
            expected.retain(|pattern| !matches_pattern(&line, pattern));
            output.push(line);
        }
    }

    /// Ends the input, and waits until the shell and its last program have ended successfully.
    async fn close(mut self) {
        drop(self.stdin.take());
        let ended = timeout(TIMEOUT, self.shell.wait()).await;
        assert!(ended.unwrap().unwrap().success());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        signal(self.group, "TERM");
    }
}

fn matches_pattern(line: &str, pattern: &str) -> bool {
    let mut rest = line;
    for part in pattern.split('…') {
        let Some(place) = rest.find(part) else { return false };
        rest = &rest[place + part.len()..];
    }
    true
}
