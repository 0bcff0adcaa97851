//! Tokenizers that are written: from `tokenizer.json` to the entries of a file.

use std::path::PathBuf;

use rlhf_gguf::{Error, Export, Gguf, GgufTokenizer, Piece, PieceKind, Result, TensorType};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::golden::{golden, object};

/// A byte-level tokenizer read from a fixture, to be changed.
fn byte_level() -> (Value, Map<String, Value>) {
    let file = Gguf::open(golden("gguf/llama-f32.gguf")).expect("sound");
    match file.tokenizer().expect("sound") {
        Some(GgufTokenizer::ByteLevel { json, config }) => (json, config),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tokenizers_that_cut_otherwise_are_refused_by_their_part() {
    let (sound, config) = byte_level();
    GgufTokenizer::from_json(sound.clone(), config.clone()).expect("sound");
    for (part, pointer, value) in [
        ("model.type", "/model/type", json!("Unigram")),
        ("pre_tokenizer", "/pre_tokenizer", json!({"type": "Whitespace"})),
        ("normalizer", "/normalizer", json!({"type": "Lowercase"})),
        ("model.ignore_merges", "/model/ignore_merges", json!(true)),
        ("model.end_of_word_suffix", "/model/end_of_word_suffix", json!("</w>")),
    ] {
        let mut json = sound.clone();
        *json.pointer_mut(pointer).expect("there is such a part") = value;
        let error = GgufTokenizer::from_json(json, config.clone())
            .expect_err("refused")
            .to_string();
        assert!(error.starts_with(&format!("tokenizer.json: `{part}`: ")), "{error}");
    }
}

/// A file with this tokenizer on an embedding of `rows`.
fn with_tokenizer(
    tokenizer: &GgufTokenizer,
    rows: usize,
    generation: Option<&Map<String, Value>>,
) -> Result<(TempDir, PathBuf)> {
    let folder = TempDir::new().expect("a folder");
    let to = folder.path().join("model.gguf");
    let config = object(
        json!({"model_type": "qwen2", "vocab_size": rows, "hidden_size": 4, "intermediate_size": 4,
        "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 8, "tie_word_embeddings": true}),
    );
    let export = Export {
        config: &config,
        generation,
        tokenizer: Some(tokenizer),
        name: "tokens",
        tensor_type: TensorType::F32,
    };
    export.write(&to, |_, shape| Ok::<_, Error>(vec![0.5; shape.iter().product()]))?;
    Ok((folder, to))
}

#[test]
fn rows_that_no_token_has_are_filled_up() {
    let (json, config) = byte_level();
    let tokenizer = GgufTokenizer::from_json(json, config).expect("sound");
    let (_folder, path) = with_tokenizer(&tokenizer, 387, None).expect("writes");
    let file = Gguf::open(path).expect("sound");
    let tokens = file
        .value("tokenizer.ggml.tokens")
        .and_then(|value| value.as_texts())
        .expect("texts");
    let padding: Vec<&str> = tokens[384..].iter().map(|token| &**token).collect();
    assert_eq!(padding, ["[PAD384]", "[PAD385]", "[PAD386]"]);
    let types: Vec<u64> = file
        .value("tokenizer.ggml.token_type")
        .and_then(|value| value.as_array())
        .map(|array| array.numbers().filter_map(|number| number.as_u64()).collect())
        .expect("numbers");
    assert_eq!(types[383..], [1, 5, 5, 5]);
    file.tokenizer().expect("sound");
    let error = with_tokenizer(&tokenizer, 383, None)
        .expect_err("too many tokens")
        .to_string();
    assert!(error.contains("384 tokens, expected at most the 383"), "{error}");
}

#[test]
fn every_token_that_ends_an_answer_is_kept() {
    let (json, config) = byte_level();
    let tokenizer = GgufTokenizer::from_json(json, config).expect("sound");
    let generation = object(json!({"bos_token_id": 3, "eos_token_id": [2, 6]}));
    let (_folder, path) = with_tokenizer(&tokenizer, 384, Some(&generation)).expect("writes");
    let file = Gguf::open(path).expect("sound");
    assert_eq!(file.generation_config().expect("sound")["eos_token_id"], json!([2, 6]));
    assert_eq!(file.config().expect("sound")["eos_token_id"], json!(2));
}

#[test]
fn chat_templates_keep_their_names() {
    let (json, mut config) = byte_level();
    let templates = json!([{"name": "default", "template": "{{ a }}"}, {"name": "tool_use", "template": "{{ b }}"}]);
    config.insert("chat_template".into(), templates.clone());
    let tokenizer = GgufTokenizer::from_json(json, config).expect("sound");
    let (_folder, path) = with_tokenizer(&tokenizer, 384, None).expect("writes");
    let read = Gguf::open(path)
        .expect("sound")
        .tokenizer()
        .expect("sound")
        .expect("there is one");
    assert_eq!(read.config()["chat_template"], templates);
}

/// SentencePiece's BPE in `tokenizer.json`, with these merges.
fn pieces_json(merges: Value) -> Value {
    json!({
        "added_tokens": [{"id": 0, "content": "<unk>", "special": true}, {"id": 1, "content": "<s>", "special": true}],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ]},
        "pre_tokenizer": null,
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]},
        "model": {"type": "BPE", "byte_fallback": true, "unk_token": "<unk>",
            "vocab": {"<unk>": 0, "<s>": 1, "<0x0A>": 2, "▁": 3, "t": 4, "h": 5, "▁t": 6, "th": 7, "▁th": 8},
            "merges": merges},
    })
}

#[test]
fn merges_become_scores() {
    let json = pieces_json(json!([["▁", "t"], "t h", ["▁t", "h"], ["▁", "th"]]));
    let config = object(json!({"bos_token": "<s>", "unk_token": {"content": "<unk>"}}));
    let tokenizer = GgufTokenizer::from_json(json, config).expect("sound");
    let (_folder, path) = with_tokenizer(&tokenizer, 9, None).expect("writes");
    let file = Gguf::open(path).expect("sound");
    assert_eq!(
        file.value("tokenizer.ggml.model").and_then(|value| value.as_text()),
        Some("llama")
    );
    let Some(GgufTokenizer::SentencePiece {
        pieces,
        add_space_prefix: true,
        config,
    }) = file.tokenizer().expect("sound")
    else {
        panic!("another kind");
    };
    let kinds: Vec<PieceKind> = pieces.iter().take(4).map(|piece| piece.kind).collect();
    assert_eq!(
        kinds,
        [
            PieceKind::Unknown,
            PieceKind::Control,
            PieceKind::Byte,
            PieceKind::Normal
        ]
    );
    let scores: Vec<f32> = pieces[6..].iter().map(|piece: &Piece| piece.score).collect();
    assert_eq!(scores, [0.0, -1.0, -2.0]);
    assert_eq!(config["add_bos_token"], true);
}

#[test]
fn merges_that_pieces_alone_do_not_give_are_refused() {
    for merges in [
        // `▁` and `th` would be joined too.
        json!([["▁", "t"], ["t", "h"], ["▁t", "h"]]),
        // `▁th` is made first and last.
        json!([["▁t", "h"], ["▁", "t"], ["t", "h"], ["▁", "th"]]),
    ] {
        let error = GgufTokenizer::from_json(pieces_json(merges), Map::new())
            .expect_err("refused")
            .to_string();
        assert!(error.starts_with("tokenizer.json: `model.merges`: "), "{error}");
    }
}
