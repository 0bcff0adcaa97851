//! Learning-rate schedules.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use rlhf_config::ConfigErrors;

/// Fall of the learning rate after warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// Stays at the peak.
    Constant,
    /// Falls along a straight line to `final_fraction` of the peak.
    Linear,
    /// Falls along half a cosine to `final_fraction` of the peak.
    Cosine,
}

/// A learning rate over the steps of a run: a linear warm-up, then a fall from the peak.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LrSchedule {
    /// Highest learning rate, reached at the end of the warm-up.
    pub peak_lr: f64,
    /// Form of the fall after the warm-up: `constant`, `linear` or `cosine`.
    pub kind: ScheduleKind,
    /// Learning rate at the last step, as a fraction of the peak (InstructGPT's supervised stages: 0.1). A `constant`
    /// schedule does not fall.
    pub final_fraction: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Learning rate of the first warm-up step, as a fraction of the peak (InstructGPT's PPO: 0.1).
    pub warmup_start_fraction: f64,
}

/// Cosine to a tenth without warm-up, as InstructGPT's supervised and reward stages have it (arXiv 2203.02155, appendix C).
impl Default for LrSchedule {
    fn default() -> Self {
        Self {
            peak_lr: 1e-5,
            kind: ScheduleKind::Cosine,
            final_fraction: 0.1,
            warmup_steps: 0,
            warmup_start_fraction: 0.0,
        }
    }
}

impl LrSchedule {
    /// The learning rate that step `step` (from 0) of a run of `total_steps` steps uses.
    ///
    /// The end of the fall lies at `total_steps`, one past the last step. Beyond it `linear` stays at its final value
    /// and `cosine` follows the formula up again, as the Hugging Face schedules do; no loop here goes that far.
    pub fn lr_at(&self, step: u64, total_steps: u64) -> f64 {
        self.peak_lr * self.fraction_at(step, total_steps)
    }

    /// The learning rate of a step as a fraction of the peak.
    fn fraction_at(&self, step: u64, total_steps: u64) -> f64 {
        if step < self.warmup_steps {
            let done = step as f64 / self.warmup_steps as f64;
            return self.warmup_start_fraction + (1.0 - self.warmup_start_fraction) * done;
        }
        let falling_steps = total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let progress = (step - self.warmup_steps) as f64 / falling_steps;
        let fallen = match self.kind {
            ScheduleKind::Constant => return 1.0,
            ScheduleKind::Linear => (1.0 - progress).max(0.0),
            ScheduleKind::Cosine => 0.5 * (1.0 + (PI * progress).cos()),
        };
        fallen * (1.0 - self.final_fraction) + self.final_fraction
    }

    /// True if a run of `total_steps` steps ends within its warm-up, so that no step has the peak.
    pub fn ends_in_warmup(&self, total_steps: u64) -> bool {
        self.warmup_steps > 0 && self.warmup_steps >= total_steps
    }

    /// Warns of a run that [ends in its warm-up](Self::ends_in_warmup); `name` is what the schedule is called.
    pub fn warn_of_warmup(&self, name: &str, total_steps: u64) {
        if self.ends_in_warmup(total_steps) {
            let warmup_steps = self.warmup_steps;
            tracing::warn!(
                "{name}.warmup_steps is {warmup_steps} and the run has {total_steps} steps: it ends within its warm-up, and the \
                 learning rate never reaches {name}.peak_lr"
            );
        }
    }

