//! The assistant's part of a rendered text.

use std::ops::Range;

use serde_json::Value as Json;

use crate::error::{Error, Result};

/// A conversation as a template renders it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// The bytes that are the assistant's, in the order in which they were written.
    pub answers: Vec<Range<usize>>,
}

impl Rendered {
    /// [`Self::answers`] in Unicode scalars, as Python counts.
    pub fn answer_chars(&self) -> Vec<Range<usize>> {
        let chars = |byte: usize| self.text[..byte].chars().count();
        self.answers
            .iter()
            .map(|span| chars(span.start)..chars(span.end))
            .collect()
    }
}

/// Two characters that `text` does not hold, to put around generation blocks. Whatever users write, there are such:
/// Unicode has more private characters than a context has tokens, and these are found one by one.
pub(super) fn marks(text: &str) -> [char; 2] {
    let mut unused = ('\u{f0000}'..=char::MAX)
        .chain('\u{e000}'..='\u{f8ff}')
        .filter(|&mark| !text.contains(mark));
    let mut next = || unused.next().unwrap_or(char::REPLACEMENT_CHARACTER);
    [next(), next()]
}

/// The spans between marks, in the text without them, which must be `plain`.
///
/// Nothing if it is not: then the template looked at the text of a block after rendering it, and what it did may
/// depend on the marks. Marks that are not in pairs give nothing for the same reason.
pub(super) fn between_marks(marked: &str, [open, close]: [char; 2], plain: &str) -> Option<Vec<Range<usize>>> {
    let mut text = String::with_capacity(plain.len());
    let mut spans = Vec::new();
    let mut unclosed = Vec::new();
    for c in marked.chars() {
        if c == open {
            unclosed.push(spans.len());
            spans.push(text.len()..text.len());
        } else if c == close {
            let span: usize = unclosed.pop()?;
            spans[span].end = text.len();
        } else {
            text.push(c);
        }
    }
    (unclosed.is_empty() && text == plain).then_some(spans)
}

/// The answers in `text`, found by what each adds.
///
/// `render(n, prompt)` is the text of the first `n` messages, with a generation prompt or without one. An answer is what
/// comes after the generation prompt before it, so the one text has to begin with the other, and the whole with both.
pub(super) fn derive(
    messages: &[Json],
    text: &str,
    template: &str,
    render: impl Fn(usize, bool) -> Result<String>,
) -> Result<Vec<Range<usize>>> {
    let mut answers = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        if message["role"] != "assistant" {
            continue;
        }
        let not_found = |reason: String| Error::AnswerNotFound {
            template: template.to_owned(),
            message: index,
            reason,
        };
        let before = render(index, true)
            .map_err(|error| not_found(format!("the messages before it cannot be rendered alone ({error})")))?;
        let through = render(index + 1, false)
            .map_err(|error| not_found(format!("the messages up to it cannot be rendered alone ({error})")))?;
        if !through.starts_with(&before) {
            let reason = format!(
                "the text up to it does not begin with the text up to its generation prompt ({})",
                parting(&through, &before)
            );
            return Err(not_found(reason));
        }
        if !text.starts_with(&through) {
            let reason = format!("what follows changes the text up to it ({})", parting(text, &through));
            return Err(not_found(reason));
        }
        let says_something = message["content"]
            .as_str()
            .is_some_and(|content| !content.trim().is_empty());
        if through.len() == before.len() && says_something {
            return Err(not_found("it adds nothing to the text".to_owned()));
        }
        answers.push(before.len()..through.len());
    }
    Ok(answers)
}

/// The first difference of two texts, in words.
fn parting(found: &str, expected: &str) -> String {
    const SHOWN: usize = 24;
    let same = found.chars().zip(expected.chars()).take_while(|(a, b)| a == b).count();
    let rest = |text: &str| text.chars().skip(same).take(SHOWN).collect::<String>();
    format!(
        "at character {same}: expected {:?}, found {:?}",
        rest(expected),
        rest(found)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn marks_are_characters_that_the_text_lacks() {
        assert_eq!(marks("plain"), ['\u{f0000}', '\u{f0001}']);
        assert_eq!(marks("\u{f0000}\u{f0002}"), ['\u{f0001}', '\u{f0003}']);
    }

    #[test]
    fn marks_that_do_not_pair_or_hide_a_change_give_nothing() {
        assert_eq!(between_marks("a<b>c<d>", ['<', '>'], "abcd"), Some(vec![1..2, 3..4]));
        assert_eq!(between_marks("<a<b>>", ['<', '>'], "ab"), Some(vec![0..2, 1..2]));
        for (marked, plain) in [("a<b", "ab"), ("a>b<", "ab"), ("<ab>", "a")] {
            assert_eq!(between_marks(marked, ['<', '>'], plain), None);
        }
    }

    proptest! {
        #[test]
        fn marks_come_out_where_they_went_in(parts in prop::collection::vec("[aé\u{f0000}-\u{f0004}]{0,4}", 1..6)) {
            let plain = parts.concat();
            let marks = marks(&plain);
            let (mut marked, mut expected, mut at) = (String::new(), Vec::new(), 0);
            for (index, part) in parts.iter().enumerate() {
                let span = at..at + part.len();
                at = span.end;
                if index % 2 == 0 {
                    marked.extend([String::from(marks[0]), part.clone(), String::from(marks[1])]);
                    expected.push(span);
                } else {
                    marked.push_str(part);
                }
            }
            prop_assert_eq!(between_marks(&marked, marks, &plain), Some(expected));
        }
    }
}
