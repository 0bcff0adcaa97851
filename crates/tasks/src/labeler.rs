//! Labelers and the rankings they give.

use rlhf_data::Prompt;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// An order of completions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// The rank of each completion: 0 is best, equal ranks are ties.
    pub ranks: Vec<u32>,
    /// The labeler's certainty, in 0..=1.
    pub confidence: f64,
}

/// Somebody who puts completions in order.
pub trait Labeler {
    /// The name under which rankings are filed.
    fn id(&self) -> &str;

    /// Ranks the completions of a prompt.
    ///
    /// # Errors
    /// Fewer than two completions, or completions that this labeler cannot rank.
    fn rank(&self, prompt: &Prompt, completions: &[String]) -> Result<Ranking>;
}

/// Refuses fewer than two completions, which cannot be put in order.
pub(crate) fn check_comparable(prompt: &Prompt, completions: &[String]) -> Result<()> {
    if completions.len() < 2 {
        return Err(Error::TooFew {
            id: prompt.id.clone(),
            found: completions.len(),
        });
    }
    Ok(())
}
