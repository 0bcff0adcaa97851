//! The surroundings of every stage, seen at the first one, which takes a moment.

use crate::support::{Outcome, argument, folder, language_model, rlhf};

/// Runs a stage on a world of a few pages.
fn stage(name: &str, run: &str, more: &[&str]) -> Outcome {
    let mut words = vec![name, "--run", run];
    for set in [
        "world.document_bytes=20000",
        "world.validation_document_bytes=2000",
        "tokenizer.vocab_size=400",
    ] {
        words.extend(["--set", set]);
    }
    rlhf(&[words.as_slice(), more].concat())
}

#[test]
fn a_complete_stage_is_not_run_again() {
    let run = argument(&folder("stages_complete"));
    let first = stage("tokenizer", &run, &[]);
    assert!(first.stderr.contains("tokenizer done in"), "{}", first.stderr);
    first.printed();
    let second = stage("tokenizer", &run, &[]);
    assert!(
        second.stderr.contains("tokenizer complete already"),
        "{}",
        second.stderr
    );
    second.printed();
    let text = std::fs::read_to_string(format!("{run}/config.toml")).expect("the run keeps its configuration");
    assert!(text.contains("vocab_size = 400  # --set"), "{text}");
    // What it made is a folder that the other commands read.
    rlhf(&[
        "data",
        "inspect",
        &format!("{run}/data/demonstrations.jsonl"),
        "--model",
        &format!("{run}/tokenizer"),
    ])
    .printed();
}

#[test]
fn what_another_configuration_finished_is_replaced_only_when_told_to() {
    let run = argument(&folder("stages_other"));
    stage("tokenizer", &run, &[]).printed();
    let other = ["--seed", "2"];
    stage("tokenizer", &run, &other).refused(1, &["another configuration", "seed: now 2, then 1", "--overwrite"]);
    stage("tokenizer", &run, &[other.as_slice(), &["--overwrite"]].concat()).printed();
    stage("tokenizer", &run, &[]).refused(1, &["seed: now 1, then 2"]);
}

#[test]
fn a_complete_stage_is_done_again_only_when_told_to() {
    let run = argument(&folder("stages_again"));
    stage("tokenizer", &run, &[]).printed();
    let tokenizer = format!("{run}/tokenizer/tokenizer.json");
    let first = std::fs::read(&tokenizer).expect("the stage wrote it");
    // What nothing of the stage would write is gone if its folder was cleared.
    let trace = format!("{run}/tokenizer/trace");
    std::fs::write(&trace, "").expect("the folder is there");
    stage("tokenizer", &run, &[]).printed();
    assert!(std::fs::exists(&trace).expect("the folder can be read"));
    let again = stage("tokenizer", &run, &["--overwrite"]);
    assert!(again.stderr.contains("tokenizer done in"), "{}", again.stderr);
    again.printed();
    assert!(!std::fs::exists(&trace).expect("the folder can be read"));
    assert_eq!(std::fs::read(&tokenizer).expect("the stage wrote it"), first);
}

#[test]
fn a_stage_without_its_input_names_the_stage_that_makes_it() {
    let run = argument(&folder("stages_missing"));
    stage("pretrain", &run, &[]).refused(1, &["stage `pretrain` needs", "run stage `tokenizer` first"]);
    stage("ppo", &run, &[]).refused(1, &["stage `ppo` needs", "run stage `sft` first"]);
}

#[test]
fn a_stage_that_another_process_works_on_is_left_alone() {
    let dir = folder("stages_locked");
    let run = rlhf_core::RunDir::open(&dir).expect("the target folder can be written");
    let lock = run.stage("tokenizer").lock().expect("nobody else has it");
    stage("tokenizer", &argument(&dir), &[]).refused(1, &["in use by another process"]);
    drop(lock);
    stage("tokenizer", &argument(&dir), &[]).printed();
}

#[test]
fn a_run_that_cannot_be_written_is_named() {
    let dir = folder("stages_unwritable");
    language_model(&dir);
    // A file stands where the run's folder should be.
    let blocked = argument(&dir.join("lm/config.json"));
    let found = stage("tokenizer", &blocked, &[]);
    found.refused(1, &["lm/config.json"]);
}
