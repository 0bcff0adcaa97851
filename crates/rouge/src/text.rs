//! A text as words.

use crate::porter::stem;

/// Characters that a word has at most to keep its ending.
const KEPT_WHOLE: usize = 3;

/// Treatment of endings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stemming {
    /// Words are compared as they are.
    #[default]
    None,
    /// Words of more than three characters are compared without their endings, as [`stem`] leaves them.
    Porter,
}

/// A text as words, and the words of each of its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    pub(crate) words: Vec<String>,
    /// Of the lines that are not empty; a line without words has none.
    pub(crate) sentences: Vec<Vec<String>>,
}

impl Text {
    /// Takes a text apart.
    pub fn new(text: &str, stemming: Stemming) -> Self {
        let lines = text.split('\n').filter(|line| !line.is_empty());
        Self {
            words: words(text, stemming),
            sentences: lines.map(|line| words(line, stemming)).collect(),
        }
    }

    /// Its words in order.
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

fn words(text: &str, stemming: Stemming) -> Vec<String> {
    let lower = text.to_lowercase();
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let words = lower.split(|c| !is_part(c)).filter(|word| !word.is_empty());
    words
        .map(|word| match stemming {
            Stemming::Porter if word.len() > KEPT_WHOLE => stem(word),
            _ => word.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_digits_in_lower_case() {
        let found = Text::new("It's 3.5 KM—na\u{ef}ve,\n\nthe_end", Stemming::None);
        assert_eq!(found.words, ["it", "s", "3", "5", "km", "na", "ve", "the", "end"]);
        assert_eq!(found.sentences.len(), 2);
        // The sign of Kelvin becomes a k of ASCII in lower case; a dotted capital I becomes an i and a dot of its own.
        assert_eq!(Text::new("\u{212a}\u{130}x", Stemming::None).words, ["ki", "x"]);
        assert!(Text::new("… 你好", Stemming::Porter).words.is_empty());
    }

    #[test]
    fn only_words_of_more_than_three_characters_lose_their_endings() {
        assert_eq!(Text::new("Dogs was ups", Stemming::Porter).words, ["dog", "was", "ups"]);
        assert_eq!(Text::new("Dogs", Stemming::None).words, ["dogs"]);
    }
}
