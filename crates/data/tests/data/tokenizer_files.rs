//! Tokenizers of other people's models: special tokens that other files name, pad that is eos, `vocab.json` and
//! `merges.txt`.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::{Path, PathBuf};

use rlhf_data::{Chat, ChatTemplate, Message, Tokenizer};
use serde_json::{Map, Value, json};

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tokenizer")
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn write(dir: &Path, name: &str, value: &Value) {
    std::fs::write(dir.join(name), value.to_string()).unwrap();
}

/// The tokenizer of the fixtures as older folders have it.
fn two_files() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = json_of(&golden().join("tokenizer.json"));
    write(dir.path(), "vocab.json", &tokenizer["model"]["vocab"]);
    let merges = tokenizer["model"]["merges"].as_array().unwrap().iter();
    let merges: String = merges
        .map(|pair| format!("{} {}\n", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
        .collect();
    std::fs::write(dir.path().join("merges.txt"), format!("#version: 0.2\n{merges}")).unwrap();
    let mut config = json_of(&golden().join("tokenizer_config.json"));
    config["tokenizer_class"] = "GPT2Tokenizer".into();
    let added = tokenizer["added_tokens"].as_array().unwrap().iter();
    let added: Map<String, Value> = added.map(|token| (token["id"].to_string(), token.clone())).collect();
    config["added_tokens_decoder"] = Value::Object(added);
    write(dir.path(), "tokenizer_config.json", &config);
    dir
}

fn check(dir: &Path, file: &str, expected: &str) {
    let error = Tokenizer::load(dir).unwrap_err().to_string();
    let path = dir.join(file).display().to_string();
    assert!(
        error.starts_with(&path) && error.contains(expected),
        "{expected:?} is not in: {error}"
    );
}

#[test]
fn vocab_and_merges_encode_as_tokenizer_json() {
    let dir = two_files();
    let tokenizer = Tokenizer::load(dir.path()).unwrap();
    let cases = json_of(&golden().join("cases.json"));
    let cases = cases["encode"].as_array().unwrap();
    assert!(cases.len() >= 40);
    for case in cases {
        let text = case["text"].as_str().unwrap();
        let ids = tokenizer.encode_with_special_tokens(text);
        assert_eq!(json!(ids), case["ids"], "{text:?}");
        assert_eq!(
            tokenizer.decode(&ids, true),
            case["decoded_skip_special"].as_str().unwrap()
        );
    }
    tokenizer.save(dir.path().join("saved")).unwrap();
    let saved = Tokenizer::load(dir.path().join("saved")).unwrap();
    assert_eq!(saved.encode("don't, 日本"), tokenizer.encode("don't, 日本"));
}

#[test]
fn faults_of_the_two_files_are_named() {
    let dir = two_files();
    let file = |name: &str| dir.path().join(name);
    let restore = |name: &str| {
        let good = two_files();
        std::fs::copy(good.path().join(name), file(name)).unwrap();
    };
    std::fs::remove_file(file("merges.txt")).unwrap();
    check(
        dir.path(),
        "merges.txt",
        "no such file; expected the merges that belong to vocab.json",
    );
    for (text, expected) in [
        ("#version: 0.2\nh e\nhe\n", "line 3: expected two tokens, found \"he\""),
        ("h e\r\na b c\n", "line 2: expected two tokens, found \"a b c\""),
        ("h nonsense\n", "nonsense"),
    ] {
        std::fs::write(file("merges.txt"), text).unwrap();
        check(dir.path(), "merges.txt", expected);
    }
    restore("merges.txt");
    for (text, expected) in [
        (r#"{"a":0,"b":-1}"#, "token \"b\": expected an id, found -1"),
        (r#"{"a":0,"b":2}"#, "expected ids without gaps: 2 stands where 1 should"),
        (r#"{"a":0,"b":0}"#, "expected ids without gaps: 0 stands where 1 should"),
        ("{", "EOF"),
    ] {
        std::fs::write(file("vocab.json"), text).unwrap();
        check(dir.path(), "vocab.json", expected);
    }
    std::fs::remove_file(file("vocab.json")).unwrap();
    check(
        dir.path(),
        "vocab.json",
        "no such file; expected the vocabulary that belongs to merges.txt",
    );
    restore("vocab.json");
    for (field, value, expected) in [
        (
            "tokenizer_class",
            json!("Qwen2Tokenizer"),
            "tokenizer_class Qwen2Tokenizer cuts text its own way",
        ),
        (
            "added_tokens_decoder",
            json!({"x": {}}),
            "expected a token with its id, found \"x\"",
        ),
        (
            "added_tokens_decoder",
            json!({"900": {"content": "<new>"}}),
            "token \"<new>\": expected id 900, but",
        ),
    ] {
        restore("tokenizer_config.json");
        let mut config = json_of(&file("tokenizer_config.json"));
        config[field] = value;
        write(dir.path(), "tokenizer_config.json", &config);
        check(dir.path(), "tokenizer_config.json", expected);
    }
    let mut config = json_of(&file("tokenizer_config.json"));
    config.as_object_mut().unwrap().remove("added_tokens_decoder");
    write(dir.path(), "tokenizer_config.json", &config);
    write(dir.path(), "added_tokens.json", &json!({"<new>": "a"}));
    check(dir.path(), "added_tokens.json", "token \"<new>\": expected an id");
}

/// The tokenizer of the fixtures with another configuration.
fn configured(files: &[(&str, Value)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(golden().join("tokenizer.json"), dir.path().join("tokenizer.json")).unwrap();
    files.iter().for_each(|(name, value)| write(dir.path(), name, value));
    dir
}

#[test]
fn eos_is_the_one_that_is_named_or_that_generation_stops_at() {
    let eos = |files: &[(&str, Value)]| Tokenizer::load(configured(files).path()).map(|t| t.eos_token().to_owned());
    let named = ("tokenizer_config.json", json!({"eos_token": "<|im_end|>"}));
    let mapped = (
        "special_tokens_map.json",
        json!({"eos_token": {"content": "<|eot_id|>"}}),
    );
    let generation = ("generation_config.json", json!({"eos_token_id": [2, 0]}));
    let model = ("config.json", json!({"eos_token_id": 0}));
    assert_eq!(
        eos(&[named.clone(), mapped.clone(), generation.clone()]).unwrap(),
        "<|im_end|>"
    );
    assert_eq!(eos(&[mapped, generation.clone()]).unwrap(), "<|eot_id|>");
    let others =
        |files: &[(&str, Value)]| Tokenizer::load(configured(files).path()).map(|t| t.other_eos_token_ids().to_vec());
    assert_eq!(others(std::slice::from_ref(&generation)).unwrap(), [0]);
    assert_eq!(others(&[named, generation.clone()]).unwrap(), [0]);
    assert_eq!(eos(&[generation, model.clone()]).unwrap(), "<|im_end|>");
    assert_eq!(eos(&[model]).unwrap(), "<|endoftext|>");
    let error = eos(&[]).unwrap_err().to_string();
    assert!(
        error.ends_with("tokenizer.json: no eos token: `<|eos|>` is not in the vocabulary"),
        "{error}"
    );
}

/// Masks never come from what a token is, so an answer keeps its eos when eos fills rows up elsewhere.
#[test]
fn pad_may_be_missing_or_eos() {
    let same = json!({"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"});
    for config in [same, json!({"eos_token": "<|endoftext|>"})] {
        let dir = configured(&[("tokenizer_config.json", config.clone())]);
        std::fs::copy(
            golden().join("chat_template.jinja"),
            dir.path().join("chat_template.jinja"),
        )
        .unwrap();
        let tokenizer = Tokenizer::load(dir.path()).unwrap();
        assert_eq!((tokenizer.pad_token(), tokenizer.pad_token_id()), (None, None));
        let chat = tokenizer
            .encode_conversation(&[Message::user("a"), Message::assistant("b")])
            .unwrap();
        assert_eq!(chat.input_ids.last(), Some(&tokenizer.eos_token_id()));
        assert_eq!(chat.assistant_mask.last(), Some(&true));
        tokenizer.save(dir.path().join("saved")).unwrap();
        let saved = json_of(&dir.path().join("saved/tokenizer_config.json"));
        assert_eq!(
            saved.get("pad_token"),
            config.get("pad_token"),
            "what the model says is kept"
        );
        assert_eq!(Tokenizer::load(dir.path().join("saved")).unwrap().pad_token_id(), None);
    }
}

#[test]
fn a_folder_that_says_nothing_of_conversations_is_saved_as_it_was() {
    let config = json!({"eos_token": "<|endoftext|>", "model_max_length": 77});
    let dir = configured(&[("tokenizer_config.json", config.clone())]);
    let path = dir.path().join("tokenizer.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("<|user|>", "<|human|>")).unwrap();
    let tokenizer = Tokenizer::load(dir.path()).unwrap();
    assert!(tokenizer.check_conversations().is_err());
    tokenizer.save(dir.path().join("saved")).unwrap();
    assert_eq!(json_of(&dir.path().join("saved/tokenizer_config.json")), config);
    assert!(ChatTemplate::load(dir.path().join("saved")).unwrap().is_none());
}

#[test]
fn the_fixture_brings_its_own_template() {
    let template = ChatTemplate::load(golden()).unwrap().unwrap();
    let messages = [json!({"role": "user", "content": "a"})];
    assert!(
        template
            .text(&Chat::new(&messages))
            .unwrap()
            .starts_with("<|im_start|>system\n")
    );
}

/// The tokenizer of the fixtures after `change`.
fn changed(change: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut tokenizer = json_of(&golden().join("tokenizer.json"));
    change(&mut tokenizer);
    write(dir.path(), "tokenizer.json", &tokenizer);
    write(
        dir.path(),
        "tokenizer_config.json",
        &json!({"eos_token": "<|endoftext|>"}),
    );
    dir
}

/// Each of these made the `tokenizers` crate panic, when it was read or when it was used.
#[test]
fn parts_that_the_tokenizers_crate_panics_on_are_refused_by_place() {
    let refused = |expected: &str, change: fn(&mut Value)| check(changed(change).path(), "tokenizer.json", expected);
    for charsmap in ["", "AAAA"] {
        let dir = changed(|tokenizer| {
            tokenizer["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": charsmap});
        });
        check(
            dir.path(),
            "tokenizer.json",
            "field `normalizer`: Precompiled, expected none",
        );
    }
    refused("field `normalizer.normalizers.0`: Precompiled", |tokenizer| {
        tokenizer["normalizer"] = json!({"type": "Sequence", "normalizers": [{"type": "Precompiled"}]});
    });
    refused(
        "field `pre_tokenizer.pretokenizers.0`: length 0, expected at least 1",
        |tokenizer| {
            let own = tokenizer["pre_tokenizer"].take();
            let cut = json!({"type": "FixedLength", "length": 0});
            tokenizer["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [cut, own]});
        },
    );
    refused("field `decoder.decoders.1`: stop, expected 0", |tokenizer| {
        let own = tokenizer["decoder"].take();
        let strip = json!({"type": "Strip", "content": "x", "start": 0, "stop": 2});
        tokenizer["decoder"] = json!({"type": "Sequence", "decoders": [own, strip]});
    });
    refused(
        "field `decoder.decoders.1`: BPEDecoder, expected another",
        |tokenizer| {
            let own = tokenizer["decoder"].take();
            tokenizer["decoder"] =
                json!({"type": "Sequence", "decoders": [own, {"type": "BPEDecoder", "suffix": "</w>"}]});
        },
    );
    refused(
        "field `post_processor`: token \"<bos>\" of single, expected one of special_tokens",
        |tokenizer| {
            tokenizer["post_processor"] = json!({
                "type": "TemplateProcessing", "pair": [], "special_tokens": {},
                "single": [{"SpecialToken": {"id": "<bos>", "type_id": 0}}],
            });
        },
    );
    refused(
        "field `post_processor.processors.0`: sequence B of single, expected A",
        |tokenizer| {
            let both = json!({
                "type": "TemplateProcessing", "pair": [], "special_tokens": {},
                "single": [{"Sequence": {"id": "B", "type_id": 0}}],
            });
            tokenizer["post_processor"] = json!({"type": "Sequence", "processors": [both]});
        },
    );
    refused(
        "the post-processor puts id 9000 around a text, expected one below 600",
        |tokenizer| {
            tokenizer["post_processor"] = json!({
                "type": "TemplateProcessing", "pair": [],
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [9000], "tokens": ["<s>"]}},
            });
        },
    );
    refused("field `model`: continuing_subword_prefix, expected none", |tokenizer| {
        tokenizer["model"]["continuing_subword_prefix"] = "longer than any piece".into();
    });
}

/// With the first of them the crate panicked on every text, with others on those that begin with `a`, or with a space.
#[test]
fn a_normalizer_that_writes_in_place_of_nothing_is_refused() {
    let replacing = |pattern: Value, content: &str| {
        changed(|tokenizer| {
            let replace = json!({"type": "Replace", "pattern": pattern, "content": content});
            tokenizer["normalizer"] = json!({"type": "Sequence", "normalizers": [{"type": "NFC"}, replace]});
        })
    };
    let expected = "field `normalizer.normalizers.1`: pattern {";
    check(replacing(json!({"String": ""}), "y").path(), "tokenizer.json", expected);
    for regex in ["", "^", "(?=a)", r"\b", "a*", "a|b?", "(a?){3}", "(?<!x)", r"(a|)\1"] {
        check(
            replacing(json!({"Regex": regex}), "y").path(),
            "tokenizer.json",
            expected,
        );
    }
    for regex in [r"^\s+", "a+", "(?=a)[ab]", "a|b", "(?i)don't|x{2,}"] {
        let tokenizer = Tokenizer::load(replacing(json!({"Regex": regex}), "y").path()).unwrap();
        assert!(!tokenizer.encode("  aa Don't").is_empty(), "{regex}");
    }
    Tokenizer::load(replacing(json!({"Regex": "^"}), "").path()).unwrap();
}

/// Ids beyond the count passed for ids below it, and a model would have been asked for a row that it has not.
#[test]
fn an_id_far_from_the_others_counts_for_the_size_of_the_vocabulary() {
    let dir = changed(|tokenizer| tokenizer["model"]["vocab"]["a"] = json!(3_000_000));
    let tokenizer = Tokenizer::load(dir.path()).unwrap();
    assert_eq!(tokenizer.encode("a"), [3_000_000]);
    assert_eq!(tokenizer.vocab_size(), 3_000_001);
    assert!(tokenizer.check_vocab_size(512).is_err());
}

/// Writing the vocabulary would count up to it.
#[test]
fn an_id_beyond_all_vocabularies_is_refused_by_its_token() {
    let dir = changed(|tokenizer| tokenizer["model"]["vocab"]["a"] = json!(2_016_777_216_u32));
    let error = Tokenizer::load(dir.path()).unwrap_err().to_string();
    let expected = r#"field `model`: token "a" of vocab: expected an id below 16777216, found 2016777216"#;
    assert!(error.ends_with(expected), "{error}");
}
