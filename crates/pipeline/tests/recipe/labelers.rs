//! Who ranks, and what PPO optimises: everybody that the configuration can name, on prompts of the user's own.

use std::fs;
use std::path::Path;

use rlhf_data::Source;
use rlhf_model::load_config;
use rlhf_pipeline::config::{DataSource, LabelerKind, RewardSource};
use rlhf_pipeline::stages::{Eval, Label, Ppo, Reward, Sample, Sft};
use rlhf_pipeline::{Config, Run, Stage};
use rlhf_ppo::ValueInit;
use serde_json::Value;

use crate::support::{before, copy, finish, refusal, tiny_with, try_stage};

/// A run whose model has been trained on the user's demonstrations, and its configuration: prompts of the user's own, ranked by
/// nobody yet.
fn trained(dir: &Path) -> Config {
    let lines = |count: usize, row: &dyn Fn(usize) -> String| (0..count).map(|n| row(n) + "\n").collect::<String>();
    let write = |name: &str, content: String| {
        let path = dir.join(name);
        fs::write(&path, content).expect("a temporary folder");
        vec![Source::new(path)]
    };
    let text = write(
        "text.jsonl",
        lines(120, &|n| {
            format!(r#"{{"text": "Ada has {n} boats and sells a red kite."}}"#)
        }),
    );
    let demonstrations = lines(80, &|n| {
        format!(r#"{{"prompt": "What is thing {n}?", "completion": "It is a boat."}}"#)
    });
    let demonstrations = write("demonstrations.jsonl", demonstrations);
    let prompts = write(
        "prompts.jsonl",
        lines(40, &|n| format!(r#"{{"prompt": "Where is boat {n}?"}}"#)),
    );
    let config = tiny_with(|config| {
        config.data.source = DataSource::Files;
        config.data.validation_fraction = 0.2;
        config.data.pretrain = text;
        config.data.demonstrations = demonstrations;
        config.data.reward_prompts.clone_from(&prompts);
        config.data.ppo_prompts = prompts;
        config.label.labeler = LabelerKind::Export;
        config.ppo.episodes = 32;
    });
    for stage in before(&Sample) {
        finish(dir, &config, stage);
    }
    config
}

fn with(config: &Config, change: impl FnOnce(&mut Config)) -> Config {
    let mut config = config.clone();
    change(&mut config);
    config
}

/// The rows of a file of a stage.
fn rows(dir: &Path, file: &str) -> Vec<Value> {
    let text = fs::read_to_string(dir.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a row"))
        .collect()
}

/// For every task its ranking: the longest completion first.
fn longest_first<'a>(tasks: impl Iterator<Item = &'a Value>) -> String {
    let ranking = |task: &Value| {
        let len = |text: &Value| text.as_str().map_or(0, str::len);
        let completions = task["completions"].as_array().expect("a list");
        let rank = |text: &Value| completions.iter().filter(|other| len(other) > len(text)).count();
        let ranks: Vec<usize> = completions.iter().map(rank).collect();
        serde_json::json!({ "id": task["id"], "ranking": ranks, "labeler": "maud" }).to_string() + "\n"
    };
    tasks.map(ranking).collect()
}

/// Every ranking has the longest completion first.
#[track_caller]
fn check_prefers_length(dir: &Path, labeler: &str) {
    let comparisons = rows(dir, "label/comparisons.jsonl");
    assert!(!comparisons.is_empty());
    for row in comparisons {
        assert_eq!(row["labeler"], labeler);
        let texts = row["completions"].as_array().expect("a list");
        let best = row["ranking"]
            .as_array()
            .expect("a list")
            .iter()
            .position(|rank| *rank == 0);
        let longest = texts.iter().map(|text| text.as_str().map_or(0, str::len)).max();
        let found = texts[best.expect("somebody is first")].as_str().map(str::len);
        assert_eq!(found, longest, "{row}");
    }
}

/// A program that finds the four answers of every prompt the better the earlier they stand.
const IN_ORDER: &str = r#"while read -r line; do echo '{"ranking": [0, 1, 2, 3]}'; done"#;

#[test]
fn people_are_waited_for_and_the_run_goes_on_when_their_rankings_lie_there() {
    let dir = tempfile::tempdir().unwrap();
    let config = trained(dir.path());
    finish(dir.path(), &config, &Sample);
    let waits = refusal(dir.path(), &config, &Label);
    let tasks = rows(dir.path(), "people/tasks.jsonl");
    assert_eq!(tasks.len(), 40);
    for said in [
        "40 tasks for people, of which 0 are ranked",
        "README.txt",
        "start the same command again",
    ] {
        assert!(waits.contains(said), "{said}: {waits}");
    }
    let rankings = dir.path().join("people/rankings.jsonl");
    fs::write(
        &rankings,
        longest_first(
            tasks
                .iter()
                .enumerate()
                .filter(|(n, _)| n % 4 > 0)
                .map(|(_, task)| task),
        ),
    )
    .unwrap();
    let waits = refusal(dir.path(), &config, &Label);
    assert!(waits.contains("of which 30 are ranked"), "{waits}");
    // Some are enough if the user says so; what people wrote is an input like any other.
    let most = with(&config, |config| config.label.ranked_share = 0.7);
    finish(dir.path(), &most, &Label);
    check_prefers_length(dir.path(), "maud");
    finish(dir.path(), &most, &Reward);
    fs::write(&rankings, longest_first(tasks.iter())).unwrap();
    let refused = refusal(dir.path(), &config, &Label);
    assert!(refused.contains("rankings.jsonl"), "{refused}");
    // A ranking of something else is told by its line.
    fs::write(&rankings, "{\"id\": \"nobody-7\", \"ranking\": [0, 1]}\n").unwrap();
    fs::remove_dir_all(dir.path().join("label")).unwrap();
    let refused = refusal(dir.path(), &config, &Label);
    assert!(
        refused.contains("rankings.jsonl:1") && refused.contains("nobody-7"),
        "{refused}"
    );
}

#[test]
fn a_command_ranks_and_another_scores_what_ppo_writes() {
    let dir = tempfile::tempdir().unwrap();
    let config = trained(dir.path());
    let ranks = with(&config, |config| {
        (config.sample.k_min, config.sample.k_max) = (4, 4);
        config.label.labeler = LabelerKind::Command;
        config.label.command.program = ["sh", "-c", IN_ORDER].map(str::to_owned).to_vec();
    });
    finish(dir.path(), &ranks, &Sample);
    finish(dir.path(), &ranks, &Label);
    let comparisons = rows(dir.path(), "label/comparisons.jsonl");
    assert!(!comparisons.is_empty());
    assert!(
        comparisons
            .iter()
            .all(|row| row["ranking"] == serde_json::json!([0, 1, 2, 3]))
    );
    finish(dir.path(), &ranks, &Reward);
    // A program that likes everything equally well: the score of every episode is 0.5.
    let scored = |program: &str| {
        let program = ["sh", "-c", program].map(str::to_owned).to_vec();
        with(&ranks, |config| {
            config.ppo_reward.from = RewardSource::Command;
            config.ppo_reward.command.program = program;
            config.ppo.value_init = ValueInit::ZeroHead;
        })
    };
    let config = scored(r#"while read -r line; do echo '{"score": 0.5}'; done"#);
    finish(dir.path(), &config, &Ppo);
    assert!(
        rows(dir.path(), "ppo/samples.jsonl")
            .iter()
            .all(|row| row["score"] == 0.5)
    );
    fs::remove_dir_all(dir.path().join("ppo")).unwrap();
    let config = scored(r#"echo 'out of paper' >&2; exit 3"#);
    let refused = refusal(dir.path(), &config, &Ppo);
    assert!(refused.contains("out of paper"), "{refused}");
}

#[test]
fn a_reward_model_of_another_run_ranks_and_is_optimised_with_a_tokenizer_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let config = trained(dir.path());
    // Another model, of another width and vocabulary, which a run on the built-in world has trained.
    let other = tempfile::tempdir().unwrap();
    let wider = tiny_with(|config| {
        config.model.d_model = 48;
        config.tokenizer.vocab_size = 400;
    });
    for stage in before(&Ppo) {
        finish(other.path(), &wider, stage);
    }
    let judge = other.path().join("reward");
    let config = with(&config, |config| {
        config.label.labeler = LabelerKind::RewardModel;
        config.label.reward_model.clone_from(&judge);
        config.ppo_reward.from = RewardSource::Model;
        config.ppo_reward.model.clone_from(&judge);
        config.ppo.value_init = ValueInit::ZeroHead;
    });
    for stage in [&Sample as &dyn Stage, &Label, &Reward, &Ppo, &Eval] {
        finish(dir.path(), &config, stage);
    }
    assert!(
        rows(dir.path(), "label/comparisons.jsonl")
            .iter()
            .all(|row| row["labeler"] == "reward_model")
    );
    let width = |folder: &Path| load_config(folder).expect("a model").vocab_size();
    assert_ne!(width(&judge), width(&dir.path().join("ppo")));
    let scores: Vec<f64> = rows(dir.path(), "ppo/samples.jsonl")
        .iter()
        .filter_map(|row| row["score"].as_f64())
        .collect();
    assert!(scores.iter().any(|score| *score != scores[0]), "{scores:?}");
    // A value function cannot begin as a model of another tokenizer.
    let faulty = with(&config, |config| config.ppo.value_init = ValueInit::RewardModel);
    let error = Run::open(dir.path(), faulty, Default::default())
        .err()
        .expect("refused")
        .to_string();
    assert!(
        error.contains("ppo.value_init") && error.contains("zero_head"),
        "{error}"
    );
}

#[test]
fn where_nobody_ranks_ppo_optimises_the_judge_of_the_task_and_there_is_no_reward_model() {
    let dir = tempfile::tempdir().unwrap();
    let config = tiny_with(|config| {
        config.label.labeler = LabelerKind::Nobody;
        config.ppo_reward.from = RewardSource::Judge;
        config.ppo.value_init = ValueInit::ZeroHead;
        config.ppo.samples_per_prompt = 4;
        config.ppo.keep_every = 2;
        config.ppo.episodes = 64;
    });
    for stage in before(&Ppo) {
        finish(dir.path(), &config, stage);
    }
    assert!(!dir.path().join("reward/model.safetensors").exists());
    let (finished, said) = try_stage(dir.path(), &config, &Ppo);
    finished.expect("the judge scores");
    assert!(said.contains("score "), "{said}");
    // Four answers to a prompt stand together.
    let samples = rows(dir.path(), "ppo/samples.jsonl");
    assert!(
        samples
            .chunks(4)
            .all(|answers| answers.iter().all(|row| row["prompt"] == answers[0]["prompt"]))
    );
    // Of four updates the second and the last are kept as models.
    for update in [2, 4] {
        load_config(&dir.path().join(format!("ppo/models/step-{update:08}"))).expect("a model");
    }
    assert!(!dir.path().join("ppo/models/step-00000003").exists());
    finish(dir.path(), &config, &Eval);
    let summary: Value =
        serde_json::from_str(&fs::read_to_string(dir.path().join("eval/summary.json")).unwrap()).unwrap();
    assert!(summary["ppo"]["mean_score"].is_null() && summary["reward"].is_null());
    assert!(summary["ppo"]["mean_gold"]["value"].is_number());
    assert!(summary["ppo"]["gains"]["all prompts"]["gold_gain"]["low"].is_number());
}

#[test]
fn constraints_are_put_on_prompts_of_the_users_own_and_checked_by_a_program() {
    let dir = tempfile::tempdir().unwrap();
    let own = trained(dir.path());
    let run = tempfile::tempdir().unwrap();
    let config = with(&own, |config| {
        config.data.source = DataSource::Constraints;
        config.constraints.kinds = ["lower_case", "no_comma", "words_at_most", "end_question"]
            .map(str::to_owned)
            .to_vec();
        config.constraints.held_out_kinds = vec!["end_question".to_owned()];
        config.constraints.demonstrations = 40;
        config.constraints.held_out_prompts = 12;
        config.label.labeler = LabelerKind::Nobody;
        config.ppo_reward.from = RewardSource::Judge;
        config.ppo.value_init = ValueInit::ZeroHead;
        config.data.reward_prompts.clear();
    });
    for stage in before(&Eval) {
        finish(run.path(), &config, stage);
    }
    let asked = rows(run.path(), "data/prompts.ppo.jsonl");
    assert!(asked.iter().all(|row| row["task"]["held_out_kind"] == false));
    finish(run.path(), &config, &Eval);
    let summary: Value =
        serde_json::from_str(&fs::read_to_string(run.path().join("eval/summary.json")).unwrap()).unwrap();
    let gains = summary["ppo"]["gains"].as_object().expect("groups");
    let groups: Vec<&str> = gains.keys().map(String::as_str).collect();
    assert_eq!(groups, ["all prompts", "held-out kinds", "kinds trained on"]);
    let count = |group: &str| gains[group]["prompts"].as_u64().expect("a count");
    assert_eq!(
        count("all prompts"),
        count("held-out kinds") + count("kinds trained on")
    );
}

#[test]
fn a_model_of_the_users_own_without_demonstrations_goes_on_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let own = trained(dir.path());
    let base = dir.path().join("base");
    copy(&dir.path().join("sft"), &base);
    let run = tempfile::tempdir().unwrap();
    let config = with(&own, |config| {
        config.data.base.clone_from(&base);
        config.data.demonstrations.clear();
        config.data.pretrain.clear();
        config.ppo.ptx.coef = 0.0;
        config.sft_mix.pretrain_fraction = 0.0;
        config.label.labeler = LabelerKind::RewardModel;
        config.label.reward_model = dir.path().join("reward");
    });
    for stage in before(&Sft) {
        finish(run.path(), &config, stage);
    }
    let (finished, said) = try_stage(run.path(), &config, &Sft);
    finished.expect("there is nothing to learn");
    assert!(said.contains("no demonstrations"), "{said}");
    let weights = |folder: &Path| fs::read(folder.join("model.safetensors")).expect("a model");
    assert!(weights(&base) == weights(&run.path().join("sft")));
}
