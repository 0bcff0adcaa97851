//! Settings of the simulated labelers.

use rlhf_config::ConfigErrors;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The number of labelers and how far they agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LabelerConfig {
    /// Labelers whose rankings train the reward model.
    pub training: usize,
    /// Labelers whose rankings only measure it (InstructGPT, section 5).
    pub held_out: usize,
    /// Share of pairs in which two training labelers agree, ties left out (InstructGPT, section 3.4: 72.6 %).
    pub agreement: f64,
    /// Difference between labelers in what they value, as a share of the judge's weights.
    pub spread: f64,
    /// Grades that labelers give; answers of nearly the same grade are ties (InstructGPT, section 3.4: overall quality from 1
    /// to 7).
    pub grades: usize,
}

impl Default for LabelerConfig {
    fn default() -> Self {
        Self {
            training: 10,
            held_out: 4,
            agreement: 0.73,
            spread: 0.35,
            grades: 7,
        }
    }
}

impl LabelerConfig {
    /// The faults of these settings; paths are relative to this struct.
    pub fn validate(&self) -> ConfigErrors {
        let Self {
            training,
            held_out,
            agreement,
            spread,
            grades,
        } = self;
        let mut errors = ConfigErrors::new();
        errors.check_count("training", *training);
        errors.check(training + held_out >= 2, "held_out", || {
            format!(
                "expected at least two labelers in all, for agreement, found {}",
                training + held_out
            )
        });
        errors.check((0.55..=0.95).contains(agreement), "agreement", || {
            format!("expected a share between 0.55 and 0.95, found {agreement}")
        });
        errors.check(*grades >= 2, "grades", || {
            format!("expected at least 2, found {grades}")
        });
        errors.check((0.0..=1.0).contains(spread), "spread", || {
            format!("expected a share between 0 and 1, found {spread}")
        });
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named_by_its_path() {
        assert!(LabelerConfig::default().validate().is_empty());
        let config = LabelerConfig {
            training: 0,
            held_out: 1,
            agreement: 0.5,
            spread: -0.1,
            grades: 1,
        };
        assert_eq!(
            config.validate().to_string(),
            "training: expected at least 1, found 0\n\
             held_out: expected at least two labelers in all, for agreement, found 1\n\
             agreement: expected a share between 0.55 and 0.95, found 0.5\n\
             grades: expected at least 2, found 1\n\
             spread: expected a share between 0 and 1, found -0.1"
        );
    }
}
