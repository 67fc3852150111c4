//! The generation of the Kotlin, Swift and Python code.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use uniffi_bindgen::bindings::{GenerateOptions, TargetLanguage, generate_with_bindgen_paths};
use uniffi_bindgen::{BindgenPaths, BindgenPathsLayer};

use crate::BoxError;

/// A language for which code is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Kotlin on the JVM.
    Kotlin,
    /// Kotlin on Android, where objects are freed in another way.
    KotlinAndroid,
    /// Swift.
    Swift,
    /// Python.
    Python,
}

impl Language {
    /// Parses the name of a language on the command line.
    ///
    /// # Errors
    ///
    /// If there is no language of this name.
    pub fn from_name(name: &str) -> Result<Self, BoxError> {
        match name {
            "kotlin" => Ok(Self::Kotlin),
            "kotlin-android" => Ok(Self::KotlinAndroid),
            "swift" => Ok(Self::Swift),
            "python" => Ok(Self::Python),
            other => Err(format!("there is no language named {other}").into()),
        }
    }
}

/// Generates the code into a folder. Creates the folder if it does not exist.
///
/// # Errors
///
/// If the library cannot be read, if it has no metadata because it is stripped, or if the folder
/// cannot be written.
pub fn generate(
    language: Language,
    library: Utf8PathBuf,
    folder: &Utf8Path,
) -> Result<(), BoxError> {
    let mut paths = BindgenPaths::default();
    paths.add_layer(BindingsCrate);
    let android = BindingsCrate::root().join("kotlin/android/uniffi.toml");
    let options = GenerateOptions {
        languages: vec![match language {
            Language::Kotlin | Language::KotlinAndroid => TargetLanguage::Kotlin,
            Language::Swift => TargetLanguage::Swift,
            Language::Python => TargetLanguage::Python,
        }],
        source: library,
        out_dir: folder.to_owned(),
        config_override: (language == Language::KotlinAndroid).then_some(android),
        ..GenerateOptions::default()
    };
    generate_with_bindgen_paths(options, paths)?;
    if language == Language::Swift {
        move_header(folder)?;
    }
    Ok(())
}

/// Moves the C header and its module map into a folder, under the names that the build of Swift
/// expects.
fn move_header(folder: &Utf8Path) -> Result<(), BoxError> {
    let ffi = folder.join("ffi");
    fs::create_dir_all(&ffi)?;
    let header = "PresenceClientFFI.h";
    fs::rename(folder.join(header), ffi.join(header))?;
    fs::rename(folder.join("PresenceClientFFI.modulemap"), ffi.join("module.modulemap"))?;
    Ok(())
}

/// The location of the crate `presence-bindings`, with the settings of uniffi.
pub(crate) struct BindingsCrate;

impl BindingsCrate {
    fn root() -> &'static Utf8Path {
        Utf8Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
    }
}

impl BindgenPathsLayer for BindingsCrate {
    fn get_crate_root(&self, crate_name: &str) -> Option<Utf8PathBuf> {
        (crate_name == "presence_bindings").then(|| Self::root().to_owned())
    }
}
