//! Finds the programs under test, which are built once for each test process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The environment variable that names another binary to test, such as that of a release.
const GIVEN: &str = "PRESENCE_TEST_SERVER";

const SERVER: &str = "presence-server";

/// Returns the path of the server's binary.
pub fn server_binary() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| std::env::var_os(GIVEN).map_or_else(find_server, PathBuf::from))
}

/// Returns the path of an example's binary.
pub fn example_binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("presence-examples", &profile())).join(name)
}

/// Links the binary under a name of this process, so that a build in the middle of a run does not
/// replace it.
fn keep(built: &Path) -> PathBuf {
    let kept = built.with_file_name("tested");
    std::fs::create_dir_all(&kept).unwrap();
    for old in std::fs::read_dir(&kept).unwrap().flatten() {
        let running = Command::new("kill").arg("-0").arg(old.file_name()).output();
        if running.is_ok_and(|answer| !answer.status.success()) {
            // Another test process may have removed it already.
            let _ = std::fs::remove_file(old.path());
        }
    }
    let own = kept.join(std::process::id().to_string());
    let _ = std::fs::remove_file(&own);
    std::fs::hard_link(built, &own).unwrap();
    own
}

/// Returns the server beside the current program if there is one, because such a program may run
/// without a build environment. A test program has none beside it and always builds, so that it
/// never tests an old server.
fn find_server() -> PathBuf {
    let beside = std::env::current_exe().unwrap().with_file_name(SERVER);
    if beside.exists() { beside } else { keep(&build(SERVER, &profile()).join(SERVER)) }
}

/// Returns the directory of the binaries that were built with the profile and target directory of
/// the current program.
fn profile() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let directory = program.parent().unwrap();
    let is_test = directory.file_name().is_some_and(|name| name == "deps");
    if is_test { directory.parent().unwrap().to_owned() } else { directory.to_owned() }
}

/// Builds a package with the profile of the current program, and returns the directory of its
/// binaries.
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
    let stderr = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{package} cannot be built:\n{stderr}");
    profile.to_owned()
}
