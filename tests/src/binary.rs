//! Finds the server's binary, built once a test process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Names a binary to test in place of the workspace's own, such as that of a release.
const GIVEN: &str = "PRESENCE_TEST_SERVER";

/// The server's binary.
pub fn server_binary() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| std::env::var_os(GIVEN).map_or_else(find, PathBuf::from))
}

/// Gives the binary a name of this process's own, so that a build meanwhile puts no other in its place in the middle of a run.
fn keep(built: &Path) -> PathBuf {
    let kept = built.with_file_name("tested");
    std::fs::create_dir_all(&kept).unwrap();
    for old in std::fs::read_dir(&kept).unwrap().flatten() {
        let running = Command::new("kill").arg("-0").arg(old.file_name()).output();
        if running.is_ok_and(|answer| !answer.status.success()) {
            // Another test process may have been faster.
            let _ = std::fs::remove_file(old.path());
        }
    }
    let own = kept.join(std::process::id().to_string());
    let _ = std::fs::remove_file(&own);
    std::fs::hard_link(built, &own).unwrap();
    own
}

/// A program of the workspace takes the server that lies beside it, since it may run where nothing can be built. A test never
/// does: it might test an old one.
fn find() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let directory = program.parent().unwrap();
    let beside = directory.join("presence-server");
    match directory.file_name() {
        Some(name) if name == "deps" => {
            keep(&build("presence-server", directory.parent().unwrap()))
        }
        Some(_) | None if beside.exists() => beside,
        Some(_) | None => build("presence-server", directory),
    }
}

/// Builds it as this program was built: with the same profile, into the same target directory.
fn build(package: &str, profile: &Path) -> PathBuf {
    let target = profile.parent().unwrap();
    let name = match profile.file_name().and_then(|name| name.to_str()).unwrap() {
        "debug" => "dev",
        name => name,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--package", package, "--profile", name])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{package} cannot be built:\n{said}");
    profile.join(package)
}
