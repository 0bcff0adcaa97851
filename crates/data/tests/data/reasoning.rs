//! What was thought before an answer: learnt where the template writes it, or refused by its field.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::PathBuf;

use rlhf_data::{
    Chat, ChatTemplate, Comparison, Demonstration, LossOn, Message, Tokenizer, TokenizerConfig, answered_tokens,
    demonstration_sequence, inspect, read_comparisons, read_demonstrations,
};
use serde_json::{Value, json};

const TEMPLATE: &str = "{%- for m in messages -%}{%- if m.role == 'assistant' -%}{{- '[assistant]' -}}{%- generation -%}\
    {%- if m.reasoning_content -%}{{- '<think>' + m.reasoning_content + '</think>' -}}{%- endif -%}{{- m.content + eos_token -}}\
    {%- endgeneration -%}{%- else -%}{{- '[' + m.role + ']' + m.content -}}{%- endif -%}{%- endfor -%}\
    {%- if add_generation_prompt -%}{{- '[assistant]' -}}{%- endif -%}";

fn plain() -> Tokenizer {
    Tokenizer::train(["think, then answer"], &TokenizerConfig::default()).unwrap()
}

fn templated(source: &str) -> Tokenizer {
    plain().with_chat_template(ChatTemplate::new(source, "t.jinja").unwrap())
}

fn file(dir: &tempfile::TempDir, rows: &[Value]) -> PathBuf {
    let path = dir.path().join("rows.jsonl");
    std::fs::write(&path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    path
}

fn demonstrations(rows: &[Value]) -> rlhf_data::Result<Vec<Demonstration>> {
    let dir = tempfile::tempdir().unwrap();
    Ok(read_demonstrations(file(&dir, rows))?.rows)
}

fn asked() -> Value {
    json!({"role": "user", "content": "two and two?"})
}

#[test]
fn sft_and_reward_read_what_the_template_shows() {
    for name in ["reasoning_content", "thinking", "reasoning"] {
        // Some templates read one of the names alone.
        let source = TEMPLATE.replace(
            "m.reasoning_content",
            if name == "reasoning" {
                "m.reasoning"
            } else {
                "m.reasoning_content"
            },
        );
        let tokenizer = templated(&source);
        let answer = json!({"role": "assistant", "content": "four", name: "twice two"});
        let whole = json!({"messages": [asked(), answer]});
        let parts = json!({"prompt": [asked()], "completion": [answer]});
        let values = [asked(), answer.clone()];
        let shown = tokenizer.chat_template().unwrap().render(&Chat::new(&values)).unwrap();
        assert!(
            shown.text.contains("<think>twice two</think>four"),
            "{name}: {}",
            shown.text
        );
        let shown = tokenizer.encode_rendered(&shown);
        for row in demonstrations(&[whole, parts]).unwrap() {
            let sequence = demonstration_sequence(&tokenizer, &row, LossOn::Assistant, 999)
                .unwrap()
                .unwrap()
                .value;
            assert_eq!(
                (&sequence.input_ids, &sequence.loss_mask),
                (&shown.input_ids, &shown.assistant_mask),
                "{name}"
            );
            assert_eq!(
                answered_tokens(&tokenizer, &row, 999).unwrap().unwrap().value,
                shown.input_ids,
                "{name}"
            );
            // A stage that writes the row keeps it.
            let kept: Demonstration = serde_json::from_value(json!(row)).unwrap();
            assert_eq!(kept.messages, row.messages, "{name}");
            assert_eq!(json!(row.messages[1]), answer, "{name}");
        }
    }
}

#[test]
fn of_several_answers_each_keeps_its_own() {
    let tokenizer = templated(TEMPLATE);
    let first = json!({"role": "assistant", "content": "four", "reasoning_content": "twice two"});
    let last = json!({"role": "assistant", "content": "six", "reasoning_content": null});
    let row = &demonstrations(&[json!({"messages": [asked(), first, asked(), last]})]).unwrap()[0];
    let sequence = demonstration_sequence(&tokenizer, row, LossOn::Assistant, 999)
        .unwrap()
        .unwrap()
        .value;
    let taught: Vec<u32> = sequence
        .input_ids
        .iter()
        .zip(&sequence.loss_mask)
        .filter(|(_, taught)| **taught)
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(
        tokenizer.decode(&taught, false),
        "<think>twice two</think>four<|eos|>six<|eos|>"
    );
}

#[test]
fn an_answer_that_is_nothing_but_a_thought_is_learnt() {
    let first = json!({"role": "assistant", "content": "", "reasoning_content": "twice two"});
    let last = json!({"role": "assistant", "content": "six"});
    let row = &demonstrations(&[json!({"messages": [asked(), first, asked(), last]})]).unwrap()[0];
    assert!(row.messages[1].learnt);
}

#[test]
fn role_tokens_refuse_it_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let good = json!({"prompt": "a", "completion": "b"});
    let thought = json!({"messages": [asked(), {"role": "assistant", "content": "four", "thinking": "twice two"}]});
    let path = file(&dir, &[good, thought]);
    let row = &read_demonstrations(&path).unwrap().rows[1];
    let expected = format!(
        "{}:2: `thinking` of message 1: conversations are written with role tokens",
        path.display()
    );
    let tokenizer = plain();
    let errors = [
        demonstration_sequence(&tokenizer, row, LossOn::Assistant, 99)
            .unwrap_err()
            .to_string(),
        inspect(
            &path,
            &rlhf_data::InspectOptions {
                tokenizer: Some(&tokenizer),
                ..Default::default()
            },
        )
        .unwrap_err()
        .to_string(),
    ];
    for error in errors {
        assert!(
            error.replace("message 0", "message 1").starts_with(&expected),
            "{error}"
        );
    }
    assert!(tokenizer.encode_prompt(&row.messages).is_err());
    assert!(
        inspect(
            &path,
            &rlhf_data::InspectOptions {
                row: 2,
                ..Default::default()
            }
        )
        .unwrap()
        .to_string()
        .contains("[thinking: twice two] four")
    );
}

