//! Where a prompt ends and an answer begins: training sees the tokens that sampling sees, whatever the template and the answer.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::PathBuf;

use proptest::prelude::*;
use rlhf_data::{
    Chat, ChatTemplate, Demonstration, LossOn, Message, Role, Tokenizer, answered_tokens, demonstration_sequence,
};
use serde_json::{Value, json};

/// Ends prompts with a line break.
const LINE_BREAK: &str = "{%- for m in messages -%}{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' -}}{%- endfor -%}\
    {%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}";
/// Ends prompts with a space, and answers with a word that more can be added to.
const SPACE: &str = "{%- for m in messages -%}{%- if m.role == 'user' -%}{{- 'ASKED: ' + m.content + ' ' -}}{%- else -%}\
    {{- 'SAID: ' + m.content + 'stop' -}}{%- endif -%}{%- endfor -%}{%- if add_generation_prompt -%}{{- 'SAID: ' -}}{%- endif -%}";
/// Has the line break before an answer in the block.
const BLOCKS: &str = "{%- for m in messages -%}{%- if m.role == 'assistant' -%}{{- '<|assistant|>' -}}{%- generation -%}{{- '\\n' + m.content + \
    eos_token -}}{%- endgeneration -%}{%- else -%}{{- '<|user|>\\n' + m.content + '\\n' -}}{%- endif -%}{%- endfor -%}\
    {%- if add_generation_prompt -%}{{- '<|assistant|>\\n' -}}{%- endif -%}";
/// Role tokens, after which a tokenizer may swallow white space.
const ROLES: &str = "{%- for m in messages -%}{{- '<|' + m.role + '|>\\n' + m.content + '<|endoftext|>\\n' -}}{%- endfor -%}\
    {%- if add_generation_prompt -%}{{- '<|assistant|>\\n' -}}{%- endif -%}";

/// Cuts line breaks out together, as those of Llama 3 and Qwen do.
const WORDS: &str = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The tokenizer of the fixtures with a token for two line breaks; tokens of `rstrip` and `lstrip` swallow white space.
fn tokenizer(template: &str, rstrip: &[&str], lstrip: &[&str]) -> Tokenizer {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tokenizer");
    let dir = tempfile::tempdir().unwrap();
    let mut json: Value = serde_json::from_slice(&std::fs::read(golden.join("tokenizer.json")).unwrap()).unwrap();
    for token in json["added_tokens"].as_array_mut().unwrap() {
        let content = token["content"].as_str().unwrap().to_owned();
        token["rstrip"] = rstrip.contains(&&*content).into();
        token["lstrip"] = lstrip.contains(&&*content).into();
    }
    json["model"]["vocab"]["\u{10a}\u{10a}"] = 600.into();
    json["model"]["merges"]
        .as_array_mut()
        .unwrap()
        .push(json!(["\u{10a}", "\u{10a}"]));
    json["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
    ]});
    std::fs::write(dir.path().join("tokenizer.json"), json.to_string()).unwrap();
    std::fs::copy(
        golden.join("tokenizer_config.json"),
        dir.path().join("tokenizer_config.json"),
    )
    .unwrap();
    std::fs::write(dir.path().join("chat_template.jinja"), template).unwrap();
    Tokenizer::load(dir.path()).unwrap()
}

fn demonstration(messages: &[Message]) -> Demonstration {
    serde_json::from_value(json!({"id": "d", "messages": messages})).unwrap()
}

/// What sft learns: the ids, and which of them.
fn taught(tokenizer: &Tokenizer, messages: &[Message]) -> (Vec<u32>, Vec<bool>) {
    let sequence = demonstration_sequence(tokenizer, &demonstration(messages), LossOn::Assistant, 9999)
        .unwrap()
        .unwrap()
        .value;
    (sequence.input_ids, sequence.loss_mask)
}

