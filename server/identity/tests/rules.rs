//! Checks that the rules and threats which the code cites are listed, and that the tests and
//! vectors which the lists name exist.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot read the repository fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The numbered items of a list, each on one line.
type Items = BTreeMap<u32, String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// Collects the Rust sources under `directory`, except this file.
fn collect_sources(directory: &Path, sources: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_sources(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("identity/tests/rules.rs")
        {
            let text = std::fs::read_to_string(&path).unwrap();
            sources.push((path, text));
        }
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut sources = Vec::new();
    collect_sources(&root().join("server"), &mut sources);
    sources
}

/// Splits a document into its numbered items.
fn items(text: &str) -> Items {
    let mut items = Items::new();
    let mut current = None;
    for line in text.lines() {
        let item = line.split_once(". ").and_then(|(number, rest)| {
            number.parse::<u32>().ok().map(|number| (number, rest.to_owned()))
        });
        if let Some((number, rest)) = item {
            assert!(items.insert(number, rest).is_none(), "{number} is listed twice");
            current = Some(number);
        } else if line.starts_with("  ") {
            if let Some(item) = current.and_then(|number| items.get_mut(&number)) {
                item.push(' ');
                item.push_str(line.trim());
            }
        } else {
            current = None;
        }
    }
    items
}

fn rules() -> Items {
    items(&read("server/identity/RULES.md"))
}

fn threats() -> Items {
    let security = read("SECURITY.md");
    items(security.split_once("### Identity").unwrap().1)
}

/// Returns the names in backticks between `label` and the next label of an item.
fn names<'a>(item: &'a str, label: &str) -> Vec<&'a str> {
    let Some((_, rest)) = item.split_once(label) else { return Vec::new() };
    let end = ["Source:", "Tests:", "Vectors:"].iter().filter_map(|next| rest.find(next)).min();
    rest[..end.unwrap_or(rest.len())].split('`').skip(1).step_by(2).collect()
}

/// Returns the text of a source without line breaks and comment markers.
fn joined(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim().trim_start_matches(['/', '!']).trim());
    lines.collect::<Vec<_>>().join(" ")
}

/// Returns the numbers after `word` or its plural, such as 5, 6 and 7 in "rules 5 to 7".
fn cited(text: &str, word: &str) -> BTreeSet<u32> {
    let plural = format!("{word}s");
    let clean =
        |token: &str| token.trim_matches(|character: char| !character.is_alphanumeric()).to_owned();
    let tokens: Vec<String> = text.split_whitespace().map(clean).collect();
    let mut numbers = BTreeSet::new();
    for (index, _) in
        tokens.iter().enumerate().filter(|(_, token)| **token == word || **token == plural)
    {
        let (mut last, mut is_range) = (None, false);
        for token in &tokens[index + 1..] {
            if let Ok(number) = token.parse::<u32>() {
                let first = if is_range { last.unwrap_or(number) } else { number };
                numbers.extend(first..=number);
                (last, is_range) = (Some(number), false);
            } else if last.is_some() && matches!(token.as_str(), "and" | "to") {
                is_range = token == "to";
            } else {
                break;
            }
        }
    }
    numbers
}

#[test]
fn each_cited_rule_and_threat_is_listed() {
    let lists = [("rule", rules()), ("threat", threats())];
    for (word, list) in lists {
        let mut count = 0;
        for (path, text) in sources() {
            for number in cited(&joined(&text), word) {
                assert!(list.contains_key(&number), "{}: {word} {number}", path.display());
                count += 1;
            }
        }
        assert!(count >= 9, "{count} citations of a {word}");
    }
}

#[test]
fn rules_and_threats_are_numbered_without_gaps() {
    for (list, length) in [(rules(), 41), (threats(), 9)] {
        assert_eq!(list.into_keys().collect::<Vec<_>>(), (1..=length).collect::<Vec<_>>());
    }
}

#[test]
fn each_named_test_exists_and_cites_its_rule_or_threat() {
    let sources = sources();
    let mut missing = Vec::new();
    for (word, list) in [("rule", rules()), ("threat", threats())] {
        for (number, item) in list {
            for name in names(&item, "Tests:") {
                let definition = format!("fn {name}()");
                let found = sources
                    .iter()
                    .find_map(|(_, text)| text.split_once(&definition).map(|(before, _)| before));
                let Some(before) = found else {
                    missing.push(format!("{word} {number}: no test {name}"));
                    continue;
                };
                let comment = before.rsplit("\n\n").next().unwrap_or_default();
                if !cited(&joined(comment), word).contains(&number) {
                    missing.push(format!("{word} {number}: not cited above {name}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn each_named_vector_exists() {
    let vectors =
        read("server/identity/vectors/browserid.json") + &read("server/identity/vectors/oidc.json");
    let mut count = 0;
    for (number, item) in rules() {
        for name in names(&item, "Vectors:") {
            assert!(vectors.contains(&format!("\"name\": \"{name}\"")), "rule {number}: {name}");
            count += 1;
        }
    }
    assert!(count > 80, "{count} vectors are named");
}

#[test]
fn lists_and_ranges_of_numbers_are_read() {
    let numbers = |text: &str| cited(text, "rule").into_iter().collect::<Vec<_>>();
    assert_eq!(
        numbers("(rule 5) and (rules 20 to 22, and 30). rule of thumb"),
        [5, 20, 21, 22, 30]
    );
    assert_eq!(numbers("Holds rule 7 and threat 8."), [7]);
}
