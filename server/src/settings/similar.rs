//! Suggestions for names that are written wrongly.

/// Returns the known name that is most similar to a wrong one, if one is similar.
pub(super) fn most_similar<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let wrong = wrong.to_lowercase().replace('-', "_");
    let (distance, name) = known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wrong, name), name))
        .min_by_key(|(distance, _)| *distance)?;
    // One letter in three may be wrong.
    (distance <= wrong.len().max(name.len()) / 3).then_some(name)
}

/// Returns the end of a sentence that suggests a name, if there is one.
pub(super) fn did_you_mean(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_few_wrong_letters_is_similar_and_another_word_is_not() {
        let known = ["listen", "status_burst", "status_per_second"];
        assert_eq!(most_similar("lisen", known), Some("listen"));
        assert_eq!(most_similar("STATUS-BRUST", known), Some("status_burst"));
        assert_eq!(most_similar("no_setting", known), None);
        assert_eq!(most_similar("listen", []), None);
    }
}
