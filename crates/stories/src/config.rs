//! Sizes of everything that is made of the stories.

use rlhf_config::ConfigErrors;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Prompts held out from PPO, half for choices, half for the test; their words are held out.
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
    /// The faults of these sizes; paths are relative to this struct.
    pub fn validate(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        for (path, size) in [
            ("max_chars", self.max_chars),
            ("known_from", self.known_from),
            ("demonstrations", self.demonstrations),
            ("reward_prompts", self.reward_prompts),
            ("ppo_prompts", self.ppo_prompts),
            ("held_out_prompts", self.held_out_prompts),
        ] {
            errors.check_count(path, size);
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named_by_its_path() {
        assert!(StoriesConfig::default().validate().is_empty());
        let config = StoriesConfig {
            max_chars: 0,
            ppo_prompts: 0,
            ..StoriesConfig::default()
        };
        assert_eq!(
            config.validate().to_string(),
            "max_chars: expected at least 1, found 0\nppo_prompts: expected at least 1, found 0"
        );
    }
}
