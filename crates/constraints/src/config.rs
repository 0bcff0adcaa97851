//! Settings of checkable instructions.

use rlhf_config::{ConfigErrors, nearest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::constraint::KINDS;

/// The kinds of constraints in use, and sizes of the data sets that are made with them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConstraintsConfig {
    /// Kinds of constraints that are used; none listed: all there are.
    pub kinds: Vec<String>,
    /// Kinds that no training set uses: a third of the prompts that measure do. Those that are not used anyway are of no
    /// account.
    pub held_out_kinds: Vec<String>,
    /// Share of prompts and demonstrations with two constraints, where two go together.
    pub combined: f64,
    /// Most demonstrations for SFT.
    pub demonstrations: usize,
    /// Most demonstrations for the validation loss of SFT.
    pub validation_demonstrations: usize,
    /// Most prompts for comparisons.
    pub reward_prompts: usize,
    /// Most prompts for comparisons that only measure the reward model.
    pub validation_reward_prompts: usize,
    /// Most prompts for PPO.
    pub ppo_prompts: usize,
    /// Most prompts held out from PPO, half for choices, half for the test.
    pub held_out_prompts: usize,
    /// Longest request that takes a constraint, in words; longer ones are left out.
    pub max_prompt_words: usize,
    /// Greatest reward of an answer that does not meet a constraint, in rewards of one that does: the nearer the answer
    /// is, the more of it. 0 rewards nothing but meeting it.
    pub shaping: f64,
}

impl Default for ConstraintsConfig {
    fn default() -> Self {
        let held_out = [
            "two_words",
            "letter_absent",
            "last_word",
            "end_exclamation",
            "words_between",
            "numbered",
            "angle_title",
            "parenthesized",
            "title_case",
            "commas",
        ];
        Self {
            kinds: Vec::new(),
            held_out_kinds: held_out.map(str::to_owned).to_vec(),
            combined: 0.2,
            demonstrations: 2_000,
            validation_demonstrations: 100,
            reward_prompts: 1_000,
            validation_reward_prompts: 100,
            ppo_prompts: 2_000,
            held_out_prompts: 200,
            max_prompt_words: 60,
            shaping: 0.5,
        }
    }
}

impl ConstraintsConfig {
    /// The faults of these settings; paths are relative to this struct.
    pub fn validate(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        for (field, names) in [("kinds", &self.kinds), ("held_out_kinds", &self.held_out_kinds)] {
            for (i, name) in names.iter().enumerate() {
                check_kind(&mut errors, &format!("{field}[{i}]"), name);
                errors.check(!names[..i].contains(name), format!("{field}[{i}]"), || {
                    format!("{name:?} is listed twice")
                });
            }
        }
        errors.check(!self.training_kinds().is_empty(), "held_out_kinds", || {
            "every kind in use is held out, so that none is left for training".to_owned()
        });
        for (field, share) in [("combined", self.combined), ("shaping", self.shaping)] {
            errors.check((0.0..=1.0).contains(&share), field, || {
                format!("expected a share between 0 and 1, found {share}")
            });
        }
        errors.check_count("max_prompt_words", self.max_prompt_words);
        errors
    }

    /// Kinds that training may use, in the order of [`KINDS`].
    pub fn training_kinds(&self) -> Vec<&'static str> {
        let held_out = self.kinds_held_out();
        self.used().filter(|kind| !held_out.contains(kind)).collect()
    }

    /// Kinds in use that training may not use, in the order of [`KINDS`].
    pub fn kinds_held_out(&self) -> Vec<&'static str> {
        let is_held_out = |kind: &&'static str| self.held_out_kinds.iter().any(|name| name == kind);
        self.used().filter(is_held_out).collect()
    }

    fn used(&self) -> impl Iterator<Item = &'static str> {
        let is_used = |kind: &&str| self.kinds.is_empty() || self.kinds.iter().any(|name| name == kind);
        KINDS.iter().copied().filter(is_used)
    }
}

fn check_kind(errors: &mut ConfigErrors, path: &str, name: &str) {
    errors.check(KINDS.contains(&name), path, || {
        let hint = nearest(name, KINDS.iter().copied()).map(|near| format!(", did you mean `{near}`?"));
        let hint = hint.unwrap_or_else(|| format!("; known: {}", KINDS.join(", ")));
        format!("unknown kind of constraint {name:?}{hint}")
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named_by_its_path() {
        assert!(ConstraintsConfig::default().validate().is_empty());
        let config = ConstraintsConfig {
            kinds: vec!["bulets".to_owned(), "json".to_owned(), "json".to_owned()],
            held_out_kinds: vec!["json".to_owned()],
            combined: 1.5,
            shaping: f64::NAN,
            max_prompt_words: 0,
            ..ConstraintsConfig::default()
        };
        assert_eq!(
            config.validate().to_string(),
            "kinds[0]: unknown kind of constraint \"bulets\", did you mean `bullets`?\n\
             kinds[2]: \"json\" is listed twice\n\
             held_out_kinds: every kind in use is held out, so that none is left for training\n\
             combined: expected a share between 0 and 1, found 1.5\n\
             shaping: expected a share between 0 and 1, found NaN\n\
             max_prompt_words: expected at least 1, found 0"
        );
    }

    #[test]
    fn about_a_fifth_of_the_kinds_is_held_out() {
        let config = ConstraintsConfig::default();
        let (training, held_out) = (config.training_kinds(), config.kinds_held_out());
        assert_eq!(training.len() + held_out.len(), KINDS.len());
        let share = held_out.len() as f64 / KINDS.len() as f64;
        assert!((0.15..0.25).contains(&share), "{share}");
    }

    #[test]
    fn kinds_that_are_not_used_cannot_be_held_out() {
        let config = ConstraintsConfig {
            kinds: vec!["json".to_owned(), "commas".to_owned()],
            ..ConstraintsConfig::default()
        };
        assert_eq!(config.training_kinds(), ["json"]);
        assert_eq!(config.kinds_held_out(), ["commas"]);
    }
}
