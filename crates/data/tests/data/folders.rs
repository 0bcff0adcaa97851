//! Folders whose files say more of a tokenizer than `tokenizer.json` knows: other special tokens, bos before a text, bytes without
//! a token; and files that are not what their names say.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::{Path, PathBuf};

use rlhf_data::{ChatTemplate, InspectOptions, Message, Tokenizer, inspect, pack_documents};
use serde_json::{Map, Value, json};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden")
        .join(name)
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn write(dir: &Path, name: &str, text: impl AsRef<[u8]>) {
    std::fs::write(dir.join(name), text).unwrap();
}

fn words(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect()
}

/// The folder that `make.py` made for a case.
fn folder(case: &Value) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (lacks, ordinary) = (words(&case["lacks"]), words(&case["ordinary"]));
    let mut tokenizer = json_of(&golden("tokenizer/tokenizer.json"));
    let vocab = tokenizer["model"]["vocab"].as_object().unwrap();
    let renamed: Map<String, Value> = vocab
        .iter()
        .map(|(token, id)| match lacks.iter().position(|lacking| lacking == token) {
            Some(number) => (format!("<|spare_{number}|>"), id.clone()),
            None => (token.clone(), id.clone()),
        })
        .collect();
    tokenizer["model"]["vocab"] = Value::Object(renamed);
    let added = tokenizer["added_tokens"].as_array_mut().unwrap();
    added.retain(|token| {
        ![&lacks[..], &ordinary]
            .concat()
            .contains(&token["content"].as_str().unwrap())
    });
    for (name, value) in case["fields"].as_object().unwrap() {
        tokenizer[name] = value.clone();
    }
    write(dir.path(), "tokenizer.json", tokenizer.to_string());
    let config = json_of(&golden("tokenizer/tokenizer_config.json"));
    write(dir.path(), "tokenizer_config.json", config.to_string());
    for (name, fields) in case["files"].as_object().unwrap() {
        let mut whole = if name == "tokenizer_config.json" {
            config.clone()
        } else {
            json!({})
        };
        whole
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        write(dir.path(), name, whole.to_string());
    }
    dir
}

fn cases() -> Vec<Value> {
    serde_json::from_value(json_of(&golden("tokenizer_folders/cases.json"))).unwrap()
}

fn folder_of(name: &str) -> tempfile::TempDir {
    folder(cases().iter().find(|case| case["name"] == name).unwrap())
}

#[test]
fn folders_give_the_ids_of_transformers() {
    let cases = cases();
    assert!(cases.len() >= 18);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let dir = folder(&case);
        let tokenizer = Tokenizer::load(dir.path()).unwrap();
        assert_eq!(json!(tokenizer.vocab_size()), case["vocab_size"], "{name}");
        tokenizer.save(dir.path().join("saved")).unwrap();
        let saved = Tokenizer::load(dir.path().join("saved")).unwrap();
        for text in case["texts"].as_array().unwrap() {
            let (text, ids, decoded) = (text["text"].as_str().unwrap(), &text["ids"], &text["decoded"]);
            let found = if text.contains("<|") || text.contains("[PAD]") {
                let again = saved.encode_with_special_tokens(text);
                let found = tokenizer.encode_with_special_tokens(text);
                assert_eq!(found, again, "{name}: {text:?}, saved");
                assert_eq!(json!(tokenizer.decode(&found, false)), *decoded, "{name}: {text:?}");
                found
            } else {
                assert_eq!(
                    tokenizer.decode(&tokenizer.encode(text), false),
                    decoded.as_str().unwrap(),
                    "{name}"
                );
                assert_eq!(
                    saved.encode_document(text),
                    tokenizer.encode_document(text),
                    "{name}: {text:?}, saved"
                );
                tokenizer.encode_document(text)
            };
            assert_eq!(json!(found), *ids, "{name}: {text:?}");
        }
    }
}

#[test]
fn a_token_with_another_id_than_the_files_say_is_refused_by_name() {
    for (file, fields) in [
        (
            "tokenizer_config.json",
            json!({"added_tokens_decoder": {"700": {"content": "<|new|>", "special": true}}}),
        ),
        ("added_tokens.json", json!({"<|new|>": 700})),
    ] {
        let case = json!({"lacks": [], "ordinary": [], "fields": {}, "files": {file: fields}});
        let dir = folder(&case);
        let error = Tokenizer::load(dir.path()).unwrap_err().to_string();
        let expected = format!(
            "{}: not a tokenizer: token \"<|new|>\": expected id 700, but with the vocabulary it has Some(600)",
            dir.path().join(file).display()
        );
        assert_eq!(error, expected);
    }
}

