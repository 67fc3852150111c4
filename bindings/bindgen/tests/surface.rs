//! Compares the exported items of the bindings with `bindings/surface.txt`, so that a review sees
//! every change.

#![expect(clippy::unwrap_used, reason = "a test panics on an unexpected error")]

use std::path::Path;

use camino::Utf8PathBuf;
use presence_bindgen::{Language, generate, surface};
// Cargo builds the library only if it is used.
use presence_bindings as _;

/// The environment variable that makes the test rewrite the file.
const UPDATE: &str = "UPDATE";

#[test]
fn the_exported_items_are_those_of_surface_txt() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../surface.txt");
    let exported = surface(&library()).unwrap();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&file, exported).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap();
    let different =
        exported.lines().zip(expected.lines()).find(|(exported, expected)| exported != expected);
    assert!(
        exported == expected,
        "bindings/surface.txt differs; first difference: {different:?}. UPDATE=1 rewrites it."
    );
}

#[test]
fn the_code_of_every_language_can_be_generated() {
    let folder = library().parent().unwrap().join("presence-bindgen-test");
    for (name, language, file) in [
        ("kotlin", Language::Kotlin, "org/presence/client/presence_bindings.kt"),
        ("android", Language::KotlinAndroid, "org/presence/client/presence_bindings.kt"),
        ("swift", Language::Swift, "ffi/module.modulemap"),
        ("python", Language::Python, "presence_bindings.py"),
    ] {
        let folder = folder.join(name);
        generate(language, library(), &folder).unwrap();
        assert!(folder.join(file).exists(), "{name}");
    }
    let generated = |name| {
        let file = folder.join(name).join("org/presence/client/presence_bindings.kt");
        std::fs::read_to_string(file).unwrap()
    };
    assert!(generated("android").contains("android.system.SystemCleaner"));
    assert!(!generated("kotlin").contains("android.system.SystemCleaner"));
}

/// Returns the path of the library with its symbols, which cargo has built for this test.
fn library() -> Utf8PathBuf {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    let test: Utf8PathBuf = std::env::current_exe().unwrap().try_into().unwrap();
    test.with_file_name(format!("{DLL_PREFIX}presence_bindings{DLL_SUFFIX}"))
}
