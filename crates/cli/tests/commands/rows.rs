//! Rows that cannot be read or that the model cannot be given.

use crate::support::{argument, file, folder, golden, language_model, reward_model, rlhf, rlhf_reading};

/// Checks what `command` says of a file, whose place stands before each message.
#[track_caller]
fn check(command: &str, model: &str, rows: &str, line: usize, message: &str) {
    let found = rlhf_reading(&[command, "--model", model, "--input", "-"], rows);
    found.refused(1, &[&format!("standard input:{line}: "), message]);
}

#[test]
fn files_that_are_missing_or_empty_say_what_was_expected() {
    let (dir, model) = (folder("rows_files"), argument(&golden("gpt2")));
    let logprobs = |input: &str| rlhf(&["logprobs", "--model", &model, "--input", input]);
    logprobs("nowhere.jsonl").refused(
        1,
        &["nowhere.jsonl: no such file; expected JSON lines of {\"input_ids\"}"],
    );
    let empty = file(&dir, "empty.jsonl", "\n\n");
    logprobs(&empty).refused(1, &[&format!("{empty}: the file is empty; expected JSON lines")]);
    logprobs(&argument(&dir)).refused(1, &["rows_files: cannot be read"]);
}

#[test]
fn malformed_lines_are_named_with_file_and_line() {
    let (dir, model) = (folder("rows_malformed"), argument(&golden("gpt2")));
    let path = file(&dir, "rows.jsonl", "{\"input_ids\":[1,2]}\n\n{\"input_ids\":[1,2}\n");
    let found = rlhf(&["logprobs", "--model", &model, "--input", &path]);
    found.refused(
        1,
        &[
            &format!("{path}:3: malformed line: expected a JSON object"),
            "column 18",
        ],
    );
    check(
        "logprobs",
        &model,
        "[1,2]\n",
        1,
        "expected a JSON object, found an array of 2",
    );
}

