//! A server below Valgrind's tool Callgrind, which counts the instructions of the program, and not
//! those of the kernel.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use presence_tests::Server;
use tempfile::TempDir;
use tokio::process::Command;

use crate::sides::{start_server, unlimited};

/// Starts the server, whose path and directory for counts follow. Nothing is counted before it is
/// asked for.
const SCRIPT: &str = "#!/bin/sh\n\
    exec valgrind --quiet --tool=callgrind --instr-atstart=no --callgrind-out-file='DIRECTORY/count' \
    -- 'SERVER' \"$@\"\n";

/// The server and the directory of its counts.
pub(super) struct CountedServer {
    server: Server,
    directory: TempDir,
}

impl CountedServer {
    pub(super) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        let script = SCRIPT
            .replace("DIRECTORY", &path(directory.path()))
            .replace("SERVER", &path(presence_tests::server_binary()));
        let program = directory.path().join("server");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
        let server = start_server(unlimited().with_program(program)).await;
        let counted = Self { server, directory };
        counted.control(&["--instr=on"]).await;
        counted
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Returns the number of instructions of the server during some work.
    pub(super) async fn count(&self, work: impl Future<Output = ()>) -> u64 {
        self.control(&["--zero"]).await;
        work.await;
        self.control(&["--dump"]).await;
        let (file, text) = self.last_dump();
        std::fs::remove_file(file).unwrap();
        let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
        totals.and_then(|total| total.trim().parse().ok()).unwrap_or_else(|| panic!("{text}"))
    }

    /// Returns the only dump and its path: each is removed once it is read.
    fn last_dump(&self) -> (PathBuf, String) {
        let files = std::fs::read_dir(self.directory.path()).unwrap().flatten();
        let mut files = files.map(|file| file.path());
        let dump = files.find(|file| file.extension().is_some()).unwrap();
        let text = std::fs::read_to_string(&dump).unwrap();
        (dump, text)
    }

    async fn control(&self, arguments: &[&str]) {
        let mut command = Command::new("callgrind_control");
        let answer = command.args(arguments).arg(self.server.pid().to_string()).output().await;
        let answer = answer.unwrap_or_else(|error| panic!("callgrind_control: {error}"));
        let text = String::from_utf8_lossy(&answer.stdout);
        assert!(answer.status.success() && text.contains("OK."), "{text}");
    }
}
