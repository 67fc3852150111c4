//! Follows the `mod` items of a crate from its root file, without those that only tests compile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item};

use crate::source::{Package, SourceFile};

/// A module that has a file of its own.
pub struct Module {
    /// The path from the root of the crate; empty for the root.
    pub path: Vec<String>,
    /// The file, relative to the root of the workspace.
    pub file: String,
    /// The items of the file.
    pub items: Vec<Item>,
}

/// The modules of one crate (a library, a binary or a test), the root first.
pub struct Crate {
    /// The modules.
    pub modules: Vec<Module>,
}

impl Crate {
    /// The deepest module that a path from the root of the crate names, and whether it names one
    /// of its items or the module itself.
    pub fn deepest(&self, path: &[String]) -> Option<usize> {
        (0..=path.len()).rev().find_map(|length| {
            let prefix = path.get(..length)?;
            self.modules.iter().position(|module| module.path == prefix)
        })
    }
}

/// The crates of a package: one for each root file.
pub fn crates(package: &Package) -> Vec<Crate> {
    let files: BTreeMap<&str, &SourceFile> =
        package.files.iter().map(|file| (file.path.as_str(), file)).collect();
    package
        .files
        .iter()
        .filter(|file| is_root(&package.folder, &file.path))
        .map(|root| {
            let mut modules = Vec::new();
            let folder = Path::new(&root.path).parent().unwrap_or_else(|| Path::new(""));
            follow(&files, root, folder, Vec::new(), &mut modules);
            Crate { modules }
        })
        .collect()
}

/// Returns true if only tests compile an item.
pub fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "test")
    })
}

/// The attributes of an item that can be a module or hold code.
#[expect(clippy::wildcard_enum_match_arm, reason = "syn may add kinds of items")]
pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// A file that cargo compiles as the root of a crate.
fn is_root(folder: &str, path: &str) -> bool {
    let inside = path.strip_prefix(folder).unwrap_or(path).trim_start_matches('/');
    let parts: Vec<&str> = inside.split('/').collect();
    matches!(
        parts.as_slice(),
        ["src", "lib.rs" | "main.rs"]
            | ["build.rs"]
            | ["src", "bin", _]
            | ["tests" | "benches" | "examples", _]
            | ["src", "bin", _, "main.rs"]
            | ["it", "main.rs"]
    )
}

fn follow(
    files: &BTreeMap<&str, &SourceFile>,
    file: &SourceFile,
    folder: &Path,
    path: Vec<String>,
    modules: &mut Vec<Module>,
) {
    let Ok(parsed) = syn::parse_file(&file.text) else { return };
    for item in &parsed.items {
        let Item::Mod(module) = item else { continue };
        if module.content.is_some() || is_test_only(&module.attrs) {
            continue;
        }
        let name = module.ident.to_string();
        let below = folder.join(&name);
        let candidates: [PathBuf; 2] = [below.with_extension("rs"), below.join("mod.rs")];
        let found = candidates.iter().find_map(|path| files.get(path.to_str()?));
        if let Some(found) = found {
            let path = [path.clone(), vec![name]].concat();
            follow(files, found, &below, path, modules);
        }
    }
    modules.push(Module { path, file: file.path.clone(), items: parsed.items });
    modules.sort_by(|one, other| one.path.cmp(&other.path));
}
