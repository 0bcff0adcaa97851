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
        "expected a JSON object, found the number 1",
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
            "field `input_ids`: expected an array of token ids, found the string `1 2`",
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
            "field `completion`: expected a string or an array of messages, found nothing",
        ),
        (
            r#"{"prompt":["a"],"completion":"b"}"#,
            "field `prompt[0]`: expected an object with role and content",
        ),
        (
            r#"{"prompt":[{"role":"bot","content":"a"}],"completion":"b"}"#,
            "field `prompt[0].role`: expected one of system, user, assistant",
        ),
        (
            r#"{"prompt":[{"role":"assistant","content":"a"}],"completion":"b"}"#,
            "expected a conversation that ends with a message of the user",
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
            "field `completions`: expected an array of answers, found an empty array",
        ),
        (
            r#"{"prompt":"a","completions":["b",3]}"#,
            "field `completions[1]`: expected a string or an array of messages, found the number 3",
        ),
        (
            r#"{"prompt":"a","chosen":"b"}"#,
            "field `rejected`: expected a string or an array of messages",
        ),
        (
            r#"{"chosen":"b","rejected":"c"}"#,
            "field `chosen`: expected a prompt field beside it, or a dialogue",
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

/// The share of pairs that a reward model is right about, and their number.
#[track_caller]
fn accuracy(model: &str, rows: &str) -> (Option<f64>, Option<u64>) {
    let found = rlhf_reading(&["score", "--model", model, "--input", "-"], rows).rows();
    let last = found.last().expect("a row");
    (last["pair_accuracy"].as_f64(), last["n"].as_u64())
}

#[test]
fn answers_of_the_same_text_are_no_pair() {
    let model = reward_model(&folder("rows_same"));
    let same = |n: usize| {
        let (prompt, answer) = ("the sea ".repeat(n), "the shore".repeat(n));
        format!("{{\"prompt\":\"{prompt}\",\"chosen\":\"{answer}\",\"rejected\":\"{answer}\"}}\n")
    };
    assert_eq!(accuracy(&model, &(1..4).map(same).collect::<String>()), (None, Some(0)));
    let thumb = |answer: &str, label| format!("{{\"prompt\":\"a\",\"completion\":\"{answer}\",\"label\":{label}}}\n");
    assert_eq!(
        accuracy(&model, &(thumb("b", true) + &thumb("b", false))),
        (None, Some(0))
    );
    let (_, n) = accuracy(&model, &(thumb("b", true) + &thumb("b", false) + &thumb("c", false)));
    assert_eq!(n, Some(1));
}

#[test]
fn scores_are_of_the_rows_and_files_that_a_reward_model_learns_from() {
    let dir = folder("rows_of_reward");
    let model = reward_model(&dir);
    let scores = |input: &str| {
        let found = rlhf(&["score", "--model", &model, "--input", input]).rows();
        found[0]["scores"].clone()
    };
    let row = r#"{"prompt":"What colour is the boat?","chosen":"It is blue.","rejected":"It is red."}"#;
    let expected = scores(&file(&dir, "pair.jsonl", row));
    assert!(expected[0] != expected[1]);
    let whole = |answer: &str| {
        format!(
            r#"[{{"role":"user","content":"What colour is the boat?"}},{{"role":"assistant","content":"{answer}"}}]"#
        )
    };
    let dialogue = |answer: &str| format!(r"\n\nHuman: What colour is the boat?\n\nAssistant: {answer}");
    let (blue, red) = (whole("It is blue."), whole("It is red."));
    for (name, content) in [
        ("array.json", format!("[{row}]")),
        ("whole.jsonl", format!(r#"{{"chosen":{blue},"rejected":{red}}}"#)),
        (
            "beside.jsonl",
            format!(r#"{{"prompt":"What colour is the boat?","chosen":{blue},"rejected":{red}}}"#),
        ),
        (
            "dialogue.jsonl",
            format!(
                r#"{{"chosen":"{}","rejected":"{}"}}"#,
                dialogue("It is blue."),
                dialogue("It is red.")
            ),
        ),
        (
            "null.jsonl",
            r#"{"prompt":"What colour is the boat?","completions":["It is blue.","It is red."],"ranking":[0,1],"chosen":null,"label":NaN}"#
                .to_owned(),
        ),
    ] {
        assert_eq!(scores(&file(&dir, name, &content)), expected, "{name}");
    }
    assert_eq!(scores(&argument(&golden("../rows/pair.parquet"))), expected);
    let system = format!(
        r#"{{"prompt":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":"What colour is the boat?"}}],"chosen":{blue},"rejected":{red}}}"#
    );
    assert_ne!(scores(&file(&dir, "system.jsonl", &system)), expected);
    let other = format!(r#"{{"prompt":"Is it late?","chosen":{blue},"rejected":{red}}}"#);
    check(
        "score",
        &model,
        &other,
        1,
        "field `prompt`: expected the prompt of the conversation in `chosen`",
    );
}

#[test]
fn tool_calls_and_what_stands_in_for_rows_are_refused_by_every_command() {
    let dir = folder("rows_troubles");
    let model = language_model(&dir);
    let call = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"","tool_calls":[{"id":"1"}]},{"role":"user","content":"b"}]}"#;
    for command in ["logprobs", "generate", "template"] {
        check(
            command,
            &model,
            call,
            1,
            "field `messages[1].tool_calls`: expected nothing",
        );
        for (content, said) in [
            (
                "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n",
                "a Git LFS pointer",
            ),
            ("<!DOCTYPE html><html></html>\n", "a web page (HTML)"),
        ] {
            let path = file(&dir, "rows.jsonl", content);
            let found = rlhf(&[command, "--model", &model, "--input", &path]);
            found.refused(1, &[&path, said]);
        }
    }
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
