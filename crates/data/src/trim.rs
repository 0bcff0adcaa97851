//! Questions that are too long: the rule of "Learning to summarize from human feedback", by which a post loses its end.

use std::borrow::Cow;

use crate::error::Result;
use crate::sequence::of_row;
use crate::shorten::shorter_and_shorter;
use crate::tokenizer::Tokenizer;
use crate::types::{Comparison, Demonstration, Message, Prompt, Role};

/// A row that asks something.
pub trait Asks: Clone {
    /// The conversation that is to be answered.
    fn asked(&self) -> &[Message];

    /// The row with another conversation in its place. A demonstration keeps its last answer.
    #[must_use]
    fn asking(&self, messages: Vec<Message>) -> Self;

    /// The error with the row it is about.
    fn fault(&self, error: crate::Error) -> crate::Error;
}

impl Asks for Prompt {
    fn asked(&self) -> &[Message] {
        &self.messages
    }

    fn asking(&self, messages: Vec<Message>) -> Self {
        Self {
            messages,
            ..self.clone()
        }
    }

    fn fault(&self, error: crate::Error) -> crate::Error {
        of_row(&self.id, &self.origin, error)
    }
}

/// A conversation that stands in no row.
impl Asks for Vec<Message> {
    fn asked(&self) -> &[Message] {
        self
    }

    fn asking(&self, messages: Vec<Message>) -> Self {
        messages
    }

    fn fault(&self, error: crate::Error) -> crate::Error {
        error
    }
}

impl Asks for Comparison {
    fn asked(&self) -> &[Message] {
        &self.messages
    }

    fn asking(&self, messages: Vec<Message>) -> Self {
        Self {
            messages,
            ..self.clone()
        }
    }

    fn fault(&self, error: crate::Error) -> crate::Error {
        of_row(&self.id, &self.origin, error)
    }
}

impl Asks for Demonstration {
    fn asked(&self) -> &[Message] {
        self.prompt()
    }

    fn asking(&self, mut messages: Vec<Message>) -> Self {
        messages.extend(self.learnt().last().cloned());
        Self {
            messages,
            ..self.clone()
        }
    }

    fn fault(&self, error: crate::Error) -> crate::Error {
        of_row(&self.id, &self.origin, error)
    }
}

/// The row, its prompt brought to at most `max_tokens` tokens, role tokens included; the row itself where it has no more.
///
/// First the oldest exchanges go, as everywhere. A last question that is too long by itself loses its end, paragraph by paragraph
/// and without regard to the length of answers, so that a post has one text in every stage: Stiennon et al. 2020 (arXiv 2009.01325)
/// cut what stands after the last line break of a post, again and again, until 512 tokens are enough. What asks for the answer,
/// the last line of the question (`TL;DR:`), stays. Where no line break is left, sentences go, then words.
///
/// ```
/// use rlhf_data::{Message, Prompt, Tokenizer, TokenizerConfig, trimmed};
///
/// # fn main() -> rlhf_data::Result<()> {
/// let tokenizer = Tokenizer::train(["a b"], &TokenizerConfig::default())?;
/// let messages = vec![Message::user("TITLE: a\n\nPOST: b\nbb\nbbb\n\nTL;DR:")];
/// let row = Prompt { id: "1".into(), messages, task: None, origin: Default::default() };
/// assert_eq!(trimmed(&tokenizer, &row, 30)?.messages[0].content, "TITLE: a\n\nPOST: b\nbb\n\nTL;DR:");
/// # Ok(())
/// # }
/// ```
///
/// A question of which nothing can go any more is left as it is: the rules of the stages decide.
///
/// # Errors
/// [`crate::Error::Conversation`] with the row's id if the chat template refuses it.
pub fn trimmed<'a, R: Asks>(tokenizer: &Tokenizer, row: &'a R, max_tokens: usize) -> Result<Cow<'a, R>> {
    let fits = |messages: &[Message]| -> Result<bool> {
        let ids = tokenizer.encode_prompt(messages).map_err(|error| row.fault(error))?;
        Ok(ids.len() <= max_tokens)
    };
    let mut messages = Vec::new();
    for shorter in shorter_and_shorter(row.asked()) {
        let is_whole = !shorter.is_shortened();
        messages = shorter.value;
        if fits(&messages)? {
            return Ok(if is_whole {
                Cow::Borrowed(row)
            } else {
                Cow::Owned(row.asking(messages))
            });
        }
    }
    let Some(last) = messages.iter().rposition(|message| message.role == Role::User) else {
        return Ok(Cow::Borrowed(row));
    };
    let question = messages[last].content.clone();
    let (mut body, call) = parted(&question);
    while let Some(less) = without_end(body) {
        messages[last].content = format!("{less}{call}");
        if fits(&messages)? {
            return Ok(Cow::Owned(row.asking(messages)));
        }
        body = less;
    }
    Ok(Cow::Borrowed(row))
}

/// A question in two: what may go, and its last line with the blank space before it, which asks for the answer.
fn parted(question: &str) -> (&str, &str) {
    let end = question.trim_end().rfind('\n').unwrap_or(question.len());
    question.split_at(question[..end].trim_end().len())
}

/// The text without its last line, without its last sentence if it has one line, without its last word if it has one sentence.
fn without_end(text: &str) -> Option<&str> {
    let ends_sentence = |&(at, letter): &(usize, char)| letter.is_whitespace() && text[..at].ends_with(['.', '!', '?']);
    let sentence = text.char_indices().rev().find(ends_sentence).map(|(at, _)| at);
    let ends = [text.rfind('\n'), sentence, text.rfind(char::is_whitespace)];
    ends.into_iter()
        .flatten()
        .map(|end| text[..end].trim_end())
        .find(|less| !less.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_before_sentences_and_sentences_before_words() {
        let mut text = "One two. Three four! Five\n\nSix.\nSeven eight";
        let mut found = Vec::new();
        while let Some(less) = without_end(text) {
            found.push(less);
            text = less;
        }
        assert_eq!(
            found,
            [
                "One two. Three four! Five\n\nSix.",
                "One two. Three four! Five",
                "One two. Three four!",
                "One two.",
                "One"
            ]
        );
    }

    #[test]
    fn the_last_line_asks() {
        assert_eq!(parted("POST: a\nb\n\nTL;DR:"), ("POST: a\nb", "\n\nTL;DR:"));
        assert_eq!(parted("POST: a\n\nTL;DR:\n"), ("POST: a", "\n\nTL;DR:\n"));
        assert_eq!(parted("one line"), ("one line", ""));
        assert_eq!(parted(""), ("", ""));
        assert_eq!(parted("\n\nTL;DR:"), ("", "\n\nTL;DR:"));
    }
}
