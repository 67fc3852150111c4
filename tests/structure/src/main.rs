//! Prints how the sources of the workspace are written.
//!
//! `cargo run -p presence-structure [-- --list] [ROOT]`: `--list` names each place too.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use presence_structure::source::{self, Package, SourceFile};
use presence_structure::statistics::{Spread, function_lines};
use presence_structure::{Finding, comments, imports, modules, type_names};

fn main() -> ExitCode {
    let (mut list, mut root) = (false, PathBuf::from("."));
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--list" => list = true,
            path => root = PathBuf::from(path),
        }
    }
    let (text, code) = match source::read_all(&root) {
        Ok(files) => (figures(&source::packages(&root, &files), &files, list), ExitCode::SUCCESS),
        Err(error) => (format!("cannot read {}: {error}\n", root.display()), ExitCode::FAILURE),
    };
    // A reader that closes the pipe early has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    code
}

fn figures(packages: &[Package], files: &[SourceFile], list: bool) -> String {
    let blocks: usize = files.iter().map(|file| comments::blocks(file).len()).sum();
    let headless: Vec<Finding> = files.iter().flat_map(comments::headless).collect();
    let wide: Vec<Finding> = files.iter().flat_map(comments::too_wide).collect();
    let names: usize = rust(files).map(|file| type_names::definitions(file).len()).sum();
    let repeated: Vec<Finding> = packages.iter().flat_map(type_names::repeated).collect();
    let circles: Vec<Vec<String>> = packages
        .iter()
        .flat_map(modules::crates)
        .flat_map(|of| imports::import_circles(&of))
        .collect();
    let mut text = String::new();
    let columns = comments::MAX_COLUMNS;
    for (label, count) in [
        ("comment blocks".to_owned(), blocks),
        ("  that open without a subject".to_owned(), headless.len()),
        (format!("comment lines over {columns} columns"), wide.len()),
        ("type names".to_owned(), names),
        ("  defined again in the same package".to_owned(), repeated.len()),
        ("import circles".to_owned(), circles.len()),
        ("  files in them".to_owned(), circles.iter().flatten().count()),
    ] {
        let _ = writeln!(text, "{label:<35} {count:>6}");
    }
    text += &spread("lines of a function", rust(files).flat_map(function_lines).collect());
    text += &spread("lines of a Rust file", rust(files).map(|f| f.text.lines().count()).collect());
    if list {
        for finding in headless.iter().chain(&wide).chain(&repeated) {
            let _ = writeln!(text, "{finding}");
        }
        for circle in &circles {
            let _ = writeln!(text, "circle: {}", circle.join(", "));
        }
    }
    text
}

fn rust(files: &[SourceFile]) -> impl Iterator<Item = &SourceFile> {
    files.iter().filter(|file| file.extension() == "rs")
}

fn spread(of: &str, values: Vec<usize>) -> String {
    let Spread { count, median, p95, max } = Spread::of(values);
    format!("{of:<22} of {count}: median {median}, p95 {p95}, max {max}\n")
}
