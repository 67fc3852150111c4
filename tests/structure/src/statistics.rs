//! Counts the lines of functions and files.

use syn::visit::{self, Visit};

use crate::source::SourceFile;

/// The spread of a set of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spread {
    /// The number of values.
    pub count: usize,
    /// The value that half of them do not exceed.
    pub median: usize,
    /// The value that 95 of 100 do not exceed.
    pub p95: usize,
    /// The greatest value.
    pub max: usize,
}

impl Spread {
    /// The spread of these values.
    pub fn of(mut values: Vec<usize>) -> Self {
        values.sort_unstable();
        let at = |percent: usize| {
            let index = (values.len() * percent).div_ceil(100).saturating_sub(1);
            values.get(index).copied().unwrap_or(0)
        };
        Self { count: values.len(), median: at(50), p95: at(95), max: at(100) }
    }
}

/// The lines of each function of a file, from its signature to its closing brace.
pub fn function_lines(file: &SourceFile) -> Vec<usize> {
    let Ok(parsed) = syn::parse_file(&file.text) else { return Vec::new() };
    let mut functions = Functions(Vec::new());
    functions.visit_file(&parsed);
    functions.0
}

struct Functions(Vec<usize>);

impl Functions {
    fn add(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let start = signature.fn_token.span.start().line;
        let end = block.brace_token.span.close().end().line;
        self.0.push(end + 1 - start);
    }
}

impl<'a> Visit<'a> for Functions {
    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'a syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.add(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_counts_from_its_signature_to_its_brace() {
        let text = "/// Doc.\nfn one() {\n    two();\n}\nimpl A { fn two() {} }\n".to_owned();
        let file = SourceFile { path: "a.rs".to_owned(), text };
        assert_eq!(function_lines(&file), [3, 1]);
    }

    #[test]
    fn the_spread_of_one_to_a_hundred() {
        let spread = Spread::of((1..=100).collect());
        assert_eq!(spread, Spread { count: 100, median: 50, p95: 95, max: 100 });
    }
}
