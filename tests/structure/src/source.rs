//! Finds and reads the source files of the workspace.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folders that hold no sources of ours.
const SKIPPED: [&str; 9] = [
    "target",
    "node_modules",
    ".git",
    ".build",
    "vectors",
    "screenshots",
    "results",
    "generated",
    "Generated",
];
/// Extensions of files whose comments are read.
const EXTENSIONS: [&str; 9] = ["rs", "kt", "kts", "swift", "js", "mjs", "css", "py", "sh"];

/// A package of the workspace.
#[derive(Debug)]
pub struct Package {
    /// The folder of its `Cargo.toml`, relative to the root; empty for none.
    pub folder: String,
    /// The Rust files below it that belong to no package further down.
    pub files: Vec<SourceFile>,
}

/// A file and its text.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// The path, relative to the root.
    pub path: String,
    /// The text.
    pub text: String,
}

impl SourceFile {
    /// The extension of the path; `sh` for a script without one.
    pub fn extension(&self) -> &str {
        Path::new(&self.path).extension().and_then(|name| name.to_str()).unwrap_or("sh")
    }
}

/// Reads all source files below `root`, in the order of their paths.
///
/// # Errors
///
/// The first file or folder that cannot be read.
pub fn read_all(root: &Path) -> io::Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    walk(root, root, &mut files)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// Sorts the Rust files into the packages of the workspace, by the nearest `Cargo.toml` above.
pub fn packages(root: &Path, files: &[SourceFile]) -> Vec<Package> {
    let mut packages: Vec<Package> = Vec::new();
    for file in files.iter().filter(|file| file.extension() == "rs") {
        let folder = package_folder(root, &file.path);
        match packages.iter_mut().find(|package| package.folder == folder) {
            Some(package) => package.files.push(file.clone()),
            None => packages.push(Package { folder, files: vec![file.clone()] }),
        }
    }
    packages
}

fn package_folder(root: &Path, path: &str) -> String {
    let mut folder = PathBuf::from(path);
    while folder.pop() {
        if root.join(&folder).join("Cargo.toml").is_file() {
            break;
        }
    }
    folder.to_string_lossy().into_owned()
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                walk(root, &path, files)?;
            }
        } else if kind.is_file() && is_source(&path) {
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            // A script without an extension is one only if its first line says so.
            let Ok(text) = fs::read_to_string(&path) else { continue };
            if path.extension().is_some() || text.starts_with("#!") {
                files.push(SourceFile { path: relative, text });
            }
        }
    }
    Ok(())
}

fn is_source(path: &Path) -> bool {
    match path.extension().and_then(|name| name.to_str()) {
        Some(extension) => EXTENSIONS.contains(&extension),
        None => true,
    }
}
