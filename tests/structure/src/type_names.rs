//! Finds type names that a package defines more than once.

use std::collections::BTreeMap;

use syn::visit::{self, Visit};

use crate::source::Package;
use crate::{Finding, source::SourceFile};

/// Names that sea-orm's derives ask for, once for each table.
pub const SEA_ORM: [&str; 6] =
    ["Model", "Entity", "ActiveModel", "Column", "PrimaryKey", "Relation"];

/// The definitions whose names stand in their package more than once.
pub fn repeated(package: &Package) -> Vec<Finding> {
    let mut places: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
    for file in &package.files {
        for (name, line) in definitions(file) {
            let text = format!("`{name}` is defined more than once in {}", package.folder);
            let finding = Finding { file: file.path.clone(), line, text };
            places.entry(name).or_default().push(finding);
        }
    }
    places
        .into_iter()
        .filter(|(name, places)| places.len() > 1 && !SEA_ORM.contains(&name.as_str()))
        .flat_map(|(_, places)| places)
        .collect()
}

/// The names of the types that a file defines, with lines. Associated types are none of them.
pub fn definitions(file: &SourceFile) -> Vec<(String, usize)> {
    let Ok(parsed) = syn::parse_file(&file.text) else { return Vec::new() };
    let mut collector = Collector::default();
    collector.visit_file(&parsed);
    collector.found
}

#[derive(Default)]
struct Collector {
    found: Vec<(String, usize)>,
}

impl Collector {
    fn add(&mut self, name: &syn::Ident) {
        self.found.push((name.to_string(), name.span().start().line));
    }
}

impl<'a> Visit<'a> for Collector {
    fn visit_item_struct(&mut self, item: &'a syn::ItemStruct) {
        self.add(&item.ident);
    }

    fn visit_item_enum(&mut self, item: &'a syn::ItemEnum) {
        self.add(&item.ident);
    }

    fn visit_item_union(&mut self, item: &'a syn::ItemUnion) {
        self.add(&item.ident);
    }

    fn visit_item_type(&mut self, item: &'a syn::ItemType) {
        self.add(&item.ident);
    }

    fn visit_item_trait(&mut self, item: &'a syn::ItemTrait) {
        self.add(&item.ident);
        visit::visit_item_trait(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(texts: &[&str]) -> Package {
        let file = |text: &&str| SourceFile { path: "a.rs".to_owned(), text: (*text).to_owned() };
        Package { folder: "a".to_owned(), files: texts.iter().map(file).collect() }
    }

    #[test]
    fn a_name_in_two_files_is_found_twice() {
        let found = repeated(&package(&["struct Row;", "mod tests { enum Row {} }"]));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn associated_types_and_names_of_sea_orm_may_repeat() {
        let texts = ["struct Model; impl T for A { type E = (); }", "struct Model; type E = u8;"];
        assert!(repeated(&package(&texts)).is_empty());
    }
}
