//! Where the rows of each stage come from: the files that a judged task was written to, or the user's.

use std::path::{Path, PathBuf};

use rlhf_data::{
    ChatTemplate, Clock, Comparison, Demonstration, Error as DataError, LossOn, Prompt, Source, TokenSequence,
    Tokenizer, demonstration_sequence, load_comparisons, load_demonstrations, load_prompts, load_text, pack_documents,
    prompt_tokens, split_documents, split_rows,
};

use crate::config::{DataConfig, DataSource, LongPrompts, TemplateSource};
use crate::error::Result;
use crate::places::on_hub;
use crate::progress::note;
use crate::run::Workspace;
use crate::stages::Stage;

/// Rows to learn from and rows kept aside.
pub(crate) struct Halves<T> {
    pub(crate) train: Vec<T>,
    pub(crate) validation: Vec<T>,
}

/// Files that the tokenizer stage writes of a judged task, in `RUN/data`.
pub(crate) const DOCUMENTS: &str = "data/documents.jsonl";
pub(crate) const VALIDATION_DOCUMENTS: &str = "data/documents.validation.jsonl";
pub(crate) const DEMONSTRATIONS: &str = "data/demonstrations.jsonl";
pub(crate) const VALIDATION_DEMONSTRATIONS: &str = "data/demonstrations.validation.jsonl";
pub(crate) const REWARD_PROMPTS: &str = "data/prompts.reward.jsonl";
pub(crate) const VALIDATION_REWARD_PROMPTS: &str = "data/prompts.reward.validation.jsonl";
pub(crate) const PPO_PROMPTS: &str = "data/prompts.ppo.jsonl";
pub(crate) const HELD_OUT_PROMPTS: &str = "data/prompts.held_out.jsonl";

/// What a stage reads of the data section: lists of the user's, each with the files that stand for it where a judged task
/// was written.
fn lists(stage: Stage, data: &DataConfig) -> Vec<(&[Source], &'static [&'static str])> {
    match stage {
        Stage::Tokenizer if data.source == DataSource::World => Vec::new(),
        Stage::Tokenizer => vec![(&data.pretrain, &[]), (&data.demonstrations, &[])],
        Stage::Pretrain => vec![(&data.pretrain, &[DOCUMENTS, VALIDATION_DOCUMENTS])],
        Stage::Sft => vec![
            (&data.demonstrations, &[DEMONSTRATIONS, VALIDATION_DEMONSTRATIONS]),
            (&data.pretrain, &[DOCUMENTS]),
        ],
        Stage::Sample => vec![(&data.reward_prompts, &[REWARD_PROMPTS, VALIDATION_REWARD_PROMPTS])],
        Stage::Label => vec![(&data.comparisons, &[])],
        Stage::Reward => vec![(&data.demonstrations, &[DEMONSTRATIONS])],
        Stage::Ppo => vec![(&data.ppo_prompts, &[PPO_PROMPTS]), (&data.pretrain, &[DOCUMENTS])],
        Stage::Eval => vec![
            (&data.ppo_prompts, &[HELD_OUT_PROMPTS]),
            (&data.pretrain, &[VALIDATION_DOCUMENTS]),
        ],
    }
}

/// Whether a stage reads files that were written of a judged task.
fn reads_written(stage: Stage, data: &DataConfig) -> bool {
    data.source.is_judged() && stage != Stage::Tokenizer
}

/// The user's sources that a stage reads.
pub(crate) fn sources(stage: Stage, work: &Workspace) -> Vec<&Source> {
    let data = &work.config.data;
    match reads_written(stage, data) {
        true => Vec::new(),
        false => lists(stage, data)
            .into_iter()
            .flat_map(|(sources, _)| sources)
            .collect(),
    }
}

/// Input files of a stage that come from the data section, for its fingerprint. Those of the Hub are told by their commit.
pub(crate) fn input_files(stage: Stage, work: &Workspace) -> Vec<PathBuf> {
    let data = &work.config.data;
    if reads_written(stage, data) {
        let files = lists(stage, data).into_iter().flat_map(|(_, files)| files);
        return files.map(|file| work.path(file)).collect();
    }
    let sources = sources(stage, work).into_iter();
    let files = sources.filter(|source| on_hub(&source.path).is_none());
    files
        .map(|source| data.located(&source.path))
        .filter(|path| path.is_file())
        .collect()
}

impl Workspace {
    /// The tokenizer in a folder of this run. A chat template is told the configured date, or none.
    pub(crate) fn tokenizer(&self, stage: Stage) -> Result<Tokenizer> {
        let tokenizer = Tokenizer::load(self.path(stage.name()))?;
        Ok(match self.config.data.chat_date.as_str() {
            "" => tokenizer.with_clock(Clock::Unset),
            date => tokenizer.with_clock(Clock::fixed(date, "data.chat_date")?),
        })
    }

