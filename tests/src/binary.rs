//! Finds the server's binary, built once a test process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Names a binary to test in place of the workspace's own, such as that of a release.
const GIVEN: &str = "PRESENCE_TEST_SERVER";

/// The server's binary.
pub(crate) fn path() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| std::env::var_os(GIVEN).map_or_else(|| keep(&build()), PathBuf::from))
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

/// Builds it as this test was built: with the same profile, into the same target directory.
fn build() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let target = profile.parent().unwrap();
    let name = match profile.file_name().and_then(|name| name.to_str()).unwrap() {
        "debug" => "dev",
        name => name,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--package", "presence-server", "--profile", name])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "the server cannot be built:\n{said}");
    profile.join("presence-server")
}
