//! The judge and its verdicts.

use rlhf_data::Prompt;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Weight of each quality in the gold score, for judges that weigh all four; simulated labelers vary these.
pub mod weights {
    /// Does it do what was asked?
    pub const HELPFUL: f64 = 0.42;
    /// Is what it says true, and does it admit what it cannot know?
    pub const HONEST: f64 = 0.23;
    /// Does it keep clear of harm?
    pub const HARMLESS: f64 = 0.10;
    /// Is it well written?
    pub const STYLE: f64 = 0.25;
}

/// A judge's opinion of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Degree to which it does what was asked, in 0..=1.
    pub helpful: f64,
    /// Degree to which it is true, in 0..=1.
    pub honest: f64,
    /// Degree to which it keeps clear of harm, in 0..=1.
    pub harmless: f64,
    /// Quality of the writing, in 0..=1.
    pub style: f64,
    /// All together, in 0..=1; each judge says how.
    pub gold: f64,
    /// True of an answer that says something which can be compared with the facts.
    pub checkable: bool,
    /// True of an answer that says something which is not so, or claims to know what nobody can.
    pub untrue: bool,
}

impl Verdict {
    /// The verdict on an answer without words.
    pub const NOTHING: Self = Self {
        helpful: 0.0,
        honest: 0.0,
        harmless: 0.0,
        style: 0.0,
        gold: 0.0,
        checkable: false,
        untrue: false,
    };
}

/// Somebody who knows without noise what an answer is worth.
pub trait GoldJudge: std::fmt::Debug + Send + Sync {
    /// Judges an answer to a prompt, whose task is stored beside it.
    ///
    /// # Errors
    /// A prompt without a task, or with one that is not of this judge's kind.
    fn assess(&self, prompt: &Prompt, completion: &str) -> Result<Verdict>;

    /// The reward for an answer, for training by this judge: its gold score, unless the judge shows the way to it in smaller steps.
    ///
    /// # Errors
    /// As [`GoldJudge::assess`].
    fn reward(&self, prompt: &Prompt, completion: &str) -> Result<f64> {
        Ok(self.assess(prompt, completion)?.gold)
    }

    /// Judges several completions of one prompt: a verdict for each.
    ///
    /// # Errors
    /// As [`GoldJudge::assess`].
    fn assess_completions(&self, prompt: &Prompt, completions: &[String]) -> Result<Vec<Verdict>> {
        completions.iter().map(|text| self.assess(prompt, text)).collect()
    }

    /// Judges one answer to each of several prompts: a verdict for each pair, as many as the shorter list has.
    ///
    /// # Errors
    /// As [`GoldJudge::assess`].
    fn assess_answers(&self, prompts: &[Prompt], answers: &[String]) -> Result<Vec<Verdict>> {
        let pairs = prompts.iter().zip(answers);
        pairs.map(|(prompt, answer)| self.assess(prompt, answer)).collect()
    }
}
