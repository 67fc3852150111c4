//! Names that others chose, as headings show them: a long one is cut, so that it fills no screen.

/// The maximum number of characters of a name in a heading.
const MAX_CHARS: usize = 60;

/// Returns true if headings do not show the whole of a name.
pub(crate) fn is_long(name: &str) -> bool {
    name.chars().nth(MAX_CHARS).is_some()
}

/// Returns a name as headings show it: unchanged, or its beginning with an ellipsis.
pub(crate) fn shortened(name: &str) -> String {
    if !is_long(name) {
        return name.to_owned();
    }
    let beginning: String = name.chars().take(MAX_CHARS - 1).collect();
    format!("{}…", beginning.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_name_is_cut() {
        let longest = "ä".repeat(MAX_CHARS);
        assert_eq!(shortened(&longest), longest);
        assert!(!is_long(&longest) && is_long(&format!("{longest}x")));
        let cut = shortened(&format!("{} {}", "ä".repeat(MAX_CHARS - 2), "x".repeat(9)));
        assert_eq!(cut, format!("{}…", "ä".repeat(MAX_CHARS - 2)));
    }
}
