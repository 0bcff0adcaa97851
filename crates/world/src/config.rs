//! Sizes of everything that is generated.

use rlhf_config::ConfigErrors;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sizes of the generated data sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorldConfig {
    /// Size of the pretraining text, in bytes; documents are written until it is reached.
    pub document_bytes: usize,
    /// Size of the text kept for validation perplexity, in bytes.
    pub validation_document_bytes: usize,
    /// Demonstrations for SFT, good and flawed.
    pub demonstrations: usize,
    /// Demonstrations for the validation loss of SFT, from the held-out side of the split.
    pub validation_demonstrations: usize,
    /// Share of demonstrations with a flaw, in 0..=1; how often people slip.
    pub flawed_share: f64,
    /// Prompts for comparisons.
    pub reward_prompts: usize,
    /// Prompts for comparisons that only measure the reward model, from the held-out side of the split: half choose, half test.
    pub validation_reward_prompts: usize,
    /// Prompts for PPO.
    pub ppo_prompts: usize,
    /// Prompts held out from PPO, half for choices, half for the test; their signatures occur in no training set.
    pub held_out_prompts: usize,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            document_bytes: 3_600_000,
            validation_document_bytes: 60_000,
            demonstrations: 5_000,
            validation_demonstrations: 250,
            flawed_share: 0.3,
            reward_prompts: 4_000,
            validation_reward_prompts: 400,
            ppo_prompts: 4_000,
            held_out_prompts: 600,
        }
    }
}

impl WorldConfig {
    /// A small world for tests.
    pub fn tiny() -> Self {
        Self {
            document_bytes: 60_000,
            validation_document_bytes: 6_000,
            demonstrations: 200,
            validation_demonstrations: 40,
            flawed_share: 0.3,
            reward_prompts: 100,
            validation_reward_prompts: 40,
            ppo_prompts: 100,
            held_out_prompts: 60,
        }
    }

    /// The faults of these sizes; paths are relative to this struct.
    pub fn validate(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        for (path, size, most) in [
            ("document_bytes", self.document_bytes, 40_000_000),
            ("validation_document_bytes", self.validation_document_bytes, 4_000_000),
            ("demonstrations", self.demonstrations, 12_000),
            ("reward_prompts", self.reward_prompts, 8_000),
            ("ppo_prompts", self.ppo_prompts, 8_000),
            ("validation_demonstrations", self.validation_demonstrations, 500),
            ("validation_reward_prompts", self.validation_reward_prompts, 800),
            ("held_out_prompts", self.held_out_prompts, 1_000),
        ] {
            errors.check(size <= most, path, || {
                format!(
                    "expected at most {most}, which is what the world can tell without repeating itself, found {size}"
                )
            });
        }
        let share = self.flawed_share;
        errors.check((0.0..=1.0).contains(&share), "flawed_share", || {
            format!("expected a share between 0 and 1, found {share}")
        });
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named_by_its_path() {
        let config = WorldConfig {
            flawed_share: 1.5,
            held_out_prompts: 1_000_000,
            ..WorldConfig::default()
        };
        assert_eq!(
            config.validate().to_string(),
            "held_out_prompts: expected at most 1000, which is what the world can tell without repeating itself, found \
             1000000\n\
             flawed_share: expected a share between 0 and 1, found 1.5"
        );
        assert!(WorldConfig::default().validate().is_empty());
    }
}
