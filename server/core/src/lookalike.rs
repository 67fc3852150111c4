//! The comparison of names as people read them: without case, spaces, and differences between
//! characters that look alike, such as a Cyrillic and a Latin "a".

use presence_protocol::text::is_refused;
use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;

/// The sender that an AppService gives to a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceName {
    /// The text that devices see.
    pub text: Box<str>,
    /// The skeletons of the text.
    pub skeletons: Vec<String>,
}

impl SourceName {
    /// Creates it from a text that follows the rule of texts. Returns `None` for an empty one.
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self { text: text.into(), skeletons: skeletons(text) })
    }
}

/// Returns the skeletons of a name, one or two. Two names look alike if they have one in common.
///
/// There are two, since lower case hides some likenesses and shows others: `l` looks like `I` but
/// not like `i`.
pub fn skeletons(name: &str) -> Vec<String> {
    let visible = |c: &char| !c.is_whitespace() && !is_refused(*c);
    let compatible: String = name.nfkc().filter(visible).collect();
    let lower = compatible.to_lowercase();
    let of_lower: String = skeleton(&lower).collect();
    let as_written: String = skeleton(&compatible).collect();
    let mut skeletons = vec![of_lower.to_lowercase(), as_written.to_lowercase()];
    skeletons.dedup();
    skeletons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_alike(one: &str, other: &str) -> bool {
        let others = skeletons(other);
        skeletons(one).iter().any(|skeleton| others.contains(skeleton))
    }

    #[test]
    fn names_that_people_cannot_tell_apart_look_alike() {
        for other in [
            "PayPal",
            "paypal",
            "PAYPAL",
            "PayPaI",
            "PayPa1",
            "Раураl",
            "P\u{430}yPal",
            "ＰａｙＰａｌ",
            "𝐏𝐚𝐲𝐏𝐚𝐥",
            " Pay Pal ",
            "Pay\u{a0}Pal",
            "Pay\u{200b}Pal",
        ] {
            assert!(look_alike("PayPal", other), "{other}");
        }
        assert!(look_alike("modern", "modem") && look_alike("O2", "02"));
    }

    #[test]
    fn different_names_do_not_look_alike() {
        for (one, other) in
            [("Mall", "Mail"), ("Bank", "Banks"), ("Chess", "Cheese"), ("bob@a.example", "Bob")]
        {
            assert!(!look_alike(one, other), "{one} {other}");
        }
    }

    #[test]
    fn an_empty_source_is_none() {
        assert_eq!(SourceName::new(""), None);
        assert_eq!(SourceName::new("Bob").map(|source| source.text).as_deref(), Some("Bob"));
    }
}