#[test]
fn answers_that_are_compared_are_refused_by_field() {
    let answer = |text: &str| json!([{"role": "assistant", "content": text}]);
    let thought = json!([{"role": "assistant", "content": "four", "reasoning_content": "twice two"}]);
    for (row, field) in [
        (
            json!({"prompt": "a", "chosen": thought, "rejected": answer("b")}),
            "chosen.reasoning_content",
        ),
        (
            json!({"prompt": "a", "chosen": answer("b"), "rejected": thought}),
            "rejected.reasoning_content",
        ),
        (
            json!({"prompt": "a", "completions": [answer("b"), thought], "ranking": [0, 1]}),
            "completions[1].reasoning_content",
        ),
        (
            json!({"prompt": [asked()], "completion": thought, "label": true}),
            "completion.reasoning_content",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = file(&dir, &[row]);
        let error = read_comparisons(&path).unwrap_err().to_string();
        let expected = format!(
            "{}:1: field `{field}`: expected nothing beside the text",
            path.display()
        );
        assert!(error.starts_with(&expected), "{error}");
    }
    // In what was said before it stays.
    let dir = tempfile::tempdir().unwrap();
    let before = [asked(), thought[0].clone(), asked()];
    let path = file(
        &dir,
        &[json!({"prompt": before, "chosen": answer("b"), "rejected": answer("c")})],
    );
    let rows: Vec<Comparison> = read_comparisons(&path).unwrap().rows;
    let ids = templated(TEMPLATE).encode_prompt(&rows[0].messages).unwrap();
    assert!(plain().decode(&ids, false).contains("<think>twice two</think>"));
}

#[test]
fn another_value_than_a_text_is_refused_and_null_is_none() {
    let row =
        |value: Value| json!({"messages": [asked(), {"role": "assistant", "content": "four", "reasoning": value}]});
    let error = demonstrations(&[row(json!(["twice"]))]).unwrap_err().to_string();
    assert!(
        error.contains("rows.jsonl:1: field `messages[1].reasoning`: expected a string, found an array of 1"),
        "{error}"
    );
    assert_eq!(
        demonstrations(&[row(Value::Null)]).unwrap()[0].messages[1],
        Message::assistant("four")
    );
}
