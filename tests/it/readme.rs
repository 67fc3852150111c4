//! Runs the walkthrough of the README as it is written.

use std::path::Path;
use std::process::Stdio;

use presence_tests::{Server, ServerOptions, TIMEOUT};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// A block of commands, and the lines that it must print. `…` matches any text.
struct Step {
    input: String,
    output: Vec<String>,
}

#[tokio::test]
async fn the_walkthrough_in_the_readme_works_as_written() {
    let server = Server::start(ServerOptions::default()).await;
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let steps = steps_of(&readme);
    assert!(steps.len() >= 6, "the walkthrough was not found");
    let site = free_port().to_string();
    let mut terminal = Terminal::open();
    terminal.write("trap 'kill $(jobs -p)' EXIT\n").await;
    for step in steps {
        let address = server.url().trim_end_matches('/').to_owned();
        let input = step.input.replace("http://127.0.0.1:8080", &address).replace("9090", &site);
        terminal.write(&input).await;
        terminal.wait_for_lines(step.output).await;
    }
    terminal.write("exit\n").await;
    timeout(TIMEOUT, terminal.shell.wait()).await.unwrap().unwrap();
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Returns the blocks after `<!-- walk -->`, each with the text block that follows it directly.
fn steps_of(readme: &str) -> Vec<Step> {
    let block = |text: &str| text.split_once("\n```").unwrap().0.to_owned() + "\n";
    readme
        .split("<!-- walk -->\n```sh\n")
        .skip(1)
        .map(|rest| {
            let (_, after) = rest.split_once("\n```").unwrap();
            let output = after.strip_prefix("\n```text\n").map(block).unwrap_or_default();
            Step { input: block(rest), output: output.lines().map(str::to_owned).collect() }
        })
        .collect()
}

/// A shell. It is not killed at its drop, because the programs that it started would go on; the end
/// of its input ends it, and its trap ends them.
struct Terminal {
    shell: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    _home: TempDir,
}

impl Terminal {
    fn open() -> Self {
        let home = tempfile::tempdir().unwrap();
        let websocat = home.path().join("websocat");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_frames"), websocat).unwrap();
        let mut shell = Command::new("bash")
            .current_dir(home.path())
            .env("PATH", path_with(home.path()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = shell.stdin.take().unwrap();
        let stdout = BufReader::new(shell.stdout.take().unwrap()).lines();
        Self { shell, stdin, stdout, _home: home }
    }

    async fn write(&mut self, text: &str) {
        self.stdin.write_all(text.as_bytes()).await.unwrap();
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
}

fn path_with(first: &Path) -> String {
    format!("{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", first.display())
}

fn matches_pattern(line: &str, pattern: &str) -> bool {
    let mut rest = line;
    for part in pattern.split('…') {
        let Some(place) = rest.find(part) else { return false };
        rest = &rest[place + part.len()..];
    }
    true
}
