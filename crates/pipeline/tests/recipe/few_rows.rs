//! Lists of few rows, and rows that cannot be told apart or written: what a run says of them.

use std::fs;
use std::path::Path;

use rlhf_data::{Documents, Source};
use rlhf_pipeline::Config;
use rlhf_pipeline::config::{DataSource, LabelerKind};
use rlhf_pipeline::stages::{Label, Pretrain, Sft, Tokenizer};

use crate::support::{finish, refusal, tiny_with};

const KINDS: [&str; 6] = ["red", "blue", "round", "flat", "old", "new"];

/// Rows, one a line.
fn lines(count: usize, row: impl Fn(usize) -> String) -> String {
    (0..count).map(|n| row(n) + "\n").collect()
}

/// `tiny` on the files of a folder, which are written here.
fn on_files(dir: &Path, demonstrations: &str, text: &str) -> Config {
    let write = |name: &str, content: &str| {
        let path = dir.join(name);
        fs::write(&path, content).expect("a temporary folder");
        vec![Source::new(path)]
    };
    let prompts = lines(40, |n| format!(r#"{{"prompt": "What is thing {n} like?"}}"#));
    let mut text = write("text.txt", text);
    text[0].documents = Documents::LineBreak;
    tiny_with(|config| {
        config.data.source = DataSource::Files;
        config.data.validation_fraction = 0.2;
        config.data.pretrain = text;
        config.data.demonstrations = write("demonstrations.jsonl", demonstrations);
        config.data.comparisons = write(
            "comparisons.jsonl",
            r#"{"prompt": "a", "chosen": "b", "rejected": "b"}"#,
        );
        config.data.ppo_prompts = write("prompts.jsonl", &prompts);
        config.label.labeler = LabelerKind::Files;
    })
}

fn demonstration(n: usize) -> String {
    let kind = KINDS[n % KINDS.len()];
    format!(
        r#"{{"messages": [{{"role": "user", "content": "What is thing {n} like?"}}, {{"role": "assistant", "content": "It is {kind}."}}]}}"#
    )
}

fn text() -> String {
    lines(200, |n| format!("Ada has {n} boats and sells a {} kite.", KINDS[n % 6]))
}

#[test]
fn one_opening_request_cannot_be_parted_and_the_list_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let same = lines(10, |n| {
        let kind = KINDS[n % KINDS.len()];
        format!(r#"{{"prompt": "Say a word.", "completion": "{kind}"}}"#)
    });
    let config = on_files(dir.path(), &same, &text());
    finish(dir.path(), &config, &Tokenizer);
    finish(dir.path(), &config, &Pretrain);
    let refused = refusal(dir.path(), &config, &Sft);
    for said in [
        "data.demonstrations: no ",
        " row: 10 rows with 1 different opening requests",
        "data.validation_fraction = 0.2 parts training from validation",
    ] {
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn one_document_cannot_be_parted_and_the_list_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let config = on_files(dir.path(), &lines(40, demonstration), "Ada finds the boat.\n");
    finish(dir.path(), &config, &Tokenizer);
    let refused = refusal(dir.path(), &config, &Pretrain);
    assert!(
        refused.contains("data.pretrain: no ") && refused.contains("1 rows"),
        "{refused}"
    );
}

#[test]
fn a_demonstration_that_the_template_refuses_is_named_by_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let rows = lines(40, |n| match n {
        7 => demonstration(n).replace("[{", r#"[{"role": "system", "content": "Be brief."}, {"#),
        _ => demonstration(n),
    });
    let mut config = on_files(dir.path(), &rows, &text());
    config.data.chat_template =
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system message') }}\
                                 {% endif %}[{{ m.role }}]{{ m.content }}{% endfor %}\
                                 {% if add_generation_prompt %}[assistant]{% endif %}"
            .to_owned();
    finish(dir.path(), &config, &Tokenizer);
    finish(dir.path(), &config, &Pretrain);
    let refused = refusal(dir.path(), &config, &Sft);
    assert!(refused.contains("demonstrations.jsonl:8: "), "{refused}");
    assert!(refused.contains("no system message"), "{refused}");
}

#[test]
fn comparisons_of_equal_answers_alone_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = on_files(dir.path(), &lines(40, demonstration), &text());
    let refused = refusal(dir.path(), &config, &Label);
    assert!(
        refused.contains("comparisons.jsonl: all 1 rankings are ties"),
        "{refused}"
    );
}
