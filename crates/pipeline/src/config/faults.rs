//! Faults of a configuration, by dotted path.

use std::path::Path;

use rlhf_config::ConfigErrors;
use rlhf_data::Clock;
use rlhf_hub::HubId;
use rlhf_model::Family;
use rlhf_ppo::{Select, ValueInit};

use super::{Config, DataSource, JudgeSource, LabelerKind, RewardSource};
use crate::locations::on_hub;

impl Config {
    /// Faults by dotted path. A run refuses a configuration that has some.
    pub fn validate(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        self.check_data(&mut errors);
        for (path, count) in [
            ("checkpoints.keep", self.checkpoints.keep),
            ("sample.batch_size", self.sample.batch_size),
            ("eval.batch_size", self.eval.batch_size),
            ("overopt.prompts", self.overopt.prompts),
            ("overopt.best_of_n_prompts", self.overopt.best_of_n_prompts),
            ("overopt.answers", self.overopt.answers),
        ] {
            errors.check_count(path, count);
        }
        self.check_locations(&mut errors);
        self.check_model(&mut errors);
        errors.nest("pretrain", self.pretrain.validate());
        errors.nest("sft", self.sft.validate());
        let mix = self.sft_mix.pretrain_fraction;
        errors.check((0.0..1.0).contains(&mix), "sft_mix.pretrain_fraction", || {
            format!("{mix} is not in [0, 1)")
        });
        errors.nest("reward", self.reward.validate());
        errors.nest("ppo", self.ppo.validate());
        self.check_adapters(&mut errors);
        self.check_answers(&mut errors);
        self.check_labelers(&mut errors);
        self.check_reward(&mut errors);
        self.check_judge(&mut errors);
        errors.check(self.eval.prompts > 0, "eval.prompts", || {
            "0, expected at least 1".into()
        });
        errors
    }

    fn check_answers(&self, errors: &mut ConfigErrors) {
        let sample = &self.sample;
        errors.check(sample.k_min >= 2, "sample.k_min", || {
            format!("{} completions cannot be compared, expected at least 2", sample.k_min)
        });
        errors.check(sample.k_max >= sample.k_min, "sample.k_max", || {
            format!("{} is below k_min {}", sample.k_max, sample.k_min)
        });
        errors.check(!sample.sampling.is_empty(), "sample.sampling", || {
            "empty, expected at least one way of choosing tokens".into()
        });
        let ways = sample.sampling.iter().enumerate();
        let ways = ways.map(|(way, sampling)| (format!("sample.sampling[{way}]"), sampling));
        for (path, sampling) in ways.chain([("eval.sampling".to_owned(), &self.eval.sampling)]) {
            errors.nest(&path, sampling.validate());
        }
        let (limit, context) = self.longest_sequence();
        if let Some(tokens) = self.data.max_prompt_tokens {
            // The model that runs may be given later; what it can take, the stages know.
            let longest = self.data.max_seq_len;
            errors.check(tokens > 0 && tokens < longest, "data.max_prompt_tokens", || {
                format!("{tokens} is not in 1 .. data.max_seq_len {longest}")
            });
        }
        for (path, tokens) in [
            ("sample.max_new_tokens", sample.max_new_tokens),
            ("ppo.max_new_tokens", self.ppo.max_new_tokens),
            ("eval.max_new_tokens", self.eval.max_new_tokens),
        ] {
            errors.check(tokens > 0 && tokens < context, path, || {
                format!("{tokens} is not in 1 .. {limit} {context}")
            });
        }
    }

    /// The setting that limits the length of sequences, and the limit. What a model of the user's own can take, the stages know
    /// once they have read it.
    fn longest_sequence(&self) -> (&'static str, usize) {
        let (of_model, of_data) = (self.model.max_seq_len, self.data.max_seq_len);
        if self.data.base().is_none() && of_model <= of_data {
            ("model.max_seq_len", of_model)
        } else {
            ("data.max_seq_len", of_data)
        }
    }

