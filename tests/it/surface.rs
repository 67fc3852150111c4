//! The public items of the SDK, compared with the checked-in list, so that a review sees every
//! change.

use std::path::{Path, PathBuf};
use std::process::Command;

use public_api::Builder;

/// The environment variable that rewrites the list.
const UPDATE: &str = "UPDATE";

#[test]
fn the_public_api_of_the_sdk_matches_the_checked_in_list() {
    let listed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../client-sdk/surface.txt");
    let api = Builder::from_rustdoc_json(rustdoc_json("presence-client"))
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .unwrap();
    let items: Vec<String> = api.items().map(ToString::to_string).collect();
    let surface = items.join("\n") + "\n";
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&listed, &surface).unwrap();
    }
    let expected = std::fs::read_to_string(&listed).unwrap_or_default();
    let new: Vec<_> =
        surface.lines().filter(|line| !expected.lines().any(|w| w == *line)).collect();
    let gone: Vec<_> =
        expected.lines().filter(|w| !surface.lines().any(|line| line == *w)).collect();
    assert!(
        surface == expected,
        "the surface has changed; new: {new:#?}, gone: {gone:#?}. If that is intended, run the test with {UPDATE}=1"
    );
}

/// Returns the JSON that rustdoc writes for a package. The format is not stable, but the toolchain
/// is pinned. The target directory is a separate one, because the variable that allows this format
/// would cause everything else to be compiled again.
fn rustdoc_json(package: &str) -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let target = program.ancestors().nth(3).unwrap().join("surface");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let rustdoc_json = Command::new(cargo)
        .args(["rustdoc", "--quiet", "--locked", "--lib", "--package", package, "--target-dir"])
        .arg(&target)
        .args(["--", "-Z", "unstable-options", "--output-format", "json"])
        .env("RUSTC_BOOTSTRAP", "1")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&rustdoc_json.stderr);
    assert!(rustdoc_json.status.success(), "{package} cannot be documented:\n{stderr}");
    target.join("doc").join(format!("{}.json", package.replace('-', "_")))
}
