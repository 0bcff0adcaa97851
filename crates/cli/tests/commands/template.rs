//! `rlhf template`, and models that bring a chat template.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{argument, file, folder, language_model, rlhf, rlhf_reading};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

/// Output of the command for `rows` under the tokenizer of the fixtures and its template.
fn print(rows: &str, options: &[&str]) -> crate::support::Outcome {
    let model = argument(&fixtures().join("tokenizer"));
    let arguments = [&["template", "--model", &model, "--input", "-"], options].concat();
    rlhf_reading(&arguments, rows)
}

#[test]
fn rows_are_printed_as_transformers_renders_them() {
    let text = std::fs::read_to_string(fixtures().join("chat/cases.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    for prompt in [false, true] {
        let cases: Vec<&Value> = cases
            .iter()
            .filter(|case| case["template"] == "chatml" && case["add_generation_prompt"] == prompt)
            .collect();
        assert_eq!(cases.len(), 8);
        let rows: String = cases
            .iter()
            .map(|case| format!("{}\n", json!({ "messages": case["messages"] })))
            .collect();
        let options: &[&str] = if prompt { &["--add-generation-prompt"] } else { &[] };
        for (row, case) in print(&rows, options).rows().iter().zip(cases) {
            assert_eq!(row["text"], case["rendered"]);
            assert_eq!(row["input_ids"], case["ids"]);
            assert_eq!(row["assistant_mask"], case["assistant_mask"]);
        }
    }
}

#[test]
fn another_template_and_a_date_can_be_given() {
    let dir = folder("template_given");
    let template = file(
        &dir,
        "t.jinja",
        "{{ strftime_now('%d %b %Y') }}{{ tools | tojson }}{{ messages[0].content }}",
    );
    let rows = "{\"messages\":[{\"role\":\"tool\",\"content\":\"é\",\"name\":\"n\"}],\"tools\":[{\"a\":1}]}\n";
    let found = print(rows, &["--template", &template, "--date", "2026-01-31"]).rows();
    assert_eq!(found[0]["text"], "31 Jan 2026[{\"a\": 1}]é");
}

#[test]
fn role_tokens_are_printed_too() {
    let model = language_model(&folder("template_roles"));
    let rows = json!({ "messages": [{"role": "user", "content": "the sea?"}, {"role": "assistant", "content": "a"}] });
    let arguments = ["template", "--model", &model, "--input", "-", "--add-generation-prompt"];
    let found = rlhf_reading(&arguments, &rows.to_string()).rows();
    assert_eq!(found[0]["text"], "<|user|>the sea?<|assistant|>a<|eos|><|assistant|>");
    let mask: Vec<u64> = found[0]["assistant_mask"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m.as_u64().unwrap())
        .collect();
    // The answer and its eos, and then the role token of the prompt.
    assert!(
        mask.ends_with(&[0, 1, 1, 0]) && mask.iter().sum::<u64>() == 2,
        "{mask:?}"
    );
}

#[test]
fn faults_are_named_with_file_line_and_message() {
    let user = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}\n";
    print(&format!("{user}{{\"messages\":[]}}\n"), &[]).refused_after_rows(
        1,
        &["standard input:2: field `messages`: expected an array of messages, found an empty array"],
    );
    print("{\"messages\":[{\"content\":\"a\"}]}", &[]).refused(
        1,
        &["standard input:1: field `messages[0]`: expected an object with a role"],
    );
    print("{\"messages\":[{\"role\":\"user\"}],\"tools\":3}", &[]).refused(
        1,
        &["standard input:1: field `tools`: expected an array, found the number 3"],
    );
    let dir = folder("template_faults");
    let template = |text: &str| file(&dir, "t.jinja", text);
    let given = |path: &str| print(user, &["--template", path]);
    given("nowhere.jinja").refused(1, &["nowhere.jinja: no such file; expected a chat template in Jinja"]);
    given(&template("a\n{% if %}")).refused(1, &["t.jinja:2: not a chat template: syntax error"]);
    given(&template("{{ raise_exception('no ' + messages[0].role) }}")).refused(
        1,
        &[
            "standard input:1: ",
            "t.jinja: the chat template refuses the conversation: no user",
        ],
    );
    given(&template("\n{{ a.b.c }}")).refused(
        1,
        &["standard input:1: ", "t.jinja:2: the chat template fails: undefined"],
    );
    print(user, &["--date", "soon"]).refused(1, &["--date: expected a date such as 2026-01-31", "found \"soon\""]);
}

#[test]
fn a_model_without_template_and_role_tokens_says_what_to_do() {
    let dir = folder("template_missing");
    let from = fixtures().join("tokenizer");
    let text = std::fs::read_to_string(from.join("tokenizer.json")).unwrap();
    std::fs::write(dir.join("tokenizer.json"), text.replace("<|user|>", "<|human|>")).unwrap();
    std::fs::copy(from.join("tokenizer_config.json"), dir.join("tokenizer_config.json")).unwrap();
    let rows = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}\n";
    let found = rlhf_reading(&["template", "--model", &argument(&dir), "--input", "-"], rows);
    found.refused(
        1,
        &[
            "template_missing: no chat template: expected chat_template.jinja",
            "data.chat_template",
        ],
    );
}

#[test]
fn a_models_own_template_writes_its_prompts() {
    let dir = folder("template_of_a_model");
    let model = language_model(&dir);
    let template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}\
        {% if add_generation_prompt %}[assistant]{% endif %}";
    std::fs::write(Path::new(&model).join("chat_template.jinja"), template).unwrap();
    let rows = [
        json!({ "prompt": "the sea?", "completion": "a" }),
        json!({ "messages": [{"role": "user", "content": "the sea?"}, {"role": "assistant", "content": "a"}] }),
    ];
    let input: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let by_text = rlhf_reading(&["logprobs", "--model", &model, "--input", "-"], &input).rows();
    let shown = rlhf_reading(&["template", "--model", &model, "--input", "-"], &rows[1].to_string()).rows();
    assert_eq!(shown[0]["text"], "[user]the sea?<|eos|>[assistant]a<|eos|>");
    let ids = json!({ "input_ids": shown[0]["input_ids"] });
    let by_ids = rlhf_reading(&["logprobs", "--model", &model, "--input", "-"], &ids.to_string()).rows();
    assert_eq!(by_text[0], by_ids[0]);
    assert_eq!(by_text[1], by_ids[0]);
}

#[test]
fn a_faulty_template_of_the_configuration_stops_the_run_before_it_begins() {
    let dir = folder("template_configured");
    let run = argument(&dir.join("run"));
    let stage = |set: &str| rlhf(&["tokenizer", "--run", &run, "--set", set]);
    let path = file(&dir, "t.jinja", "\n{{ x");
    let set = |path: &str| format!("data.chat_template={}", json!(path));
    stage(&set(&path)).refused(1, &["t.jinja:2: not a chat template"]);
    stage(&set("nowhere.jinja")).refused(1, &["nowhere.jinja: no such file; expected a chat template in Jinja"]);
    stage("data.chat_date=\"soon\"").refused(1, &["data.chat_date", "\"soon\", expected a date such as 2026-01-31"]);
}
