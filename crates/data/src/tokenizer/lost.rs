//! What a tokenizer does not give back.
//!
//! Many public tokenizers lose something: a byte-level vocabulary may lack some bytes, a normalizer may write a letter and its
//! accent as one character. Their models were trained that way, so texts are cut as they were there, and what is lost is said
//! where rows are looked at. Only a tokenizer that fails is refused.

use super::Tokenizer;

/// Texts of many kinds: all of Latin-1 with its control characters, white space, scripts without spaces, characters of several
/// code points, and one that no vocabulary spells.
fn probes() -> [String; 5] {
    let latin = (0..=255_u8).map(char::from).collect();
    let others = ["\r\n  two  spaces \n", " 日本語 👩‍👧", "don't", "\u{10fffd}"];
    let [spaces, scripts, quote, last] = others.map(str::to_owned);
    [latin, spaces, scripts, quote, last]
}

/// The reason why texts cannot be given to a tokenizer, or had from it, if there is one.
pub(super) fn why_useless(inner: &tokenizers::Tokenizer) -> Option<String> {
    let fault = |text: &String| {
        let back = inner
            .encode_fast(text.as_str(), false)
            .and_then(|encoding| inner.decode(encoding.get_ids(), false));
        let error = back.err()?;
        Some(format!(
            "expected a tokenizer that encodes and decodes any text, but it fails on {text:?}: {error}"
        ))
    };
    probes().iter().find_map(fault)
}

impl Tokenizer {
    /// The parts of a text that do not come back from its tokens: characters without a token, or that are changed. Mostly nothing.
    ///
    /// Each is given once, in the order of the text.
    pub fn lost(&self, text: &str) -> Vec<String> {
        let back = self.decode(&self.encode(text), false);
        if back == text {
            return Vec::new();
        }
        let mut lost: Vec<String> = Vec::new();
        for c in text.chars() {
            let c = c.to_string();
            if !lost.contains(&c) && !self.gives_back(&c) {
                lost.push(c);
            }
        }
        if lost.is_empty() {
            lost.push(difference(text, &back).to_owned());
        }
        lost
    }

    /// True if a text is what comes of encoding and decoding it.
    fn gives_back(&self, text: &str) -> bool {
        self.decode(&self.encode(text), false) == text
    }
}

/// The part of `text` between what it has in common with `other` at its beginning and at its end.
fn difference<'a>(text: &'a str, other: &str) -> &'a str {
    let same = |(a, b): &(char, char)| a == b;
    let width = |(a, _): (char, char)| a.len_utf8();
    let start: usize = text.chars().zip(other.chars()).take_while(same).map(width).sum();
    let (rest, other) = (&text[start..], &other[start..]);
    let end: usize = rest
        .chars()
        .rev()
        .zip(other.chars().rev())
        .take_while(same)
        .map(width)
        .sum();
    let part = &rest[..rest.len() - end];
    // What was put in has no place of its own.
    if part.is_empty() { text } else { part }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_of_two_texts_is_what_they_have_not_in_common() {
        assert_eq!(difference("cafe\u{301} au lait", "café au lait"), "e\u{301}");
        assert_eq!(difference("Hello", "hello"), "H");
        assert_eq!(difference("aaa", "aa"), "a");
        assert_eq!(difference("ab", "axb"), "ab");
        assert_eq!(difference("a\u{4}b", "ab"), "\u{4}");
    }
}
