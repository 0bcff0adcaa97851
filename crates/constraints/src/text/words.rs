//! Words.

use std::collections::BTreeSet;
use std::ops::Range;

/// Long words that say nothing of what a text is about.
const EMPTY_WORDS: &[&str] = &[
    "about", "after", "also", "answer", "because", "been", "before", "being", "between", "both", "could", "does",
    "doing", "down", "each", "else", "every", "explain", "from", "give", "have", "having", "here", "into", "just",
    "know", "like", "list", "make", "many", "mean", "more", "most", "much", "must", "need", "only", "other", "over",
    "please", "same", "shall", "should", "some", "such", "tell", "than", "that", "their", "them", "then", "there",
    "these", "they", "this", "those", "under", "using", "very", "want", "well", "were", "what", "when", "where",
    "which", "while", "will", "with", "would", "write", "your",
];
/// A content word has at least so many letters.
const CONTENT_LETTERS: usize = 4;

/// The words of a text, as they are written.
pub(crate) fn words(text: &str) -> Vec<&str> {
    ranges(text).into_iter().map(|range| &text[range]).collect()
}

/// True of a text that has a word.
pub(crate) fn has_word(text: &str) -> bool {
    text.chars().any(is_part)
}

/// A text for comparison: in small letters, with straight apostrophes.
pub(crate) fn fold(text: &str) -> String {
    text.replace('’', "'").to_lowercase()
}

/// The words that say what a text is about, each once, in small letters, in the order in which they first occur.
pub(crate) fn content_words(text: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let plain = |word: &str| word.chars().all(char::is_alphabetic) && word.chars().count() >= CONTENT_LETTERS;
    words(text)
        .into_iter()
        .filter(|word| plain(word))
        .map(fold)
        .filter(|word| !EMPTY_WORDS.contains(&word.as_str()) && seen.insert(word.clone()))
        .collect()
}

/// The text with some of its words written otherwise.
pub(crate) fn rewrite_words(text: &str, mut rewrite: impl FnMut(&str) -> Option<String>) -> String {
    let mut written = String::with_capacity(text.len());
    let mut at = 0;
    for range in ranges(text) {
        let Some(word) = rewrite(&text[range.clone()]) else {
            continue;
        };
        written.push_str(&text[at..range.start]);
        written.push_str(&word);
        at = range.end;
    }
    written + &text[at..]
}

fn ranges(text: &str) -> Vec<Range<usize>> {
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let mut found = Vec::new();
    let mut start = None;
    for (i, &(at, c)) in chars.iter().enumerate() {
        if is_part(c) || (start.is_some() && joins(&chars, i)) {
            start.get_or_insert(at);
        } else if let Some(from) = start.take() {
            found.push(from..at);
        }
    }
    found.extend(start.map(|from| from..text.len()));
    found
}

/// Letters, digits, and accents that are written as characters of their own.
fn is_part(c: char) -> bool {
    c.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&c)
}

/// True of a mark that stands inside a word: "don't", "well-known", "3.5", "1,000", "e.g".
fn joins(chars: &[(usize, char)], i: usize) -> bool {
    let at = |offset: isize| i.checked_add_signed(offset).and_then(|i| chars.get(i)).map(|(_, c)| *c);
    let part = |offset| at(offset).is_some_and(is_part);
    let digit = |offset| at(offset).is_some_and(char::is_numeric);
    match chars[i].1 {
        '\'' | '’' | '-' | '\u{2010}' | '\u{2011}' => part(-1) && part(1),
        '.' => (digit(-1) && digit(1)) || (part(-1) && !part(-2) && part(1) && !part(2)),
        ',' => digit(-1) && (1..=3).all(digit) && !digit(4),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_what_stands_inside_them() {
        for (text, expected) in [
            (
                "Don't stop, well-known dog!",
                vec!["Don't", "stop", "well-known", "dog"],
            ),
            ("It’s 3.5 or 1,000; 1,2.", vec!["It’s", "3.5", "or", "1,000", "1", "2"]),
            (
                "e.g. the U.S.A. (i.e. there)",
                vec!["e.g", "the", "U.S.A", "i.e", "there"],
            ),
            ("Überall naïve cafe\u{301}", vec!["Überall", "naïve", "cafe\u{301}"]),
            ("end.Next 'quoted' - **bold**", vec!["end", "Next", "quoted", "bold"]),
            ("... !? ***", vec![]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn content_words_say_what_a_text_is_about() {
        let found = content_words("Please explain how Tides work, and why tides matter to a well-known crab.");
        assert_eq!(found, ["tides", "work", "matter", "crab"]);
    }

    #[test]
    fn rewriting_leaves_everything_else() {
        let loud = rewrite_words("a dog, a cat.", |word| (word == "cat").then(|| word.to_uppercase()));
        assert_eq!(loud, "a dog, a CAT.");
    }
}
