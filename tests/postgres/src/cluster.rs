//! A private PostgreSQL cluster.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A running cluster.
pub struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    last_database: AtomicU32,
    /// The pipe whose end stops the cluster.
    stdin: Option<ChildStdin>,
    script: Child,
}

impl Cluster {
    /// Returns the cluster that the tests of this process share. It does not sync its files.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    /// Starts a cluster with further settings, such as `wal_level = logical`.
    ///
    /// # Panics
    ///
    /// If PostgreSQL is not installed or cannot be started.
    pub fn start(settings: &[&str]) -> Self {
        Self::start_in(new_folder(), settings)
    }

    /// Starts a cluster with the tablespace `small`, on a disk of this many megabytes that only it
    /// sees.
    ///
    /// # Panics
    ///
    /// If PostgreSQL cannot be started, or no disk can be mounted.
    pub fn start_with_small_disk(megabytes: u32) -> Self {
        let folder = new_folder();
        let script = with_small_disk(&as_postgres(&folder), megabytes);
        let cluster = Self::start_by(script, folder, &[]);
        let sql = format!("CREATE TABLESPACE small LOCATION '{SMALL_DISK}'");
        cluster.run_sql("postgres", &sql);
        cluster
    }

    /// Starts a cluster with the data that `back_up` puts into the folder whose path it gets. The
    /// folder above belongs to the user of clusters.
    ///
    /// # Panics
    ///
    /// If PostgreSQL cannot be started.
    pub fn start_from(back_up: impl FnOnce(&Path)) -> Self {
        let folder = new_folder();
        // The folder gets its owner.
        as_postgres(&folder);
        back_up(&folder.join("data"));
        Self::start_in(folder, &[])
    }

    fn start_in(folder: PathBuf, settings: &[&str]) -> Self {
        let script = as_postgres(&folder);
        Self::start_by(script, folder, settings)
    }

    fn start_by(mut script: Command, folder: PathBuf, settings: &[&str]) -> Self {
        let programs = programs();
        let port = free_port();
        script.arg("sh").arg("-c").arg(include_str!("../cluster.sh")).arg("cluster.sh");
        script.arg(&programs).arg(&folder).arg(port.to_string()).args(settings);
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).current_dir("/");
        let mut script = script.spawn().unwrap();
        let stdin = script.stdin.take();
        let mut line = String::new();
        BufReader::new(script.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready", "PostgreSQL does not start");
        Self { programs, folder, port, last_database: AtomicU32::new(0), stdin, script }
    }

    /// Creates an empty database, and returns its URL.
    pub fn create_database(&self) -> String {
        let number = self.last_database.fetch_add(1, Ordering::Relaxed) + 1;
        let name = format!("test_{number}");
        self.run_sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// Returns the URL of a database, which is created if it does not exist.
    pub fn database(&self, name: &str) -> String {
        let known = self
            .run_sql("postgres", &format!("SELECT 1 FROM pg_database WHERE datname = '{name}'"));
        if known.is_empty() {
            self.create_named(name);
        }
        self.url(name)
    }

    /// Creates an empty database of this name.
    pub fn create_named(&self, name: &str) {
        self.run_sql("postgres", &format!("CREATE DATABASE \"{name}\""));
    }

    /// Ends all connections to a database.
    pub fn end_connections(&self, name: &str) {
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        self.run_sql("postgres", &sql);
    }

    /// Returns the URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://presence@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the folder of the cluster, with its log and the folder `data`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs statements with psql, and returns its output: a row a line, with `|` between columns.
    ///
    /// # Panics
    ///
    /// If a statement fails.
    pub fn run_sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Runs statements like [`Cluster::run_sql`].
    ///
    /// # Errors
    ///
    /// The text of PostgreSQL, if a statement fails.
    pub fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let output = self.psql(database, sql);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn psql(&self, database: &str, sql: &str) -> Output {
        Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"])
            .args(["-U", "presence", "-p", &self.port.to_string(), "-c", sql, database])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs `pg_ctl` with these arguments, such as `["restart", "-m", "immediate"]`, and waits
    /// until it is done.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn control(&self, arguments: &[&str]) {
        let log = self.folder.join("log");
        let status = as_postgres(&self.folder)
            .arg(self.programs.join("pg_ctl"))
            .arg("-D")
            .arg(self.folder.join("data"))
            .args(["-w", "-s", "-l"])
            .arg(log)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .current_dir("/")
            .status()
            .unwrap();
        assert!(status.success(), "pg_ctl {arguments:?}");
    }

    /// Returns a command that runs as the user of the cluster, for its other programs.
    pub fn program(&self, name: &str) -> Command {
        let mut command = as_postgres(&self.folder);
        command.arg(self.programs.join(name)).current_dir("/");
        command
    }

    /// Runs commands of a shell as the user of the cluster, in its folder, with its programs.
    ///
    /// # Panics
    ///
    /// If one fails.
    pub fn run_shell(&self, commands: &str) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let all = [self.programs.clone()].into_iter().chain(std::env::split_paths(&path));
        let output = as_postgres(&self.folder)
            .args(["sh", "-e", "-c", commands])
            .env("PATH", std::env::join_paths(all).unwrap())
            .stdin(Stdio::null())
            .current_dir(&self.folder)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{commands}: {error}");
    }

    /// Returns the process id of the cluster.
    ///
    /// # Panics
    ///
    /// If the cluster does not run.
    pub fn pid(&self) -> u32 {
        let file = self.folder.join("data/postmaster.pid");
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().next().unwrap().parse().unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.stdin.take());
        self.script.wait().ok();
    }
}

/// Returns the folder of PostgreSQL's programs, the newest that is installed.
fn programs() -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin"))).filter(|(_, bin)| bin.join("initdb").exists())
        })
        .collect();
    versions.sort();
    if let Some((_, programs)) = versions.pop() {
        return programs;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(|folder| folder.join("initdb").exists())
        .unwrap_or_else(|| panic!("PostgreSQL is not installed: apt-get install postgresql"))
}

/// Returns a command that runs its arguments as a user who may run PostgreSQL, with the rights to
/// the folder.
pub(crate) fn as_postgres(folder: &Path) -> Command {
    if !is_root() {
        return Command::new("env");
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).ok();
    Command::new("chown").arg("postgres").arg(folder).status().unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]);
    command
}

/// The place of a small disk, in a namespace of its own.
const SMALL_DISK: &str = "/mnt";

/// Returns a command that runs another one, which sees a small disk.
fn with_small_disk(command: &Command, megabytes: u32) -> Command {
    let mount = "mount -t tmpfs -o size=$1m,mode=0700 presence \"$2\"; shift 2; exec \"$@\"";
    let own = "mount -t tmpfs -o size=$1m,mode=0700 presence \"$2\"; chown postgres \"$2\"; \
               shift 2; exec \"$@\"";
    let mut unshare = Command::new("unshare");
    if is_root() {
        unshare.args(["--mount", "sh", "-e", "-c", own]);
    } else {
        // A user may mount in a namespace of users.
        let rights = ["--user", "--map-current-user", "--keep-caps"];
        unshare.arg("--mount").args(rights).args(["sh", "-e", "-c", mount]);
    }
    unshare.arg("sh").arg(megabytes.to_string()).arg(SMALL_DISK);
    unshare.arg(command.get_program()).args(command.get_args());
    unshare
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

fn new_folder() -> PathBuf {
    tempfile::Builder::new().prefix("presence-postgres-").tempdir().unwrap().keep()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
