//! A server below Valgrind's tool Callgrind, which counts the instructions of the program, and not
//! those of the kernel.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use presence_tests::{Server, ServerOptions};
use tempfile::TempDir;
use tokio::process::Command;

use crate::sides::{start_server, unlimited};

/// Starts the server, whose path and directory for counts follow. Nothing is counted before it is
/// asked for. The instruction that copies many bytes at once would count as one for each byte, so
/// the C library is told not to use it.
const SCRIPT: &str = "#!/bin/sh\n\
    export GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=0x7fffffff:glibc.cpu.x86_rep_stosb_threshold=0x7fffffff\n\
    exec valgrind --quiet --tool=callgrind --instr-atstart=no --callgrind-out-file='DIRECTORY/count' \
    -- 'SERVER' \"$@\"\n";

/// The server and the directory of its counts.
pub(super) struct CountedServer {
    server: Server,
    directory: TempDir,
    /// The number of dumps so far.
    dumps: AtomicUsize,
}

impl CountedServer {
    pub(super) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let script = SCRIPT
            .replace("DIRECTORY", &path(directory.path()))
            .replace("SERVER", &path(presence_tests::server_binary()));
        let program = directory.path().join("server");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
        let server = start_server(options().with_program(program)).await;
        Self { server, directory, dumps: AtomicUsize::new(0) }
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Counts from now on, which makes the server slower again.
    pub(super) async fn begin(&self) {
        self.control(&["--instr=on"]).await;
    }

    /// Returns the number of instructions of the server during some work.
    pub(super) async fn count(&self, work: impl Future<Output = ()>) -> u64 {
        self.control(&["--zero"]).await;
        work.await;
        self.control(&["--dump"]).await;
        self.dumps.fetch_add(1, Ordering::Relaxed);
        let text = std::fs::read_to_string(self.dump()).unwrap();
        let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
        totals.and_then(|total| total.trim().parse().ok()).unwrap_or_else(|| panic!("{text}"))
    }

    /// Copies the counts of each function during the last work.
    pub(super) fn copy_dump(&self, to: &Path) {
        std::fs::copy(self.dump(), to).unwrap();
    }

    /// Returns the path of the last dump. Valgrind numbers them.
    fn dump(&self) -> PathBuf {
        let number = self.dumps.load(Ordering::Relaxed);
        self.directory.path().join(format!("count.{number}"))
    }

    async fn control(&self, arguments: &[&str]) {
        let mut command = Command::new("callgrind_control");
        let answer = command.args(arguments).arg(self.server.pid().to_string()).output().await;
        let answer = answer.unwrap_or_else(|error| panic!("callgrind_control: {error}"));
        let text = String::from_utf8_lossy(&answer.stdout);
        assert!(answer.status.success() && text.contains("OK."), "{text}");
    }
}

/// Returns options for a server that is slow, and whose periodic tasks do not run meanwhile.
fn options() -> ServerOptions {
    ["settle-seconds", "database-seconds", "hello-seconds", "request-seconds"]
        .into_iter()
        .fold(unlimited(), |options, time| options.with(time, 600))
}
