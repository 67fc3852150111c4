//! Prints how the sources of the workspace are written.
//!
//! `cargo run -p presence-structure [-- --list] [ROOT]`: `--list` names each place too.
#![expect(clippy::print_stdout, reason = "the figures are for the terminal")]

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
    match source::read_all(&root) {
        Ok(files) => {
            print_figures(&source::packages(&root, &files), &files, list);
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("cannot read {}: {error}", root.display());
            ExitCode::FAILURE
        }
    }
}

fn print_figures(packages: &[Package], files: &[SourceFile], list: bool) {
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
    println!("comment blocks                      {blocks:>6}");
    println!("  that open without a subject       {:>6}", headless.len());
    println!("comment lines over {} columns      {:>6}", comments::MAX_COLUMNS, wide.len());
    println!("type names                          {names:>6}");
    println!("  defined again in the same package {:>6}", repeated.len());
    println!("import circles                      {:>6}", circles.len());
    println!("  files in them                     {:>6}", circles.iter().flatten().count());
    print_spread("lines of a function", rust(files).flat_map(function_lines).collect());
    print_spread("lines of a Rust file", rust(files).map(|f| f.text.lines().count()).collect());
    if list {
        headless.iter().chain(&wide).chain(&repeated).for_each(|finding| println!("{finding}"));
        circles.iter().for_each(|circle| println!("circle: {}", circle.join(", ")));
    }
}

fn rust(files: &[SourceFile]) -> impl Iterator<Item = &SourceFile> {
    files.iter().filter(|file| file.extension() == "rs")
}

fn print_spread(of: &str, values: Vec<usize>) {
    let Spread { count, median, p95, max } = Spread::of(values);
    println!("{of:<22} of {count}: median {median}, p95 {p95}, max {max}");
}
