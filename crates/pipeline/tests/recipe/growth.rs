//! PPO that is asked for more than it was finished with.

use std::fs;
use std::path::Path;

use rlhf_core::{MetricRow, ScheduleKind, read_metrics};
use rlhf_pipeline::stages::{Eval, Ppo};
use rlhf_pipeline::{Config, Options, Run};

use crate::support::{before, copy, finish, refusal, tiny_with, try_stage};

/// `tiny` with 16 episodes to an update.
fn updates(updates: usize, kind: ScheduleKind) -> Config {
    tiny_with(|config| {
        config.ppo.episodes = 16 * updates;
        config.ppo.lr.kind = kind;
        config.ppo.value_lr.kind = kind;
        config.ppo.checkpoint_every = 4;
        config.eval.prompts = 8;
    })
}

fn constant(count: usize) -> Config {
    updates(count, ScheduleKind::Constant)
}

/// The results of the stages before PPO, in a folder of their own.
fn prepared(dir: &Path) {
    for stage in before(&Ppo) {
        finish(dir, &constant(3), stage);
    }
}

fn curves(dir: &Path) -> Vec<MetricRow> {
    let rows = read_metrics(dir.join("ppo/metrics.jsonl")).expect("metrics are whole");
    rows.into_iter().map(MetricRow::without_times).collect()
}

#[test]
fn a_finished_run_goes_on_and_ends_as_one_of_that_length_from_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let [grown, whole] = ["grown", "whole"].map(|name| dir.path().join(name));
    prepared(&grown);
    copy(&grown, &whole);
    finish(&grown, &constant(3), &Ppo);
    finish(&grown, &constant(3), &Eval);
    let (finished, said) = try_stage(&grown, &constant(6), &Ppo);
    assert!(!finished.unwrap().was_complete);
    assert!(said.contains("ppo: goes on from 3 to 6 updates"), "{said}");
    // The first of the updates that were left, and none before it.
    assert!(said.contains("\n4/6") && !said.contains("\n3/6"), "{said}");
    finish(&whole, &constant(6), &Ppo);
    for file in [
        "model.safetensors",
        "ema_model/model.safetensors",
        "value_model/model.safetensors",
        "samples.jsonl",
        "report.json",
    ] {
        let read = |dir: &Path| fs::read(dir.join("ppo").join(file)).unwrap();
        assert!(read(&grown) == read(&whole), "{file} differs");
    }
    assert_eq!(curves(&grown), curves(&whole));
    assert!(finish(&grown, &constant(6), &Ppo).was_complete);
    // What was made of the shorter run is told apart.
    let refused = refusal(&grown, &constant(6), &Eval);
    assert!(refused.contains("inputs.ppo/"), "{refused}");
    let options = Options {
        overwrite: true,
        ..Options::default()
    };
    let run = Run::open(&grown, constant(6), options).unwrap();
    let findings = run.stage(&Eval).unwrap().findings.expect("a table");
    let summary = run.summary().unwrap();
    assert!(findings.contains(&summary.table()), "{findings}");
    assert_eq!(summary.prompts, 8);
}

#[test]
fn less_than_is_done_is_refused_finished_or_not() {
    let dir = tempfile::tempdir().unwrap();
    prepared(dir.path());
    finish(dir.path(), &constant(4), &Ppo);
    let check = || {
        let refused = refusal(dir.path(), &constant(3), &Ppo);
        let expected = "4 updates are done and ppo.episodes asks for 3";
        assert!(
            refused.contains(expected) && refused.contains("--overwrite"),
            "{refused}"
        );
    };
    check();
    // As if it had been killed when all but the mark was written.
    fs::remove_file(dir.path().join("ppo/complete.json")).unwrap();
    check();
    // As many as before are complete in a moment; a few episodes more are no update more.
    assert!(!finish(dir.path(), &constant(4), &Ppo).was_complete);
    let mut some_more = constant(4);
    some_more.ppo.episodes += 15;
    assert!(finish(dir.path(), &some_more, &Ppo).was_complete);
}

#[test]
fn a_run_whose_learning_rate_falls_does_not_go_on_and_says_which_would() {
    let dir = tempfile::tempdir().unwrap();
    prepared(dir.path());
    let falling = |count| updates(count, ScheduleKind::Linear);
    finish(dir.path(), &falling(2), &Ppo);
    let weights = || fs::read(dir.path().join("ppo/model.safetensors")).unwrap();
    let before = weights();
    for asked in [3, 1] {
        let refused = refusal(dir.path(), &falling(asked), &Ppo);
        let change = format!("ppo.episodes = 32 and cannot go on to {}", 16 * asked);
        for part in [
            change.as_str(),
            "falls towards the last update",
            "`constant`",
            "--overwrite",
        ] {
            assert!(refused.contains(part), "{part:?} is not in: {refused}");
        }
    }
    // Another schedule is another run, as ever.
    let refused = refusal(dir.path(), &constant(3), &Ppo);
    assert!(
        refused.contains(r#"ppo.lr.kind: now "constant", then "linear""#),
        "{refused}"
    );
    assert_eq!(weights(), before);
    assert!(finish(dir.path(), &falling(2), &Ppo).was_complete);
}