    fn check_labelers(&self, errors: &mut ConfigErrors) {
        let (per_prompt, labelers) = (self.label.rankings_per_prompt, self.label.simulated.training);
        errors.check(
            (1..=labelers.max(1)).contains(&per_prompt),
            "label.rankings_per_prompt",
            || format!("{per_prompt} is not in 1 ..= label.simulated.training {labelers}"),
        );
        errors.nest("label.simulated", self.label.simulated.validate());
        let (labeler, is_judged) = (self.label.labeler, self.data.source.is_judged());
        let needs_judge = matches!(labeler, LabelerKind::Simulated | LabelerKind::Judge);
        errors.check(is_judged || !needs_judge, "label.labeler", || {
            "this labeler needs a task with a judge, data.source `world`, `stories` or `constraints`; expected `files`, `export`, \
             `reward_model`, `command`, `openai` or `nobody`"
                .into()
        });
        if labeler == LabelerKind::Command {
            errors.nest("label.command", self.label.command.validate());
        }
        if labeler == LabelerKind::Openai {
            errors.nest("label.openai", self.label.openai.validate());
        }
        let share = self.label.ranked_share;
        errors.check(share > 0.0 && share <= 1.0, "label.ranked_share", || {
            format!("expected more than 0 and at most 1, found {share}")
        });
        errors.check(
            (labeler == LabelerKind::RewardModel) != self.label.reward_model.as_os_str().is_empty(),
            "label.reward_model",
            || "expected a reward model where label.labeler is `reward_model`, and none elsewhere".into(),
        );
    }

    fn check_model(&self, errors: &mut ConfigErrors) {
        let tokens = self.tokenizer.vocab_size;
        let model = self.model.model_config(tokens, 0, Some(1));
        let mut faults = model.validate();
        if faults.is_empty() {
            faults = self.model.init.validate(&model);
        }
        for fault in faults.iter() {
            errors.push(
                format!("model.{}", documented_name(&fault.path)),
                fault.message.as_str(),
            );
        }
    }

    fn check_adapters(&self, errors: &mut ConfigErrors) {
        if self.data.base().is_some() {
            // The stages know the family once they have read it.
            return;
        }
        for (path, lora) in [
            ("sft.lora", &self.sft.lora),
            ("reward.lora", &self.reward.lora),
            ("ppo.lora", &self.ppo.lora),
        ] {
            if let Some(lora) = lora {
                errors.nest(path, lora.validate_targets(Family::Gpt2));
            }
        }
    }

    fn check_locations(&self, errors: &mut ConfigErrors) {
        let data = &self.data;
        errors.check(on_hub(&data.root).is_none(), "data.root", || {
            "a place on the Hub, expected a folder of this machine".into()
        });
        let mut check = |path: &str, location: &Path, read: fn(&str) -> rlhf_hub::Result<HubId>| {
            if let Some(Err(error)) = on_hub(location).map(read) {
                errors.push(path, error.to_string());
            }
        };
        check("data.base", &data.base, HubId::model);
        check("label.reward_model", &self.label.reward_model, HubId::model);
        check("ppo_reward.model", &self.ppo_reward.model, HubId::model);
        check("ppo_judge.model", &self.ppo_judge.model, HubId::model);
        check("overopt.gold", &self.overopt.gold, HubId::model);
        check(
            "sft_selection.reward_model",
            &self.sft_selection.reward_model,
            HubId::model,
        );
        for (name, list) in [
            ("pretrain", &data.pretrain),
            ("demonstrations", &data.demonstrations),
            ("comparisons", &data.comparisons),
            ("reward_prompts", &data.reward_prompts),
            ("ppo_prompts", &data.ppo_prompts),
        ] {
            for (index, source) in list.iter().enumerate() {
                check(&format!("data.{name}[{index}].path"), &source.path, HubId::data);
            }
        }
        for (index, source) in self.eval.references.iter().enumerate() {
            check(&format!("eval.references[{index}].path"), &source.path, HubId::data);
        }
        for (name, location) in &self.eval.judges {
            check(&format!("eval.judges.{name}"), location, HubId::model);
        }
    }

