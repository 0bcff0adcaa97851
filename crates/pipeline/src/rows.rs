//! Rows that stages read: from the files that a judged task was written to, or from the user's lists in `[data]`.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use rlhf_data::{
    Asks, ChatTemplate, Clock, Comparison, Demonstration, Error as DataError, Fitted, LossOn, Prompt, Source, Split,
    TokenSequence, Tokenizer, demonstration_sequence, is_test, load_comparisons, load_demonstrations, load_prompts,
    load_text, prompt_tokens, split_documents, split_rows, trimmed,
};

use rlhf_constraints::UserRows;

use crate::config::{DataConfig, LongPrompts, TemplateSource};
use crate::error::{Error, Result};
use crate::stage::Stage;
use crate::stages;
use crate::workspace::Workspace;

/// Rows to learn from and rows kept aside.
pub(crate) struct Halves<T> {
    pub(crate) train: Vec<T>,
    pub(crate) validation: Vec<T>,
}

impl<T> Halves<T> {
    /// The same, if there are rows on each of `sides`.
    ///
    /// # Errors
    /// [`Error::OneSide`], with the `list` of `[data]` and the number of texts that decided: `key` of each row.
    pub(crate) fn with(
        self,
        sides: &[Split],
        list: &'static str,
        fraction: f64,
        key: impl Fn(&T) -> &str,
    ) -> Result<Self> {
        let rows = self.train.len() + self.validation.len();
        for side in sides {
            let (side, found) = match side {
                Split::Train => ("training", &self.train),
                Split::Validation => ("validation", &self.validation),
            };
            if found.is_empty() {
                let keys: HashSet<&str> = self.train.iter().chain(&self.validation).map(&key).collect();
                return Err(Error::OneSide {
                    list,
                    side,
                    rows,
                    keys: keys.len(),
                    fraction,
                });
            }
        }
        Ok(self)
    }
}

/// What is held out, in two halves that share no prompt: one for every choice that is made before the end, one for the last measurement.
#[derive(Debug)]
pub(crate) struct HeldOut<T> {
    pub(crate) validation: Vec<T>,
    pub(crate) test: Vec<T>,
    /// True where one half would have been empty, so that each is the whole.
    pub(crate) is_shared: bool,
}

impl<T: Clone> HeldOut<T> {
    /// Halves by [`is_test`] of the text that decided on which side of the split a row is.
    pub(crate) fn new(rows: Vec<T>, key: impl Fn(&T) -> &str) -> Self {
        let (test, validation): (Vec<T>, Vec<T>) = rows.iter().cloned().partition(|row| is_test(key(row)));
        let is_shared = test.is_empty() || validation.is_empty();
        if is_shared {
            return Self {
                validation: rows.clone(),
                test: rows,
                is_shared,
            };
        }
        Self {
            validation,
            test,
            is_shared,
        }
    }
}

/// Both sides of the split.
pub(crate) const BOTH: &[Split] = &[Split::Train, Split::Validation];

/// A list of `[data]`, and the two files of the run that stand for it where a judged task was written: rows to learn from
/// and rows kept aside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowSet {
    key: &'static str,
    sources: fn(&DataConfig) -> &[Source],
    pub(crate) files: [&'static str; 2],
}

/// Pretraining text.
pub(crate) const DOCUMENTS: RowSet = RowSet {
    key: "pretrain",
    sources: |data| &data.pretrain,
    files: ["data/documents.jsonl", "data/documents.validation.jsonl"],
};
/// Demonstrations.
pub(crate) const DEMONSTRATIONS: RowSet = RowSet {
    key: "demonstrations",
    sources: |data| &data.demonstrations,
    files: ["data/demonstrations.jsonl", "data/demonstrations.validation.jsonl"],
};
/// Prompts whose sampled answers are ranked.
pub(crate) const REWARD_PROMPTS: RowSet = RowSet {
    key: "reward_prompts",
    sources: |data| &data.reward_prompts,
    files: ["data/prompts.reward.jsonl", "data/prompts.reward.validation.jsonl"],
};
/// Prompts of PPO, and those held out for evaluation.
pub(crate) const PPO_PROMPTS: RowSet = RowSet {
    key: "ppo_prompts",
    sources: |data| &data.ppo_prompts,
    files: ["data/prompts.ppo.jsonl", "data/prompts.held_out.jsonl"],
};

impl RowSet {
    /// The rows to learn from.
    pub(crate) fn train(self) -> RowsRead {
        RowsRead {
            set: self,
            written: 0..1,
        }
    }

