//! Files of the fixtures with a few bytes or numbers changed: each is an error that says which file, or is read; none is a
//! panic. `fuzz/` looks for the same for hours, this for seconds; what either finds becomes a test of its own.

use std::{fs, ops::Range, path::Path};

use rand::{Rng, seq::IndexedRandom};
use rlhf_data::{
    Chat, ChatTemplate, Documents, InspectOptions, Message, Tokenizer, inspect, read_comparisons, read_text,
};
use rlhf_model::{load_causal_lm, load_scalar_model, sequence_logprobs, sequence_scores};
use serde_json::json;

use crate::fixtures::{CONFIGS, model_dir, path};
use crate::tiny::device;

/// Numbers, and what is none, that a damaged or hostile file may have in the place of a number.
const ABSURD: [&str; 14] = [
    "0",
    "-1",
    "1",
    "3",
    "0.5",
    "1e-300",
    "1e300",
    "1e999",
    "16777216",
    "4294967296",
    "1000000000000000000",
    "18446744073709551615",
    "null",
    "[]",
];

/// `bytes` with one to three changes.
fn damaged(bytes: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.random_range(1..=3) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.random_range(0..bytes.len());
        let end = (at + rng.random_range(1..=16)).min(bytes.len());
        match rng.random_range(0..7) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.splice(at..at, bytes[at..end].to_vec()).for_each(drop),
            4 => rng.fill_bytes(&mut bytes[at..end]),
            5 => replace_number(&mut bytes, at, |_| {
                ABSURD.choose(rng).expect("some").as_bytes().to_vec()
            }),
            _ => swap_numbers(&mut bytes, at, rng),
        }
    }
    bytes
}

/// The first number at `at` or after it.
fn number(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let start = at + bytes[at..].iter().position(u8::is_ascii_digit)?;
    let len = bytes[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || **byte == b'.')
        .count();
    Some(start..start + len)
}

fn replace_number(bytes: &mut Vec<u8>, at: usize, by: impl FnOnce(&[u8]) -> Vec<u8>) {
    if let Some(place) = number(bytes, at) {
        let new = by(&bytes[place.clone()]);
        bytes.splice(place, new);
    }
}

/// Puts another number of the file in the place of one.
fn swap_numbers(bytes: &mut Vec<u8>, at: usize, rng: &mut impl Rng) {
    let from = rng.random_range(0..bytes.len());
    if let Some(other) = number(bytes, from).map(|place| bytes[place].to_vec()) {
        replace_number(bytes, at, |_| other);
    }
}

/// Damages `file` of `dir` again and again, and gives it to `read`, which says what is wrong with it if something is.
/// Whatever it says must name a file of the folder.
fn check(dir: &Path, file: &str, times: u64, read: impl Fn(&Path) -> Result<(), String>) {
    let (target, whole) = (dir.join(file), fs::read(dir.join(file)).expect("a fixture"));
    let mut refused = 0;
    for time in 0..times {
        let bytes = damaged(&whole, &mut rlhf_core::rng(time, file, &[]));
        fs::write(&target, &bytes).expect("a temporary file");
        if let Err(message) = read(dir) {
            refused += 1;
            assert!(message.contains(&*dir.to_string_lossy()), "{file}, {time}: {message}");
        }
    }
    fs::write(&target, whole).expect("a temporary file");
    assert!(refused > 0, "{file}: no damage was noticed");
}

fn causal(dir: &Path) -> Result<(), String> {
    let (model, _) = load_causal_lm(dir, &device()).map_err(|error| error.to_string())?;
    sequence_logprobs(&model, &[[0, 1, 2]], &[0], 1.0, 8);
    Ok(())
}

fn scalar(dir: &Path) -> Result<(), String> {
    let (model, _) = load_scalar_model(dir, &device()).map_err(|error| error.to_string())?;
    sequence_scores(&model, &[[0, 1, 2]], 8);
    Ok(())
}

