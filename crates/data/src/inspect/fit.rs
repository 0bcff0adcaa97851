//! Rows that fit into a model's context, counted by the very functions that the stages prepare them with.

use std::borrow::Cow;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::sequence::{
    LossOn, TokenSequence, TokenizedComparison, all_comparison_tokens, answered_tokens, demonstration_sequence,
    pack_documents, prompt_tokens,
};
use crate::shorten::Fitted;
use crate::tokenizer::Tokenizer;
use crate::trim::{Asks, trimmed};
use crate::types::{Comparison, Demonstration, Prompt};

/// Rows whose numbers are told.
const TOLD: usize = 8;

/// The fate of the rows of a file under one rule of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// The stages that have the rule.
    pub stages: &'static str,
    /// The rule.
    pub rule: String,
    /// Rows that stay whole.
    pub whole: usize,
    /// Rows of which a part stays.
    pub shortened: usize,
    /// Rows of which nothing stays.
    pub left_out: usize,
    /// Tokens of all rows, whole.
    pub tokens: usize,
    /// Tokens of what stays.
    pub kept_tokens: usize,
    /// Sequences that are made of the rows.
    pub sequences: usize,
    /// Numbers of the first rows that do not stay whole, from 1.
    pub affected: Vec<usize>,
}

impl Fit {
    fn new(stages: &'static str, rule: impl Into<String>) -> Self {
        Self {
            stages,
            rule: rule.into(),
            ..Self::default()
        }
    }

    /// Counts the next row: its tokens, and those that stay of it, if any.
    fn row(&mut self, tokens: usize, kept: Option<usize>, sequences: usize) {
        self.tokens += tokens;
        self.kept_tokens += kept.unwrap_or(0);
        self.sequences += sequences;
        let number = self.whole + self.shortened + self.left_out + 1;
        match kept {
            Some(kept) if kept == tokens => self.whole += 1,
            Some(_) => self.shortened += 1,
            None => self.left_out += 1,
        }
        if kept != Some(tokens) && self.affected.len() < TOLD {
            self.affected.push(number);
        }
    }
}

/// The model that rows are to fit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits<'a> {
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) max_seq_len: usize,
    pub(super) max_new_tokens: Option<usize>,
    pub(super) max_prompt_tokens: Option<usize>,
}

