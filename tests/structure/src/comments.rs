//! Reads comment blocks, and finds those that open without a subject or are too wide.

use crate::Finding;
use crate::source::SourceFile;

/// The maximum number of columns of a line that is a comment.
pub const MAX_COLUMNS: usize = 100;

/// Words that open a clause without a noun or verb of its own.
const HEADLESS: [&str; 22] = [
    "what",
    "whatever",
    "whose",
    "who",
    "whoever",
    "whom",
    "where",
    "wherever",
    "how",
    "whether",
    "why",
    "which",
    "that",
    "true",
    "false",
    "nobody",
    "somebody",
    "anybody",
    "everybody",
    "so",
    "of",
    "everything",
];
/// Words that open a clause too, which a main clause may follow after a comma.
const CONDITIONAL: [&str; 5] = ["when", "whenever", "once", "while", "as"];

/// A run of comment lines with nothing between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The line of its first words, counted from 1.
    pub line: usize,
    /// A flag: it documents an item or a file.
    pub is_doc: bool,
    /// The words of all lines, without the signs of the comment.
    pub text: String,
}

/// The comment blocks of a file, in order.
pub fn blocks(file: &SourceFile) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<(&str, Block)> = None;
    let mut in_star = false;
    for (index, line) in file.text.lines().enumerate() {
        let trimmed = line.trim();
        let comment = marker(trimmed, file.extension(), &mut in_star);
        if index == 0 && trimmed.starts_with("#!") {
            continue;
        }
        let same = matches!((&open, comment), (Some((one, _)), Some((other, _))) if *one == other);
        if !same {
            blocks.extend(open.take().map(|(_, block)| block));
        }
        let Some((sign, words)) = comment else { continue };
        match &mut open {
            Some((_, block)) if block.text.is_empty() => {
                (block.line, block.text) = (index + 1, words.to_owned());
            }
            Some((_, block)) => {
                block.text.push(' ');
                block.text.push_str(words);
            }
            None => {
                let is_doc = matches!(sign, "///" | "//!" | "*");
                open = Some((sign, Block { line: index + 1, is_doc, text: words.to_owned() }));
            }
        }
    }
    blocks.extend(open.map(|(_, block)| block));
    blocks.retain(|block| block.text.chars().any(char::is_alphabetic));
    blocks
}

/// The blocks that open with a clause without a subject.
pub fn headless(file: &SourceFile) -> Vec<Finding> {
    blocks(file)
        .into_iter()
        .filter(|block| is_headless(&block.text))
        .map(|block| finding(file, block.line, "opens without a subject", &block.text))
        .collect()
}

/// The comment lines that are wider than [`MAX_COLUMNS`].
pub fn too_wide(file: &SourceFile) -> Vec<Finding> {
    let mut in_star = false;
    let is_wide = |line: &str| line.chars().count() > MAX_COLUMNS;
    file.text
        .lines()
        .enumerate()
        .filter(|(_, line)| marker(line.trim(), file.extension(), &mut in_star).is_some())
        .filter(|(_, line)| is_wide(line) && !line.contains("://"))
        .map(|(index, line)| finding(file, index + 1, "is too wide", line.trim()))
        .collect()
}

/// Returns true if a comment opens with a clause without a subject, such as "Whose device it is."
pub fn is_headless(text: &str) -> bool {
    let first: String = text.chars().take_while(|c| c.is_alphabetic()).collect();
    let rest = text.get(first.len()..).unwrap_or_default();
    if !rest.starts_with(' ') {
        return false;
    }
    let first = first.to_lowercase();
    let sentence = rest.split(". ").next().unwrap_or_default();
    HEADLESS.contains(&first.as_str())
        || CONDITIONAL.contains(&first.as_str()) && !sentence.contains(',')
}

/// The sign and the words of a comment line; none if the line is no comment.
fn marker<'a>(line: &'a str, extension: &str, in_star: &mut bool) -> Option<(&'a str, &'a str)> {
    if matches!(extension, "py" | "sh") {
        return line.strip_prefix('#').map(|words| ("#", words.trim()));
    }
    if *in_star {
        *in_star = !line.contains("*/");
        let words = line.trim_end_matches("*/").trim_start_matches('*').trim();
        return Some(("*", words));
    }
    if let Some(words) = line.strip_prefix("/*") {
        *in_star = !line.contains("*/");
        return Some(("*", words.trim_end_matches("*/").trim_start_matches(['*', '!']).trim()));
    }
    ["///", "//!", "//"]
        .into_iter()
        .find_map(|sign| line.strip_prefix(sign).map(|words| (sign, words.trim())))
}

fn finding(file: &SourceFile, line: usize, rule: &str, text: &str) -> Finding {
    let shown: String = text.chars().take(70).collect();
    Finding { file: file.path.clone(), line, text: format!("{rule}: {shown}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_block_is_a_run_of_lines_with_the_same_sign() {
        let text = "//! One\n//! file.\n\n/// An item.\n// A note.\nfn f() {} // trailing\n";
        let found: Vec<_> = blocks(&file("a.rs", text)).into_iter().map(|b| b.text).collect();
        assert_eq!(found, ["One file.", "An item.", "A note."]);
    }

    #[test]
    fn star_comments_and_hash_comments_are_read_too() {
        let found = blocks(&file("a.kt", "/**\n * Opens it.\n */\nfun f() {}\n"));
        assert_eq!((found[0].line, found[0].text.trim()), (2, "Opens it."));
        let found = blocks(&file("run", "#!/bin/sh\n# Runs it.\nrun\n"));
        assert_eq!(found[0].text, "Runs it.");
    }

    #[test]
    fn a_clause_without_a_subject_is_found() {
        for text in ["What a caller can want.", "Whose device it is.", "When it was made."] {
            assert!(is_headless(text), "{text}");
        }
        let sentence = "When the writer ends, the process ends.";
        for text in ["Returns what is kept.", "`What` is a type.", "The lease.", sentence] {
            assert!(!is_headless(text), "{text}");
        }
    }

    #[test]
    fn a_wide_comment_is_found_unless_it_holds_an_address() {
        let wide = format!("// {}\n// https://e.example/{}\n", "w".repeat(98), "w".repeat(98));
        assert_eq!(too_wide(&file("a.rs", &wide)).len(), 1);
    }
}
