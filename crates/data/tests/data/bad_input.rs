//! Each kind of bad input is refused, and the message says where it is, what was expected and what was found.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::{Path, PathBuf};

use rlhf_data::{
    Documents, Error, Message, Prompt, Source, Tokenizer, TokenizerConfig, load_prompts, prompt_tokens,
    read_comparisons, read_demonstrations, read_prompts, read_text,
};

struct Case {
    dir: tempfile::TempDir,
    path: PathBuf,
}

fn file(name: &str, content: impl AsRef<[u8]>) -> Case {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    Case { dir, path }
}

/// Checks a message after the path of the file has been taken off its front.
#[track_caller]
fn check<T: std::fmt::Debug>(result: Result<T, Error>, path: &Path, expected: &str) -> Error {
    let error = result.unwrap_err();
    let message = error.to_string();
    let rest = message
        .strip_prefix(&path.display().to_string())
        .unwrap_or_else(|| panic!("no path in: {message}"));
    assert_eq!(rest, expected);
    error
}

#[track_caller]
fn check_comparison(row: &str, expected: &str) {
    let good = r#"{"prompt":"a","chosen":"b","rejected":"c"}"#;
    let case = file("rows.jsonl", format!("{good}\n\n{row}\n"));
    check(read_comparisons(&case.path), &case.path, expected);
}

#[test]
fn missing_file() {
    let case = file("a.jsonl", "");
    let path = case.dir.path().join("b.jsonl");
    let expected = r#": no such file; expected prompts: rows of {"prompt"} or {"messages"}"#;
    let error = check(read_prompts(&path), &path, expected);
    assert!(matches!(error, Error::MissingFile { .. }));
    let path = case.dir.path().join("b.txt");
    check(
        read_text(&path, Documents::Auto),
        &path,
        ": no such file; expected text",
    );
}

#[test]
fn unreadable_file() {
    let case = file("a.jsonl.gz", "not gzip at all");
    let error = read_prompts(&case.path).unwrap_err();
    assert!(
        matches!(&error, Error::Read { path, .. } if *path == case.path),
        "{error}"
    );
    let error = read_prompts(case.dir.path()).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
}

#[test]
fn empty_file() {
    let expected = r#": the file is empty; expected demonstrations: rows of {"prompt","completion"} or {"messages"}"#;
    for (name, content) in [
        ("a.jsonl", ""),
        ("a.jsonl", "\n \n"),
        ("a.json", "[]"),
        ("a.json", " [ ] \n"),
    ] {
        let case = file(name, content);
        let error = check(read_demonstrations(&case.path), &case.path, expected);
        assert!(matches!(error, Error::EmptyFile { .. }));
    }
    let case = file("a.txt", " \n\n ");
    check(
        read_text(&case.path, Documents::BlankLine),
        &case.path,
        ": the file is empty; expected text",
    );
}

#[test]
fn unknown_format() {
    let case = file("a.csv", "prompt\nhello\n");
    let expected =
        ": unknown format; expected a name ending in .jsonl, .json or .txt, or one of these and .gz, or .parquet";
    check(read_prompts(&case.path), &case.path, expected);
    let case = file("a.txt", "hello\n");
    let expected = ": unknown format; expected a name ending in .jsonl or .json, or one of these and .gz, or .parquet";
    check(read_prompts(&case.path), &case.path, expected);
}

#[test]
fn malformed_line() {
    let expected = ":3: malformed line: expected a JSON object, found `{\"prompt\": \"b\"` (EOF while parsing an object at line 1 column 14)";
    let case = file("a.jsonl", "{\"prompt\": \"a\"}\n\n{\"prompt\": \"b\"\n");
    let error = check(read_prompts(&case.path), &case.path, expected);
    assert!(matches!(error, Error::MalformedLine { line: 3, .. }));

    let case = file("a.jsonl", "{\"prompt\": \"a\"}\n[1, 2]\n");
    check(
        read_prompts(&case.path),
        &case.path,
        ":2: malformed line: expected a JSON object, found an array of 2",
    );

    let case = file("a.jsonl", b"{\"prompt\": \"a\"}\n{\"prompt\": \"\xff\"}\n");
    check(
        read_prompts(&case.path),
        &case.path,
        ":2: malformed line: expected UTF-8 text, found the byte 0xff",
    );
    let case = file("a.txt", b"one\ntwo\n\xc3");
    let text = read_text(&case.path, Documents::Auto);
    check(
        text,
        &case.path,
        ":3: malformed line: expected UTF-8 text, found the byte 0xc3",
    );
}