impl Limits<'_> {
    /// The row with its prompt trimmed, where prompts are.
    pub(super) fn trimmed<'a, R: Asks>(&self, row: &'a R) -> Result<Cow<'a, R>> {
        match self.max_prompt_tokens {
            Some(max_tokens) => trimmed(self.tokenizer, row, max_tokens),
            None => Ok(Cow::Borrowed(row)),
        }
    }

    /// What happens to prompts before the rule of a stage, in words.
    fn first(&self) -> &'static str {
        match self.max_prompt_tokens {
            Some(_) => "a long prompt loses its last paragraphs; then ",
            None => "",
        }
    }

    pub(super) fn demonstrations(&self, rows: &[Demonstration]) -> Result<Vec<Fit>> {
        let rule = format!(
            "{}a conversation loses its oldest exchanges; one whose last question and answer do not fit is left out",
            self.first()
        );
        let mut sft = Fit::new("sft", rule.as_str());
        let mut reward = Fit::new("reward (the zero of its scores)", rule);
        for row in rows {
            let trimmed = self.trimmed(row)?;
            let sequence = |row, max_len| demonstration_sequence(self.tokenizer, row, LossOn::Assistant, max_len);
            let len = |sequence: Option<Fitted<TokenSequence>>| sequence.map(|sequence| sequence.value.len());
            let whole = len(sequence(row, usize::MAX)?);
            let kept = len(sequence(trimmed.as_ref(), self.max_seq_len)?);
            sft.row(whole.unwrap_or(0), kept, usize::from(kept.is_some()));
            let tokens = |row, max_len| -> Result<Option<usize>> {
                Ok(answered_tokens(self.tokenizer, row, max_len)?.map(|ids| ids.value.len()))
            };
            let (whole, kept) = (tokens(row, usize::MAX)?, tokens(trimmed.as_ref(), self.max_seq_len)?);
            reward.row(whole.unwrap_or(0), kept, usize::from(kept.is_some()));
        }
        let as_prompts = rows.iter().map(|row| Prompt {
            id: row.id.clone(),
            messages: row.prompt().to_vec(),
            task: None,
            origin: row.origin.clone(),
        });
        Ok([sft, reward].into_iter().chain(self.as_prompts(as_prompts)?).collect())
    }

    pub(super) fn comparisons(&self, rows: &[Comparison]) -> Result<Vec<Fit>> {
        let mut reward = Fit::new(
            "reward",
            format!(
                "{}a conversation loses its oldest exchanges until all answers fit; one that does not fit even then is left out \
                 with its pairs, and a row without a pair is left out",
                self.first()
            ),
        );
        let trimmed = rows
            .iter()
            .map(|row| Ok(self.trimmed(row)?.into_owned()))
            .collect::<Result<Vec<Comparison>>>()?;
        let tokenized = |rows, max_len| all_comparison_tokens(self.tokenizer, rows, max_len);
        let tokens = |row: &Fitted<TokenizedComparison>| {
            let completions: usize = row.value.completions.iter().map(Vec::len).sum();
            row.value.prompt.len() + completions
        };
        for (whole, kept) in tokenized(rows, usize::MAX)?
            .iter()
            .zip(tokenized(&trimmed, self.max_seq_len)?)
        {
            let sequences = kept.as_ref().map_or(0, |row| row.value.completions.len());
            reward.row(whole.as_ref().map_or(0, tokens), kept.as_ref().map(tokens), sequences);
        }
        let as_prompts = rows.iter().map(|row| Prompt {
            id: row.id.clone(),
            messages: row.messages.clone(),
            task: None,
            origin: row.origin.clone(),
        });
        Ok([reward].into_iter().chain(self.as_prompts(as_prompts)?).collect())
    }

    /// Rows of another kind, where it was said how much room an answer needs.
    fn as_prompts(&self, rows: impl Iterator<Item = Prompt>) -> Result<Option<Fit>> {
        let new = self.max_new_tokens;
        new.map(|new| self.answerable(rows, new)).transpose()
    }

    pub(super) fn prompts(&self, rows: &[Prompt], default_new_tokens: usize) -> Result<Vec<Fit>> {
        let new = self.max_new_tokens.unwrap_or(default_new_tokens);
        Ok(vec![self.answerable(rows.iter().cloned(), new)?])
    }

    fn answerable(&self, rows: impl Iterator<Item = Prompt>, max_new_tokens: usize) -> Result<Fit> {
        let mut fit = Fit::new(
            "sample, ppo, eval",
            format!(
                "{}a prompt loses its oldest exchanges; one whose last message leaves no room for {max_new_tokens} new tokens ends \
                 the stage, or is left out where data.long_prompts is `skip`",
                self.first()
            ),
        );
        for row in rows {
            let whole = prompt_tokens(self.tokenizer, &row, usize::MAX, 0)?.value.len();
            match prompt_tokens(
                self.tokenizer,
                self.trimmed(&row)?.as_ref(),
                self.max_seq_len,
                max_new_tokens,
            ) {
                Ok(ids) => fit.row(whole, Some(ids.value.len()), 1),
                Err(Error::PromptTooLong { .. }) => fit.row(whole, None, 0),
                Err(error) => return Err(error),
            }
        }
        Ok(fit)
    }

    pub(super) fn text(&self, documents: &[String]) -> Vec<Fit> {
        let windows = pack_documents(self.tokenizer, documents, self.max_seq_len);
        let tokens = windows.iter().map(TokenSequence::targets).sum();
        vec![Fit {
            whole: documents.len(),
            tokens,
            kept_tokens: tokens,
            sequences: windows.len(),
            ..Fit::new(
                "pretrain, and where text is mixed in",
                "documents are laid end to end, with eos between them, and cut into windows: nothing is left out",
            )
        }]
    }
}