    fn check_data(&self, errors: &mut ConfigErrors) {
        let fraction = self.data.validation_fraction;
        errors.check(fraction > 0.0 && fraction < 1.0, "data.validation_fraction", || {
            format!("{fraction} is not between 0 and 1")
        });
        errors.check(self.data.max_seq_len > 1, "data.max_seq_len", || {
            format!("{}, expected at least 2 tokens", self.data.max_seq_len)
        });
        if !self.data.chat_date.is_empty()
            && let Err(rlhf_data::Error::Config { expected, found, .. }) = Clock::fixed(&self.data.chat_date, "")
        {
            errors.push("data.chat_date", format!("{found}, expected {expected}"));
        }
        self.check_lists(errors);
        errors.nest("world", self.world.validate());
        errors.nest("stories", self.stories.validate());
        errors.nest("constraints", self.constraints.validate());
        errors.nest("tokenizer", self.tokenizer.validate());
    }

    /// Lists of rows that something reads.
    fn check_lists(&self, errors: &mut ConfigErrors) {
        let data = &self.data;
        let (own_rows, labeler) = (data.source == DataSource::Files, self.label.labeler);
        let needs_text = data.base().is_none() || self.ppo.ptx.is_on() || self.sft_mix.pretrain_fraction > 0.0;
        let uses_text = needs_text && (own_rows || data.source == DataSource::Constraints);
        let asks = own_rows || data.source == DataSource::Constraints;
        for (path, list, needed, because) in [
            (
                "data.pretrain",
                &data.pretrain,
                uses_text || data.source == DataSource::Stories,
                "text is read: to pretrain without data.base, for ppo.ptx.coef, for sft_mix.pretrain_fraction, for stories",
            ),
            (
                "data.demonstrations",
                &data.demonstrations,
                own_rows && data.base().is_none(),
                "there is no data.base that could be asked something without them",
            ),
            (
                "data.ppo_prompts",
                &data.ppo_prompts,
                asks,
                "data.source is `files` or `constraints`",
            ),
            (
                "data.reward_prompts",
                &data.reward_prompts,
                asks && labeler.ranks_samples(),
                "their sampled answers are ranked, by label.labeler",
            ),
            (
                "data.comparisons",
                &data.comparisons,
                labeler == LabelerKind::Files,
                "label.labeler is `files`",
            ),
        ] {
            errors.check(!needed || !list.is_empty(), path, || {
                format!("empty, expected at least one file where {because}")
            });
        }
    }

    fn check_reward(&self, errors: &mut ConfigErrors) {
        let from = self.ppo_reward.from;
        errors.check(
            from != RewardSource::Judge || self.data.source.is_judged(),
            "ppo_reward.from",
            || "`judge` needs a task with a judge: data.source `world`, `stories` or `constraints`".into(),
        );
        errors.check(
            from != RewardSource::Trained || self.trains_reward_model(),
            "ppo_reward.from",
            || "`trained` needs a reward model, and with label.labeler = \"nobody\" there is none".into(),
        );
        if from == RewardSource::Command {
            errors.nest("ppo_reward.command", self.ppo_reward.command.validate());
        }
        errors.check(
            (from == RewardSource::Model) != self.ppo_reward.model.as_os_str().is_empty(),
            "ppo_reward.model",
            || "expected a reward model where ppo_reward.from is `model`, and none elsewhere".into(),
        );
        errors.check(
            from == RewardSource::Trained || self.ppo.value_init == ValueInit::ZeroHead,
            "ppo.value_init",
            || "`reward_model` is a copy of the reward model that the run trains, expected `zero_head` where ppo_reward.from is another".into(),
        );
    }
}

impl Config {
    fn check_judge(&self, errors: &mut ConfigErrors) {
        let from = self.ppo_judge.from;
        errors.check(
            from != JudgeSource::Judge || self.data.source.is_judged(),
            "ppo_judge.from",
            || "`judge` needs a task with a judge: data.source `world`, `stories` or `constraints`".into(),
        );
        errors.check(
            (from == JudgeSource::Model) != self.ppo_judge.model.as_os_str().is_empty(),
            "ppo_judge.model",
            || "expected a reward model where ppo_judge.from is `model`, and none elsewhere".into(),
        );
        errors.check(
            self.ppo.select != Select::Judge || from != JudgeSource::Nobody,
            "ppo.select",
            || "`judge` needs somebody who judges: ppo_judge.from".into(),
        );
    }
}

/// The name a model field has in `[model]`.
fn documented_name(field: &str) -> &str {
    match field {
        "n_embd" => "d_model",
        "n_layer" => "n_layers",
        "n_head" => "n_heads",
        "n_positions" => "max_seq_len",
        other => other,
    }
}
