//! Sentences.

use std::ops::Range;

use super::lines::without_marker;
use super::words::has_word;

/// Marks that may follow the end of a sentence and still belong to it.
pub(crate) const CLOSERS: &[char] = &['"', '\'', '”', '’', ')', ']', '»', '*', '_', '`'];
/// Abbreviations that are followed by more of the sentence.
const NEVER_LAST: &[&str] = &[
    "e.g", "i.e", "dr", "mr", "mrs", "ms", "prof", "st", "vs", "cf", "approx", "gen", "gov", "rev", "hon", "p.s",
    "z.b", "d.h", "bzw", "mme", "sra",
];
/// Abbreviations that may be the last word of a sentence.
const MAYBE_LAST: &[&str] = &[
    "etc", "a.m", "p.m", "u.s", "u.k", "u.s.a", "inc", "ltd", "co", "jr", "sr", "ph.d", "al", "b.c", "a.d",
];
/// Abbreviations if a number follows.
const BEFORE_NUMBERS: &[&str] = &["no", "nr", "fig", "vol", "p", "pp", "ch", "sec"];

/// The sentences of a text, without those that have no word, without the markers of their lines.
pub(crate) fn sentences(text: &str) -> Vec<&str> {
    let cased = text.chars().any(char::is_uppercase);
    let blocks = blocks(text, cased).into_iter();
    blocks
        .flat_map(|block| split(&text[block], cased))
        .filter(|sentence| has_word(sentence))
        .collect()
}

/// Lines, those together that go on in small letters.
fn blocks(text: &str, cased: bool) -> Vec<Range<usize>> {
    let mut blocks: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        let content = line.trim();
        let body = without_marker(content);
        let end = at + indent + content.len();
        let start = end - body.len();
        at += line.len();
        let goes_on = cased && body.len() == content.len() && body.starts_with(char::is_lowercase);
        match blocks.last_mut() {
            Some(block) if open && goes_on => block.end = end,
            _ if !body.is_empty() => blocks.push(start..end),
            _ => {}
        }
        open = !content.is_empty() && !content.starts_with('#');
    }
    blocks
}

fn split(block: &str, cased: bool) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(offset) = block[at..].find(is_end) {
        let mark = at + offset;
        let behind = block[mark..].trim_start_matches(is_end);
        let rest = behind.trim_start_matches(CLOSERS);
        let end = block.len() - rest.len();
        let marks = &block[mark..block.len() - behind.len()];
        let apart = rest.is_empty() || rest.starts_with(char::is_whitespace) || marks.ends_with(['。', '！', '？']);
        let stop = Stop {
            before: &block[start..mark],
            marks,
            closed: behind.len() > rest.len(),
            next: rest.trim_start().chars().next(),
        };
        if apart && stop.ends_sentence(cased) {
            found.push(block[start..end].trim());
            start = end;
        }
        at = end;
    }
    found.push(block[start..].trim());
    found
}

fn is_end(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？')
}

/// Marks at which a sentence may end.
struct Stop<'a> {
    /// The sentence so far.
    before: &'a str,
    marks: &'a str,
    /// A quotation or a parenthesis ends here as well.
    closed: bool,
    /// What comes next, if anything does.
    next: Option<char>,
}

impl Stop<'_> {
    fn ends_sentence(&self, cased: bool) -> bool {
        let Some(next) = self.next else { return true };
        let goes_on = cased && next.is_lowercase();
        if self.marks != "." {
            let trails_off = self.marks.chars().all(|c| matches!(c, '.' | '…'));
            return !(goes_on && (trails_off || self.closed));
        }
        let opens = |c: char| !c.is_alphanumeric();
        let last = self.before.rsplit(char::is_whitespace).next().unwrap_or_default();
        let last = last.trim_start_matches(opens);
        let name = last.to_lowercase();
        let name = name.as_str();
        let initial = last != "I" && last.chars().count() == 1 && last.chars().all(char::is_uppercase);
        if initial || NEVER_LAST.contains(&name) {
            return false;
        }
        if BEFORE_NUMBERS.contains(&name) && next.is_numeric() {
            return false;
        }
        !(goes_on && (self.closed || MAYBE_LAST.contains(&name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_a_reader_ends_them() {
        for (text, expected) in [
            ("One. Two! Three?", 3),
            ("Use fruit, e.g. apples, at 3.5 degrees.", 1),
            ("Dr. J. Smith met Mrs. Lee at 5 p.m. on Monday.", 1),
            ("They left at 5 p.m. Nobody saw them.", 2),
            ("Take pens, paper, etc. Then write.", 2),
            ("See No. 5. The answer is no. It is.", 3),
            ("Well... Perhaps. And so on...", 3),
            ("Well... perhaps.", 1),
            ("\"Stop!\" he said. \"Why?\" She left.", 3),
            ("He said \"I am here.\" Then he left.", 2),
            ("(That is all.) Good.", 2),
            ("what a ball! they played... they slept.", 3),
            ("The moon\npulls the sea.\r\nIt is\r\nfar.", 2),
            ("# Tides\nThey rise.\n\n- one\n- Two things.\n1. three", 5),
            ("First\n\n***\n\nSecond", 2),
            ("What?! Really?!", 2),
            ("No end", 1),
            ("This is **bold.** And this is not.", 2),
            ("", 0),
            ("***", 0),
        ] {
            assert_eq!(sentences(text).len(), expected, "{text:?}: {:?}", sentences(text));
        }
    }

    #[test]
    fn a_sentence_keeps_its_marks_and_loses_its_bullet() {
        assert_eq!(sentences("- \"One.\"\n- Two!"), ["\"One.\"", "Two!"]);
    }
}
