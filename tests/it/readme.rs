//! The README is true: its walk is done to the letter.

use std::path::Path;
use std::process::Stdio;

use presence_tests::{Server, ServerOptions, TIMEOUT};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// A block to type, and the lines that must then be seen, `…` standing for anything.
struct Step {
    typed: String,
    seen: Vec<String>,
}

#[tokio::test]
async fn the_walk_in_the_readme_works_to_the_letter() {
    let server = Server::start(ServerOptions::default()).await;
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let steps = walk(&readme);
    assert!(steps.len() >= 6, "the walk is not where it was");
    let site = free_port().to_string();
    let mut terminal = Terminal::open();
    for step in steps {
        let address = server.url().trim_end_matches('/').to_owned();
        let typed = step.typed.replace("http://127.0.0.1:8080", &address).replace("9090", &site);
        terminal.type_in(&typed).await;
        terminal.shows(step.seen).await;
    }
    terminal.type_in("kill %1 %2 %3; exit\n").await;
    timeout(TIMEOUT, terminal.shell.wait()).await.unwrap().unwrap();
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The blocks behind `<!-- walk -->`, each with the block of text that follows it at once.
fn walk(readme: &str) -> Vec<Step> {
    let block = |text: &str| text.split_once("\n```").unwrap().0.to_owned() + "\n";
    readme
        .split("<!-- walk -->\n```sh\n")
        .skip(1)
        .map(|rest| {
            let (_, after) = rest.split_once("\n```").unwrap();
            let seen = after.strip_prefix("\n```text\n").map(block).unwrap_or_default();
            Step { typed: block(rest), seen: seen.lines().map(str::to_owned).collect() }
        })
        .collect()
}

struct Terminal {
    shell: Child,
    keyboard: ChildStdin,
    screen: Lines<BufReader<ChildStdout>>,
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
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let keyboard = shell.stdin.take().unwrap();
        let screen = BufReader::new(shell.stdout.take().unwrap()).lines();
        Self { shell, keyboard, screen, _home: home }
    }

    async fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).await.unwrap();
    }

    /// Waits until all these lines were seen, in whatever order, since several programs write.
    async fn shows(&mut self, mut wanted: Vec<String>) {
        let mut seen = Vec::new();
        while !wanted.is_empty() {
            let line = timeout(TIMEOUT, self.screen.next_line()).await;
            let Ok(Ok(Some(line))) = line else {
                panic!("not seen: {wanted:#?}, but: {seen:#?}");
            };
            wanted.retain(|pattern| !is_like(&line, pattern));
            seen.push(line);
        }
    }
}

fn path_with(first: &Path) -> String {
    format!("{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", first.display())
}

fn is_like(line: &str, pattern: &str) -> bool {
    let mut rest = line;
    for part in pattern.split('…') {
        let Some(place) = rest.find(part) else { return false };
        rest = &rest[place + part.len()..];
    }
    true
}
