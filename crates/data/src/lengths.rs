//! Lengths of texts: what a context and the room for an answer are chosen by.

use serde::Serialize;

use crate::error::Result;
use crate::sequence::of_row;
use crate::tokenizer::Tokenizer;
use crate::types::{Comparison, Demonstration, Message, Prompt};

/// Lengths of one kind of text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lengths {
    /// The text and the unit, for example `completion, words`.
    pub of: String,
    /// Number of texts.
    pub count: usize,
    /// The shortest.
    pub min: usize,
    /// The middle one: half of the texts are at most as long.
    pub median: usize,
    /// The mean.
    pub mean: f64,
    /// 90 of 100 are at most as long.
    pub p90: usize,
    /// 95 of 100 are at most as long.
    pub p95: usize,
    /// 99 of 100 are at most as long.
    pub p99: usize,
    /// The longest.
    pub max: usize,
    /// For equal ranges from `min` to `max`: the largest length in the range, and how many texts fall into it.
    pub histogram: Vec<(usize, usize)>,
}

impl Lengths {
    const BARS: usize = 8;

    /// The lengths of some texts, in any order; nothing if there are none.
    pub fn new(of: impl Into<String>, mut lengths: Vec<usize>) -> Option<Self> {
        lengths.sort_unstable();
        let (&min, &max) = (lengths.first()?, lengths.last()?);
        let count = lengths.len();
        let width = (max - min + 1).div_ceil(Self::BARS);
        let bars = (max - min + 1).div_ceil(width);
        let mut histogram: Vec<(usize, usize)> = (1..=bars).map(|bar| ((min + bar * width - 1).min(max), 0)).collect();
        for length in &lengths {
            histogram[(length - min) / width].1 += 1;
        }
        // Nearest rank: the smallest length that so many of 100 do not exceed.
        let percentile = |of_100: usize| lengths[(count * of_100).div_ceil(100) - 1];
        Some(Self {
            of: of.into(),
            count,
            min,
            median: percentile(50),
            mean: lengths.iter().sum::<usize>() as f64 / count as f64,
            p90: percentile(90),
            p95: percentile(95),
            p99: percentile(99),
            max,
            histogram,
        })
    }
}

/// Lengths of demonstrations, in tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DemonstrationLengths {
    /// The conversations, up to the eos of their last answer that is to be learnt.
    pub conversations: Lengths,
    /// These answers, with their eos: what a model that answers as they do needs room for.
    pub answers: Lengths,
}

/// Lengths of comparisons, in tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonLengths {
    /// The prompts, up to and including what opens the answer.
    pub prompts: Lengths,
    /// The completions of all rows, with their eos.
    pub completions: Lengths,
}

/// Lengths of whole prompts in tokens, up to and including what opens the answer; nothing if there are none.
///
/// ```
/// use rlhf_data::{Message, Prompt, Tokenizer, TokenizerConfig, prompt_lengths};
///
/// # fn main() -> rlhf_data::Result<()> {
/// let tokenizer = Tokenizer::train(["x"], &TokenizerConfig { vocab_size: 261, min_frequency: 2 })?;
/// let prompt = |text: &str| {
///     let messages = vec![Message::user(text)];
///     Prompt { id: text.into(), messages, task: None, origin: Default::default() }
/// };
/// let lengths = prompt_lengths(&tokenizer, &[prompt("a"), prompt("abcde")])?.expect("two prompts");
/// // <|user|> a <|assistant|> is 3, and 7 the other.
/// assert_eq!((lengths.count, lengths.min, lengths.max), (2, 3, 7));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`crate::Error::Conversation`] with the row's id if the chat template refuses it.
pub fn prompt_lengths(tokenizer: &Tokenizer, rows: &[Prompt]) -> Result<Option<Lengths>> {
    let tokens = rows.iter().map(|row| {
        let ids = tokenizer.encode_prompt(&row.messages);
        Ok(ids.map_err(|error| of_row(&row.id, &row.origin, error))?.len())
    });
    Ok(Lengths::new("prompt, tokens", tokens.collect::<Result<_>>()?))
}

/// Lengths of whole demonstrations and of their last answers, in tokens; nothing if there are none.
///
/// # Errors
/// [`crate::Error::Conversation`] with the row's id if the chat template refuses it.
pub fn demonstration_lengths(tokenizer: &Tokenizer, rows: &[Demonstration]) -> Result<Option<DemonstrationLengths>> {
    let (mut conversations, mut answers) = (Vec::new(), Vec::new());
    for row in rows {
        let of_row = |error| of_row(&row.id, &row.origin, error);
        let conversation = tokenizer.encode_conversation(row.learnt()).map_err(of_row)?;
        conversations.push(conversation.input_ids.len());
        if let Some(answer) = row.learnt().last() {
            answers.push(tokenizer.encode_reply(row.prompt(), answer).map_err(of_row)?.len());
        }
    }
    let both = Lengths::new("conversation, tokens", conversations).zip(Lengths::new("answer, tokens", answers));
    Ok(both.map(|(conversations, answers)| DemonstrationLengths { conversations, answers }))
}

/// Lengths of whole prompts and completions of comparisons, in tokens; nothing if there are none.
///
/// # Errors
/// [`crate::Error::Conversation`] with the row's id if the chat template refuses it.
pub fn comparison_lengths(tokenizer: &Tokenizer, rows: &[Comparison]) -> Result<Option<ComparisonLengths>> {
    let (mut prompts, mut completions) = (Vec::new(), Vec::new());
    for row in rows {
        let of_row = |error| of_row(&row.id, &row.origin, error);
        prompts.push(tokenizer.encode_prompt(&row.messages).map_err(of_row)?.len());
        for completion in &row.completions {
            let answer = Message::assistant(completion.as_str());
            completions.push(tokenizer.encode_reply(&row.messages, &answer).map_err(of_row)?.len());
        }
    }
    let both = Lengths::new("prompt, tokens", prompts).zip(Lengths::new("completion, tokens", completions));
    Ok(both.map(|(prompts, completions)| ComparisonLengths { prompts, completions }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_a_sorted_list() {
        // 1..=20: median the 10th, p90 the 18th, p95 the 19th, p99 the 20th of 20, mean 10.5; ranges of 3 from 1 on.
        let lengths = Lengths::new("words", (1..=20).rev().collect()).expect("not empty");
        assert_eq!(
            (lengths.count, lengths.min, lengths.median, lengths.max),
            (20, 1, 10, 20)
        );
        assert_eq!((lengths.p90, lengths.p95, lengths.p99), (18, 19, 20));
        assert_eq!(lengths.mean, 10.5);
        assert_eq!(
            lengths.histogram,
            [(3, 3), (6, 3), (9, 3), (12, 3), (15, 3), (18, 3), (20, 2)]
        );
    }

    #[test]
    fn one_length_is_one_bar() {
        let lengths = Lengths::new("words", vec![5, 5]).expect("not empty");
        assert_eq!(lengths.histogram, [(5, 2)]);
        assert_eq!(Lengths::new("words", vec![]), None);
    }

    #[test]
    fn the_middle_of_three_is_the_second() {
        let lengths = Lengths::new("words", vec![9, 1, 2]).expect("not empty");
        assert_eq!((lengths.median, lengths.p90), (2, 9));
    }
}
