//! The rule for all texts that others see: names, descriptions, status texts, and the texts of
//! notifications. A text displays on one line, in its own order, with nothing in it that cannot be
//! seen.

/// The rule in words, for error texts.
pub const TEXT_RULE: &str =
    "without line breaks and without control, invisible or direction-changing characters";

/// The characters that have no place in a text: control characters, line and paragraph separators,
/// format characters, direction controls, default ignorable characters (tags among them), and
/// fillers that display as blank. A test compares the list with the Unicode tables.
const REFUSED: [(char, char); 24] = [
    ('\u{0000}', '\u{001F}'),
    ('\u{007F}', '\u{009F}'),
    ('\u{00AD}', '\u{00AD}'),
    ('\u{034F}', '\u{034F}'),
    ('\u{061C}', '\u{061C}'),
    ('\u{115F}', '\u{1160}'),
    ('\u{17B4}', '\u{17B5}'),
    ('\u{180B}', '\u{180F}'),
    ('\u{200B}', '\u{200F}'),
    ('\u{2028}', '\u{202E}'),
    ('\u{2060}', '\u{206F}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{FE00}', '\u{FE0F}'),
    ('\u{FEFF}', '\u{FEFF}'),
    ('\u{FFA0}', '\u{FFA0}'),
    ('\u{FFF0}', '\u{FFFB}'),
    ('\u{13430}', '\u{1343F}'),
    ('\u{13441}', '\u{13442}'),
    ('\u{16FE4}', '\u{16FE4}'),
    ('\u{1BCA0}', '\u{1BCA3}'),
    ('\u{1D159}', '\u{1D159}'),
    ('\u{1D173}', '\u{1D17A}'),
    ('\u{E0000}', '\u{E0FFF}'),
];

/// The blocks with the characters that emoji consist of. All others in them are symbols too.
const PICTOGRAPHS: [(char, char); 15] = [
    ('\u{A9}', '\u{A9}'),
    ('\u{AE}', '\u{AE}'),
    ('\u{203C}', '\u{203C}'),
    ('\u{2049}', '\u{2049}'),
    ('\u{2122}', '\u{2122}'),
    ('\u{2139}', '\u{2139}'),
    ('\u{2190}', '\u{23FF}'),
    ('\u{24C2}', '\u{24C2}'),
    ('\u{25A0}', '\u{27BF}'),
    ('\u{2934}', '\u{2935}'),
    ('\u{2B00}', '\u{2BFF}'),
    ('\u{3030}', '\u{3030}'),
    ('\u{303D}', '\u{303D}'),
    ('\u{3297}', '\u{3299}'),
    ('\u{1F000}', '\u{1FFFD}'),
];

/// The blocks of scripts whose words are written with joiners, such as Persian and Sinhala.
const JOINING_SCRIPTS: [(char, char); 4] = [
    ('\u{0620}', '\u{0DFF}'),
    ('\u{1000}', '\u{109F}'),
    ('\u{1780}', '\u{17FF}'),
    ('\u{1820}', '\u{18AF}'),
];

const NON_JOINER: char = '\u{200C}';
const JOINER: char = '\u{200D}';
const TEXT_STYLE: char = '\u{FE0E}';
const EMOJI_STYLE: char = '\u{FE0F}';
const KEYCAP: char = '\u{20E3}';

/// Returns true if a text displays as it is written, on one line. Joiners and emoji styles are
/// allowed only inside emoji and inside words of the scripts that need them.
pub fn displays_as_written(text: &str) -> bool {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return true;
    }
    let (mut before, mut rest) = (None, text.chars().peekable());
    while let Some(c) = rest.next() {
        let after = rest.peek().copied();
        if is_refused(c) && !is_needed_between(before, c, after) {
            return false;
        }
        before = Some(c);
    }
    true
}

/// Returns the text without the characters that have no place in one, and with a space for each
/// line break.
pub fn cleaned(text: &str) -> String {
    let spaced = text.replace("\r\n", " ").replace(['\n', '\r', '\t', '\u{2028}', '\u{2029}'], " ");
    if displays_as_written(&spaced) {
        return spaced;
    }
    spaced.chars().filter(|c| !is_refused(*c)).collect()
}

/// Returns true if a character has no place in a text, except for joiners and emoji styles where
/// they are needed.
pub fn is_refused(c: char) -> bool {
    is_in(&REFUSED, c)
}

fn is_needed_between(before: Option<char>, c: char, after: Option<char>) -> bool {
    let Some(before) = before else { return false };
    let follows_pictograph = before == EMOJI_STYLE || is_in(&PICTOGRAPHS, before);
    let is_in_word = || {
        let joins = |c| is_in(&JOINING_SCRIPTS, c) && !is_refused(c);
        joins(before) && after.is_some_and(joins)
    };
    match c {
        TEXT_STYLE => is_in(&PICTOGRAPHS, before),
        EMOJI_STYLE => {
            let is_keycap = matches!(before, '0'..='9' | '#' | '*') && after == Some(KEYCAP);
            is_in(&PICTOGRAPHS, before) || is_keycap
        }
        JOINER if follows_pictograph => after.is_some_and(|after| is_in(&PICTOGRAPHS, after)),
        JOINER | NON_JOINER => is_in_word(),
        _ => false,
    }
}