    /// The rows kept aside.
    pub(crate) fn validation(self) -> RowsRead {
        RowsRead {
            set: self,
            written: 1..2,
        }
    }

    /// All of them.
    pub(crate) fn both(self) -> RowsRead {
        RowsRead {
            set: self,
            written: 0..2,
        }
    }
}

/// Rows that a stage reads.
#[derive(Debug, Clone)]
pub(crate) struct RowsRead {
    set: RowSet,
    written: std::ops::Range<usize>,
}

impl RowsRead {
    /// The list's key in `[data]`.
    pub(crate) fn key(&self) -> &'static str {
        self.set.key
    }

    /// The user's list. Which of its rows are kept aside depends on the whole of it.
    pub(crate) fn sources<'a>(&self, data: &'a DataConfig) -> &'a [Source] {
        (self.set.sources)(data)
    }

    /// The files that a judged task was written to, by their place in the run.
    pub(crate) fn written(&self) -> &[&'static str] {
        &self.set.files[self.written.clone()]
    }
}

impl Workspace<'_> {
    /// The tokenizer in the folder of a stage. A chat template is told the configured date, or none.
    pub(crate) fn tokenizer(&self, stage: &dyn Stage) -> Result<Tokenizer> {
        let tokenizer = Tokenizer::load(self.folder(stage))?;
        Ok(match self.config().data.chat_date.as_str() {
            "" => tokenizer.with_clock(Clock::Unset),
            date => tokenizer.with_clock(Clock::fixed(date, "data.chat_date")?),
        })
    }

    /// The configured chat template, if there is one.
    pub(crate) fn chat_template(&self) -> Result<Option<ChatTemplate>> {
        Ok(match self.config().data.template_source() {
            None => None,
            Some(TemplateSource::Text(text)) => Some(ChatTemplate::new(&text, "data.chat_template")?),
            Some(TemplateSource::File(path)) => Some(ChatTemplate::from_file(path)?),
        })
    }

    /// Rows of a judged task, from the files that were written of it, or the user's, split.
    fn written_or<T>(
        &self,
        set: RowSet,
        load: impl Fn(&[Source], &Path) -> Result<Vec<T>>,
        split: impl Fn(Vec<T>) -> (Vec<T>, Vec<T>),
    ) -> Result<Halves<T>> {
        if !self.config().data.source.is_judged() {
            return self.users(set, load, split);
        }
        let read = |file: &str| {
            load(
                &[Source::new(self.written_by(&stages::Tokenizer, self.path(file))?)],
                Path::new("."),
            )
        };
        Ok(Halves {
            train: read(set.files[0])?,
            validation: read(set.files[1])?,
        })
    }

    /// The user's rows, split.
    fn users<T>(
        &self,
        set: RowSet,
        load: impl Fn(&[Source], &Path) -> Result<Vec<T>>,
        split: impl Fn(Vec<T>) -> (Vec<T>, Vec<T>),
    ) -> Result<Halves<T>> {
        let sources = self.locations().sources((set.sources)(&self.config().data))?;
        if sources.is_empty() {
            // What needs rows says so in the configuration, and to `Halves::with`.
            return Ok(Halves {
                train: Vec::new(),
                validation: Vec::new(),
            });
        }
        let (train, validation) = split(load(&sources, &self.config().data.root)?);
        Ok(Halves { train, validation })
    }

    /// The user's own rows, which constraints are put on.
    pub(crate) fn rows_of_user(&self) -> Result<UserRows> {
        let (fraction, seed) = (self.config().data.validation_fraction, self.seed());
        let prompts = |set| {
            self.users(
                set,
                |sources, root| Ok(load_prompts(sources, root, seed)?.rows),
                |rows| split_rows(rows, fraction, Prompt::key),
            )
        };
        let documents = self.users(
            DOCUMENTS,
            |sources, root| Ok(load_text(sources, root, seed)?.rows),
            |rows| split_documents(rows, fraction),
        )?;
        let demonstrations = self.users(
            DEMONSTRATIONS,
            |sources, root| Ok(load_demonstrations(sources, root, seed)?.rows),
            |rows| split_rows(rows, fraction, Demonstration::key),
        )?;
        let (reward, ppo) = (prompts(REWARD_PROMPTS)?, prompts(PPO_PROMPTS)?);
        Ok(UserRows {
            documents: documents.train,
            validation_documents: documents.validation,
            demonstrations: demonstrations.train,
            validation_demonstrations: demonstrations.validation,
            reward_prompts: reward.train,
            validation_reward_prompts: reward.validation,
            ppo_prompts: ppo.train,
            held_out_prompts: ppo.validation,
        })
    }

    /// Pretraining text, with some on each of `sides`.
    pub(crate) fn documents(&self, sides: &[Split]) -> Result<Halves<String>> {
        let fraction = self.config().data.validation_fraction;
        let halves = self.written_or(
            DOCUMENTS,
            |sources, root| Ok(load_text(sources, root, self.seed())?.rows),
            |rows| split_documents(rows, fraction),
        )?;
        halves.with(sides, DOCUMENTS.key, fraction, String::as_str)
    }

    /// Demonstrations, with some on each of `sides`.
    pub(crate) fn demonstrations(&self, sides: &[Split]) -> Result<Halves<Demonstration>> {
        let fraction = self.config().data.validation_fraction;
        let halves = self.written_or(
            DEMONSTRATIONS,
            |sources, root| Ok(load_demonstrations(sources, root, self.seed())?.rows),
            |rows| split_rows(rows, fraction, Demonstration::key),
        )?;
        halves.with(sides, DEMONSTRATIONS.key, fraction, Demonstration::key)
    }

    /// Prompts whose sampled answers are ranked, some on each side.
    pub(crate) fn reward_prompts(&self) -> Result<Halves<Prompt>> {
        self.prompts(REWARD_PROMPTS, BOTH)
    }

    /// Prompts of PPO, and those held out, with some on each of `sides`.
    pub(crate) fn ppo_prompts(&self, sides: &[Split]) -> Result<Halves<Prompt>> {
        self.prompts(PPO_PROMPTS, sides)
    }

    /// Prompts held out from PPO, in their halves.
    pub(crate) fn held_out_prompts(&self) -> Result<HeldOut<Prompt>> {
        let rows = self.ppo_prompts(&[Split::Validation])?.validation;
        let held_out = HeldOut::new(rows, Prompt::key);
        if held_out.is_shared {
            self.note_shared("prompts", held_out.test.len());
        }
        Ok(held_out)
    }

    /// Says that choices and the last measurement have the same rows.
    pub(crate) fn note_shared(&self, what: &str, rows: usize) {
        self.note(&format!(
            "{rows} held-out {what} are too few to be parted: what they choose is measured on them too, which flatters it \
             (data.validation_fraction)"
        ));
    }

    fn prompts(&self, set: RowSet, sides: &[Split]) -> Result<Halves<Prompt>> {
        let fraction = self.config().data.validation_fraction;
        let halves = self.written_or(
            set,
            |sources, root| Ok(load_prompts(sources, root, self.seed())?.rows),
            |rows| split_rows(rows, fraction, Prompt::key),
        )?;
        halves.with(sides, set.key, fraction, Prompt::key)
    }

    /// Comparisons that people made.
    pub(crate) fn human_comparisons(&self) -> Result<Halves<Comparison>> {
        let data = &self.config().data;
        let sources = self.locations().sources(&data.comparisons)?;
        let rows = load_comparisons(&sources, &data.root, self.seed())?.rows;
        let rows = rows.into_iter().map(|row| named_source(row, &data.root)).collect();
        let (mut train, validation) = split_rows(rows, data.validation_fraction, Comparison::key);
        train.retain(|row| data.comparisons_part.has(row.key()));
        Ok(Halves { train, validation })
    }

    /// Rows with their prompts trimmed, where `data.max_prompt_tokens` asks for it; `of` names them.
    pub(crate) fn trimmed<'a, R: Asks>(&self, tokenizer: &Tokenizer, rows: &'a [R], of: &str) -> Result<Cow<'a, [R]>> {
        let Some(max_tokens) = self.config().data.max_prompt_tokens else {
            return Ok(Cow::Borrowed(rows));
        };
        let mut cut = 0;
        let trimmed = rows.iter().map(|row| {
            let row = trimmed(tokenizer, row, max_tokens)?;
            cut += usize::from(matches!(row, Cow::Owned(_)));
            Ok(row.into_owned())
        });
        let trimmed = trimmed.collect::<Result<Vec<R>>>()?;
        if cut > 0 {
            self.note(&format!(
                "{cut} of {} {of} had prompts of more than {max_tokens} tokens (data.max_prompt_tokens) and lost the end of their \
                 last question",
                rows.len()
            ));
        }
        Ok(Cow::Owned(trimmed))
    }

    /// Token ids of prompts, with the index of each; those that do not fit are an error or left out, as configured.
    pub(crate) fn prompt_ids(
        &self,
        tokenizer: &Tokenizer,
        prompts: &[Prompt],
        max_new_tokens: usize,
        context: usize,
    ) -> Result<(Vec<Vec<u32>>, Vec<usize>)> {
        let mut ids = Vec::with_capacity(prompts.len());
        let mut kept = Vec::with_capacity(prompts.len());
        let mut shortened = 0;
        for (index, prompt) in self.trimmed(tokenizer, prompts, "prompts")?.iter().enumerate() {
            match prompt_tokens(tokenizer, prompt, context, max_new_tokens) {
                Ok(fitted) => {
                    shortened += usize::from(fitted.is_shortened());
                    ids.push(fitted.value);
                    kept.push(index);
                }
                Err(DataError::PromptTooLong { .. }) if self.config().data.long_prompts == LongPrompts::Skip => {}
                Err(error) => return Err(error.into()),
            }
        }
        if kept.len() < prompts.len() {
            let left_out = prompts.len() - kept.len();
            self.note(&format!(
                "{left_out} of {} prompts are too long and left out",
                prompts.len()
            ));
        }
        self.note_shortened(shortened, prompts.len(), "prompts");
        Ok((ids, kept))
    }

    /// Supervised sequences of demonstrations; those that do not fit are left out and counted.
    pub(crate) fn supervised(
        &self,
        tokenizer: &Tokenizer,
        rows: &[Demonstration],
        context: usize,
    ) -> Result<Vec<TokenSequence>> {
        let sequences = self
            .trimmed(tokenizer, rows, "demonstrations")?
            .iter()
            .filter_map(|row| demonstration_sequence(tokenizer, row, LossOn::Assistant, context).transpose())
            .collect::<Result<Vec<Fitted<TokenSequence>>, _>>()?;
        if sequences.len() < rows.len() {
            let left_out = rows.len() - sequences.len();
            self.note(&format!(
                "{left_out} of {} demonstrations are too long and left out",
                rows.len()
            ));
        }
        let shortened = sequences.iter().filter(|fitted| fitted.is_shortened()).count();
        self.note_shortened(shortened, rows.len(), "demonstrations");
        Ok(sequences.into_iter().map(|fitted| fitted.value).collect())
    }

    /// Says how many of `rows` rows lost their beginning, if any did.
    pub(crate) fn note_shortened(&self, shortened: usize, rows: usize, of: &str) {
        if shortened > 0 {
            self.note(&format!(
                "{shortened} of {rows} {of} were shortened by their oldest exchanges"
            ));
        }
    }
}

