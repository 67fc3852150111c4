//! What the bindings export is pinned in `bindings/surface.txt`, so that a review sees every change.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so and ends")]

use std::path::Path;

use camino::Utf8PathBuf;
use presence_bindgen::{Flavour, generate, surface};
// Cargo builds the library only for who uses it.
use presence_bindings as _;

/// Set to rewrite the file.
const UPDATE: &str = "UPDATE";

#[test]
fn the_exported_surface_is_the_pinned_one() {
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("../surface.txt");
    let exported = surface(&library()).unwrap();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&pinned, exported).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&pinned).unwrap();
    let different = exported.lines().zip(expected.lines()).find(|(is, was)| is != was);
    assert!(
        exported == expected,
        "bindings/surface.txt is not what is exported; first difference: {different:?}. UPDATE=1 rewrites it."
    );
}

#[test]
fn every_flavour_can_be_generated() {
    let folder = library().parent().unwrap().join("presence-bindgen-test");
    for (name, flavour, made) in [
        ("kotlin", Flavour::Kotlin, "org/presence/client/presence_bindings.kt"),
        ("android", Flavour::KotlinAndroid, "org/presence/client/presence_bindings.kt"),
        ("swift", Flavour::Swift, "ffi/module.modulemap"),
    ] {
        let folder = folder.join(name);
        generate(flavour, library(), &folder).unwrap();
        assert!(folder.join(made).exists(), "{name}");
    }
    let generated = |name| {
        let made = folder.join(name).join("org/presence/client/presence_bindings.kt");
        std::fs::read_to_string(made).unwrap()
    };
    assert!(generated("android").contains("android.system.SystemCleaner"));
    assert!(!generated("kotlin").contains("android.system.SystemCleaner"));
}

/// The library, with its symbols: cargo has built it for this test, beside it.
fn library() -> Utf8PathBuf {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    let test: Utf8PathBuf = std::env::current_exe().unwrap().try_into().unwrap();
    test.with_file_name(format!("{DLL_PREFIX}presence_bindings{DLL_SUFFIX}"))
}
