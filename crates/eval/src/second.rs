//! Judges beside the one of the task: a reward model that nothing was optimised for, references that people wrote.

use std::cmp::Ordering;

use rlhf_core::stats::{Interval, bootstrap_mean, win_rate};
use rlhf_data::Prompt;
use serde::{Deserialize, Serialize};

use crate::exam::Answers;

/// Why an opinion could not be had.
pub type OpinionError = Box<dyn std::error::Error + Send + Sync>;

/// Somebody who scores answers as text.
pub trait SecondJudge {
    /// A score for each prompt's answer, the higher the better; nothing where the judge has no opinion.
    ///
    /// # Errors
    /// A row that cannot be scored.
    fn scores(&self, prompts: &[Prompt], answers: &[String]) -> Result<Vec<Option<f64>>, OpinionError>;
}

/// What a second judge says of a model's answers. Intervals are of a bootstrap over prompts; differences are between two answers to
/// the same prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecondOpinion {
    /// Mean score, of the prompts that the judge has an opinion on.
    pub mean: Interval,
    /// Mean difference from the base model.
    pub over_base: Interval,
    /// Mean difference from the SFT model.
    pub over_sft: Interval,
    /// Share of prompts whose answer scores higher than the SFT model's, a tie counting half.
    pub win_rate_vs_sft: Interval,
}

impl SecondOpinion {
    /// What the judge of that name said of `own`, beside the answers of the other two; nothing if it was never asked
    /// or has an opinion on none of the prompts.
    pub(crate) fn new(judge: &str, own: &Answers, base: &Answers, sft: &Answers, seed: u64) -> Option<Self> {
        let differences = |other: &Answers| -> Option<Vec<f64>> {
            let scores = own.second.get(judge)?.iter().zip(other.second.get(judge)?);
            let difference = |(row, (ours, theirs)): (usize, (&Option<f64>, &Option<f64>))| {
                // Rounding may tell the same answer from itself.
                let is_same = own.texts[row] == other.texts[row];
                let difference = (*ours)? - (*theirs)?;
                Some(if is_same { 0.0 } else { difference })
            };
            Some(scores.enumerate().filter_map(difference).collect())
        };
        let scores: Vec<f64> = own.second.get(judge)?.iter().copied().flatten().collect();
        if scores.is_empty() {
            return None;
        }
        let (over_base, over_sft) = (differences(base)?, differences(sft)?);
        let outcomes: Vec<Ordering> = over_sft.iter().map(|difference| difference.total_cmp(&0.0)).collect();
        Some(Self {
            mean: bootstrap_mean(&scores, seed),
            over_base: bootstrap_mean(&over_base, seed),
            over_sft: bootstrap_mean(&over_sft, seed),
            win_rate_vs_sft: win_rate(&outcomes),
        })
    }
}
