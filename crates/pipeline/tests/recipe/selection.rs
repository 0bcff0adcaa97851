//! PPO that is evaluated while it goes on: the policy that is kept, models along the way, the prompts that choose and those that measure.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rlhf_pipeline::config::{JudgeSource, OveroptConfig};
use rlhf_pipeline::stages::{Eval, Overopt, Ppo};
use rlhf_ppo::{PpoReport, Select};
use serde_json::Value;

use crate::support::{before, finish, tiny_with, try_stage};

fn prompts_of(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).expect("it is written");
    let rows = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a row"));
    rows.map(|row| row["messages"][0]["content"].as_str().expect("a text").to_owned())
        .collect()
}

#[test]
fn the_best_of_the_evaluated_policies_is_the_model_of_the_stage_and_the_test_has_other_prompts() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let config = tiny_with(|config| {
        config.ppo.evaluate.every = 2;
        config.ppo.evaluate.prompts = 12;
        config.ppo.keep_every = 2;
        config.ppo.select = Select::Judge;
        config.ppo_judge.from = JudgeSource::Judge;
    });
    for stage in before(&Eval) {
        finish(dir.path(), &config, stage);
    }
    let report = fs::read(dir.path().join("ppo/report.json")).expect("it is written");
    let report: PpoReport = serde_json::from_slice(&report).expect("a report");
    let updates: Vec<u64> = report.evaluations.iter().map(|e| e.update).collect();
    assert_eq!(updates, [0, 2, 4, 6]);
    let judged = |update: u64| {
        report
            .evaluations
            .iter()
            .find(|e| e.update == update)
            .and_then(|e| e.judge)
    };
    let best = updates
        .iter()
        .filter_map(|&update| judged(update))
        .fold(f64::MIN, f64::max);
    assert_eq!(judged(report.selected), Some(best));
    // The kept model of that update is the one the stage ends with, byte for byte; the SFT model where none was better.
    let kept = match report.selected {
        0 => dir.path().join("sft/model.safetensors"),
        update => dir
            .path()
            .join(format!("ppo/models/step-{update:08}/model.safetensors")),
    };
    let [kept, model] = [kept, dir.path().join("ppo/model.safetensors")].map(|path| fs::read(path).expect("a model"));
    assert!(report.selected == 0 || kept == model);
    assert_eq!(
        fs::read_dir(dir.path().join("ppo/models")).expect("a folder").count(),
        3
    );

    looks_for_over_optimisation(dir.path(), &config, &report);
    finish(dir.path(), &config, &Eval);
    let tested = prompts_of(&dir.path().join("eval/samples.jsonl"));
    let held_out = prompts_of(&dir.path().join("data/prompts.held_out.jsonl"));
    assert!(tested.is_subset(&held_out));
    assert!(
        tested.iter().all(|prompt| rlhf_data::is_test(prompt)),
        "choices were made on {tested:?}"
    );
    assert!(held_out.difference(&tested).any(|prompt| !rlhf_data::is_test(prompt)));
}

/// The policies kept along the way, the SFT model before them, and best of n, on prompts of the test.
fn looks_for_over_optimisation(dir: &Path, config: &rlhf_pipeline::Config, report: &PpoReport) {
    let mut config = config.clone();
    config.overopt = OveroptConfig {
        prompts: 6,
        best_of_n_max: 4,
        best_of_n_prompts: 5,
        answers: 2,
        ..OveroptConfig::default()
    };
    let said = finish(dir, &config, &Overopt).findings.expect("there are findings");
    let found: rlhf_eval::Overopt =
        serde_json::from_slice(&fs::read(dir.join("overopt/summary.json")).expect("it is written")).expect("findings");
    let updates: Vec<u64> = found.ppo.iter().map(|point| point.update).collect();
    assert_eq!(updates, [0, 2, 4, 6]);
    let first = &found.ppo[0];
    assert_eq!(first.kl, Some(0.0), "the SFT model is no way from itself");
    assert!(found.ppo[3].kl.expect("answers are samples") > 0.0);
    assert!(
        first.proxy.n == 6 && first.gold.n == 6,
        "an interval is of prompts: {first:?}"
    );
    let ns: Vec<usize> = found.best_of_n.iter().map(|point| point.n).collect();
    assert_eq!(ns, [1, 2, 4]);
    let proxies: Vec<f64> = found.best_of_n.iter().map(|point| point.proxy.value).collect();
    assert!(
        proxies.is_sorted(),
        "the best of more is no worse to whoever chooses: {proxies:?}"
    );
    assert_eq!(found.kept, Some(report.selected));
    assert!(said.contains("| best of 4 |") && said.contains("| PPO 6 |"), "{said}");
    let (again, _) = try_stage(dir, &config, &Overopt);
    assert!(again.expect("it is done").was_complete);
    config.overopt.gold = "nowhere".into();
    assert!(
        try_stage(dir, &config, &Overopt).0.is_err(),
        "another judge is another look"
    );
}

#[test]
fn what_cannot_choose_is_refused_by_its_key() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let said = |change: fn(&mut rlhf_pipeline::Config)| {
        let errors = tiny_with(change).validate();
        errors.to_string()
    };
    let never = said(|c| {
        c.ppo.evaluate.every = 0;
        c.ppo.select = Select::Score;
    });
    assert!(never.starts_with("ppo.evaluate.every: 0, but ppo.select"), "{never}");
    let nobody = said(|c| {
        c.ppo.evaluate.every = 1;
        c.ppo.select = Select::Judge;
    });
    assert_eq!(nobody, "ppo.select: `judge` needs somebody who judges: ppo_judge.from");
    assert!(said(|c| c.ppo_judge.from = JudgeSource::Model).starts_with("ppo_judge.model: expected a reward model"));
    let missing = tiny_with(|c| {
        c.ppo.evaluate.every = 2;
        c.ppo_judge.from = JudgeSource::Model;
        c.ppo_judge.model = "nowhere".into();
    });
    let (result, _) = try_stage(dir.path(), &missing, &Ppo);
    assert!(result.is_err());
}
