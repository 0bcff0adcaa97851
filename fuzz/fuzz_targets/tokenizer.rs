//! The files that a tokenizer may come in, and a short text through what loaded.
//!
//! The first byte says which files the rest is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rlhf_data::{Message, Tokenizer};
use rlhf_fuzz::{Folder, files};

const TEXT: &str = "Don't  say \u{e9} <s>\n\u{65e5}\u{672c} \u{1f469}\u{200d}\u{1f467} <|eos|> 12345 \u{0} end ";

fuzz_target!(|input: &[u8]| {
    let Some((kind, input)) = input.split_first() else {
        return;
    };
    match kind {
        b'j' => load(
            ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"],
            files(input),
        ),
        b'v' => load(
            ["vocab.json", "merges.txt", "tokenizer_config.json", "added_tokens.json"],
            files(input),
        ),
        b's' => load(["tokenizer.model", "tokenizer_config.json"], files(input)),
        b'l' => load(["tok512.bin", "tokenizer_config.json"], files(input)),
        b'c' => load(
            ["tokenizer.model", "generation_config.json", "config.json"],
            files(input),
        ),
        _ => {}
    }
});

/// Writes the files that the input has, and uses what they say.
fn load<const N: usize>(names: [&str; N], contents: [&[u8]; N]) {
    let folder = Folder::default();
    for (name, content) in names
        .into_iter()
        .zip(contents)
        .filter(|(_, content)| !content.is_empty())
    {
        folder.write(name, content);
    }
    if let Ok(Some(tokenizer)) = Tokenizer::load_optional(folder.path()) {
        speak(&tokenizer, &folder);
    }
}

fn speak(tokenizer: &Tokenizer, folder: &Folder) {
    let ids = tokenizer.encode(TEXT);
    tokenizer.decode(&ids, false);
    tokenizer.encode_batch(&[TEXT, ""]);
    let special = tokenizer.encode_with_special_tokens(TEXT);
    let mut stream = tokenizer.decode_stream();
    for id in special.into_iter().chain([0, 1, tokenizer.eos_token_id(), u32::MAX]) {
        stream.push(id);
    }
    stream.finish();
    let messages = [
        Message::system("Be kind."),
        Message::user(TEXT),
        Message::assistant(" Yes. "),
    ];
    // A template of the user's may refuse any of these.
    let _ = tokenizer.encode_prompt(&messages[..2]);
    let _ = tokenizer.encode_completion(&messages[..2], " Yes. ");
    let _ = tokenizer.encode_conversation(&messages);
    tokenizer
        .save(folder.path().join("saved"))
        .expect("the temporary folder can be written to");
}
