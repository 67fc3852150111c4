//! Finds modules of a crate that import each other in a circle.
//!
//! A module imports another if it names one of its items, in a `use` or in a path. `mod x;` and
//! re-exports (`pub use x::Y;`) are no imports, and code that only tests compile is left out.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, UseTree, Visibility};

use crate::graph::circles;
use crate::modules::{Crate, attributes, is_test_only};

/// The groups of files of a crate that import each other.
pub fn import_circles(of: &Crate) -> Vec<Vec<String>> {
    let mut edges = Vec::new();
    for (from, module) in of.modules.iter().enumerate() {
        let mut paths = Paths { of, module: &module.path, found: Vec::new() };
        module.items.iter().for_each(|item| paths.visit_item(item));
        edges.extend(paths.found.into_iter().filter(|to| *to != from).map(|to| (from, to)));
    }
    edges.sort_unstable();
    edges.dedup();
    let name = |index: usize| of.modules.get(index).map(|module| module.file.clone());
    circles(of.modules.len(), &edges)
        .into_iter()
        .map(|group| group.into_iter().filter_map(name).collect())
        .collect()
}

/// Collects the modules that a module names.
struct Paths<'a> {
    of: &'a Crate,
    module: &'a [String],
    found: Vec<usize>,
}

impl Paths<'_> {
    /// Notes the module that a path names, if it is one of this crate.
    fn note(&mut self, segments: &[String]) {
        if let Some(absolute) = self.absolute(segments)
            && let Some(module) = self.of.deepest(&absolute)
        {
            self.found.push(module);
        }
    }

    /// The path from the root of the crate; none if it leads to another crate.
    fn absolute(&self, segments: &[String]) -> Option<Vec<String>> {
        let mut path = match segments.first()?.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => self.module.to_vec(),
            first if self.is_child(first) => [self.module, &[first.to_owned()]].concat(),
            _ => return None,
        };
        for (index, segment) in segments.iter().enumerate() {
            match segment.as_str() {
                "super" => drop(path.pop()),
                "crate" | "self" => {}
                _ if index == 0 => {}
                name => path.push(name.to_owned()),
            }
        }
        Some(path)
    }

    fn is_child(&self, name: &str) -> bool {
        let path = [self.module, &[name.to_owned()]].concat();
        self.of.modules.iter().any(|module| module.path == path)
    }

    fn note_use(&mut self, prefix: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.note_use(&with(&path.ident), &path.tree),
            UseTree::Name(name) => self.note(&with(&name.ident)),
            UseTree::Rename(name) => self.note(&with(&name.ident)),
            UseTree::Glob(_) => self.note(prefix),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.note_use(prefix, tree));
            }
        }
    }

    /// Reads the paths in the text of a macro call.
    fn note_tokens(&mut self, tokens: TokenStream) {
        let mut segments: Vec<String> = Vec::new();
        for token in tokens {
            match token {
                TokenTree::Ident(word) => segments.push(word.to_string()),
                TokenTree::Punct(sign) if sign.as_char() == ':' => continue,
                TokenTree::Group(group) => self.note_tokens(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            if segments.len() > 1 && !is_path(&segments) {
                segments.drain(..segments.len() - 1);
            }
            if is_path(&segments) {
                self.note(&segments);
            }
        }
    }
}

/// Returns true if words that follow each other in a macro can be a path of this crate.
fn is_path(segments: &[String]) -> bool {
    segments.first().is_some_and(|first| matches!(first.as_str(), "crate" | "super"))
        && segments.len() > 1
}

impl<'a> Visit<'a> for Paths<'_> {
    fn visit_item(&mut self, item: &'a Item) {
        if !is_test_only(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        if matches!(item.vis, Visibility::Inherited) {
            self.note_use(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let segments: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.note(&segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'a syn::Macro) {
        self.note_tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::crates;
    use crate::source::{Package, SourceFile};

    fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let file = |(path, text): &(&str, &str)| SourceFile {
            path: format!("p/{path}"),
            text: (*text).to_owned(),
        };
        let package = Package { folder: "p".to_owned(), files: files.iter().map(file).collect() };
        crates(&package).iter().flat_map(import_circles).collect()
    }

    #[test]
    fn two_modules_that_use_each_other_are_found() {
        let found = circles_of(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "use crate::b::B; pub struct A(B);"),
            ("src/b.rs", "fn f() { let a = super::a::A::new(); }"),
        ]);
        assert_eq!(found, [["p/src/a.rs", "p/src/b.rs"]]);
    }

    #[test]
    fn a_parent_and_a_child_that_use_each_other_are_found() {
        let found = circles_of(&[
            ("src/lib.rs", "mod a;"),
            ("src/a.rs", "mod child; pub struct A(child::B);"),
            ("src/a/child.rs", "use super::A;"),
        ]);
        assert_eq!(found, [["p/src/a.rs", "p/src/a/child.rs"]]);
    }

    #[test]
    fn a_path_inside_a_macro_counts() {
        let found = circles_of(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "use crate::b::B;"),
            ("src/b.rs", "fn f() { assert!(x, crate::a::A); }"),
        ]);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn re_exports_and_tests_are_no_imports() {
        let found = circles_of(&[
            ("src/lib.rs", "mod a; pub use a::A;"),
            ("src/a.rs", "use crate::Other; #[cfg(test)] mod tests { use crate::b::B; }"),
        ]);
        assert!(found.is_empty());
    }
}
