//! `tokenizer.model` and llama2.c's `tokenizer.bin`, and conversations in tokenizers that put a space before a text.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;

use proptest::prelude::*;
use rlhf_data::{ChatTemplate, Message, Tokenizer};
use serde_json::json;

const UNKNOWN: u8 = 2;
const CONTROL: u8 = 3;
const BYTE: u8 = 6;

/// Text, score and type of each piece.
fn pieces() -> Vec<(String, f32, u8)> {
    let special = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)];
    let mut pieces: Vec<_> = special.map(|(text, kind)| (text.to_owned(), 0.0, kind)).into();
    pieces.extend((0..=255).map(|byte| (format!("<0x{byte:02X}>"), 0.0, BYTE)));
    // In the order of their scores: 259 ▁t, 260 he, 261 ▁a, 262 ▁the, then 263 ▁ and the letters.
    let words = [
        "▁t", "he", "▁a", "▁the", "▁", "a", "b", "e", "h", "n", "t", "[", "]", "é",
    ];
    pieces.extend((0_u8..).zip(words).map(|(i, word)| (word.to_owned(), -f32::from(i), 1)));
    pieces
}

/// A field of a protobuf message that holds bytes.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 128);
    [&[tag << 3 | 2, bytes.len() as u8], bytes].concat()
}

/// SentencePiece's file: pieces, type of model, and what is done to text before.
fn model_file(pieces: &[(String, f32, u8)], model_type: u8, removes_spaces: u8) -> Vec<u8> {
    let mut file = Vec::new();
    for (text, score, kind) in pieces {
        let score = [&[2 << 3 | 5][..], &score.to_le_bytes()].concat();
        file.extend(field(
            1,
            &[field(1, text.as_bytes()), score, vec![3 << 3, *kind]].concat(),
        ));
    }
    file.extend(field(2, &[3 << 3, model_type]));
    file.extend(field(3, &[4 << 3, removes_spaces]));
    file
}

fn llama2c_file(pieces: &[(String, f32, u8)]) -> Vec<u8> {
    let mut file = 7_u32.to_le_bytes().to_vec();
    for (text, score, kind) in pieces {
        let text = match *kind {
            CONTROL => format!("\n{text}\n"),
            _ => text.replace('▁', " "),
        };
        file.extend(score.to_le_bytes());
        file.extend((text.len() as u32).to_le_bytes());
        file.extend(text.as_bytes());
    }
    file
}

const TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[a] ' + m.content + ' [b]' }}\
                        {% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}";

fn folder(name: &str, bytes: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(name), bytes).unwrap();
    let config = json!({"bos_token": "<s>", "eos_token": "</s>"});
    std::fs::write(dir.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    dir
}

fn load(dir: &Path) -> Tokenizer {
    let template = ChatTemplate::new(TEMPLATE, "test").unwrap();
    Tokenizer::load(dir).unwrap().with_chat_template(template)
}

#[test]
fn pieces_merge_by_score_after_a_space_and_the_rest_are_bytes() {
    let dir = folder("tokenizer.model", &model_file(&pieces(), 2, 0));
    let tokenizer = load(dir.path());
    assert_eq!(tokenizer.vocab_size(), pieces().len());
    // ▁t, h, e: he before ▁the, which is made from ▁t and he.
    assert_eq!(tokenizer.encode("the hen"), [262, 263, 260, 268]);
    assert_eq!(tokenizer.encode("a"), [261]);
    assert_eq!(tokenizer.encode(" a"), [263, 261]);
    // Z has no piece; é has.
    assert_eq!(tokenizer.encode("é Z"), [263, 272, 263, 3 + 0x5A]);
    assert_eq!(tokenizer.encode_with_special_tokens("<s>a</s>"), [1, 261, 2]);
    assert_eq!(
        tokenizer.encode("</s>").len(),
        5,
        "text never turns into a special token"
    );
    assert_eq!(tokenizer.decode(&[1, 262, 263, 260, 268, 2], true), "the hen");
    assert_eq!(tokenizer.eos_token_id(), 2);
}

#[test]
fn ids_that_no_piece_stands_for_are_passed_over() {
    let dir = folder("tokenizer.model", &model_file(&pieces(), 2, 0));
    let tokenizer = load(dir.path());
    let padding = pieces().len() as u32;
    tokenizer.check_vocab_size(pieces().len() + 56).unwrap();
    assert_eq!(
        tokenizer.decode(&[padding, 262, 263, padding + 7, 260, 268], true),
        "the hen"
    );
    assert_eq!(tokenizer.decode(&[padding], false), "");
    let mut stream = tokenizer.decode_stream();
    let streamed: String = [262, padding, 263, 260, 268]
        .into_iter()
        .filter_map(|id| stream.push(id))
        .collect();
    assert_eq!(streamed, "the hen");
}

#[test]
fn a_saved_tokenizer_and_that_of_llama2c_are_the_same() {
    let dir = folder("tokenizer.model", &model_file(&pieces(), 2, 0));
    let first = load(dir.path());
    first.save(dir.path().join("saved")).unwrap();
    let llama2c = folder("tokenizer.bin", &llama2c_file(&pieces()));
    let numbered = folder("tok512.bin", &llama2c_file(&pieces()));
    let saved = dir.path().join("saved");
    for other in [saved.as_path(), llama2c.path(), numbered.path()].map(load) {
        for text in ["the hen", "  two  a\n", "日本 é <s>"] {
            assert_eq!(other.encode(text), first.encode(text));
            assert_eq!(
                other.encode_with_special_tokens(text),
                first.encode_with_special_tokens(text)
            );
        }
    }
}

