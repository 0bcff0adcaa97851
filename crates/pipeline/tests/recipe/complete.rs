//! Stages that stay complete, and stages that are done again.

use std::fs;

use rlhf_core::StageDir;
use rlhf_data::Source;
use rlhf_pipeline::config::LabelerKind;
use rlhf_pipeline::stages::{Label, Pretrain, Sft, Tokenizer};
use rlhf_pipeline::{Config, Error, Inputs, Options, Result, Run, STAGES, Settings, Stage, Workspace};
use serde_json::Value;

use crate::support::{before, finish, refusal, tiny, tiny_with, try_stage};

#[test]
fn comparisons_that_are_added_after_sft_leave_what_is_done_complete() {
    let dir = tempfile::tempdir().unwrap();
    for stage in before(&Label) {
        finish(dir.path(), &tiny(), stage);
    }
    let file = dir.path().join("mine.jsonl");
    let row = r#"{"prompt": "what is new?", "chosen": "much", "rejected": "nothing"}"#;
    fs::write(&file, row).unwrap();
    let with_comparisons = tiny_with(|config| {
        config.data.comparisons = vec![Source::new(&file)];
        config.label.labeler = LabelerKind::Files;
    });
    for stage in [&Tokenizer as &dyn Stage, &Pretrain, &Sft] {
        assert!(
            finish(dir.path(), &with_comparisons, stage).was_complete,
            "{}",
            stage.name()
        );
    }
    assert!(!finish(dir.path(), &with_comparisons, &Label).was_complete);
    // The file is an input like any other, although the task is judged.
    fs::write(&file, format!("{row}\n{row}")).unwrap();
    let refused = refusal(dir.path(), &with_comparisons, &Label);
    assert!(refused.contains("mine.jsonl: now"), "{refused}");
}

#[test]
fn keys_that_change_no_result_may_change_when_a_stage_is_finished_and_when_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    for stage in before(&Sft) {
        finish(dir.path(), &tiny(), stage);
    }
    finish(dir.path(), &tiny(), &Sft);
    let changed = tiny_with(|config| {
        config.sft.log_every = 3;
        config.sft.checkpoint_every = 5;
    });
    assert!(finish(dir.path(), &changed, &Sft).was_complete);
    // As if it had been killed before its end: the checkpoint before the last is the newest.
    let sft = StageDir::new(dir.path().join(Sft.name()));
    let weights = fs::read(sft.path().join("model.safetensors")).unwrap();
    for file in ["complete.json", "model.safetensors"] {
        fs::remove_file(sft.path().join(file)).unwrap();
    }
    let steps = sft.checkpoints(2).unwrap().steps().unwrap();
    assert_eq!(steps.len(), 2);
    fs::remove_dir_all(sft.path().join(format!("checkpoints/step-{:08}", steps[1]))).unwrap();
    let (finished, said) = try_stage(dir.path(), &changed, &Sft);
    assert!(!finished.unwrap().was_complete);
    let first = format!("\n{}/{}", steps[0] + 1, steps[1]);
    assert!(said.contains(&first) && !said.contains("\n1/"), "{said}");
    assert_eq!(fs::read(sft.path().join("model.safetensors")).unwrap(), weights);
}

#[test]
fn another_setting_or_input_is_told_by_its_path_and_nothing_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    finish(dir.path(), &tiny(), &Tokenizer);
    let check = |config: &Config, expected: &str| {
        let refused = refusal(dir.path(), config, &Tokenizer);
        assert!(
            refused.contains("finished with another configuration") && refused.contains("--overwrite"),
            "{refused}"
        );
        assert!(refused.contains(expected), "{refused}");
    };
    check(&tiny_with(|c| c.seed = 2), "(seed: now 2, then 1)");
    check(
        &tiny_with(|c| c.tokenizer.vocab_size = 300),
        "(tokenizer.vocab_size: now 300, then 512)",
    );
    check(
        &tiny_with(|c| c.world.ppo_prompts = 65),
        "(world.ppo_prompts: now 65, then 64)",
    );
    finish(dir.path(), &tiny(), &Pretrain);
    let tokenizer = dir.path().join("tokenizer/tokenizer.json");
    let text = fs::read_to_string(&tokenizer).unwrap();
    fs::write(&tokenizer, text + "\n").unwrap();
    let refused = refusal(dir.path(), &tiny(), &Pretrain);
    assert!(refused.contains("(inputs.tokenizer/tokenizer.json: now"), "{refused}");
}

#[test]
fn a_finished_stage_that_is_to_be_overwritten_begins_again() {
    let dir = tempfile::tempdir().unwrap();
    finish(dir.path(), &tiny(), &Tokenizer);
    let trace = dir.path().join("tokenizer/trace");
    fs::write(&trace, "").unwrap();
    let options = Options {
        overwrite: true,
        ..Options::default()
    };
    let run = Run::open(dir.path(), tiny(), options).unwrap();
    assert!(!run.stage(&Tokenizer).unwrap().was_complete);
    assert!(!trace.exists());
}

/// A stage of somebody else's.
struct Count;

impl Stage for Count {
    fn name(&self) -> &'static str {
        "count"
    }

    fn about(&self) -> &'static str {
        "Count the words of the tokenizer"
    }

    fn settings(&self, config: &Config) -> Value {
        Settings::new().keys("eval", &config.eval, &["prompts"]).into()
    }

    fn inputs<'a>(&self, work: &'a Workspace<'_>) -> Result<Inputs<'a>> {
        work.inputs().output(&Tokenizer, "tokenizer.json")
    }

    fn run(&self, work: &Workspace<'_>) -> Result<()> {
        let tokenizer = rlhf_data::Tokenizer::load(work.folder(&Tokenizer))?;
        let path = work.dir().path().join("words");
        fs::write(&path, tokenizer.vocab_size().to_string()).map_err(|source| Error::Io { path, source })
    }
}

#[test]
fn a_stage_of_ones_own_runs_beside_those_of_the_recipe() {
    let dir = tempfile::tempdir().unwrap();
    let refused = refusal(dir.path(), &tiny(), &Count);
    assert!(
        refused.contains("stage `count` needs") && refused.contains("run stage `tokenizer` first"),
        "{refused}"
    );
    finish(dir.path(), &tiny(), &Tokenizer);
    assert!(!finish(dir.path(), &tiny(), &Count).was_complete);
    assert_eq!(fs::read_to_string(dir.path().join("count/words")).unwrap(), "512");
    assert!(finish(dir.path(), &tiny_with(|c| c.eval.max_new_tokens = 5), &Count).was_complete);
    let refused = refusal(dir.path(), &tiny_with(|c| c.eval.prompts = 5), &Count);
    assert!(refused.contains("eval.prompts: now 5"), "{refused}");
}

#[test]
fn names_of_stages_differ_and_say_what_they_do() {
    for (index, stage) in STAGES.into_iter().enumerate() {
        assert!(before(stage).count() == index, "{} is listed twice", stage.name());
        assert!(!stage.about().is_empty());
    }
}
