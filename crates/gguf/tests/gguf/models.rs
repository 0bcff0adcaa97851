//! Configuration, tensors and tokenizer of every sound file.

use std::fs;
use std::path::Path;

use rlhf_gguf::{Gguf, GgufTokenizer};
use serde_json::Value;

use crate::golden::{check_numbers, numbers, sound};

#[test]
fn configurations_are_those_of_transformers() {
    for (path, expected) in sound() {
        let file = Gguf::open(&path).expect("a sound file");
        let config = file.config().expect("a sound configuration");
        for (field, wanted) in expected["config"].as_object().expect("an object") {
            assert_eq!(&config[field], wanted, "{} {field}", path.display());
        }
    }
}

#[test]
fn tensors_have_their_names_shapes_and_numbers() {
    for (path, expected) in sound() {
        let bytes = fs::read(&path).expect("readable");
        let file = Gguf::parse(&bytes, &path).expect("a sound file");
        let tensors = file.tensors().expect("sound tensors");
        for wanted in expected["tensors"].as_array().expect("a list") {
            let name = wanted["hf_name"].as_str().expect("a text");
            let Some(tensor) = tensors.iter().find(|tensor| tensor.name == name) else {
                // The embedding a second time.
                assert_eq!(
                    (name, expected["config"]["tie_word_embeddings"] == true),
                    ("lm_head.weight", true)
                );
                continue;
            };
            let context = format!("{} {name}", path.display());
            assert_eq!(tensor.stored.name, wanted["name"], "{context}");
            assert_eq!(tensor.stored.tensor_type.name(), wanted["type"], "{context}");
            let (stored, ours) = numbers(&file, &bytes, tensor);
            check_numbers(&context, &stored, tensor.stored.dims[0] as usize, wanted);
            if let Some(hf) = wanted.get("hf") {
                assert_eq!(Value::from(tensor.shape.clone()), hf["shape"], "{context}");
                check_numbers(&context, &ours, tensor.shape[tensor.shape.len() - 1], hf);
            } else {
                assert_eq!(stored, ours, "{context}");
            }
        }
        assert!(tensors.len() <= expected["tensors"].as_array().expect("a list").len());
    }
}

/// The tokenizer that a `tokenizer.json` describes.
pub(crate) fn built(json: &Value) -> ::tokenizers::Tokenizer {
    ::tokenizers::Tokenizer::from_bytes(json.to_string()).expect("a sound tokenizer")
}

/// Checks `ids` and `ids_specials_as_text` of texts.
pub(crate) fn check_texts(path: &Path, tokenizer: &::tokenizers::Tokenizer, texts: &Value) {
    let mut as_text = tokenizer.clone();
    as_text.set_encode_special_tokens(true);
    for text in texts.as_array().expect("a list") {
        let words = text["text"].as_str().expect("a text");
        for (tokenizer, key) in [(tokenizer, "ids"), (&as_text, "ids_specials_as_text")] {
            let Some(wanted) = text.get(key) else {
                continue;
            };
            let found = tokenizer.encode(words, false).expect("encodes");
            assert_eq!(
                Value::from(found.get_ids()),
                *wanted,
                "{} {words:?} {key}",
                path.display()
            );
        }
    }
}

#[test]
fn texts_become_the_tokens_of_the_reference() {
    let mut byte_level = 0;
    for (path, expected) in sound() {
        let file = Gguf::open(&path).expect("a sound file");
        let tokenizer = file.tokenizer().expect("a sound tokenizer").expect("there is one");
        let wanted = &expected["tokenizer"];
        let config = tokenizer.config();
        if wanted.is_null() {
            continue;
        }
        assert_eq!(config["add_bos_token"], wanted["add_bos"], "{}", path.display());
        match &tokenizer {
            GgufTokenizer::ByteLevel { json, .. } => {
                byte_level += 1;
                for (name, key) in [("bos_token", "bos"), ("eos_token", "eos"), ("pad_token", "pad")] {
                    let token = config[name].as_str().expect("a text");
                    assert_eq!(json["model"]["vocab"][token], wanted[key], "{} {name}", path.display());
                }
                let tokenizer = built(json);
                check_texts(&path, &tokenizer, &wanted["encode"]);
                // With special tokens, bos comes before everything.
                let with = tokenizer.encode("a", true).expect("encodes");
                let bos = wanted["bos"].as_u64().filter(|_| wanted["add_bos"] == true);
                assert_eq!(with.get_ids().len() == 2, bos.is_some());
                assert!(bos.is_none_or(|bos| u64::from(with.get_ids()[0]) == bos));
            }
            GgufTokenizer::SentencePiece {
                pieces,
                add_space_prefix,
                ..
            } => {
                assert_eq!(pieces.len() as u64, wanted["n_tokens"].as_u64().expect("a number"));
                assert!(*add_space_prefix);
            }
            _ => panic!("a kind that is not known"),
        }
    }
    assert!(byte_level > 20);
}