fn is_in(ranges: &[(char, char)], c: char) -> bool {
    let next = ranges.partition_point(|(_, last)| *last < c);
    ranges.get(next).is_some_and(|(first, _)| *first <= c)
}

#[cfg(test)]
mod tests {
    use icu_properties::props::{
        BidiControl, DefaultIgnorableCodePoint, ExtendedPictographic, GeneralCategory,
        PrependedConcatenationMark,
    };
    use icu_properties::{CodePointMapData, CodePointSetData};

    use super::*;

    /// The fillers that Unicode does not call ignorable, although they display as blank.
    const BLANKS: [char; 5] = ['\u{2800}', '\u{13441}', '\u{13442}', '\u{16FE4}', '\u{1D159}'];

    #[test]
    fn the_refused_characters_are_those_of_the_unicode_tables() {
        let categories = CodePointMapData::<GeneralCategory>::new();
        let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
        let direction = CodePointSetData::new::<BidiControl>();
        // Number signs of Arabic and Syriac, which are format characters and visible.
        let visible_format = CodePointSetData::new::<PrependedConcatenationMark>();
        for c in '\0'..=char::MAX {
            let category = categories.get(c);
            let by_category = [
                GeneralCategory::Control,
                GeneralCategory::LineSeparator,
                GeneralCategory::ParagraphSeparator,
            ]
            .contains(&category)
                || category == GeneralCategory::Format && !visible_format.contains(c);
            let expected = by_category
                || ignorable.contains(c)
                || direction.contains(c)
                || BLANKS.contains(&c);
            assert_eq!(is_refused(c), expected, "{c:?}");
        }
    }

    #[test]
    fn the_pictographs_hold_all_emoji_and_no_letter() {
        let pictographic = CodePointSetData::new::<ExtendedPictographic>();
        for c in '\0'..=char::MAX {
            assert!(!pictographic.contains(c) || is_in(&PICTOGRAPHS, c), "{c:?}");
            // These are alphabetic for Unicode, and display as symbols.
            let is_symbol = matches!(c, 'ℹ' | 'Ⓜ' | '\u{1F130}'..='\u{1F189}');
            let is_letter = c.is_alphabetic() && !is_symbol;
            assert!(!is_letter || !is_in(&PICTOGRAPHS, c), "{c:?}");
        }
    }

    #[test]
    fn a_text_with_something_that_cannot_be_seen_or_turns_it_is_refused() {
        for text in [
            "a\nb",
            "a\rb",
            "a\tb",
            "\0",
            "a\u{85}",
            "a\u{2028}b",
            "Ba\u{200B}nk",
            "Ba\u{200D}nk",
            "Ba\u{200C}nk",
            "Bank\u{FE0F}",
            "Bank\u{00AD}",
            "\u{FEFF}Bank",
            "\u{2800}",
            "\u{3164}",
            "\u{115F}",
            "\u{FFA0}",
            "Bank\u{E0041}",
            "\u{202E}knaB",
            "\u{2066}Bank",
            "\u{2069}",
            "\u{200F}",
            "\u{061C}",
            "🏴\u{E0067}\u{E007F}",
            "❤\u{FE0F}\u{FE0F}",
            "\u{200D}👩",
            "👩\u{200D}",
            "👩\u{200D}\u{200D}👩",
            "1\u{FE0F}",
            "م\u{200C}",
            "م\u{200C}\u{200C}م",
        ] {
            assert!(!displays_as_written(text), "{text:?}");
        }
    }

    #[test]
    fn ordinary_texts_of_all_scripts_and_emoji_are_accepted() {
        for text in [
            "",
            "Lunch?",
            "Café, 5 €",
            "שלום",
            "می\u{200C}خواهم",
            "ශ්\u{200D}රී",
            "日本語　テスト",
            "❤\u{FE0F} ✈\u{FE0E} 1\u{FE0F}\u{20E3}",
            "👩\u{200D}💻 👩🏽\u{200D}🚀 👩\u{200D}❤\u{FE0F}\u{200D}👨 🏳\u{FE0F}\u{200D}🌈 🇩🇪",
        ] {
            assert!(displays_as_written(text), "{text:?}");
            assert_eq!(cleaned(text), text);
        }
    }

    #[test]
    fn a_cleaned_text_follows_the_rule() {
        assert_eq!(cleaned("one\r\ntwo\nthree"), "one two three");
        assert_eq!(cleaned("\u{202E}Ba\u{200B}nk"), "Bank");
    }
}
