//! Rows to token sequences, with the positions a model is taught.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::shorten::{Fitted, shorter_and_shorter};
use crate::tokenizer::{EncodedChat, Tokenizer};
use crate::types::{Comparison, Demonstration, Message, Prompt, Role, decided_pairs};

/// Tokens and which of them are taught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSequence {
    /// The tokens, without padding.
    pub input_ids: Vec<u32>,
    /// `loss_mask[t]` is true when token `t` is a target, predicted from the tokens before it. It is false at 0,
    /// which nothing precedes.
    pub loss_mask: Vec<bool>,
}

impl TokenSequence {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.input_ids.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.input_ids.is_empty()
    }

    /// Number of tokens that are targets; the first is none, whatever its mask says, for nothing precedes it.
    pub fn targets(&self) -> usize {
        self.loss_mask.iter().skip(1).filter(|&&is_target| is_target).count()
    }

    /// The assistant's tokens are targets; the first token never is, for nothing precedes it.
    fn of_answers(chat: EncodedChat) -> Self {
        let mut loss_mask = chat.assistant_mask;
        loss_mask.iter_mut().take(1).for_each(|is_target| *is_target = false);
        Self {
            input_ids: chat.input_ids,
            loss_mask,
        }
    }

    /// All tokens are targets but the first.
    fn fully_taught(input_ids: Vec<u32>) -> Self {
        let loss_mask = (0..input_ids.len()).map(|position| position > 0).collect();
        Self { input_ids, loss_mask }
    }
}

/// The tokens of a demonstration that are taught.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LossOn {
    /// The content and the eos of every assistant message.
    #[default]
    Assistant,
    /// Every token, role tokens included.
    All,
}

/// Tokens of a demonstration, or nothing if its last question and answer are longer than `max_len`.
///
/// The last answer is the last that is [`Message::learnt`]: what follows it is left off. The oldest exchanges of a conversation that
/// does not fit are dropped, each up to and including an answer; system messages at the start stay, and the last question and
/// answer are never cut. Prompts and comparisons are shortened by the same rule.
///
/// ```
/// use rlhf_data::{Demonstration, LossOn, Message, Tokenizer, TokenizerConfig, demonstration_sequence};
///
/// # fn main() -> rlhf_data::Result<()> {
/// let tokenizer = Tokenizer::train(["a b"], &TokenizerConfig::default())?;
/// let messages = vec![Message::user("a"), Message::assistant("b")];
/// let row = Demonstration { id: "1".into(), messages, task: None, origin: Default::default() };
/// let fitted = demonstration_sequence(&tokenizer, &row, LossOn::Assistant, 64)?.expect("5 tokens fit");
/// // <|user|> a <|assistant|> b <|eos|>
/// assert_eq!(fitted.value.loss_mask, [false, false, false, true, true]);
/// assert_eq!(fitted.dropped_messages, 0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error::Conversation`] with the row's id if the chat template refuses it, or marks nothing of it as the assistant's.
pub fn demonstration_sequence(
    tokenizer: &Tokenizer,
    demonstration: &Demonstration,
    loss_on: LossOn,
    max_len: usize,
) -> Result<Option<Fitted<TokenSequence>>> {
    let of_row = |error| of_row(&demonstration.id, &demonstration.origin, error);
    for shorter in shorter_and_shorter(demonstration.learnt()) {
        let chat = tokenizer.encode_conversation(&shorter.value).map_err(of_row)?;
        if chat.input_ids.len() > max_len {
            continue;
        }
        if !shorter.value.iter().any(|message| message.role == Role::User) {
            return Ok(None);
        }
        if let (Some(template), false) = (tokenizer.chat_template(), chat.assistant_mask.contains(&true)) {
            let template = template.name().to_owned();
            return Err(of_row(Error::NothingTaught { template }));
        }
        return Ok(Some(shorter.map(|_| match loss_on {
            LossOn::All => TokenSequence::fully_taught(chat.input_ids),
            LossOn::Assistant => TokenSequence::of_answers(chat),
        })));
    }
    Ok(None)
}

/// Tokens of a demonstration as a reward model reads it, up to the eos of its last answer, shortened as [`demonstration_sequence`]
/// shortens it; nothing if its last question and answer are more than `max_len`.
///
/// # Errors
/// [`Error::Conversation`] with the row's id if the chat template refuses it.
pub fn answered_tokens(
    tokenizer: &Tokenizer,
    demonstration: &Demonstration,
    max_len: usize,
) -> Result<Option<Fitted<Vec<u32>>>> {
    let of_row = |error| of_row(&demonstration.id, &demonstration.origin, error);
    for shorter in shorter_and_shorter(demonstration.prompt()) {
        let mut ids = tokenizer.encode_prompt(&shorter.value).map_err(of_row)?;
        if let Some(answer) = demonstration.learnt().last() {
            ids.extend(tokenizer.encode_reply(&shorter.value, answer).map_err(of_row)?);
        }
        if ids.len() <= max_len {
            return Ok(Some(shorter.map(|_| ids)));
        }
    }
    Ok(None)
}

