//! Scores of answers as text, from a source that knows nothing of the policy's tokens: a judge, or a reward model with a
//! tokenizer of its own. `label` ranks by them, `ppo` optimises them.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use rlhf_data::{Prompt, Tokenizer, prompt_tokens, trimmed};
use rlhf_eval::{OpinionError, SecondJudge};
use rlhf_hub::Want;
use rlhf_judges::{AnswerTask, Command};
use rlhf_model::{ModelConfig, ScalarModel, completion_scores, load_config, load_scalar_model};
use rlhf_ppo::{Answer, Scorer, ScorerError};
use rlhf_tasks::GoldJudge;

use crate::error::Result;
use crate::workspace::Workspace;

/// Tokens that go through an outside reward model together.
const TOKENS_AT_ONCE: usize = 8192;

/// Somebody who scores answers as text.
pub(super) enum Opinion {
    /// The judge of the task: its reward, which is shaped where nearly right is worth something.
    Judge(Arc<dyn GoldJudge>),
    /// The judge of the task: its verdict.
    Gold(Arc<dyn GoldJudge>),
    /// A reward model that came from elsewhere.
    Model(Box<OutsideModel>),
    /// A program of the user's.
    Command(Box<Command>),
}

impl fmt::Debug for Opinion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Judge(_) => "Judge",
            Self::Gold(_) => "Gold",
            Self::Model(_) => "Model",
            Self::Command(_) => "Command",
        })
    }
}

impl Opinion {
    /// The score of an answer to each prompt, as many as the shorter list has.
    ///
    /// # Errors
    /// A row that cannot be judged, or that does not fit the reward model.
    pub(super) fn scores(&self, prompts: &[&Prompt], answers: &[String]) -> Result<Vec<f64>> {
        let rows = prompts.iter().zip(answers);
        match self {
            Self::Judge(judge) => rows.map(|(prompt, answer)| Ok(judge.reward(prompt, answer)?)).collect(),
            Self::Gold(judge) => rows
                .map(|(prompt, answer)| Ok(judge.assess(prompt, answer)?.gold))
                .collect(),
            Self::Model(model) => model.answer_scores(rows),
            Self::Command(command) => {
                // Several answers to one prompt are rows of their own.
                let task = |(row, (prompt, answer)): (usize, (&&Prompt, &String))| AnswerTask {
                    id: row.to_string(),
                    ..AnswerTask::new(prompt, answer)
                };
                let tasks: Vec<AnswerTask> = rows.enumerate().map(task).collect();
                Ok(command.score(&tasks)?)
            }
        }
    }
}

/// A reward model that came from elsewhere, with the tokenizer and the chat template in its folder.
pub(crate) struct OutsideModel {
    model: ScalarModel,
    tokenizer: Tokenizer,
    max_seq_len: usize,
    /// Tokens of its own that prompts are brought to.
    max_prompt_tokens: Option<usize>,
}

impl OutsideModel {
    /// Loads the model at a place that the user named.
    ///
    /// # Errors
    /// A place without a model or a tokenizer, or one that cannot write a conversation.
    pub(super) fn load(work: &Workspace<'_>, location: &Path) -> Result<Self> {
        let folder = work.locations().model(location, Want::Model)?;
        let model = Self::open(&folder, work.device(), |config| work.max_seq_len(config))?;
        Ok(model.with_max_prompt_tokens(work.config().data.max_prompt_tokens))
    }

    /// Loads the model of a folder; `longest` says how long a sequence of it may be.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) fn open(folder: &Path, device: &Device, longest: impl Fn(&ModelConfig) -> usize) -> Result<Self> {
        let tokenizer = Tokenizer::load(folder)?;
        tokenizer.check_conversations()?;
        let max_seq_len = longest(&load_config(folder)?);
        let (model, _) = load_scalar_model(folder, device)?;
        Ok(Self {
            model,
            tokenizer,
            max_seq_len,
            max_prompt_tokens: None,
        })
    }

    /// The same, which reads prompts of at most so many tokens: see [`trimmed`].
    pub(crate) fn with_max_prompt_tokens(self, max_prompt_tokens: Option<usize>) -> Self {
        Self {
            max_prompt_tokens,
            ..self
        }
    }

    /// The score of the answer to each prompt.
    pub(crate) fn scores_of(&self, prompts: &[Prompt], answers: &[String]) -> Result<Vec<f64>> {
        let prompts: Vec<&Prompt> = prompts.iter().collect();
        self.answer_scores(prompts.iter().zip(answers))
    }

    fn answer_scores<'a>(&self, rows: impl Iterator<Item = (&'a &'a Prompt, &'a String)>) -> Result<Vec<f64>> {
        let (mut sequences, mut prompt_lens) = (Vec::new(), Vec::new());
        for (prompt, answer) in rows {
            let prompt = trimmed(&self.tokenizer, *prompt, self.max_prompt_tokens.unwrap_or(usize::MAX))?;
            let answer = self.tokenizer.encode_completion(&prompt.messages, answer)?;
            let mut sequence = prompt_tokens(&self.tokenizer, &prompt, self.max_seq_len, answer.len())?.value;
            prompt_lens.push(sequence.len());
            sequence.extend(answer);
            sequences.push(sequence);
        }
        let scores = completion_scores(&self.model, &sequences, &prompt_lens, TOKENS_AT_ONCE);
        Ok(scores.into_iter().map(f64::from).collect())
    }
}

impl SecondJudge for OutsideModel {
    fn scores(&self, prompts: &[Prompt], answers: &[String]) -> Result<Vec<Option<f64>>, OpinionError> {
        Ok(self.scores_of(prompts, answers)?.into_iter().map(Some).collect())
    }
}

/// Scores of PPO's responses by an [`Opinion`] of their text.
pub(super) struct TextScorer {
    opinion: Opinion,
    /// The policy's tokenizer.
    tokenizer: Tokenizer,
    /// The prompts of PPO, by their index.
    prompts: Vec<Prompt>,
}

impl TextScorer {
    pub(super) fn new(opinion: Opinion, tokenizer: Tokenizer, prompts: Vec<Prompt>) -> Self {
        Self {
            opinion,
            tokenizer,
            prompts,
        }
    }
}

impl fmt::Debug for TextScorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextScorer")
            .field("opinion", &self.opinion)
            .finish_non_exhaustive()
    }
}

impl Scorer for TextScorer {
    fn score(&self, answers: &[Answer<'_>]) -> Result<Vec<Option<f64>>, ScorerError> {
        let prompts: Vec<&Prompt> = answers.iter().map(|a| &self.prompts[a.response.prompt]).collect();
        let text = |a: &Answer<'_>| self.tokenizer.decode(a.response.tokens(), true);
        let texts: Vec<String> = answers.iter().map(text).collect();
        let scores = self.opinion.scores(&prompts, &texts)?;
        Ok(scores.into_iter().map(Some).collect())
    }
}