/// transformers adds a pad token that the model has no row for; texts could spell it, and nothing here uses it.
#[test]
fn a_token_without_use_or_row_is_left_out_and_others_are_refused_by_name() {
    let rows = json!({"vocab_size": 600});
    let named = |fields: Value| {
        folder(&json!({
            "lacks": [], "ordinary": [], "fields": {},
            "files": {"config.json": rows, "tokenizer_config.json": fields},
        }))
    };
    let dir = named(json!({"pad_token": "[PAD]"}));
    let tokenizer = Tokenizer::load(dir.path()).unwrap();
    assert_eq!((tokenizer.vocab_size(), tokenizer.pad_token()), (600, None));
    tokenizer.save(dir.path().join("saved")).unwrap();
    let saved = json_of(&dir.path().join("saved/tokenizer_config.json"));
    assert_eq!(saved.get("pad_token"), None, "the vocabulary lacks it");
    assert_eq!(saved["model_max_length"], 1024, "the rest is as it was");

    let dir = named(json!({"additional_special_tokens": ["<|turn|>"]}));
    let tokenizer = Tokenizer::load(dir.path()).unwrap();
    let error = tokenizer.check_vocab_size(600).unwrap_err().to_string();
    assert!(error.contains("has ids up to 600 (\"<|turn|>\")"), "{error}");
    assert!(tokenizer.check_vocab_size(601).is_ok());
}

/// A folder without `tokenizer_config.json`.
fn unconfigured(config: Value, template: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(golden("tokenizer/tokenizer.json"), dir.path().join("tokenizer.json")).unwrap();
    write(dir.path(), "config.json", config.to_string());
    write(dir.path(), "chat_template.jinja", template);
    dir
}

