//! Parity with Python tokenizers on `tests/golden/tokenizer`.

use std::path::PathBuf;

use rlhf_data::Tokenizer;
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    vocab_size: usize,
    encode: Vec<Encode>,
    prefix_decode: Vec<Prefix>,
}

#[derive(Deserialize)]
struct Encode {
    text: String,
    ids: Vec<u32>,
    tokens: Vec<String>,
    decoded: String,
    decoded_skip_special: String,
}

#[derive(Deserialize)]
struct Prefix {
    ids: Vec<u32>,
    decoded: String,
}

fn golden() -> (Tokenizer, Cases) {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tokenizer");
    let cases = std::fs::read_to_string(dir.join("cases.json")).unwrap();
    (Tokenizer::load(dir).unwrap(), serde_json::from_str(&cases).unwrap())
}

#[test]
fn texts_encode_and_decode_as_in_python() {
    let (tokenizer, cases) = golden();
    assert_eq!(tokenizer.vocab_size(), cases.vocab_size);
    assert!(cases.encode.len() >= 40);
    for case in cases.encode {
        assert_eq!(
            tokenizer.encode_with_special_tokens(&case.text),
            case.ids,
            "{:?}",
            case.text
        );
        assert_eq!(tokenizer.decode(&case.ids, false), case.decoded);
        assert_eq!(tokenizer.decode(&case.ids, true), case.decoded_skip_special);
        let tokens: Vec<String> = case.ids.iter().map(|&id| tokenizer.id_to_token(id).unwrap()).collect();
        assert_eq!(tokens, case.tokens);
        // As text of a user, no special token comes out and nothing is lost.
        assert_eq!(tokenizer.decode(&tokenizer.encode(&case.text), true), case.text);
    }
}

#[test]
fn prefixes_decode_as_in_python() {
    let (tokenizer, cases) = golden();
    for case in &cases.prefix_decode {
        assert_eq!(tokenizer.decode(&case.ids, false), case.decoded);
    }
}

#[test]
fn a_stream_gives_whole_characters_of_the_python_text() {
    let (tokenizer, cases) = golden();
    for case in &cases.prefix_decode {
        let mut stream = tokenizer.decode_stream();
        let mut text = String::new();
        for &id in &case.ids {
            text.extend(stream.push(id));
            assert!(
                !text.contains(char::REPLACEMENT_CHARACTER),
                "half a character in {text:?}"
            );
        }
        text.extend(stream.finish());
        assert_eq!(text, case.decoded);
    }
}

#[test]
fn special_tokens_are_those_the_config_names() {
    let (tokenizer, _) = golden();
    assert_eq!(
        (tokenizer.eos_token(), tokenizer.pad_token()),
        ("<|endoftext|>", "<pad>")
    );
    assert_ne!(tokenizer.eos_token_id(), tokenizer.pad_token_id());
}