    /// The configured chat template, if there is one.
    pub(crate) fn chat_template(&self) -> Result<Option<ChatTemplate>> {
        Ok(match self.config.data.template_source() {
            None => None,
            Some(TemplateSource::Text(text)) => Some(ChatTemplate::new(&text, "data.chat_template")?),
            Some(TemplateSource::File(path)) => Some(ChatTemplate::from_file(path)?),
        })
    }

    /// Rows of a judged task, from the files that were written of it, or the user's, split.
    fn written_or<T>(
        &self,
        sources: &[Source],
        files: (&str, &str),
        load: impl Fn(&[Source], &Path) -> Result<Vec<T>>,
        split: impl Fn(Vec<T>) -> (Vec<T>, Vec<T>),
    ) -> Result<Halves<T>> {
        if self.config.data.source.is_judged() {
            let read = |file: &str| load(&[Source::new(self.needed(file, Stage::Tokenizer)?)], Path::new("."));
            return Ok(Halves {
                train: read(files.0)?,
                validation: read(files.1)?,
            });
        }
        let sources = self.places.sources(sources)?;
        let (train, validation) = split(load(&sources, &self.config.data.root)?);
        Ok(Halves { train, validation })
    }

    /// Pretraining text.
    pub(crate) fn documents(&self) -> Result<Halves<String>> {
        let fraction = self.config.data.validation_fraction;
        self.written_or(
            &self.config.data.pretrain,
            (DOCUMENTS, VALIDATION_DOCUMENTS),
            |sources, root| Ok(load_text(sources, root, self.config.seed)?.rows),
            |rows| split_documents(rows, fraction),
        )
    }

    /// Demonstrations.
    pub(crate) fn demonstrations(&self) -> Result<Halves<Demonstration>> {
        let fraction = self.config.data.validation_fraction;
        self.written_or(
            &self.config.data.demonstrations,
            (DEMONSTRATIONS, VALIDATION_DEMONSTRATIONS),
            |sources, root| Ok(load_demonstrations(sources, root, self.config.seed)?.rows),
            |rows| split_rows(rows, fraction, Demonstration::key),
        )
    }

    /// Prompts whose sampled answers are ranked.
    pub(crate) fn reward_prompts(&self) -> Result<Halves<Prompt>> {
        self.prompts(
            &self.config.data.reward_prompts,
            (REWARD_PROMPTS, VALIDATION_REWARD_PROMPTS),
        )
    }

    /// Prompts of PPO, and those held out for evaluation.
    pub(crate) fn ppo_prompts(&self) -> Result<Halves<Prompt>> {
        self.prompts(&self.config.data.ppo_prompts, (PPO_PROMPTS, HELD_OUT_PROMPTS))
    }

    fn prompts(&self, sources: &[Source], files: (&str, &str)) -> Result<Halves<Prompt>> {
        let fraction = self.config.data.validation_fraction;
        self.written_or(
            sources,
            files,
            |sources, root| Ok(load_prompts(sources, root, self.config.seed)?.rows),
            |rows| split_rows(rows, fraction, Prompt::key),
        )
    }

    /// Comparisons that people made.
    pub(crate) fn human_comparisons(&self) -> Result<Halves<Comparison>> {
        let data = &self.config.data;
        let sources = self.places.sources(&data.comparisons)?;
        let rows = load_comparisons(&sources, &data.root, self.config.seed)?.rows;
        let (train, validation) = split_rows(rows, data.validation_fraction, Comparison::key);
        Ok(Halves { train, validation })
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
        for (index, prompt) in prompts.iter().enumerate() {
            match prompt_tokens(tokenizer, prompt, context, max_new_tokens) {
                Ok(tokens) => {
                    ids.push(tokens);
                    kept.push(index);
                }
                Err(DataError::PromptTooLong { .. }) if self.config.data.long_prompts == LongPrompts::Skip => {}
                Err(error) => return Err(error.into()),
            }
        }
        if kept.len() < prompts.len() {
            let left_out = prompts.len() - kept.len();
            note(&format!(
                "          {left_out} of {} prompts are too long and left out",
                prompts.len()
            ));
        }
        Ok((ids, kept))
    }
}

/// Windows of pretraining text.
pub(crate) fn text_windows(tokenizer: &Tokenizer, documents: &[String], context: usize) -> Vec<TokenSequence> {
    pack_documents(tokenizer, documents, context)
}

/// Supervised sequences of demonstrations; those that do not fit are left out and counted.
pub(crate) fn supervised(tokenizer: &Tokenizer, rows: &[Demonstration], context: usize) -> Result<Vec<TokenSequence>> {
    let sequences = rows
        .iter()
        .filter_map(|row| demonstration_sequence(tokenizer, row, LossOn::Assistant, context).transpose())
        .collect::<Result<Vec<TokenSequence>, _>>()?;
    if sequences.len() < rows.len() {
        let left_out = rows.len() - sequences.len();
        note(&format!(
            "          {left_out} of {} demonstrations are too long and left out",
            rows.len()
        ));
    }
    Ok(sequences)
}