    /// Faults of these settings; paths are relative to the schedule.
    pub fn validate(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        errors.check(self.peak_lr.is_finite() && self.peak_lr >= 0.0, "peak_lr", || {
            format!("expected a finite number of at least 0, found {}", self.peak_lr)
        });
        for (path, value) in [
            ("final_fraction", self.final_fraction),
            ("warmup_start_fraction", self.warmup_start_fraction),
        ] {
            errors.check((0.0..=1.0).contains(&value), path, || {
                format!("expected 0 to 1, found {value}")
            });
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn schedule(kind: ScheduleKind, warmup_steps: u64, final_fraction: f64) -> LrSchedule {
        LrSchedule {
            peak_lr: 1.0,
            kind,
            final_fraction,
            warmup_steps,
            warmup_start_fraction: 0.0,
        }
    }

    #[test]
    fn a_run_ends_in_its_warm_up_if_no_step_has_the_peak() {
        let warmup = |steps| schedule(ScheduleKind::Cosine, steps, 0.1);
        // Steps 0 to 3 of a warm-up of 4 have 0 to 3 quarters of the peak, and step 4 all of it.
        assert!(warmup(4).ends_in_warmup(4) && warmup(4).lr_at(3, 4) == 0.75);
        assert!(!warmup(4).ends_in_warmup(5) && warmup(4).lr_at(4, 5) == 1.0);
        assert!(!warmup(0).ends_in_warmup(0));
    }

    #[test]
    fn schedules_match_the_golden_vectors() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/ppo/lr_schedules.json");
        let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(cases.len(), 7);
        for case in cases {
            let kind = match case["schedule"].as_str().unwrap() {
                "constant" | "constant_with_warmup" => ScheduleKind::Constant,
                "linear" => ScheduleKind::Linear,
                "cosine" | "cosine_with_min_lr" => ScheduleKind::Cosine,
                other => panic!("unknown schedule {other}"),
            };
            let schedule = LrSchedule {
                peak_lr: case["base_lr"].as_f64().unwrap(),
                kind,
                final_fraction: case["min_lr_rate"].as_f64().unwrap_or(0.0),
                warmup_steps: case["warmup_steps"].as_u64().unwrap(),
                warmup_start_fraction: 0.0,
            };
            let total_steps = case["total_steps"].as_u64().unwrap();
            for (step, expected) in case["lr"].as_array().unwrap().iter().enumerate() {
                let (found, expected) = (schedule.lr_at(step as u64, total_steps), expected.as_f64().unwrap());
                let tolerance = 1e-12 * schedule.peak_lr;
                assert!(
                    (found - expected).abs() <= tolerance,
                    "{schedule:?} step {step}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn warm_up_of_instructgpt_goes_from_a_tenth_to_the_peak_in_ten_steps() {
        let ppo = LrSchedule {
            warmup_start_fraction: 0.1,
            ..schedule(ScheduleKind::Constant, 10, 1.0)
        };
        let check = |step, expected: f64| assert!((ppo.lr_at(step, 100) - expected).abs() < 1e-12, "step {step}");
        check(0, 0.1);
        check(5, 0.55); // 0.1 + 0.9 · 5/10
        check(10, 1.0);
        check(99, 1.0);
    }

    #[test]
    fn a_fall_starts_at_the_peak_passes_the_middle_and_ends_at_the_final_fraction() {
        for kind in [ScheduleKind::Linear, ScheduleKind::Cosine] {
            let schedule = schedule(kind, 4, 0.2);
            for (step, expected) in [(4, 1.0), (9, 0.6), (14, 0.2)] {
                assert!(
                    (schedule.lr_at(step, 14) - expected).abs() < 1e-12,
                    "{kind:?} step {step}"
                );
            }
        }
    }

    #[test]
    fn a_run_shorter_than_its_warm_up_still_has_a_rate() {
        let schedule = schedule(ScheduleKind::Cosine, 10, 0.1);
        assert!((0..12).all(|step| schedule.lr_at(step, 3).is_finite()));
        assert!(schedule.lr_at(0, 0).is_finite());
    }

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        assert!(LrSchedule::default().validate().is_empty());
        let bad = LrSchedule {
            peak_lr: f64::NAN,
            final_fraction: 1.5,
            ..LrSchedule::default()
        };
        let said = bad.validate().to_string();
        assert!(
            said.contains("peak_lr: ") && said.contains("final_fraction: expected 0 to 1, found 1.5"),
            "{said}"
        );
    }
}
