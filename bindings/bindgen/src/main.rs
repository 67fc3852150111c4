//! `presence-bindgen`: writes the halves of the bindings that are made from the library.
//!
//! `presence-bindgen kotlin|kotlin-android|swift LIBRARY FOLDER`, where the library is an unstripped build of
//! `presence-bindings` for any target, and `presence-bindgen surface LIBRARY`.
#![expect(clippy::print_stdout, reason = "the surface is printed")]

use camino::{Utf8Path, Utf8PathBuf};
use presence_bindgen::{Flavour, Wrong, generate, surface};

fn main() -> Result<(), Wrong> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    match given.as_slice() {
        ["surface", library] => {
            print!("{}", surface(Utf8Path::new(library))?);
            Ok(())
        }
        [flavour, library, folder] => {
            generate(Flavour::named(flavour)?, Utf8PathBuf::from(library), Utf8Path::new(folder))
        }
        _ => Err("presence-bindgen kotlin|kotlin-android|swift LIBRARY FOLDER, or surface LIBRARY"
            .into()),
    }
}
