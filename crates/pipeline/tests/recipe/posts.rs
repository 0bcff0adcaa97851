//! Posts that are too long, as in "Learning to summarize": they lose their last paragraphs, in every stage alike.

use std::fs;
use std::path::Path;

use rlhf_data::{Documents, Source};
use rlhf_pipeline::config::{DataSource, LabelerKind};
use rlhf_pipeline::{Config, STAGES};

use crate::support::{finish, refusal, tiny_with, try_stage};

const KINDS: [&str; 6] = ["red", "blue", "round", "flat", "old", "new"];

/// A post of `paragraphs` lines, for JSON.
fn post(n: usize, paragraphs: usize) -> String {
    let body: String = (0..paragraphs)
        .map(|line| format!("Ada has {} boats {line}.\\n", KINDS[line % 6]))
        .collect();
    format!("TITLE: Boat {n}\\n\\nPOST: {body}\\n\\nTL;DR:")
}

/// `tiny` on posts, every second of which has more paragraphs than its context of 128 tokens.
fn on_posts(dir: &Path, max_prompt_tokens: Option<usize>) -> Config {
    let write = |name: &str, row: &dyn Fn(usize, &str) -> String| {
        let path = dir.join(name);
        let rows: String = (0..60)
            .map(|n| row(n, &post(n, if n % 2 == 0 { 2 } else { 60 })) + "\n")
            .collect();
        fs::write(&path, rows).expect("a temporary folder");
        vec![Source::new(path)]
    };
    let kind = |n: usize| KINDS[n % KINDS.len()];
    let mut text = write("text.txt", &|n, _| {
        format!("Ada has {n} boats and sells a {} kite.", kind(n))
    });
    text[0].documents = Documents::LineBreak;
    tiny_with(|config| {
        config.data.source = DataSource::Files;
        config.data.validation_fraction = 0.3;
        config.data.max_prompt_tokens = max_prompt_tokens;
        config.data.pretrain = text;
        config.data.demonstrations = write("demonstrations.jsonl", &|n, post| {
            format!(r#"{{"prompt": "{post}", "completion": " {} boats."}}"#, kind(n))
        });
        config.data.comparisons = write("comparisons.jsonl", &|n, post| {
            let (better, worse) = (kind(n), kind(n + 1));
            format!(r#"{{"prompt": "{post}", "chosen": " {better} boats.", "rejected": " {worse}"}}"#)
        });
        config.data.ppo_prompts = write("prompts.jsonl", &|_, post| format!(r#"{{"prompt": "{post}"}}"#));
        config.label.labeler = LabelerKind::Files;
    })
}

#[test]
fn a_run_on_long_posts_trims_them_in_every_stage_that_reads_them() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let config = on_posts(dir.path(), Some(60));
    for stage in STAGES {
        let (finished, said) = try_stage(dir.path(), &config, stage);
        let finished = finished.map(|finished| finished.was_complete);
        assert!(finished.is_ok(), "{}: {finished:?}\n{said}", stage.name());
        let read = match stage.name() {
            "sft" => "demonstrations",
            "reward" => "comparisons",
            "ppo" | "eval" => "prompts",
            _ => continue,
        };
        let trimmed = format!("{read} had prompts of more than 60 tokens (data.max_prompt_tokens)");
        assert!(said.contains(&trimmed), "{}: {said}", stage.name());
        assert!(!said.contains("left out"), "{}: {said}", stage.name());
    }
}

#[test]
fn without_it_a_prompt_that_does_not_fit_ends_the_stage() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let config = on_posts(dir.path(), None);
    for stage in STAGES.into_iter().take_while(|stage| stage.name() != "ppo") {
        finish(dir.path(), &config, stage);
    }
    let ppo = STAGES
        .into_iter()
        .find(|stage| stage.name() == "ppo")
        .expect("it is one of them");
    let refused = refusal(dir.path(), &config, ppo);
    assert!(refused.contains("tokens"), "{refused}");
}

#[test]
fn a_prompt_cannot_be_longer_than_a_sequence() {
    let config = on_posts(&std::env::temp_dir(), Some(5000));
    let faults = config.validate();
    let fault = faults.iter().find(|fault| fault.path == "data.max_prompt_tokens");
    assert!(
        fault.is_some_and(|fault| fault.message.contains("max_seq_len")),
        "{faults:?}"
    );
}
