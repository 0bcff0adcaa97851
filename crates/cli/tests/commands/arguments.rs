//! The command line itself.

use std::process::{Command, Stdio};

use rlhf_pipeline::{STAGES, Stage};

use crate::support::{argument, golden, rlhf};

#[test]
fn an_unknown_command_or_option_names_the_nearest() {
    rlhf(&["pretain"]).refused(2, &["'pretain'", "'pretrain'"]);
    rlhf(&["score", "--modell", "x"]).refused(2, &["'--modell'", "'--model'"]);
    rlhf(&["logprobs", "--model", "x"]).refused(2, &["--input <FILE>"]);
}

#[test]
fn every_command_has_help() {
    let others = [
        "logprobs", "score", "generate", "chat", "template", "merge", "stages", "config", "bench", "data",
    ];
    let overview = rlhf(&["--help"]).printed();
    for command in STAGES.into_iter().map(Stage::name).chain(others) {
        assert!(
            overview.contains(&format!("  {command} ")),
            "{command} is not in the overview"
        );
        assert!(rlhf(&[command, "--help"]).printed().contains("Usage: rlhf"));
    }
}

#[test]
fn a_stage_says_what_it_does_and_takes_the_options_of_all() {
    let overview = rlhf(&["--help"]).printed();
    for stage in STAGES {
        assert!(overview.contains(stage.about()), "{}", stage.name());
        let help = rlhf(&[stage.name(), "--help"]).printed();
        assert!(help.starts_with(stage.about()), "{help}");
        for option in [
            "--config",
            "--set",
            "--seed",
            "--base",
            "--run",
            "--overwrite",
            "--ignore-memory",
            "--offline",
        ] {
            assert!(help.contains(option), "{option} is not in: {help}");
        }
    }
}

#[test]
fn the_stages_are_printed_in_order() {
    let names: Vec<&str> = STAGES.into_iter().map(Stage::name).collect();
    assert_eq!(rlhf(&["stages"]).printed(), names.join("\n") + "\n");
}

#[test]
fn an_unknown_device_lists_those_of_this_build() {
    let model = argument(&golden("gpt2"));
    let found = rlhf(&["logprobs", "--model", &model, "--input", "-", "--device", "tpu"]);
    found.refused(1, &["unknown device `tpu`", "flex"]);
    rlhf(&["eval", "--run", "no-such-run", "--device", "tpu"]).refused(1, &["unknown device `tpu`", "flex"]);
}

#[test]
fn options_out_of_range_are_named() {
    let model = argument(&golden("gpt2"));
    let generate = |more: &[&str]| rlhf(&[&["generate", "--model", &model, "--prompt", "x"], more].concat());
    generate(&["--top-p", "1.5"]).refused(1, &["--top-p: expected more than 0 and at most 1, found 1.5"]);
    generate(&["--temperature", "-1"]).refused(1, &["--temperature: expected 0 to 100, found -1"]);
    generate(&["--min-p", "2"]).refused(1, &["--min-p: expected 0 to 1, found 2"]);
    generate(&["--repetition-penalty", "0"]).refused(1, &["--repetition-penalty: expected 0.01 to 100, found 0"]);
    generate(&["-n", "0"]).refused(1, &["--n: 0, expected at least 1"]);
    generate(&["--max-new-tokens", "0"]).refused(1, &["--max-new-tokens: 0, expected at least 1"]);
    generate(&["--input", "x"]).refused(2, &["'--prompt <TEXT>' cannot be used with '--input <FILE>'"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rlhf"))
        .args(["config", "--markdown"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
