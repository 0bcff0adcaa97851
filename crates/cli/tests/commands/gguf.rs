//! GGUF files in place of folders, and `rlhf export`.

use serde_json::{Value, json};

use crate::support::{argument, file, folder, golden, language_model, reward_model, rlhf, rlhf_reading, tokenizer};

/// A file of another program's.
fn foreign(name: &str) -> String {
    let models = golden("x");
    let golden = models
        .parent()
        .and_then(std::path::Path::parent)
        .expect("tests/golden/models/x");
    argument(&golden.join("gguf").join(name))
}

#[test]
fn every_command_reads_a_gguf_file_where_a_folder_may_stand() {
    let model = foreign("llama-q8_0.gguf");
    let dir = folder("gguf_everywhere");
    let rows = file(
        &dir,
        "rows.jsonl",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}\n",
    );
    rlhf(&[
        "generate",
        "--model",
        &model,
        "--prompt",
        "Hi",
        "--max-new-tokens",
        "3",
        "--raw",
    ])
    .printed();
    rlhf_reading(
        &["logprobs", "--model", &model, "--input", "-"],
        "{\"text\":\"The cat sat.\"}\n",
    )
    .rows();
    rlhf(&["data", "inspect", &rows, "--model", &model, "--json"]).rows();
    let out = argument(&dir.join("merged"));
    rlhf(&["merge", "--base", &model, "--adapter", &argument(&dir), "--out", &out])
        .refused(1, &["adapter_config.json"]);
    // Named by its folder, the file is pointed at.
    std::fs::copy(&model, dir.join("some.gguf")).expect("a test folder");
    rlhf(&["logprobs", "--model", &argument(&dir), "--input", &rows]).refused(1, &["some.gguf", "name the GGUF file"]);
    rlhf(&[
        "logprobs",
        "--model",
        &foreign("damaged/pre-unknown.gguf"),
        "--input",
        &rows,
    ])
    .refused(1, &["pre-unknown.gguf", "tokenizer.ggml.pre"]);
}

#[test]
fn an_exported_model_writes_the_same_tokens() {
    let dir = folder("gguf_export");
    let model = language_model(&dir);
    let written = argument(&dir.join("model.gguf"));
    rlhf(&["export", "--model", &model, "--gguf", &written, "--type", "f32"]).printed();
    let greedy = |model: &str| -> Value {
        let row = json!({"messages": [{"role": "user", "content": "a b c"}]});
        let arguments = [
            "generate",
            "--model",
            model,
            "--input",
            "-",
            "--json",
            "--temperature",
            "0",
            "--max-new-tokens",
            "6",
        ];
        rlhf_reading(&arguments, &format!("{row}\n")).rows()[0]["completion_ids"].clone()
    };
    assert_eq!(greedy(&written), greedy(&model));
    let ids = tokenizer().encode("a b c");
    let rendered = rlhf_reading(
        &["logprobs", "--model", &written, "--input", "-"],
        &format!("{}\n", json!({"input_ids": ids})),
    );
    rendered.rows();
    rlhf(&["export", "--model", &model, "--gguf", &written]).refused(1, &["--gguf", "there already"]);
    let other = argument(&dir.join("other.gguf"));
    rlhf(&["export", "--model", &model, "--gguf", &other, "--type", "q6_k"]).refused(2, &["--type", "q8_0"]);
    rlhf(&["export", "--model", &reward_model(&dir), "--gguf", &other]).refused(1, &["reward model"]);
    rlhf(&["export", "--model", &model, "--gguf", "nowhere/at/all.gguf"]).refused(1, &["nowhere/at/all.gguf"]);
}

#[test]
fn a_run_starts_from_a_gguf_file() {
    let dir = folder("gguf_base");
    let base = foreign("llama-q8_0.gguf");
    let row = json!({"prompt": "Hi", "completion": "there"}).to_string() + "\n";
    let demonstrations = file(&dir, "demonstrations.jsonl", &row.repeat(4));
    let pair = json!({"prompt": "Hi", "chosen": "there", "rejected": "no"}).to_string() + "\n";
    let comparisons = file(&dir, "comparisons.jsonl", &pair.repeat(4));
    let template = "{% for m in messages %}{{ m.content }}\\n{% endfor %}";
    let texts = file(
        &dir,
        "texts.jsonl",
        &"{\"text\":\"The cat sat on the mat.\"}\n".repeat(4),
    );
    let prompts = file(&dir, "prompts.jsonl", &"{\"prompt\":\"Hi\"}\n".repeat(4));
    let config = file(
        &dir,
        "run.toml",
        &format!(
            "[data]\nsource = \"files\"\nbase = \"{base}\"\nchat_template = \"{template}\"\n\
             pretrain = [{{ path = \"{texts}\" }}]\ndemonstrations = [{{ path = \"{demonstrations}\" }}]\n\
             ppo_prompts = [{{ path = \"{prompts}\" }}]\ncomparisons = [{{ path = \"{comparisons}\" }}]\n\
             [label]\nlabeler = \"files\"\n"
        ),
    );
    let run = argument(&dir.join("run"));
    for stage in ["tokenizer", "pretrain"] {
        rlhf(&[stage, "--config", &config, "--run", &run]).printed();
    }
    let input = "{\"input_ids\":[5,40,77,310]}\n{\"text\":\"The cat sat.\"}\n";
    let logprobs = |model: &str| rlhf_reading(&["logprobs", "--model", model, "--input", "-"], input).rows();
    assert_eq!(logprobs(&argument(&dir.join("run/pretrain"))), logprobs(&base));
    let complete = std::fs::read_to_string(dir.join("run/pretrain/complete.json")).expect("the stage is complete");
    assert!(complete.contains("llama-q8_0.gguf"), "the file is an input: {complete}");
    // The model could take 64 tokens; the run may allow fewer.
    let set = "data.max_seq_len=2";
    rlhf(&[
        "sft",
        "--config",
        &config,
        "--run",
        &run,
        "--set",
        set,
        "--set",
        "eval.max_new_tokens=1",
        "--set",
        "ppo.max_new_tokens=1",
        "--set",
        "sample.max_new_tokens=1",
    ])
    .refused(1, &["demonstrations"]);
}
