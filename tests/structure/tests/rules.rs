//! Holds the rules of CONTRIBUTING.md that a machine can check, for the whole workspace.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the sources ends")]

use std::path::{Path, PathBuf};

use presence_structure::source::{self, Package, SourceFile};
use presence_structure::{comments, imports, modules, type_names};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files() -> Vec<SourceFile> {
    source::read_all(&root()).unwrap()
}

fn packages() -> Vec<Package> {
    source::packages(&root(), &files())
}

fn assert_none(found: impl IntoIterator<Item = impl ToString>) {
    let found: Vec<String> = found.into_iter().map(|finding| finding.to_string()).collect();
    assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
}

#[test]
fn all_crates_and_languages_are_read() {
    let files = files();
    for path in [
        "server/src/lib.rs",
        "client-sdk/protocol/src/lib.rs",
        "tests/it/main.rs",
        "bindings/check-mobile",
        "tests/run",
    ] {
        assert!(files.iter().any(|file| file.path == path), "{path}");
    }
    for extension in ["kt", "swift", "js", "mjs", "py", "css"] {
        assert!(files.iter().any(|file| file.extension() == extension), "{extension}");
    }
    assert_eq!(packages().len(), 14);
}

#[test]
fn all_rust_files_can_be_parsed() {
    let broken = files()
        .into_iter()
        .filter(|file| file.extension() == "rs" && syn::parse_file(&file.text).is_err());
    assert_none(broken.map(|file| file.path));
}

#[test]
fn no_comment_opens_without_a_subject() {
    assert_none(files().iter().flat_map(comments::headless));
}

#[test]
fn comments_are_within_100_columns() {
    assert_none(files().iter().flat_map(comments::too_wide));
}

#[test]
fn a_type_name_is_defined_once_in_a_package() {
    assert_none(packages().iter().flat_map(type_names::repeated));
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let packages = packages();
    let crates: Vec<_> = packages.iter().flat_map(modules::crates).collect();
    let circles = crates.iter().flat_map(imports::import_circles);
    assert_none(circles.map(|circle| circle.join(" <-> ")));
}

#[test]
fn each_test_that_the_readme_of_the_tests_names_exists() {
    let readme = std::fs::read_to_string(root().join("tests/README.md")).unwrap();
    let (_, table) = readme.split_once("## Promises and their tests").unwrap();
    let files = files();
    let rust: Vec<&SourceFile> = files.iter().filter(|file| file.extension() == "rs").collect();
    let paths: Vec<&str> =
        table.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
    assert!(paths.len() > 100, "{paths:?}");
    let is_missing = |path: &&&str| {
        let (module, name) = path.rsplit_once("::").unwrap();
        !rust.iter().any(|file| is_in_module(file, module) && defines_test(&file.text, name))
    };
    assert_none(paths.iter().filter(is_missing));
}

/// Returns true if the path of a file ends with the last two parts of a module path.
fn is_in_module(file: &SourceFile, module: &str) -> bool {
    let parts: Vec<&str> = module.rsplit("::").take(2).collect();
    let path = file.path.trim_end_matches(".rs").rsplit('/');
    let mut path = path.filter(|part| *part != "src");
    parts.iter().all(|part| path.next() == Some(part))
}

/// Returns true if a text has a function of this name with a test attribute before it.
fn defines_test(text: &str, name: &str) -> bool {
    let definition = format!("fn {name}(");
    text.match_indices(&definition).any(|(start, _)| {
        let before = text.get(..start).unwrap_or_default();
        let attributes = before.rsplit_once("\n\n").map_or(before, |(_, last)| last);
        attributes.contains("#[test]") || attributes.contains("#[tokio::test")
    })
}