#[test]
fn a_damaged_model_is_read_or_refused() {
    for model in ["gpt2", "gpt_neox", "llama_tied", "llama_tied_bf16", "qwen2", "qwen3"] {
        for config in CONFIGS {
            check(model_dir(model, config).path(), "config.json", 150, causal);
        }
        check(model_dir(model, CONFIGS[0]).path(), "model.safetensors", 40, causal);
    }
    let sharded = model_dir("llama_sharded", CONFIGS[0]);
    check(sharded.path(), "model.safetensors.index.json", 150, causal);
    check(sharded.path(), "model-00002-of-00002.safetensors", 40, causal);
    let reward = model_dir("gpt2_reward", CONFIGS[0]);
    check(reward.path(), "config.json", 150, scalar);
    check(reward.path(), "model.safetensors", 40, scalar);
}

#[test]
fn a_damaged_header_of_weights_is_read_or_refused() {
    for model in ["gpt2", "llama_tied_bf16"] {
        let dir = model_dir(model, CONFIGS[0]);
        let file = dir.path().join("model.safetensors");
        let whole = fs::read(&file).expect("a fixture");
        let (len, rest) = whole.split_first_chunk::<8>().expect("a header");
        let (header, numbers) = rest.split_at(u64::from_le_bytes(*len) as usize);
        for time in 0..400 {
            let header = damaged(header, &mut rlhf_core::rng(time, "header", &[]));
            let len = (header.len() as u64).to_le_bytes();
            fs::write(&file, [&len[..], &header, numbers].concat()).expect("a temporary file");
            if let Err(message) = causal(dir.path()) {
                assert!(message.contains("model.safetensors"), "{time}: {message}");
            }
        }
    }
}

#[test]
fn a_damaged_tokenizer_is_read_or_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for file in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
        fs::copy(path("tokenizer").join(file), dir.path().join(file)).expect("a fixture");
    }
    let speak = |dir: &Path| {
        let tokenizer = Tokenizer::load(dir).map_err(|error| error.to_string())?;
        let messages = [Message::user("Où, <|endoftext|>?"), Message::assistant(" 日本 \n")];
        let ids = tokenizer.encode(&messages[0].content);
        // What a damaged vocabulary has lost is told.
        let comes_back = tokenizer.decode(&ids, false) == messages[0].content;
        assert_eq!(comes_back, tokenizer.lost(&messages[0].content).is_empty());
        // The template may have become another one, which refuses the conversation.
        let _ = (
            tokenizer.encode_prompt(&messages[..1]),
            tokenizer.encode_conversation(&messages),
        );
        Ok(())
    };
    check(dir.path(), "tokenizer.json", 300, speak);
    check(dir.path(), "tokenizer_config.json", 300, speak);
    check(dir.path(), "chat_template.jinja", 300, speak);
}

#[test]
fn a_damaged_template_ends_with_a_text_or_an_error() {
    let messages = [
        json!({"role": "user", "content": "a"}),
        json!({"role": "assistant", "content": "b"}),
    ];
    for entry in fs::read_dir(path("chat/templates")).expect("fixtures") {
        let source = fs::read(entry.expect("a fixture").path()).expect("a fixture");
        for time in 0..200 {
            let source = damaged(&source, &mut rlhf_core::rng(time, "template", &[]));
            if let Ok(template) = ChatTemplate::new(&String::from_utf8_lossy(&source), "damaged") {
                let _ = template.render(&Chat::new(&messages));
            }
        }
    }
}

#[test]
fn damaged_rows_are_read_or_refused() {
    const ROWS: &str = r#"{"prompt": "a", "completions": ["b", "c"], "ranking": [0, 1], "margin": 0.5, "id": 7}
{"prompt": [{"role": "user", "content": "a"}], "chosen": "b", "rejected": "c", "labeler": "é"}
{"prompt": "a", "completion": "b", "label": true}
{"prompt": "a", "completion": "c", "label": false}"#;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let read = |dir: &Path, name: &str| {
        let file = dir.join(name);
        let _ = (
            inspect(&file, &InspectOptions::default()),
            read_text(&file, Documents::Auto),
        );
        read_comparisons(&file).map(drop).map_err(|error| error.to_string())
    };
    let array = format!("[{}]", ROWS.replace('\n', ",\n"));
    for (name, rows) in [("rows.jsonl", ROWS), ("rows.json", &array)] {
        fs::write(dir.path().join(name), rows).expect("a temporary file");
        check(dir.path(), name, 500, |dir| read(dir, name));
    }
}