#[test]
fn names_that_the_models_own_configuration_alone_has_are_variables_of_the_template() {
    let ids = json!({"bos_token_id": 10, "eos_token_id": 0, "pad_token_id": -1});
    let template = "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ pad_token is defined }}";
    let dir = unconfigured(ids, template);
    let tokenizer = Tokenizer::load(dir.path()).unwrap();
    let text = tokenizer.decode(&tokenizer.encode_prompt(&[Message::user("a")]).unwrap(), false);
    assert_eq!(text, "<s>a<|endoftext|>False");
    // Where the tokenizer has a configuration, what it does not name has no name, as in transformers.
    write(dir.path(), "tokenizer_config.json", r#"{"bos_token": null}"#);
    let tokenizer = Tokenizer::load(dir.path()).unwrap();
    let text = tokenizer.decode(&tokenizer.encode_prompt(&[Message::user("a")]).unwrap(), false);
    assert_eq!(text, "a<|endoftext|>False");
}

#[test]
fn what_is_written_for_a_folder_without_configuration_names_tokens_that_are_there() {
    let dir = unconfigured(
        json!({"bos_token_id": 10, "eos_token_id": 0}),
        "{{ messages[0].content }}",
    );
    for own in [false, true] {
        let path = dir.path().join("tokenizer.json");
        if !own {
            let text = std::fs::read_to_string(&path).unwrap();
            write(
                dir.path(),
                "tokenizer.json",
                text.replace("<|user|>", "<|human|>").replace("<|system|>", "<|rules|>"),
            );
        } else {
            std::fs::copy(golden("tokenizer/tokenizer.json"), &path).unwrap();
        }
        Tokenizer::load(dir.path())
            .unwrap()
            .save(dir.path().join("saved"))
            .unwrap();
        let saved = json_of(&dir.path().join("saved/tokenizer_config.json"));
        let vocab = std::fs::read_to_string(dir.path().join("saved/tokenizer.json")).unwrap();
        let mut named: Vec<&Value> = saved["additional_special_tokens"]
            .as_array()
            .into_iter()
            .flatten()
            .collect();
        named.extend(
            saved
                .as_object()
                .unwrap()
                .iter()
                .filter(|(name, _)| name.ends_with("_token"))
                .map(|(_, token)| token),
        );
        for token in named.into_iter().filter_map(Value::as_str) {
            assert!(vocab.contains(&format!("\"{token}\"")), "{token} in {saved}");
        }
        assert_eq!(
            (&saved["bos_token"], &saved["eos_token"]),
            (&json!("<s>"), &json!("<|endoftext|>"))
        );
    }
}

#[test]
fn documents_begin_with_bos_where_the_model_learnt_it() {
    let ids = |name: &str| {
        let dir = folder_of(name);
        let tokenizer = Tokenizer::load(dir.path()).unwrap();
        let windows = pack_documents(&tokenizer, ["two", "two"], 99);
        (
            tokenizer.encode("two"),
            windows[0].input_ids.clone(),
            tokenizer.encode_opening("two"),
        )
    };
    let (two, packed, opening) = ids("bos_of_the_post_processor");
    assert_eq!(packed, [&[10], &two[..], &[0, 10], &two, &[0]].concat());
    assert_eq!(opening, [&[10], &two[..]].concat());
    let (two, packed, opening) = ids("no_post_processor");
    assert_eq!(packed, [&[0], &two[..], &[0], &two, &[0]].concat());
    assert_eq!(opening, two);
}

/// GPT-2's two files have no post-processor of their own, so their configuration decides.
#[test]
fn add_bos_token_counts_where_there_is_no_tokenizer_json() {
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = json_of(&golden("tokenizer/tokenizer.json"));
    write(dir.path(), "vocab.json", tokenizer["model"]["vocab"].to_string());
    let merges = tokenizer["model"]["merges"].as_array().unwrap().iter();
    let merges: String = merges.map(|pair| words(pair).join(" ") + "\n").collect();
    write(dir.path(), "merges.txt", merges);
    for (adds, before, after) in [
        (json!({}), 0, 0),
        (json!({"add_bos_token": true}), 1, 0),
        (json!({"add_bos_token": true, "add_eos_token": true}), 1, 1),
    ] {
        let mut config = json!({"bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "GPT2Tokenizer"});
        config
            .as_object_mut()
            .unwrap()
            .extend(adds.as_object().unwrap().clone());
        write(dir.path(), "tokenizer_config.json", config.to_string());
        let tokenizer = Tokenizer::load(dir.path()).unwrap();
        let expected = [&[10][..before], &tokenizer.encode("two"), &[11][..after]].concat();
        assert_eq!(tokenizer.encode_document("two"), expected);
        tokenizer.save(dir.path().join("saved")).unwrap();
        assert_eq!(
            Tokenizer::load(dir.path().join("saved"))
                .unwrap()
                .encode_document("two"),
            expected
        );
    }
}

#[test]
fn characters_that_do_not_come_back_are_told() {
    let lost = |name: &str, text: &str| Tokenizer::load(folder_of(name).path()).unwrap().lost(text);
    assert_eq!(
        lost("bytes_without_token", "a\u{4}b\u{40000}\u{4}"),
        ["\u{4}", "\u{40000}"]
    );
    assert!(lost("bytes_without_token", "Two and two? é 日本").is_empty());
    assert_eq!(lost("nfc", "cafe\u{301} au lait"), ["e\u{301}"]);
    assert_eq!(lost("lowercase", "Two AND two?"), ["T", "A", "N", "D"]);
    assert!(lost("bos_of_the_post_processor", "<s> a\u{4}").is_empty());
}

#[test]
fn an_inspection_counts_rows_whose_text_does_not_come_back() {
    let dir = folder_of("bytes_without_token");
    let tokenizer = Tokenizer::load(dir.path()).unwrap();
    let look = |name: &str, rows: &[Value]| {
        let rows: String = rows.iter().map(|row| format!("{row}\n")).collect();
        write(dir.path(), name, rows);
        let options = InspectOptions {
            tokenizer: Some(&tokenizer),
            ..InspectOptions::default()
        };
        inspect(dir.path().join(name), &options).unwrap()
    };
    let found = look(
        "demonstrations.jsonl",
        &[
            json!({"prompt": "a", "completion": "b"}),
            json!({"prompt": "a\u{4}", "completion": "b\u{4}\u{40000}"}),
            json!({"messages": [{"role": "system", "content": "\u{4}"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}),
        ],
    );
    let lost = found.lost.clone().unwrap();
    assert_eq!(lost.rows, 2);
    assert_eq!(json!(lost.characters), json!({"U+0004": 2, "U+40000": 1}));
    let line = "lost            2 rows hold text that the tokenizer leaves out or changes: U+0004 in 2, U+40000 in 1\n";
    assert!(found.to_string().contains(line), "{found}");
    for (name, row) in [
        (
            "comparisons.jsonl",
            json!({"prompt": "a", "chosen": "b\u{4}", "rejected": "c"}),
        ),
        ("prompts.jsonl", json!({"prompt": "a\u{4}"})),
        ("text.jsonl", json!({"text": "a\u{4}"})),
    ] {
        assert_eq!(look(name, &[row]).lost.unwrap().rows, 1, "{name}");
    }
}

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 269060552\n";

#[test]
fn a_git_lfs_pointer_in_the_place_of_any_file_is_named() {
    for name in [
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "generation_config.json",
        "config.json",
        "chat_template.jinja",
        "vocab.json",
        "merges.txt",
        "tokenizer.model",
        "tokenizer.bin",
    ] {
        let dir = tempfile::tempdir().unwrap();
        if !["vocab.json", "merges.txt", "tokenizer.model", "tokenizer.bin"].contains(&name) {
            std::fs::copy(golden("tokenizer/tokenizer.json"), dir.path().join("tokenizer.json")).unwrap();
            write(dir.path(), "tokenizer_config.json", r#"{"eos_token": "<|endoftext|>"}"#);
        }
        write(dir.path(), name, POINTER);
        let error = Tokenizer::load(dir.path()).unwrap_err().to_string();
        let path = dir.path().join(name).display().to_string();
        assert!(
            error.starts_with(&path) && error.contains("a Git LFS pointer"),
            "{error}"
        );
    }
}

#[test]
fn an_empty_generation_config_and_words_for_numbers_do_no_harm() {
    let dir = unconfigured(json!({"eos_token_id": 0}), "");
    for text in [
        "",
        " \n",
        r#"{"eos_token_id": 0, "length_penalty": NaN}"#,
        r#"{"eos_token_id": -1}"#,
    ] {
        write(dir.path(), "generation_config.json", text);
        assert_eq!(Tokenizer::load(dir.path()).unwrap().eos_token_id(), 0, "{text:?}");
    }
    write(
        dir.path(),
        "config.json",
        r#"{"eos_token_id": 0, "initializer_range": NaN}"#,
    );
    write(
        dir.path(),
        "tokenizer_config.json",
        "\u{feff}{\"model_max_length\": Infinity, \"eos_token\": \"<s>\"}",
    );
    let tokenizer = std::fs::read_to_string(dir.path().join("tokenizer.json")).unwrap();
    write(
        dir.path(),
        "tokenizer.json",
        tokenizer.replacen("\"truncation\": null", "\"truncation\": NaN", 1),
    );
    assert_eq!(Tokenizer::load(dir.path()).unwrap().eos_token_id(), 10);
    write(dir.path(), "generation_config.json", "{");
    assert!(Tokenizer::load(dir.path()).is_err());
}

#[test]
fn files_of_adapters_come_before_those_of_their_base() {
    let base = unconfigured(json!({"eos_token_id": 0}), "of the base");
    let adapter = tempfile::tempdir().unwrap();
    let load = || Tokenizer::load_over(adapter.path(), base.path()).unwrap().unwrap();
    let template = |tokenizer: &Tokenizer| tokenizer.chat_template().map(ChatTemplate::source).map(str::to_owned);
    let plain = load();
    assert_eq!(
        (plain.eos_token(), template(&plain)),
        ("<|endoftext|>", Some("of the base".to_owned()))
    );
    // A template alone, in its file or in the configuration, and eos.
    write(adapter.path(), "chat_template.jinja", "of the adapter");
    assert_eq!(template(&load()).as_deref(), Some("of the adapter"));
    std::fs::remove_file(adapter.path().join("chat_template.jinja")).unwrap();
    write(
        adapter.path(),
        "tokenizer_config.json",
        r#"{"eos_token": "<|im_end|>", "chat_template": "of its configuration"}"#,
    );
    let found = load();
    assert_eq!(
        (found.eos_token(), template(&found).as_deref()),
        ("<|im_end|>", Some("of its configuration"))
    );
    // The eos of the base ends an answer too.
    assert_eq!(found.other_eos_token_ids(), [0]);
    // A tokenizer of its own, with one token more.
    let text = std::fs::read_to_string(base.path().join("tokenizer.json")).unwrap();
    write(adapter.path(), "tokenizer.json", text);
    write(adapter.path(), "added_tokens.json", r#"{"<|new|>": 600}"#);
    assert_eq!(load().vocab_size(), 601);
    assert!(
        Tokenizer::load_over(tempfile::tempdir().unwrap().path(), adapter.path().join("none"))
            .unwrap()
            .is_none()
    );
}
