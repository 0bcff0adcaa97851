//! The keys of the configuration that each stage depends on.

use std::path::PathBuf;

use rlhf_core::{LrSchedule, ScheduleKind};
use rlhf_data::Source;
use rlhf_pipeline::config::{DataSource, LabelerKind};
use rlhf_pipeline::stages::{Eval, Label, Ppo, Pretrain, Reward, Sample, Sft, Tokenizer};
use rlhf_pipeline::{Config, STAGES, Stage};
use rlhf_sft::Selection;

use crate::support::{tiny, tiny_with};

/// The sections that a stage depends on, and the keys of `[data]`.
fn depends_on(stage: &dyn Stage, config: &Config) -> (String, String) {
    let settings = stage.settings(config);
    let table = settings.as_object().expect("settings are a table");
    let sections = table.keys().filter(|section| *section != "data").cloned();
    let mut sections: Vec<String> = sections.collect();
    let data = table.get("data").and_then(|data| data.as_object());
    let mut data: Vec<String> = data.into_iter().flat_map(|data| data.keys()).cloned().collect();
    sections.sort();
    data.sort();
    (sections.join(" "), data.join(" "))
}

fn check(config: &Config, expected: [(&dyn Stage, &str, &str); 8]) {
    for ((stage, sections, data), listed) in expected.into_iter().zip(STAGES) {
        assert_eq!(stage.name(), listed.name());
        let found = depends_on(stage, config);
        assert_eq!(
            (found.0.as_str(), found.1.as_str()),
            (sections, data),
            "{}",
            stage.name()
        );
    }
}

#[test]
fn a_stage_of_a_judged_task_depends_on_its_own_section_and_the_task() {
    check(
        &tiny(),
        [
            (&Tokenizer, "tokenizer world", "base chat_template source"),
            (&Pretrain, "model pretrain", "base max_seq_len source"),
            (&Sft, "sft sft_mix", "chat_date max_seq_len source"),
            (&Sample, "label sample", "chat_date long_prompts max_seq_len source"),
            (&Label, "label world", "source"),
            (&Reward, "reward", "chat_date max_seq_len source"),
            (&Ppo, "ppo ppo_reward", "chat_date long_prompts max_seq_len source"),
            (&Eval, "eval world", "chat_date long_prompts max_seq_len source"),
        ],
    );
}

#[test]
fn a_stage_of_users_files_depends_on_the_lists_that_it_reads() {
    let config = tiny_with(|config| {
        config.data.source = DataSource::Files;
        config.data.demonstrations = vec![Source::new("demonstrations.jsonl")];
        config.label.labeler = LabelerKind::Files;
    });
    let fraction = "validation_fraction";
    check(
        &config,
        [
            (
                &Tokenizer,
                "tokenizer",
                &format!("base chat_template demonstrations pretrain source {fraction}"),
            ),
            (
                &Pretrain,
                "model pretrain",
                &format!("base max_seq_len pretrain source {fraction}"),
            ),
            (
                &Sft,
                "sft sft_mix",
                &format!("chat_date demonstrations max_seq_len pretrain source {fraction}"),
            ),
            (&Sample, "label", ""),
            (&Label, "label", &format!("comparisons comparisons_part {fraction}")),
            (
                &Reward,
                "reward",
                &format!("chat_date demonstrations max_seq_len source {fraction}"),
            ),
            (
                &Ppo,
                "ppo ppo_reward",
                &format!("chat_date long_prompts max_seq_len ppo_prompts pretrain source {fraction}"),
            ),
            (
                &Eval,
                "eval",
                &format!("chat_date long_prompts max_seq_len ppo_prompts pretrain source {fraction}"),
            ),
        ],
    );
}

#[test]
fn a_model_to_start_from_takes_the_place_of_what_would_train_one() {
    let config = tiny_with(|config| config.data.base = PathBuf::from("somewhere"));
    assert_eq!(depends_on(&Pretrain, &config), (String::new(), "base".to_owned()));
    let (sections, _) = depends_on(&Tokenizer, &config);
    // Its own rows of the world are written all the same.
    assert_eq!(sections, "world");
}

