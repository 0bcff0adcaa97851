//! How much of everything is generated.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

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
    /// Prompts for comparisons that only measure the reward model, from the held-out side of the split.
    pub validation_reward_prompts: usize,
    /// Prompts for PPO.
    pub ppo_prompts: usize,
    /// Prompts for the final evaluation; their signatures occur in no training set.
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

    /// Reports every value out of range, by path.
    pub fn validate(&self) -> Result<()> {
        let mut faults = Vec::new();
        let mut at_most = |name: &str, value: usize, most: usize| {
            if value > most {
                faults.push(format!(
                    "world.{name}: {value} is more than the world can tell without repeating itself ({most})"
                ));
            }
        };
        at_most("document_bytes", self.document_bytes, 40_000_000);
        at_most("validation_document_bytes", self.validation_document_bytes, 4_000_000);
        at_most("demonstrations", self.demonstrations, 12_000);
        at_most("reward_prompts", self.reward_prompts, 8_000);
        at_most("ppo_prompts", self.ppo_prompts, 8_000);
        at_most("validation_demonstrations", self.validation_demonstrations, 500);
        at_most("validation_reward_prompts", self.validation_reward_prompts, 800);
        at_most("held_out_prompts", self.held_out_prompts, 1_000);
        if !(0.0..=1.0).contains(&self.flawed_share) {
            faults.push(format!(
                "world.flawed_share: {} is not a share between 0 and 1",
                self.flawed_share
            ));
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Error::Config { faults })
        }
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
        let message = config.validate().unwrap_err().to_string();
        assert!(
            message.contains("world.flawed_share") && message.contains("world.held_out_prompts"),
            "{message}"
        );
        assert!(WorldConfig::default().validate().is_ok());
    }
}
