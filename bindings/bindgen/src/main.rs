//! `presence-bindgen`: generates the Kotlin, Swift and Python code of the bindings.
//!
//! `presence-bindgen kotlin|kotlin-android|swift|python LIBRARY FOLDER` generates into the folder.
//! The library is an unstripped build of `presence-bindings` for any target. `presence-bindgen
//! surface LIBRARY` prints the list of exported items.
#![expect(clippy::print_stdout, reason = "the program prints the list")]

use camino::{Utf8Path, Utf8PathBuf};
use presence_bindgen::{BoxError, Language, generate, surface};

const USAGE: &str =
    "usage: presence-bindgen kotlin|kotlin-android|swift|python LIBRARY FOLDER, or surface LIBRARY";

fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["surface", library] => {
            print!("{}", surface(Utf8Path::new(library))?);
            Ok(())
        }
        [language, library, folder] => generate(
            Language::from_name(language)?,
            Utf8PathBuf::from(library),
            Utf8Path::new(folder),
        ),
        _ => Err(USAGE.into()),
    }
}
