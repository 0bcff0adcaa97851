//! Parity with Python tokenizers and transformers on `tests/golden/tokenizer` and `tests/golden/chat_template`.

use std::path::PathBuf;

use rlhf_data::{Chat, ChatTemplate, Message, Tokenizer, TokenizerConfig};
use serde::Deserialize;
use serde_json::json;

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
    let cases = std::fs::read_to_string(dir.join("cases.json")).expect("the fixture is in the repository");
    (
        Tokenizer::load(dir).expect("a whole tokenizer"),
        serde_json::from_str(&cases).expect("the format of the fixture"),
    )
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
        ("<|endoftext|>", Some("<pad>"))
    );
    assert_ne!(Some(tokenizer.eos_token_id()), tokenizer.pad_token_id());
}

#[derive(Deserialize)]
struct Templates {
    eos_token: String,
    pad_token: String,
    chat_template: String,
    cases: Vec<Template>,
}

#[derive(Deserialize)]
struct Template {
    messages: Vec<Message>,
    add_generation_prompt: bool,
    rendered: String,
}

#[test]
fn the_saved_chat_template_renders_what_we_encode() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/chat_template/cases.json");
    let golden: Templates = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let tokenizer = Tokenizer::train(["Who keeps the light?"], &TokenizerConfig::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    tokenizer.save(dir.path()).unwrap();
    let saved = std::fs::read_to_string(dir.path().join("tokenizer_config.json")).unwrap();
    let saved: serde_json::Value = serde_json::from_str(&saved).unwrap();
    assert_eq!(saved["chat_template"], golden.chat_template, "regenerate the fixture");
    assert_eq!(
        (saved["eos_token"].as_str(), saved["pad_token"].as_str()),
        (Some(&*golden.eos_token), Some(&*golden.pad_token))
    );
    let template = ChatTemplate::load(dir.path()).unwrap().expect("a template is saved");
    let loaded = Tokenizer::load(dir.path()).unwrap();
    assert!(loaded.chat_template().is_none(), "role tokens serve our own template");
    for case in golden.cases {
        let messages: Vec<_> = case.messages.iter().map(|message| json!(message)).collect();
        let mut chat = Chat::new(&messages);
        chat.add_generation_prompt = case.add_generation_prompt;
        let rendered = template.render(&chat).unwrap();
        assert_eq!(rendered.text, case.rendered);
        let by_template = tokenizer.encode_rendered(&rendered);
        if case.add_generation_prompt {
            assert_eq!(tokenizer.encode_prompt(&case.messages).unwrap(), by_template.input_ids);
        } else {
            assert_eq!(tokenizer.encode_conversation(&case.messages).unwrap(), by_template);
        }
        assert_eq!(tokenizer.decode(&by_template.input_ids, false), case.rendered);
    }
}