#[test]
fn selection_by_score_depends_on_how_the_answers_that_are_scored_come_about() {
    let by_score = |change: fn(&mut Config)| {
        let mut config = tiny_with(|config| config.sft.select = Selection::RewardScore);
        change(&mut config);
        Sft.settings(&config)
    };
    let settings = by_score(|_| {});
    for change in [
        |config: &mut Config| config.sample.max_new_tokens += 1,
        |config: &mut Config| config.eval.sampling.temperature = 0.5,
        |config: &mut Config| config.sft_selection.prompts += 1,
        |config: &mut Config| config.sft_selection.reward_model = "reward".into(),
    ] {
        assert_ne!(by_score(change), settings);
        let mut config = tiny();
        change(&mut config);
        assert_eq!(Sft.settings(&config), Sft.settings(&tiny()));
    }
}

#[test]
fn what_is_not_read_does_not_count() {
    let unmixed = tiny_with(|config| config.sft_mix.pretrain_fraction = 0.0);
    let with_text = |config: &Config| {
        let mut config = config.clone();
        config.data.source = DataSource::Files;
        config.data.pretrain = vec![Source::new("text.txt")];
        config.data.demonstrations = vec![Source::new("demonstrations.jsonl")];
        config
    };
    // Pretraining text is no input of stages that mix none of it in.
    let (_, data) = depends_on(&Sft, &with_text(&unmixed));
    assert_eq!(data, "chat_date demonstrations max_seq_len source validation_fraction");
    // Trimmed prompts are others; where nothing is trimmed, nothing depends on it.
    let trimmed = tiny_with(|config| config.data.max_prompt_tokens = Some(40));
    for stage in [&Sample as &dyn Stage, &Ppo, &Eval] {
        let (_, data) = depends_on(stage, &trimmed);
        assert!(data.contains("max_prompt_tokens"), "{}: {data}", stage.name());
    }
    let plain = tiny_with(|config| config.ppo.ptx.coef = 0.0);
    let (_, data) = depends_on(&Ppo, &with_text(&plain));
    assert_eq!(
        data,
        "chat_date long_prompts max_seq_len ppo_prompts source validation_fraction"
    );
}

/// The built-in model's context once limited the answers of every other model.
#[test]
fn answers_are_limited_by_the_model_that_runs() {
    let fault = |change: &dyn Fn(&mut Config)| {
        let config = tiny_with(|config| {
            config.eval.max_new_tokens = 1000;
            change(config);
        });
        let faults = config.validate();
        let found = faults.iter().find(|fault| fault.path == "eval.max_new_tokens");
        found.map(|fault| fault.message.clone())
    };
    assert!(fault(&|_| {}).expect("too long").contains("model.max_seq_len"));
    assert_eq!(fault(&|config| config.data.base = "a/model".into()), None);
    let limited = fault(&|config| {
        config.data.base = "a/model".into();
        config.data.max_seq_len = 512;
    });
    assert!(limited.expect("too long").contains("data.max_seq_len 512"));
}

#[test]
fn keys_that_change_no_result_are_no_settings() {
    let changed = tiny_with(|config| {
        for sft in [&mut config.pretrain, &mut config.sft] {
            sft.microbatch_tokens += 1;
            sft.gradient_checkpointing = true;
            sft.log_every += 1;
            sft.checkpoint_every += 1;
        }
        config.reward.microbatch_tokens += 1;
        config.reward.gradient_checkpointing = true;
        config.reward.log_every += 1;
        config.reward.checkpoint_every += 1;
        config.ppo.microbatch_tokens += 1;
        config.ppo.gradient_checkpointing = true;
        config.ppo.log_every += 1;
        config.ppo.checkpoint_every += 1;
        config.device = "cuda:1".to_owned();
    });
    for stage in STAGES {
        assert_eq!(stage.settings(&changed), stage.settings(&tiny()), "{}", stage.name());
    }
}

#[test]
fn the_number_of_episodes_is_a_setting_only_where_the_learning_rate_falls() {
    let more = |kind| {
        let schedule = |peak_lr| LrSchedule {
            peak_lr,
            kind,
            ..LrSchedule::default()
        };
        let config = tiny_with(|config| {
            config.ppo.lr = schedule(1e-3);
            config.ppo.value_lr = schedule(1e-3);
        });
        let mut longer = config.clone();
        longer.ppo.episodes *= 2;
        assert_ne!(Ppo.extent(&longer), Ppo.extent(&config));
        Ppo.settings(&longer) == Ppo.settings(&config)
    };
    assert!(more(ScheduleKind::Constant));
    assert!(!more(ScheduleKind::Linear));
    assert!(!more(ScheduleKind::Cosine));
}