/// Every answer begins after the tokens of its prompt, and with a token that is learnt.
fn check(tokenizer: &Tokenizer, messages: &[Message]) {
    let (ids, mask) = taught(tokenizer, messages);
    for (index, message) in messages.iter().enumerate() {
        if message.role != Role::Assistant {
            continue;
        }
        let prompt = tokenizer.encode_prompt(&messages[..index]).unwrap();
        assert!(ids.starts_with(&prompt), "{messages:?}: {ids:?} after {prompt:?}");
        if !message.content.is_empty() {
            assert!(mask[prompt.len()], "{messages:?}: {mask:?} at {}", prompt.len());
        }
    }
    // Reward models and PPO join prompt and answer.
    let (last, before) = messages.split_last().unwrap();
    let mut joined = tokenizer.encode_prompt(before).unwrap();
    joined.extend(tokenizer.encode_completion(before, &last.content).unwrap());
    assert_eq!(ids, joined, "{messages:?}");
    assert_eq!(
        answered_tokens(tokenizer, &demonstration(messages), 9999)
            .unwrap()
            .unwrap()
            .value,
        ids
    );
}

#[test]
fn an_answer_that_could_share_a_token_with_its_prompt_begins_after_it() {
    let line_break = tokenizer(LINE_BREAK, &[], &[]);
    let whole = line_break.encode_with_special_tokens("<|im_start|>assistant\n\nNo<|im_end|>");
    let prompt = line_break.encode_with_special_tokens("<|im_start|>assistant\n");
    assert!(
        !whole.starts_with(&prompt),
        "the fixture has a token for two line breaks"
    );
    for tokenizer in [
        line_break,
        tokenizer(SPACE, &[], &[]),
        tokenizer(BLOCKS, &[], &[]),
        tokenizer(ROLES, &["<|user|>", "<|assistant|>"], &[]),
    ] {
        check(
            &tokenizer,
            &[Message::user("Two and two?"), Message::assistant("\nNo, four.")],
        );
        check(
            &tokenizer,
            &[Message::user("Two and two?"), Message::assistant("No, four.")],
        );
        check(
            &tokenizer,
            &[
                Message::user("Two and two?"),
                Message::assistant("\n\nNo, four."),
                Message::user("\nAnd then?"),
                Message::assistant(" the rest"),
            ],
        );
    }
}

proptest! {
    #[test]
    fn every_answer_follows_the_tokens_of_its_prompt(
        asked in prop::collection::vec("[ \\nate\u{e9}h.]{1,5}", 3),
        said in prop::collection::vec("[ \\nate\u{e9}h.]{0,4}[a-z]", 3),
        turns in 1_usize..4,
    ) {
        for template in [LINE_BREAK, SPACE, BLOCKS, ROLES] {
            let tokenizer = tokenizer(template, &["<|assistant|>"], &[]);
            let messages: Vec<Message> = asked.iter().zip(&said).take(turns)
                .flat_map(|(asked, said)| [Message::user(asked.as_str()), Message::assistant(said.as_str())])
                .collect();
            check(&tokenizer, &messages);
        }
    }
}

/// A token that swallows white space spells it too, by its offsets; the answer that the white space belongs to is not its own.
#[test]
fn a_role_token_that_swallows_white_space_is_not_learnt() {
    let template = ROLES.replace("<|endoftext|>\\n", "");
    for (template, rstrip, lstrip) in [
        (ROLES, &["<|user|>", "<|assistant|>"][..], &[][..]),
        (&template, &[], &["<|user|>", "<|assistant|>"]),
    ] {
        let tokenizer = tokenizer(template, rstrip, lstrip);
        for answer in ["No, four.", "\nNo, four.", "No, four. \n"] {
            let messages = [
                Message::user("Two and two?"),
                Message::assistant(answer),
                Message::user("And then?"),
                Message::assistant("Five."),
            ];
            let values: Vec<Value> = messages.iter().map(|message| json!(message)).collect();
            let template = tokenizer.chat_template().map(ChatTemplate::source).unwrap();
            let template = ChatTemplate::new(template, "t.jinja").unwrap();
            let shown = tokenizer.encode_rendered(&template.render(&Chat::new(&values)).unwrap());
            let (ids, mask) = taught(&tokenizer, &messages);
            for (ids, mask) in [(shown.input_ids, shown.assistant_mask), (ids, mask)] {
                let learnt: Vec<u32> = ids
                    .iter()
                    .zip(&mask)
                    .filter(|(_, learnt)| **learnt)
                    .map(|(id, _)| *id)
                    .collect();
                let text = tokenizer.decode(&learnt, false);
                assert!(
                    !text.contains("<|assistant|>") && !text.contains("<|user|>"),
                    "{answer:?}: {text:?}"
                );
                assert!(
                    text.contains("No, four.") && text.contains("Five."),
                    "{answer:?}: {text:?}"
                );
            }
        }
    }
}