#[test]
fn malformed_array() {
    let start = "[\n {\"prompt\": \"a\"},\n";
    for (rest, expected) in [
        (
            "{\"prompt\": 1 2}]",
            ":3: malformed line: expected a JSON object, found `{\"prompt\": 1 2}]` (expected `,` or `}` at line 1 column 14)",
        ),
        (
            "{\"prompt\":\n",
            ":4: malformed line: expected a JSON object, found `{\"prompt\":` (EOF while parsing a value at line 2 column 0)",
        ),
        (
            "{\"prompt\": \"b\"}\n{",
            ":4: malformed line: expected `,` or `]` after an element of the array, found `{`",
        ),
        (
            "{\"prompt\": \"b\"}\n",
            ":4: malformed line: expected `]` at the end of the array, found the end of the file",
        ),
        (
            "\"b\"]",
            ":3: malformed line: expected a JSON object, found the string `b`",
        ),
        (
            "{\"prompt\": \"b\"}]\n\n{",
            ":5: malformed line: expected nothing after the array, found `{`",
        ),
        (
            "",
            ":3: malformed line: expected a JSON object, found the end of the file",
        ),
    ] {
        let case = file("a.json", format!("{start}{rest}"));
        check(read_prompts(&case.path), &case.path, expected);
    }
    // Lines inside earlier rows count too.
    let case = file("a.json", "[{\n\"prompt\":\n\"a\"\n},\n{}]");
    let expected =
        ":5: field `prompt`: expected a string or an array of messages, found nothing (the row has no fields)";
    check(read_prompts(&case.path), &case.path, expected);
    // The line is the one the row starts on.
    let case = file("a.json", format!("{start} {{\n\"prompt\":\n 7}}]"));
    let expected = ":3: field `prompt`: expected a string or an array of messages, found the number 7";
    check(read_prompts(&case.path), &case.path, expected);
}

