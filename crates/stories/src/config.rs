//! How much of everything is made of the stories.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Sizes of the data sets that are made of a text of stories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoriesConfig {
    /// Longest beginning of a story that is demonstrated, in characters; whole paragraphs.
    pub max_chars: usize,
    /// Words that are seen this often in the stories are words to the judge.
    pub known_from: usize,
    /// Most demonstrations for SFT.
    pub demonstrations: usize,
    /// Most demonstrations for the validation loss of SFT.
    pub validation_demonstrations: usize,
    /// Prompts for comparisons.
    pub reward_prompts: usize,
    /// Prompts for comparisons that only measure the reward model; their words are held out.
    pub validation_reward_prompts: usize,
    /// Prompts for PPO.
    pub ppo_prompts: usize,
    /// Prompts for the final evaluation; their words are held out.
    pub held_out_prompts: usize,
}

impl Default for StoriesConfig {
    fn default() -> Self {
        Self {
            max_chars: 400,
            known_from: 3,
            demonstrations: 2_500,
            validation_demonstrations: 100,
            reward_prompts: 900,
            validation_reward_prompts: 100,
            ppo_prompts: 1_000,
            held_out_prompts: 250,
        }
    }
}

impl StoriesConfig {
    /// Reports every value out of range, by path.
    ///
    /// # Errors
    /// [`Error::Config`] with all faults.
    pub fn validate(&self) -> Result<()> {
        let sizes = [
            ("max_chars", self.max_chars),
            ("known_from", self.known_from),
            ("demonstrations", self.demonstrations),
            ("reward_prompts", self.reward_prompts),
            ("ppo_prompts", self.ppo_prompts),
            ("held_out_prompts", self.held_out_prompts),
        ];
        let faults: Vec<String> = sizes
            .iter()
            .filter(|(_, size)| *size == 0)
            .map(|(name, _)| format!("stories.{name}: 0 is not above 0"))
            .collect();
        match faults.is_empty() {
            true => Ok(()),
            false => Err(Error::Config { faults }),
        }
    }
}