#[test]
fn tokens_come_with_their_spaces_one_by_one() {
    let dir = folder("tokenizer.model", &model_file(&pieces(), 2, 0));
    let tokenizer = load(dir.path());
    for text in ["the hen a the", " a  b", "日本 a é", "\na\n a"] {
        let mut stream = tokenizer.decode_stream();
        let mut streamed = String::new();
        for id in tokenizer.encode(text) {
            streamed.extend(stream.push(id));
        }
        streamed.extend(stream.finish());
        assert_eq!(streamed, text);
    }
}

proptest! {
    /// The tokens learnt of an answer are those that the whole conversation has after its prompt.
    #[test]
    fn prompt_and_completion_are_the_conversation(asked in "[abehnt é]{0,12}", answer in "[abehntZ é]{0,12}") {
        let dir = folder("tokenizer.model", &model_file(&pieces(), 2, 0));
        let tokenizer = load(dir.path());
        let prompt = [Message::user(asked)];
        let mut ids = tokenizer.encode_prompt(&prompt).unwrap();
        ids.extend(tokenizer.encode_completion(&prompt, &answer).unwrap());
        let whole = tokenizer.encode_conversation(&[&prompt[..], &[Message::assistant(answer)]].concat()).unwrap();
        prop_assert_eq!(ids, whole.input_ids);
    }
}

#[test]
fn faults_of_the_files_are_named() {
    let check = |name: &str, bytes: &[u8], expected: &str| {
        let dir = folder(name, bytes);
        let error = Tokenizer::load(dir.path()).unwrap_err().to_string();
        let path = dir.path().join(name).display().to_string();
        assert!(error.starts_with(&path) || error.contains(expected), "{error}");
        assert!(error.contains(expected), "{expected:?} is not in: {error}");
    };
    let good = model_file(&pieces(), 2, 0);
    check(
        "tokenizer.model",
        &good[..good.len() - 1],
        "expected a SentencePiece model",
    );
    check("tokenizer.model", &model_file(&pieces(), 1, 0), "of type BPE");
    check("tokenizer.model", &model_file(&pieces(), 2, 1), "removes white space");
    let twice = [pieces(), pieces()].concat();
    check(
        "tokenizer.model",
        &model_file(&twice, 2, 0),
        "piece \"<unk>\" occurs twice, as 0 and 273",
    );
    // Cutting it in two at every place would take days.
    let endless = [pieces(), vec![("x".repeat(1 << 20), 0.0, 1)]].concat();
    check(
        "tokenizer.bin",
        &llama2c_file(&endless),
        "piece 273: 1048576 bytes, expected at most 4096",
    );
    // Eight megabytes that would merge in eight million ways, of 23 gigabytes.
    let runs = (1..=4096).map(|len| ("x".repeat(len), 0.0, 1));
    check(
        "tokenizer.bin",
        &llama2c_file(&pieces().into_iter().chain(runs).collect::<Vec<_>>()),
        "piece 859: merges of 67420488 bytes up to here, expected at most 67108864 in all",
    );
    let good = llama2c_file(&pieces());
    for len in [0, 3, 6, 11, good.len() - 1] {
        check("tokenizer.bin", &good[..len], "ends in the middle of one");
    }
}

/// Without the bytes most texts cannot be spelt, which is said of them and no reason to refuse the rest.
#[test]
fn a_model_without_bytes_loses_what_it_has_no_piece_for() {
    let letters: Vec<_> = pieces().into_iter().filter(|piece| piece.2 != BYTE).collect();
    let dir = folder("tokenizer.model", &model_file(&letters, 2, 0));
    let tokenizer = load(dir.path());
    assert!(tokenizer.lost("the hat").is_empty());
    assert_eq!(tokenizer.lost("the hat é?"), ["?"]);
}

/// As Llama and llama2.c do, unless the configuration says otherwise.
#[test]
fn texts_by_themselves_begin_with_bos() {
    let dir = folder("tokenizer.model", &model_file(&pieces(), 2, 0));
    let ids = |config: &str| {
        std::fs::write(dir.path().join("tokenizer_config.json"), config).unwrap();
        let tokenizer = Tokenizer::load(dir.path()).unwrap();
        let [text, document] = [tokenizer.encode("the"), tokenizer.encode_document("the")];
        tokenizer.save(dir.path().join("saved")).unwrap();
        let saved = Tokenizer::load(dir.path().join("saved")).unwrap();
        assert_eq!(saved.encode_document("the"), document);
        document.len() - text.len()
    };
    assert_eq!(ids(r#"{"eos_token": "</s>"}"#), 1);
    assert_eq!(
        ids(r#"{"eos_token": "</s>", "bos_token": "<s>", "add_bos_token": false}"#),
        0
    );
    assert_eq!(
        ids(r#"{"eos_token": "</s>", "bos_token": "<s>", "add_bos_token": true, "add_eos_token": true}"#),
        2
    );
}