pub(crate) fn of_row(id: &str, origin: &Origin, source: Error) -> Error {
    Error::Conversation {
        id: id.to_owned(),
        origin: origin.clone(),
        source: Box::new(source),
    }
}

/// Cuts documents into windows for pretraining.
///
/// All documents form one stream, `eos d1 eos d2 eos …`, so that eos comes before and after each; a model that has learnt to read
/// bos before a text is given `bos d1 eos bos d2 eos …`. It is cut into
/// windows of `context` tokens, of which the first is the last of the window before: it is given but not taught, and
/// so every token of every document is taught exactly once. The last window may be shorter. Windows may hold several
/// documents, and a token sees those before its own, as in GPT-3.
///
/// # Panics
/// If `context` is below 2.
pub fn pack_documents<S: AsRef<str>>(
    tokenizer: &Tokenizer,
    documents: impl IntoIterator<Item = S>,
    context: usize,
) -> Vec<TokenSequence> {
    const DOCUMENTS_AT_ONCE: usize = 1024;
    assert!(context >= 2, "a window of {context} tokens has nothing to predict");
    let mut documents = documents.into_iter();
    let mut windows = Vec::new();
    let [before, _] = tokenizer.around();
    let mut stream = if before.is_empty() {
        vec![tokenizer.eos_token_id()]
    } else {
        Vec::new()
    };
    loop {
        let chunk: Vec<S> = documents.by_ref().take(DOCUMENTS_AT_ONCE).collect();
        let texts: Vec<&str> = chunk.iter().map(AsRef::as_ref).collect();
        for ids in tokenizer.encode_batch(&texts) {
            stream.extend_from_slice(before);
            stream.extend(ids);
            stream.push(tokenizer.eos_token_id());
        }
        let mut start = 0;
        while stream.len() - start >= context {
            windows.push(TokenSequence::fully_taught(stream[start..start + context].to_vec()));
            start += context - 1;
        }
        stream.drain(..start);
        if chunk.is_empty() {
            break;
        }
    }
    if stream.len() > 1 {
        windows.push(TokenSequence::fully_taught(stream));
    }
    windows
}

/// Tokens of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenizedComparison {
    /// The prompt, up to and including the assistant's role token.
    pub prompt: Vec<u32>,
    /// The completions, each with eos at its end.
    pub completions: Vec<Vec<u32>>,
    /// Pairs `(winner, loser)` of indices into `completions`; ties are left out.
    pub pairs: Vec<(usize, usize)>,
    /// The name of whoever ranked.
    pub labeler: Option<String>,
    /// The labeler's certainty, on the data set's own scale.
    pub confidence: Option<f64>,
    /// By how much the score of a winner should exceed the loser's.
    pub margin: Option<f64>,
    /// The data set that it came from.
    pub source: Option<String>,
    /// Completions left out because they did not fit.
    pub dropped: usize,
}

/// [`comparison_tokens`] of many rows; neighbours that rank the same completions are encoded once.
///
/// # Errors
/// As [`comparison_tokens`].
pub fn all_comparison_tokens(
    tokenizer: &Tokenizer,
    comparisons: &[Comparison],
    max_len: usize,
) -> Result<Vec<Option<Fitted<TokenizedComparison>>>> {
    let mut last: Option<(&Comparison, Encoded)> = None;
    let mut out = Vec::with_capacity(comparisons.len());
    for row in comparisons {
        let encoded = match last.take() {
            Some((before, encoded)) if before.messages == row.messages && before.completions == row.completions => {
                encoded
            }
            _ => Encoded::new(tokenizer, row, max_len)?,
        };
        out.push(encoded.ranked_as(row));
        last = Some((row, encoded));
    }
    Ok(out)
}

