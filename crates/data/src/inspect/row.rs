//! One row, as it stands in the file and as a model is given it.

use serde::Serialize;

use super::fit::Limits;
use crate::error::{Error, Result};
use crate::marked::MarkedTokens;
use crate::sequence::{
    LossOn, TokenSequence, comparison_tokens, demonstration_sequence, pack_documents, prompt_tokens,
};
use crate::shorten::Fitted;
use crate::tokenizer::Tokenizer;
use crate::types::{Comparison, Demonstration, Message, Prompt};

/// Characters of a message that are shown.
const SHOWN: usize = 400;

/// A row, written out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownRow {
    /// Its number among the rows that can be used, from 1.
    pub number: usize,
    /// Its text; long messages are cut.
    pub text: String,
    /// The tokens that a model is given, if there is a tokenizer.
    pub parts: Vec<ShownPart>,
    /// Its fate, if it does not fit.
    pub fate: Option<String>,
}

/// Tokens that a model is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownPart {
    /// Of what.
    pub of: String,
    /// The meaning of the marks.
    pub marks: &'static str,
    /// The tokens.
    pub tokens: MarkedTokens,
}

impl ShownPart {
    fn new(tokenizer: &Tokenizer, of: impl Into<String>, marks: &'static str, sequence: TokenSequence) -> Self {
        Self {
            of: of.into(),
            marks,
            tokens: MarkedTokens::new(tokenizer, sequence.input_ids, sequence.loss_mask),
        }
    }
}

/// The parts of a row as a model is given them, and the row's fate if it does not fit.
type Given = (Vec<ShownPart>, Option<String>);

pub(super) fn of_demonstration(limits: Limits, row: &Demonstration) -> Result<Given> {
    let Limits {
        tokenizer, max_seq_len, ..
    } = limits;
    let trimmed = limits.trimmed(row)?;
    let sequence = |row, max_len| demonstration_sequence(tokenizer, row, LossOn::Assistant, max_len);
    let Some(Fitted { value: whole, .. }) = sequence(row, usize::MAX)? else {
        return Ok((Vec::new(), Some("left out: nobody asks anything".to_owned())));
    };
    let tokens = whole.len();
    let (shown, fate) = match sequence(trimmed.as_ref(), max_seq_len)? {
        Some(kept) => {
            let fate = is_less(&kept, trimmed.as_ref(), row).then(|| shortened_to(kept.value.len(), tokens));
            (kept.value, fate)
        }
        None => (
            whole,
            Some(format!("left out: {tokens} tokens, at most {max_seq_len} fit")),
        ),
    };
    let part = ShownPart::new(tokenizer, "conversation", "learnt", shown);
    Ok((vec![part], fate))
}

pub(super) fn of_comparison(limits: Limits, row: &Comparison) -> Result<Given> {
    let Limits {
        tokenizer, max_seq_len, ..
    } = limits;
    let Some(Fitted { value: whole, .. }) = comparison_tokens(tokenizer, row, usize::MAX)? else {
        return Ok((Vec::new(), Some("left out: no pair is decided".to_owned())));
    };
    let trimmed = limits.trimmed(row)?;
    let (prompt, fate) = match comparison_tokens(tokenizer, trimmed.as_ref(), max_seq_len)? {
        None => (
            whole.prompt,
            Some(format!("left out: no pair of answers fits {max_seq_len} tokens")),
        ),
        Some(kept) => {
            let history = is_less(&kept, trimmed.as_ref(), row)
                .then(|| shortened_to(kept.value.prompt.len(), whole.prompt.len()));
            let answers = (kept.value.dropped > 0).then(|| {
                format!(
                    "shortened: {} of {} answers do not fit {max_seq_len} tokens",
                    kept.value.dropped,
                    row.completions.len()
                )
            });
            let fates: Vec<String> = history.into_iter().chain(answers).collect();
            (
                kept.value.prompt,
                Some(fates.join("; ")).filter(|fate| !fate.is_empty()),
            )
        }
    };
    // What the score is read at.
    let last = |ids: Vec<u32>| TokenSequence {
        loss_mask: (1..=ids.len()).map(|position| position == ids.len()).collect(),
        input_ids: ids,
    };
    let mut parts = vec![ShownPart::new(tokenizer, "prompt", "scored", nothing_taught(prompt))];
    for (completion, rank) in whole.completions.into_iter().zip(&row.ranking) {
        parts.push(ShownPart::new(
            tokenizer,
            format!("answer of rank {rank}"),
            "scored",
            last(completion),
        ));
    }
    Ok((parts, fate))
}

pub(super) fn of_prompt(limits: Limits, row: &Prompt, default_new_tokens: usize) -> Result<Given> {
    let new = limits.max_new_tokens.unwrap_or(default_new_tokens);
    let tokens = |row, context, new| prompt_tokens(limits.tokenizer, row, context, new);
    let whole = tokens(row, usize::MAX, 0)?.value;
    let trimmed = limits.trimmed(row)?;
    let (shown, fate) = match tokens(trimmed.as_ref(), limits.max_seq_len, new) {
        Ok(kept) => {
            let fate = is_less(&kept, trimmed.as_ref(), row).then(|| shortened_to(kept.value.len(), whole.len()));
            (kept.value, fate)
        }
        Err(error @ Error::PromptTooLong { .. }) => (whole, Some(error.to_string())),
        Err(error) => return Err(error),
    };
    let part = ShownPart::new(limits.tokenizer, "prompt", "learnt", nothing_taught(shown));
    Ok((vec![part], fate))
}

pub(super) fn of_text(limits: Limits, document: &str) -> Given {
    // The first window that the document would have if it came first.
    let window = pack_documents(limits.tokenizer, [document], limits.max_seq_len)
        .into_iter()
        .next();
    let part = window.map(|window| ShownPart::new(limits.tokenizer, "first window", "learnt", window));
    (part.into_iter().collect(), None)
}

/// True if the row is not whole.
fn is_less<T, R: PartialEq>(kept: &Fitted<T>, trimmed: &R, row: &R) -> bool {
    kept.is_shortened() || trimmed != row
}

fn shortened_to(kept: usize, tokens: usize) -> String {
    format!("shortened: of {tokens} tokens {kept} stay")
}

fn nothing_taught(input_ids: Vec<u32>) -> TokenSequence {
    TokenSequence {
        loss_mask: vec![false; input_ids.len()],
        input_ids,
    }
}

pub(super) fn conversation(messages: &[Message]) -> String {
    let line = |message: &Message| {
        let mark = if message.learnt { "" } else { " (not learnt)" };
        let thought = message.reasoning.as_ref();
        let thought = thought.map_or_else(String::new, |it| format!("[{}: {}] ", it.name(), shortened(it.text())));
        format!("{}{mark}: {thought}{}", message.role, shortened(&message.content))
    };
    messages.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn comparison(row: &Comparison) -> String {
    let mut text = conversation(&row.messages);
    for (rank, completion) in row.ranking.iter().zip(&row.completions) {
        text.push_str(&format!("\nrank {rank}: {}", shortened(completion)));
    }
    text
}

pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
