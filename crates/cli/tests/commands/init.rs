//! `rlhf init`: a configuration for a model and a folder that somebody brings.

use std::path::Path;

use crate::support::{argument, file, folder, golden, language_model, rlhf};

/// A folder with rows of some kinds, and a file that is no data.
fn data(folder: &Path, comparisons: bool) -> String {
    let lines = |row: &dyn Fn(usize) -> String| (0..30).map(|n| row(n) + "\n").collect::<String>();
    let dir = folder.join(if comparisons { "ranked" } else { "unranked" });
    std::fs::create_dir_all(&dir).expect("a temporary folder");
    file(
        &dir,
        "asked.jsonl",
        &lines(&|n| format!(r#"{{"prompt": "Where is boat {n}?"}}"#)),
    );
    file(
        &dir,
        "shown.jsonl",
        &lines(&|n| format!(r#"{{"prompt": "What is {n}?", "completion": "A boat."}}"#)),
    );
    if comparisons {
        let row = |n| format!(r#"{{"prompt": "Is {n} red?", "chosen": "It is.", "rejected": "No."}}"#);
        file(&dir, "ranked.jsonl", &lines(&row));
    }
    file(&dir, "broken.json", "{oh");
    argument(&dir)
}

/// What `rlhf config` makes of the printed configuration.
fn resolved(folder: &Path, text: &str) -> String {
    let path = file(folder, "my.toml", text);
    rlhf(&["config", "--config", &path]).printed()
}

#[test]
fn a_small_model_and_a_folder_get_a_configuration_that_holds() {
    let dir = folder("init_small");
    let (model, rows) = (language_model(&dir), data(&dir, true));
    let text = rlhf(&["init", "--base", &model, "--data", &rows]).printed();
    for said in [
        "gpt2, 0.0",
        r#"demonstrations = ["#,
        r#"{ path = "shown.jsonl" },  # 30 rows"#,
        r#"{ path = "ranked.jsonl" },  # 30 rows"#,
        r#"{ path = "asked.jsonl" },  # 30 rows"#,
        "# Left out: broken.json:",
        "labeler = \"files\"",
        "minutes on this machine",
        "InstructGPT's rate at 1.3 B parameters",
    ] {
        assert!(text.to_lowercase().contains(&said.to_lowercase()), "{said}:\n{text}");
    }
    let holds = resolved(&dir, &text);
    assert!(
        holds.contains("ppo.lora is not set") || holds.contains("# lora is not set"),
        "{holds}"
    );
}

#[test]
fn without_comparisons_people_are_asked_and_without_a_trial_nothing_is_timed() {
    let dir = folder("init_unranked");
    let (model, rows) = (language_model(&dir), data(&dir, false));
    let text = rlhf(&["init", "--base", &model, "--data", &rows, "--no-trial"]).printed();
    assert!(
        text.contains("labeler = \"export\"") && text.contains("reward_prompts = ["),
        "{text}"
    );
    assert!(!text.contains("on this machine"), "{text}");
    assert!(resolved(&dir, &text).contains("labeler = \"export\""));
}

/// A file that others made: a tiny Qwen2.
#[test]
fn a_gguf_file_is_looked_at_as_a_folder_is() {
    let dir = folder("init_gguf");
    let model = argument(&golden("../gguf").join("qwen2-f32.gguf"));
    let text = rlhf(&["init", "--base", &model, "--data", &data(&dir, true), "--no-trial"]).printed();
    assert!(text.contains("qwen2") && text.contains("max_seq_len ="), "{text}");
    resolved(&dir, &text);
}

#[test]
fn what_is_missing_is_named() {
    let dir = folder("init_missing");
    let model = language_model(&dir);
    rlhf(&["init", "--data", &argument(&dir)]).refused(1, &["--data needs --base"]);
    rlhf(&["init", "--base", "nowhere"]).refused(1, &["nowhere"]);
    rlhf(&["init", "--base", &model, "--data", "no-such-folder"]).refused(1, &["no-such-folder"]);
    // Nothing at all is the built-in run.
    let text = rlhf(&["init"]).printed();
    assert!(resolved(&dir, &text).contains("source = \"world\""));
}

/// A rate of the built-in run, which is a hundred times smaller, is no rate for a model that can speak.
#[test]
fn a_model_without_a_configuration_is_trained_by_the_rules_for_its_size() {
    let dir = folder("init_rules");
    let model = language_model(&dir);
    let printed = rlhf(&["config", "--base", &model]).printed();
    assert!(printed.contains("# rule"), "{printed}");
    // The same model, where `data.root` says that it lies.
    let root = format!("data.root={}", argument(&dir));
    let printed = rlhf(&["config", "--base", "lm", "--set", &root]).printed();
    assert!(printed.contains("# rule"), "{printed}");
    let path = file(&dir, "own.toml", "[sft.lr]\npeak_lr = 0.5\n");
    let printed = rlhf(&["config", "--base", &model, "--config", &path]).printed();
    assert!(
        !printed.contains("# rule") && printed.contains("peak_lr = 0.5"),
        "{printed}"
    );
}