#[test]
fn wrong_fields_are_named_with_what_was_expected_and_found() {
    let model = language_model(&folder("rows_fields"));
    for (row, message) in [
        (
            r#"{"input_id":[1,2]}"#,
            "expected input_ids, or text, or prompt and completion, found nothing (the row has input_id)",
        ),
        (
            r#"{"input_ids":"1 2"}"#,
            "field `input_ids`: expected an array of token ids, found the string \"1 2\"",
        ),
        (
            r#"{"input_ids":[1,-2]}"#,
            "field `input_ids[1]`: expected a token id, found the number -2",
        ),
        (
            r#"{"input_ids":[1,2.5]}"#,
            "field `input_ids[1]`: expected a token id, found the number 2.5",
        ),
        (r#"{"text":7}"#, "field `text`: expected a string, found the number 7"),
        (
            r#"{"prompt":"a"}"#,
            "field `completion`: expected a string or one message of the assistant, found nothing",
        ),
        (
            r#"{"prompt":["a"],"completion":"b"}"#,
            "field `prompt[0]`: expected an object of role",
        ),
        (
            r#"{"prompt":[{"role":"bot","content":"a"}],"completion":"b"}"#,
            "field `prompt[0]`",
        ),
        (
            r#"{"prompt":[{"role":"assistant","content":"a"}],"completion":"b"}"#,
            "the last is the user's",
        ),
    ] {
        check(
            "logprobs",
            &model,
            &format!("{{\"text\":\"the sea\"}}\n{row}\n"),
            2,
            message,
        );
    }
}

#[test]
fn sequences_that_the_model_cannot_be_given_are_refused_before_any_is_answered() {
    let model = argument(&golden("gpt2"));
    let long = format!("{{\"input_ids\":{:?}}}\n", vec![1; 65]);
    for (rows, line, message) in [
        (
            "{\"input_ids\":[1,2]}\n{\"input_ids\":[1]}\n",
            2,
            "the row has 1 token, expected at least 2",
        ),
        ("{\"input_ids\":[]}\n", 1, "the row has 0 tokens"),
        (
            "{\"input_ids\":[1,96,97]}\n",
            1,
            "token 2 of the row is 97, expected an id below 97",
        ),
        (
            long.as_str(),
            1,
            "the row has 65 tokens, expected at most 64, the model's context",
        ),
    ] {
        check("logprobs", &model, rows, line, message);
    }
    check(
        "score",
        &argument(&golden("gpt2_reward")),
        "{\"input_ids\":[]}\n",
        1,
        "expected at least 1",
    );
}

#[test]
fn comparisons_are_checked_like_those_that_train_a_reward_model() {
    let model = reward_model(&folder("rows_comparisons"));
    for (row, message) in [
        (
            r#"{"prompt":"a","completions":["b","c"],"ranking":[0]}"#,
            "field `ranking`: expected 2 ranks",
        ),
        (
            r#"{"prompt":"a","completions":["b"],"ranking":[0]}"#,
            "expected at least 2 completions to compare, found 1",
        ),
        (
            r#"{"prompt":"a","completions":["b","c"],"ranking":[0,"x"]}"#,
            "field `ranking[1]`: expected a whole number",
        ),
        (
            r#"{"prompt":"a","completions":[]}"#,
            "field `completions`: expected an array of strings, found an empty array",
        ),
        (
            r#"{"prompt":"a","completions":["b",3]}"#,
            "field `completions[1]`: expected a string, found the number 3",
        ),
        (
            r#"{"prompt":"a","chosen":"b"}"#,
            "field `rejected`: expected a string or one message of the assistant",
        ),
        (
            r#"{"chosen":"b","rejected":"c"}"#,
            "field `prompt`: expected a string or an array of messages",
        ),
    ] {
        check("score", &model, &format!("{row}\n"), 1, message);
    }
}

#[test]
fn all_ties_leave_nothing_to_be_right_about() {
    let model = reward_model(&folder("rows_ties"));
    let row = "{\"prompt\":\"a\",\"completions\":[\"b\",\"c\"],\"ranking\":[1,1]}\n";
    let found = rlhf_reading(&["score", "--model", &model, "--input", "-"], row).rows();
    assert_eq!(
        (found.len(), found[1]["n"].as_u64(), found[1]["pair_accuracy"].as_f64()),
        (2, Some(0), None)
    );
}

#[test]
fn a_model_folder_that_lacks_something_is_named() {
    let dir = folder("rows_models");
    let input = file(&dir, "rows.jsonl", "{\"text\":\"the sea\"}\n");
    let logprobs = |model: &str| rlhf(&["logprobs", "--model", model, "--input", &input]);
    logprobs("nowhere").refused(1, &["nowhere/config.json: no such file; expected a model's folder"]);
    let without = argument(&golden("gpt2"));
    logprobs(&without).refused(
        1,
        &["gpt2/tokenizer.json: no such file; expected the tokenizer of the model"],
    );
    let model = language_model(&dir);
    let weights = dir.join("lm/model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() - 100]).unwrap();
    logprobs(&model).refused(1, &["model.safetensors: not a whole safetensors file"]);
    std::fs::remove_file(&weights).unwrap();
    logprobs(&model).refused(1, &["model.safetensors"]);
}

#[test]
fn a_tokenizer_of_another_vocabulary_is_refused() {
    let dir = folder("rows_vocabulary");
    let model = language_model(&dir);
    let path = dir.join("lm/config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let size = crate::support::tokenizer().vocab_size();
    let changed = text.replace(&format!("\"vocab_size\": {size}"), "\"vocab_size\": 261");
    assert_ne!(text, changed);
    std::fs::write(&path, changed).unwrap();
    let found = rlhf(&["logprobs", "--model", &model, "--input", "-"]);
    found.refused(
        1,
        &[
            "model and tokenizer do not belong together",
            &format!("at least {size} rows of embedding, it has 261"),
        ],
    );
}
