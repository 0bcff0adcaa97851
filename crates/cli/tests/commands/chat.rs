//! `rlhf chat`, with a file instead of a keyboard.

use crate::support::{Outcome, argument, folder, language_model, rlhf_reading};

fn chat(model: &str, more: &[&str], input: &str) -> Outcome {
    rlhf_reading(
        &[&["chat", "--model", model, "--max-new-tokens", "8"], more].concat(),
        input,
    )
}

#[test]
fn each_line_is_answered_and_the_end_of_the_input_is_the_end() {
    let model = language_model(&folder("chat_lines"));
    let one = chat(&model, &[], "the sea?\n").printed();
    let two = chat(&model, &[], "the sea?\nthe shore?\n").printed();
    assert!(two.starts_with(&one) && two.len() > one.len(), "{one:?} {two:?}");
    assert_eq!(chat(&model, &[], "/quit\nthe sea?\n").printed(), "");
    assert_eq!(chat(&model, &[], "\n\n").printed(), "");
    assert_eq!(chat(&model, &[], "").printed(), "");
}

#[test]
fn the_conversation_is_remembered_until_a_reset() {
    let model = language_model(&folder("chat_memory"));
    let greedy = |input: &str| chat(&model, &["--temperature", "0"], input).printed();
    let fresh = greedy("the sea\n");
    assert_eq!(greedy("the sea\n/reset\nthe sea\n"), fresh.repeat(2));
    assert_ne!(greedy("the sea\nthe sea\n"), fresh.repeat(2));
    let told = chat(&model, &["--temperature", "0", "--system", "on the ship"], "the sea\n").printed();
    assert_ne!(told, fresh);
}

#[test]
fn conversations_with_a_thumb_are_demonstrations() {
    let dir = folder("chat_save");
    let model = language_model(&dir);
    let path = argument(&dir.join("saved.jsonl"));
    // With this seed no answer is empty: such a row would be no demonstration.
    let options = ["--save", path.as_str(), "--system", "on the ship", "--seed", "2"];
    let found = chat(
        &model,
        &options,
        "/good\nthe sea?\n/good\n/reset\nthe shore?\nand?\n/bad\n",
    );
    assert!(
        found.stderr.contains("there is no answer to judge yet"),
        "{}",
        found.stderr
    );
    found.printed();
    let rows = rlhf_data::read_demonstrations(&path).unwrap().rows;
    let contents: Vec<Vec<&str>> = rows
        .iter()
        .map(|row| row.prompt().iter().map(|message| message.content.as_str()).collect())
        .collect();
    assert_eq!(contents[0], ["on the ship", "the sea?"]);
    assert_eq!((contents[1][1], contents[1][3]), ("the shore?", "and?"));
    let text = std::fs::read_to_string(&path).unwrap();
    let thumbs: Vec<bool> = text.lines().map(|line| line.contains("\"thumb\":\"up\"")).collect();
    assert_eq!(thumbs, [true, false]);
    // A second conversation goes behind the first.
    chat(&model, &options, "the sea?\n/good\n").printed();
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
}

#[test]
fn a_full_context_drops_the_oldest_exchange_and_a_long_message_is_refused() {
    let model = language_model(&folder("chat_context"));
    // 16 bytes without merges, and up to 8 tokens of answer: of 48 positions two exchanges fit, three do not.
    let line = "zzzzzzzzzzzzzzzz\n";
    let found = chat(&model, &[], &line.repeat(4));
    assert!(
        found
            .stderr
            .contains("(the context is full: the first 2 messages are left out)"),
        "{}",
        found.stderr
    );
    found.printed();
    let found = chat(&model, &[], &format!("{}\nthe sea\n", "z".repeat(60)));
    assert!(
        found.stderr.contains("that makes 62 tokens, and 40 fit"),
        "{}",
        found.stderr
    );
    assert_ne!(found.printed(), "", "the next message is answered");
}

#[test]
fn unknown_commands_list_the_known_ones() {
    let model = language_model(&folder("chat_unknown"));
    let found = chat(&model, &[], "/goood\n/good\n");
    assert!(
        found.stderr.contains("/goood: unknown") && found.stderr.contains("/reset"),
        "{}",
        found.stderr
    );
    assert_eq!(found.printed(), "");
}