#[test]
fn missing_field() {
    let case = file("a.jsonl", r#"{"question":"a","answer":"b"}"#);
    let expected =
        ":1: field `prompt`: expected a string or an array of messages, found nothing (the row has question, answer)";
    check(read_prompts(&case.path), &case.path, expected);
    let expected = ":1: field `prompt`: expected fields prompt and completion, or messages, found nothing (the row has question, answer)";
    check(read_demonstrations(&case.path), &case.path, expected);
    let expected = ":1: field `text`: expected a string, found nothing (the row has question, answer)";
    check(read_text(&case.path, Documents::Auto), &case.path, expected);

    check_comparison(
        r#"{"prompt":"a","chosen":"b"}"#,
        ":3: field `rejected`: expected a string or an array of messages, found nothing (the row has prompt, chosen)",
    );
    check_comparison(
        r#"{"prompt":"a","completions":["b","c"]}"#,
        ":3: field `ranking`: expected an array of ranks, 0 for the best, found nothing (the row has prompt, completions)",
    );
    check_comparison(
        r#"{"prompt":"a"}"#,
        ":3: field `completions`: expected completions and ranking, chosen and rejected, or completion and label, found nothing (the row has prompt)",
    );
    check_comparison(
        r#"{"chosen":"b","rejected":"c"}"#,
        ":3: field `chosen`: expected a prompt field beside it, or a dialogue of Human: and Assistant: turns, found the string `b`",
    );
}

#[test]
fn wrong_field() {
    check_comparison(
        r#"{"prompt":"a","completions":["b",3],"ranking":[0,1]}"#,
        ":3: field `completions[1]`: expected a string or an array of messages, found the number 3",
    );
    check_comparison(
        r#"{"prompt":"a","completions":["b","c"],"ranking":[0,-1]}"#,
        ":3: field `ranking[1]`: expected a whole number, 0 for the best, found the number -1",
    );
    check_comparison(
        r#"{"prompt":"a","chosen":"b","rejected":"c","margin":"big"}"#,
        ":3: field `margin`: expected a number, found the string `big`",
    );
    check_comparison(
        r#"{"prompt":"a","chosen":"b","rejected":"c","confidence":"sure"}"#,
        ":3: field `confidence`: expected a number, found the string `sure`",
    );
    check_comparison(
        r#"{"prompt":"a","chosen":"b","rejected":"c","id":[]}"#,
        ":3: field `id`: expected a string or a number, found an empty array",
    );
}

#[test]
fn wrong_messages() {
    for (messages, expected) in [
        (
            "[]",
            ":1: field `messages`: expected an array of messages, found an empty array",
        ),
        (
            r#""hi""#,
            ":1: field `messages`: expected an array of messages, found the string `hi`",
        ),
        (
            "[7]",
            ":1: field `messages[0]`: expected an object with role and content, found the number 7",
        ),
        (
            r#"[{"role":"prompter","content":"a"}]"#,
            ":1: field `messages[0].role`: expected one of system, user, assistant, found the string `prompter`",
        ),
        (
            r#"[{"role":"user","content":["a"]}]"#,
            ":1: field `messages[0].content`: expected a string, found an array of 1",
        ),
        (
            r#"[{"role":"user"}]"#,
            ":1: field `messages[0].content`: expected a string, found null",
        ),
        (
            r#"[{"role":"user","content":"a"}]"#,
            ":1: field `messages`: expected a conversation that ends with a message of the assistant, found one that ends with the user",
        ),
        (
            r#"[{"role":"assistant","content":"a"}]"#,
            ":1: field `messages`: expected a message of the user before the answer, found an array of 1",
        ),
    ] {
        let case = file("a.jsonl", format!(r#"{{"messages":{messages}}}"#));
        let error = check(read_demonstrations(&case.path), &case.path, expected);
        assert!(matches!(error, Error::WrongField { line: 1, .. }));
    }
    let case = file("a.jsonl", r#"{"messages":[{"role":"system","content":"a"}]}"#);
    let expected = ":1: field `messages`: expected a conversation that ends with a message of the user, found one that ends with the system";
    check(read_prompts(&case.path), &case.path, expected);
}

#[test]
fn ranking_of_another_length() {
    check_comparison(
        r#"{"prompt":"a","completions":["b","c","d"],"ranking":[0,1]}"#,
        ":3: field `ranking`: expected 3 ranks, one for each completion, found 2",
    );
}

#[test]
fn fewer_than_two_completions() {
    for (completions, found) in [(r#"["b"]"#, 1), ("[]", 0)] {
        check_comparison(
            &format!(r#"{{"prompt":"a","completions":{completions},"ranking":[0]}}"#),
            &format!(":3: field `completions`: expected at least 2 completions to compare, found {found}"),
        );
    }
}

#[test]
fn all_ties() {
    let tie = r#"{"prompt":"a","completions":["b","c"],"ranking":[1,1]}"#;
    let case = file("a.jsonl", format!("{tie}\n{tie}\n"));
    let expected = ": all 2 rankings are ties, or of answers that are the same; expected a row that prefers one completion to another";
    check(read_comparisons(&case.path), &case.path, expected);

    let decided = r#"{"prompt":"a","completions":["b","c"],"ranking":[1,0]}"#;
    let case = file("a.jsonl", format!("{tie}\n{decided}\n"));
    let loaded = read_comparisons(&case.path).unwrap();
    assert_eq!((loaded.rows.len(), loaded.report.files[0].skipped_ties), (1, 1));
}

#[test]
fn nothing_left() {
    let rows = "{\"prompt\":\"\",\"completion\":\"a\"}\n{\"prompt\":\"a\",\"completion\":\" \"}\n";
    let case = file("a.jsonl", rows);
    check(
        read_demonstrations(&case.path),
        &case.path,
        ": none of its 2 rows can be used: 2 empty (lines 1, 2)",
    );
}

#[test]
fn sources_out_of_range() {
    let case = file("a.jsonl", r#"{"prompt":"a"}"#);
    let message = |sources: &[Source]| load_prompts(sources, case.dir.path(), 0).unwrap_err().to_string();
    let sources = [Source::new("a.jsonl"), Source::new("a.jsonl").with_weight(-1.0)];
    assert_eq!(
        message(&sources),
        "sources[1].weight: expected a number of at least 0, found -1"
    );
    assert_eq!(message(&[]), "sources: expected at least one file, found none");
}

fn trained() -> Tokenizer {
    Tokenizer::train(["the sea and the shore"], &TokenizerConfig::default()).unwrap()
}

#[test]
fn prompt_longer_than_the_context() {
    let tokenizer = trained();
    let prompt = Prompt {
        id: "p7".into(),
        messages: vec![Message::user("xyz")],
        task: None,
        origin: Default::default(),
    };
    // Two role tokens and three bytes: five tokens and three new ones just fit into eight.
    assert_eq!(prompt_tokens(&tokenizer, &prompt, 8, 3).unwrap().value.len(), 5);
    let error = prompt_tokens(&tokenizer, &prompt, 8, 4).unwrap_err();
    assert_eq!(
        error.to_string(),
        "row p7: the prompt has 5 tokens; expected at most 4 (context of 8 less 4 new tokens)"
    );
    let talk = Prompt {
        messages: vec![Message::user("abc"), Message::assistant("d"), Message::user("xyz")],
        ..prompt
    };
    let error = prompt_tokens(&tokenizer, &talk, 8, 4).unwrap_err();
    assert_eq!(
        error.to_string(),
        "row p7: the prompt has 5 tokens without its oldest 2 messages; expected at most 4 (context of 8 less 4 new tokens)"
    );
}

#[test]
fn model_of_another_vocabulary() {
    let tokenizer = trained();
    let size = tokenizer.vocab_size();
    assert!((257..512).contains(&size), "{size}");
    // Padded to whatever: Qwen2.5's 151,665 tokens have 151,936 rows, which is no multiple of 512.
    for fits in [size, size + 1, size.next_multiple_of(128), 511, 50257] {
        tokenizer.check_vocab_size(fits).unwrap();
    }
    for few in [size - 1, 257, 0] {
        let error = tokenizer.check_vocab_size(few).unwrap_err();
        assert!(
            matches!(error, Error::VocabMismatch { largest, model, .. } if (largest as usize, model) == (size - 1, few))
        );
        let expected = format!(
            "the tokenizer has ids up to {} ({:?}), expected a model with at least {size} rows of embedding, it has {few}",
            size - 1,
            tokenizer.id_to_token(size as u32 - 1).unwrap()
        );
        assert!(error.to_string().ends_with(&expected), "{error}");
    }
}

/// A folder with a good tokenizer whose config or vocabulary was then changed.
fn changed(change: impl Fn(&Path)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    trained().save(dir.path()).unwrap();
    change(dir.path());
    dir
}

#[test]
fn missing_special_token() {
    let dir = changed(|dir| {
        std::fs::write(dir.join("tokenizer_config.json"), r#"{"eos_token":"<|endoftext|>"}"#).unwrap();
    });
    let path = dir.path().join("tokenizer_config.json");
    check(
        Tokenizer::load(dir.path()),
        &path,
        ": no eos token: `<|endoftext|>` is not in the vocabulary",
    );

    let dir = changed(|dir| {
        let path = dir.join("tokenizer.json");
        let text = std::fs::read_to_string(&path).unwrap().replace("<|user|>", "<|human|>");
        std::fs::write(path, text).unwrap();
        std::fs::remove_file(dir.join("tokenizer_config.json")).unwrap();
    });
    // Without a role token there is text, but no way to write a conversation.
    let tokenizer = Tokenizer::load(dir.path()).unwrap();
    let asked = [Message::user("a")];
    let expected = ": no chat template: expected chat_template.jinja or `chat_template` in tokenizer_config.json; \
        give one with data.chat_template, or a copy in the folder";
    check(tokenizer.encode_prompt(&asked), dir.path(), expected);
    check(tokenizer.encode_completion(&asked, "b"), dir.path(), expected);
    check(tokenizer.encode_conversation(&asked), dir.path(), expected);
    assert_eq!(tokenizer.decode(&tokenizer.encode("a"), true), "a");
}

#[test]
fn malformed_tokenizer() {
    let dir = changed(|dir| std::fs::write(dir.join("tokenizer.json"), "{").unwrap());
    let error = Tokenizer::load(dir.path()).unwrap_err();
    assert!(matches!(error, Error::MalformedTokenizer { .. }), "{error}");

    let dir = changed(|dir| std::fs::write(dir.join("tokenizer_config.json"), "eos").unwrap());
    let error = Tokenizer::load(dir.path()).unwrap_err();
    assert!(
        error.to_string().contains("tokenizer_config.json: not a tokenizer"),
        "{error}"
    );

    // One that fails on some texts: its token for what it cannot spell is not in its vocabulary.
    let dir = changed(|dir| {
        let path = dir.join("tokenizer.json");
        let text = std::fs::read_to_string(&path).unwrap();
        let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
        json["model"]["unk_token"] = "<unk>".into();
        json["pre_tokenizer"] = serde_json::Value::Null;
        std::fs::write(path, json.to_string()).unwrap();
    });
    let error = Tokenizer::load(dir.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expected a tokenizer that encodes and decodes any text, but it fails on"),
        "{error}"
    );
}

#[test]
fn missing_tokenizer() {
    let dir = tempfile::tempdir().unwrap();
    let expected = ": no such file; expected a BPE tokenizer in the format of Hugging Face tokenizers";
    check(
        Tokenizer::load(dir.path()),
        &dir.path().join("tokenizer.json"),
        expected,
    );
}

#[test]
fn tokenizer_settings_out_of_range() {
    let message = |config| Tokenizer::train(["a"], &config).unwrap_err().to_string();
    let config = TokenizerConfig {
        vocab_size: 260,
        ..TokenizerConfig::default()
    };
    assert_eq!(
        message(config),
        "tokenizer.vocab_size: expected at least 261, found 260"
    );
    let config = TokenizerConfig {
        min_frequency: 0,
        ..TokenizerConfig::default()
    };
    assert_eq!(message(config), "tokenizer.min_frequency: expected at least 1, found 0");
}

#[test]
fn tokenizer_folder_that_cannot_be_written() {
    let case = file("taken", "a file");
    let error = trained().save(&case.path).unwrap_err();
    assert!(
        matches!(&error, Error::Write { path, .. } if *path == case.path),
        "{error}"
    );
}
