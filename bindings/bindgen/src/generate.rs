//! The generated halves of the bindings.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use uniffi_bindgen::bindings::{GenerateOptions, TargetLanguage, generate_with_bindgen_paths};
use uniffi_bindgen::{BindgenPaths, BindgenPathsLayer};

use crate::Wrong;

/// For whom to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Kotlin on the JVM.
    Kotlin,
    /// Kotlin on Android, which frees objects in another way.
    KotlinAndroid,
    /// Swift.
    Swift,
}

impl Flavour {
    /// The flavour of a name on the command line.
    ///
    /// # Errors
    ///
    /// Where there is none.
    pub fn named(name: &str) -> Result<Self, Wrong> {
        match name {
            "kotlin" => Ok(Self::Kotlin),
            "kotlin-android" => Ok(Self::KotlinAndroid),
            "swift" => Ok(Self::Swift),
            other => Err(format!("no flavour is named {other}").into()),
        }
    }
}

/// Generates into a folder, which is made where it is missing.
///
/// # Errors
///
/// Where the library cannot be read or holds no metadata, as after stripping, and where the folder cannot be written.
pub fn generate(flavour: Flavour, library: Utf8PathBuf, folder: &Utf8Path) -> Result<(), Wrong> {
    let mut paths = BindgenPaths::default();
    paths.add_layer(Bindings);
    let android = Bindings::root().join("kotlin/android/uniffi.toml");
    let options = GenerateOptions {
        languages: vec![match flavour {
            Flavour::Kotlin | Flavour::KotlinAndroid => TargetLanguage::Kotlin,
            Flavour::Swift => TargetLanguage::Swift,
        }],
        source: library,
        out_dir: folder.to_owned(),
        config_override: (flavour == Flavour::KotlinAndroid).then_some(android),
        ..GenerateOptions::default()
    };
    generate_with_bindgen_paths(options, paths)?;
    if flavour == Flavour::Swift {
        gather_header(folder)?;
    }
    Ok(())
}

/// Puts the C header and its module map in a folder of their own, under the name that Swift's build looks for.
fn gather_header(folder: &Utf8Path) -> Result<(), Wrong> {
    let ffi = folder.join("ffi");
    fs::create_dir_all(&ffi)?;
    let header = "PresenceClientFFI.h";
    fs::rename(folder.join(header), ffi.join(header))?;
    fs::rename(folder.join("PresenceClientFFI.modulemap"), ffi.join("module.modulemap"))?;
    Ok(())
}

/// Where the settings of the bindings are.
pub(crate) struct Bindings;

impl Bindings {
    fn root() -> &'static Utf8Path {
        Utf8Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
    }
}

impl BindgenPathsLayer for Bindings {
    fn get_crate_root(&self, crate_name: &str) -> Option<Utf8PathBuf> {
        (crate_name == "presence_bindings").then(|| Self::root().to_owned())
    }
}