/// Tokens of a comparison, or nothing if no pair is left.
///
/// All completions keep one prompt: the conversation loses as few of its oldest exchanges as lets each of them fit into `max_len`
/// tokens with its eos. Where none is short enough, the shortest is taken, and a completion that does not fit even then is left out
/// with its pairs, rather than cut: what was judged is the whole.
///
/// Where all fit, the prompt is the one that [`prompt_tokens`] gives in a context of `max_len` with room for the longest of them.
///
/// # Errors
/// [`Error::Conversation`] with the row's id if the chat template refuses it.
pub fn comparison_tokens(
    tokenizer: &Tokenizer,
    comparison: &Comparison,
    max_len: usize,
) -> Result<Option<Fitted<TokenizedComparison>>> {
    Ok(Encoded::new(tokenizer, comparison, max_len)?.ranked_as(comparison))
}

/// Prompt and completions of a comparison, whoever ranked them.
struct Encoded {
    prompt: Fitted<Vec<u32>>,
    completions: Vec<Vec<u32>>,
    /// For each completion of the row its place among those that fit.
    place: Vec<Option<usize>>,
}

impl Encoded {
    fn new(tokenizer: &Tokenizer, comparison: &Comparison, max_len: usize) -> Result<Self> {
        let of_row = |error| of_row(&comparison.id, &comparison.origin, error);
        let mut best: Option<Self> = None;
        for messages in shorter_and_shorter(&comparison.messages) {
            let encoded = Self::of_messages(tokenizer, &comparison.completions, messages, max_len).map_err(of_row)?;
            if encoded.dropped() == 0 {
                return Ok(encoded);
            }
            // A completion that fits no prompt costs the others nothing of theirs.
            if best.as_ref().is_none_or(|best| encoded.dropped() < best.dropped()) {
                best = Some(encoded);
            }
        }
        Ok(best.expect("there is always the whole conversation"))
    }

    fn of_messages(
        tokenizer: &Tokenizer,
        completions: &[String],
        messages: Fitted<Vec<Message>>,
        max_len: usize,
    ) -> Result<Self> {
        let prompt = tokenizer.encode_prompt(&messages.value)?;
        let mut fitting = Vec::new();
        let mut place = vec![None; completions.len()];
        for (place, completion) in place.iter_mut().zip(completions) {
            let ids = tokenizer.encode_completion(&messages.value, completion)?;
            if prompt.len() + ids.len() <= max_len {
                *place = Some(fitting.len());
                fitting.push(ids);
            }
        }
        Ok(Self {
            prompt: messages.map(|_| prompt),
            completions: fitting,
            place,
        })
    }

    /// Completions that do not fit.
    fn dropped(&self) -> usize {
        self.place.len() - self.completions.len()
    }

    fn ranked_as(&self, comparison: &Comparison) -> Option<Fitted<TokenizedComparison>> {
        let ranks = comparison.ranking.iter().zip(&self.place);
        let ranks: Vec<u32> = ranks.filter_map(|(rank, place)| place.map(|_| *rank)).collect();
        // Of the tokens, not the texts: a template may write two texts alike.
        let pairs = decided_pairs(&ranks, &self.completions);
        let tokens = self.prompt.clone().map(|prompt| TokenizedComparison {
            prompt,
            completions: self.completions.clone(),
            pairs,
            labeler: comparison.labeler.clone(),
            confidence: comparison.confidence,
            margin: comparison.margin,
            source: comparison.source.clone(),
            dropped: self.dropped(),
        });
        Some(tokens).filter(|tokens| !tokens.value.pairs.is_empty())
    }
}

/// Tokens of a prompt that leaves room for an answer of `max_new_tokens` in a context of `context` tokens.
///
/// The oldest exchanges of a conversation that leaves less are dropped, as [`demonstration_sequence`] drops them; system messages at
/// the start and the user's last message stay.
///
/// # Errors
/// [`Error::PromptTooLong`] if these leave no room either, [`Error::Conversation`] if the chat template refuses it.
pub fn prompt_tokens(
    tokenizer: &Tokenizer,
    prompt: &Prompt,
    context: usize,
    max_new_tokens: usize,
) -> Result<Fitted<Vec<u32>>> {
    let of_row = |error| of_row(&prompt.id, &prompt.origin, error);
    let mut shortest = Fitted::default();
    for shorter in shorter_and_shorter(&prompt.messages) {
        let ids = tokenizer.encode_prompt(&shorter.value).map_err(of_row)?;
        let tokens = ids.len();
        let fitted = shorter.map(|_| ids);
        if tokens + max_new_tokens <= context {
            return Ok(fitted);
        }
        shortest = fitted;
    }
    Err(Error::PromptTooLong {
        id: prompt.id.clone(),
        origin: prompt.origin.clone(),
        tokens: shortest.value.len(),
        dropped_messages: shortest.dropped_messages,
        context,
        max_new_tokens,
    })
}
