//! Faults of the settings of the PPO stage.

use rlhf_config::ConfigErrors;

use crate::config::{ControllerConfig, PpoConfig, RewardWhitening, ScoreBaseline};
use crate::evaluate::{Select, StopConfig};
use crate::reward::MissingEos;

/// Temperatures at which the ratio of two passes over the same tokens is one: the smaller, the more their rounding counts.
const TEMPERATURES: std::ops::RangeInclusive<f64> = 0.01..=100.0;

impl PpoConfig {
    /// Faults of these settings; paths are relative to this struct.
    pub fn validate(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        self.check_sizes(&mut errors);
        self.check_losses(&mut errors);
        self.check_rewards(&mut errors);
        self.check_ptx(&mut errors);
        self.check_evaluations(&mut errors);
        errors.nest("lr", self.lr.validate());
        errors.nest("value_lr", self.value_lr.validate());
        errors.nest("adamw", self.adamw.validate());
        if let Some(lora) = &self.lora {
            errors.nest("lora", lora.validate());
        }
        errors
    }

    fn check_sizes(&self, errors: &mut ConfigErrors) {
        for (path, value) in [
            ("batch_size", self.batch_size),
            ("n_minibatches", self.n_minibatches),
            ("samples_per_prompt", self.samples_per_prompt),
            ("rollout_batch_size", self.rollout_batch_size),
            ("microbatch_tokens", self.microbatch_tokens),
            ("ppo_epochs", self.ppo_epochs),
            ("max_new_tokens", self.max_new_tokens),
            ("log_every", self.log_every),
            ("abort_negative_kl_iterations", self.abort_negative_kl_iterations),
        ] {
            errors.check_count(path, value);
        }
        errors.check(
            self.n_minibatches == 0 || self.batch_size.is_multiple_of(self.n_minibatches),
            "n_minibatches",
            || format!("{} does not divide batch_size {}", self.n_minibatches, self.batch_size),
        );
        let divides = |each: usize| self.n_minibatches == 0 || each == 0 || self.minibatch_size().is_multiple_of(each);
        errors.check(divides(self.samples_per_prompt), "samples_per_prompt", || {
            let (each, minibatch) = (self.samples_per_prompt, self.minibatch_size());
            format!("{each} does not divide the {minibatch} episodes of a minibatch, batch_size / n_minibatches")
        });
        errors.check_positive("tolerance", self.tolerance);
        errors.check(self.episodes >= self.batch_size, "episodes", || {
            format!("{} is less than one batch_size of {}", self.episodes, self.batch_size)
        });
    }

    fn check_losses(&self, errors: &mut ConfigErrors) {
        for (path, value) in [("gamma", self.gamma), ("gae_lambda", self.gae_lambda)] {
            errors.check((0.0..=1.0).contains(&value), path, || {
                format!("expected 0 to 1, found {value}")
            });
        }
        errors.check(TEMPERATURES.contains(&self.temperature), "temperature", || {
            format!(
                "expected {} to {}, found {}",
                TEMPERATURES.start(),
                TEMPERATURES.end(),
                self.temperature
            )
        });
        errors.check_positive_if_set("cliprange_value", self.cliprange_value.range());
        errors.check_positive("max_grad_norm", self.max_grad_norm);
        errors.check_positive_if_set("target_kl", self.target_kl);
        errors.check(self.cliprange > 0.0 && self.cliprange < 1.0, "cliprange", || {
            format!("expected more than 0 and less than 1, found {}", self.cliprange)
        });
        errors.check((0.0..1.0).contains(&self.ema.decay), "ema.decay", || {
            format!("expected at least 0 and less than 1, found {}", self.ema.decay)
        });
    }

    fn check_rewards(&self, errors: &mut ConfigErrors) {
        errors.check_not_negative("kl.coef", self.kl.coef);
        if let ControllerConfig::Adaptive { target, horizon } = self.kl.controller {
            errors.check_positive("kl.controller.adaptive.target", target);
            let batch = self.batch_size as f64;
            errors.check(
                horizon.is_finite() && horizon >= batch,
                "kl.controller.adaptive.horizon",
                || format!("expected at least batch_size {batch}, found {horizon}"),
            );
        }
        errors.check_positive_if_set("score_clip", self.score_clip);
        errors.check(
            self.score_baseline == ScoreBaseline::Off || self.samples_per_prompt > 1,
            "score_baseline",
            || "`other_answers` needs ppo.samples_per_prompt of at least 2".into(),
        );
        match self.missing_eos {
            MissingEos::None => {}
            MissingEos::Subtract { penalty } => errors.check_not_negative("missing_eos.subtract.penalty", penalty),
            MissingEos::Replace { score } => errors.check(score.is_finite(), "missing_eos.replace.score", || {
                format!("expected a finite number, found {score}")
            }),
        }
        errors.check(
            self.whiten_rewards == RewardWhitening::Off || self.batch_size >= 8,
            "whiten_rewards",
            || format!("needs a batch_size of at least 8, found {}", self.batch_size),
        );
    }

    fn check_evaluations(&self, errors: &mut ConfigErrors) {
        errors.check_count("evaluate.prompts", self.evaluate.prompts);
        errors.check_count("evaluate.answers", self.evaluate.answers);
        errors.check_positive_if_set("stop.max_kl", self.stop.max_kl);
        let selects = self.select != Select::Last;
        errors.check(
            self.evaluate.every > 0 || !selects && self.stop == StopConfig::default(),
            "evaluate.every",
            || "0, but ppo.select and ppo.stop go by evaluations on held-out prompts".into(),
        );
        errors.check(self.stop.patience == 0 || selects, "stop.patience", || {
            "expected ppo.select to say by what an evaluation is better: `score`, `reward` or `judge`".into()
        });
    }

    fn check_ptx(&self, errors: &mut ConfigErrors) {
        errors.check_not_negative("ptx.coef", self.ptx.coef);
        errors.check_positive_if_set("ptx.target_grad_ratio", self.ptx.target_grad_ratio);
        let examples = self.ptx.examples_per_episode;
        errors.check_not_negative("ptx.examples_per_episode", examples);
        if self.ptx.is_on() && self.n_minibatches > 0 && examples.is_finite() {
            errors.check(
                self.ptx_examples_per_minibatch() > 0,
                "ptx.examples_per_episode",
                || {
                    let episodes = self.minibatch_size();
                    format!("{examples} for each of the {episodes} episodes of a step makes no example")
                },
            );
        }
    }
}