/// The comparison with the file that it was read from, below the root, as its data set, unless it names one itself.
fn named_source(row: Comparison, root: &Path) -> Comparison {
    let file = row.origin.path();
    let name = file.map(|file| file.strip_prefix(root).unwrap_or(file).display().to_string());
    Comparison {
        source: row.source.or(name),
        ..row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halves(train: &[&str], validation: &[&str]) -> Halves<String> {
        let owned = |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect();
        Halves {
            train: owned(train),
            validation: owned(validation),
        }
    }

    #[test]
    fn held_out_rows_are_halves_without_a_common_prompt_unless_one_would_be_empty() {
        let rows: Vec<String> = (0..200).map(|n| format!("prompt {}", n / 2)).collect();
        let found = HeldOut::new(rows.clone(), String::as_str);
        assert!(!found.is_shared);
        assert!(found.validation.iter().all(|row| !found.test.contains(row)));
        assert_eq!(found.validation.len() + found.test.len(), 200);
        assert!((70..130).contains(&found.test.len()), "{}", found.test.len());
        let one = HeldOut::new(rows[..2].to_vec(), String::as_str);
        assert!(one.is_shared && one.validation == one.test && one.test.len() == 2);
    }

    #[test]
    fn a_side_without_rows_is_refused_where_it_is_needed() {
        let refused = |halves: Halves<String>, sides: &[Split]| {
            let found = halves.with(sides, "demonstrations", 0.2, String::as_str);
            found.err().map(|error| error.to_string())
        };
        let one = || halves(&["a", "a", "b"], &[]);
        assert_eq!(refused(one(), &[]), None);
        assert_eq!(refused(one(), &[Split::Train]), None);
        let said = refused(one(), BOTH).expect("nothing is held out");
        let expected = "data.demonstrations: no validation row: 3 rows with 2 different opening requests";
        assert!(said.starts_with(expected), "{said}");
        let said = refused(halves(&[], &["a"]), BOTH).expect("nothing is left");
        assert!(said.starts_with("data.demonstrations: no training row"), "{said}");
    }
}
