//! Laws of conversations that are too long: prompts, demonstrations and comparisons lose their beginning by one rule.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::LazyLock;

use proptest::prelude::*;
use rlhf_data::{
    ChatTemplate, Comparison, Demonstration, Error, Fitted, LossOn, Message, Prompt, Role, Tokenizer, TokenizerConfig,
    all_comparison_tokens, answered_tokens, comparison_tokens, demonstration_sequence, prompt_tokens,
};

/// Role tokens, and one token a byte.
static ROLES: LazyLock<Tokenizer> = LazyLock::new(|| {
    let config = TokenizerConfig {
        vocab_size: 261,
        min_frequency: 2,
    };
    Tokenizer::train(["x"], &config).unwrap()
});

/// A template that takes system messages at the start, then questions, and refuses an answer to none.
static TEMPLATE: LazyLock<Tokenizer> = LazyLock::new(|| {
    let source = "{% set turns = namespace(seen=false) %}{% for m in messages %}{% if m.role == 'user' %}{% set turns.seen = true %}\
        {% endif %}{% if m.role == 'assistant' and not turns.seen %}{{ raise_exception('user first') }}{% endif %}\
        [{{ m.role }}]{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}\
        {% else %}{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
    ROLES
        .clone()
        .with_chat_template(ChatTemplate::new(source, "strict.jinja").unwrap())
});

fn prompt(messages: &[Message]) -> Prompt {
    Prompt {
        id: "p".into(),
        messages: messages.to_vec(),
        task: None,
        origin: Default::default(),
    }
}

fn demonstration(messages: &[Message]) -> Demonstration {
    Demonstration {
        id: "d".into(),
        messages: messages.to_vec(),
        task: None,
        origin: Default::default(),
    }
}

fn comparison(messages: &[Message], completions: &[String]) -> Comparison {
    Comparison {
        id: "c".into(),
        messages: messages.to_vec(),
        completions: completions.to_vec(),
        ranking: (0..completions.len() as u32).collect(),
        labeler: None,
        confidence: None,
        margin: None,
        task: None,
        source: None,
        origin: Default::default(),
    }
}

/// The messages that stay when the first `dropped` after the system messages at the start go.
fn without(messages: &[Message], dropped: usize) -> Vec<Message> {
    let system = messages.iter().take_while(|it| it.role == Role::System).count();
    [&messages[..system], &messages[system + dropped..]].concat()
}

/// The numbers of messages that may go: those after which an answer ended and the user speaks.
fn borders(messages: &[Message]) -> Vec<usize> {
    let system = messages.iter().take_while(|it| it.role == Role::System).count();
    let may_go = |&dropped: &usize| {
        let roles: Vec<Role> = messages[system..].iter().map(|it| it.role).collect();
        let speaker = roles[dropped..].iter().find(|role| **role != Role::System);
        dropped == 0 || roles[dropped - 1] == Role::Assistant && speaker == Some(&Role::User)
    };
    (0..messages.len() - system).filter(may_go).collect()
}

fn text() -> impl Strategy<Value = String> {
    "[a-z]{0,12}"
}

/// System messages, exchanges in which either may speak more than once, and a question.
fn waiting() -> impl Strategy<Value = Vec<Message>> {
    let several = || prop::collection::vec(text(), 1..3);
    let exchange = (prop::option::weighted(0.1, text()), several(), several());
    let system = prop::collection::vec(text(), 0..3);
    (system, prop::collection::vec(exchange, 0..5), several()).prop_map(|(system, exchanges, last)| {
        let mut messages: Vec<Message> = system.into_iter().map(Message::system).collect();
        for (instruction, questions, answers) in exchanges {
            messages.extend(instruction.map(Message::system));
            messages.extend(questions.into_iter().map(Message::user));
            messages.extend(answers.into_iter().map(Message::assistant));
        }
        messages.extend(last.into_iter().map(Message::user));
        messages
    })
}

fn tokenizers() -> [&'static Tokenizer; 2] {
    [&ROLES, &TEMPLATE]
}

#[test]
fn a_prompt_loses_as_few_of_its_oldest_exchanges_as_it_can() {
    let messages = [
        Message::system("s"),
        Message::user("q"),
        Message::assistant("xy"),
        Message::user("r"),
        Message::assistant("z"),
        Message::user("t"),
    ];
    // 2 for the system, 2 + 4 and 2 + 3 for the exchanges, 2 + 1 for the question and the answer's role.
    let found = |context| {
        let fitted = prompt_tokens(&ROLES, &prompt(&messages), context, 1).ok()?;
        Some((ROLES.decode(&fitted.value, false), fitted.dropped_messages))
    };
    let last = "<|user|>r<|assistant|>z<|eos|><|user|>t<|assistant|>";
    let whole = format!("<|system|>s<|user|>q<|assistant|>xy<|eos|>{last}");
    assert_eq!(found(17), Some((whole, 0)));
    assert_eq!(found(16), Some((format!("<|system|>s{last}"), 2)));
    assert_eq!(found(11), Some((format!("<|system|>s{last}"), 2)));
    assert_eq!(found(10), Some(("<|system|>s<|user|>t<|assistant|>".to_owned(), 4)));
    assert_eq!(found(6), Some(("<|system|>s<|user|>t<|assistant|>".to_owned(), 4)));
    assert_eq!(found(5), None);
}

#[test]
fn a_comparison_loses_what_its_longest_answer_needs() {
    let messages = [Message::user("q"), Message::assistant("xy"), Message::user("r")];
    // 6 for the exchange, 3 for the question; answers of 2 and 5.
    let row = comparison(&messages, &["a".into(), "bbbb".into()]);
    let found = |max_len| {
        let fitted = comparison_tokens(&ROLES, &row, max_len).unwrap()?;
        Some((
            fitted.value.prompt.len(),
            fitted.value.completions.len(),
            fitted.dropped_messages,
        ))
    };
    assert_eq!(found(14), Some((9, 2, 0)));
    assert_eq!(found(13), Some((3, 2, 2)));
    assert_eq!(found(8), Some((3, 2, 2)));
    // One answer is no comparison.
    assert_eq!(found(7), None);
    // Where one fits no prompt, the others keep what they have room for: 9 of the prompt and 2.
    let long = comparison(&messages, &["a".into(), "b".repeat(20), "c".into()]);
    let fitted = comparison_tokens(&ROLES, &long, 11).unwrap().unwrap();
    assert_eq!(
        (fitted.value.prompt.len(), fitted.dropped_messages, fitted.value.dropped),
        (9, 0, 1)
    );
    let row = comparison(&messages, &["a".into(), "bbbb".into(), "c".into()]);
    let fitted = comparison_tokens(&ROLES, &row, 7).unwrap().unwrap();
    assert_eq!((fitted.value.prompt.len(), fitted.dropped_messages), (3, 2));
    assert_eq!((fitted.value.completions.len(), fitted.value.dropped), (2, 1));
    assert_eq!(fitted.value.pairs, [(0, 1)]);
}

/// A row that lost its only question with the oldest of two answers began with an answer.
#[test]
fn a_second_answer_keeps_its_question() {
    let messages = [
        Message::user("q"),
        Message::assistant("xy"),
        Message::assistant("z"),
        Message::user("r"),
        Message::assistant("t"),
    ];
    let row = demonstration(&messages);
    let fitted = demonstration_sequence(&TEMPLATE, &row, LossOn::Assistant, 50).unwrap();
    let fitted = fitted.unwrap();
    assert_eq!(fitted.dropped_messages, 3);
    assert_eq!(
        TEMPLATE.decode(&fitted.value.input_ids, false),
        "[user]r[assistant]t<|eos|>"
    );
}

proptest! {
    // Each case writes a conversation many times over.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_prompt_that_fits_is_whole_and_another_keeps_the_most_whole_exchanges(
        messages in waiting(), context in 0_usize..160, max_new in 0_usize..16,
    ) {
        for tokenizer in tokenizers() {
            let tokens = |dropped: usize| tokenizer.encode_prompt(&without(&messages, dropped)).unwrap();
            let fits = |dropped: &usize| tokens(*dropped).len() + max_new <= context;
            let borders = borders(&messages);
            match (borders.iter().copied().find(fits), prompt_tokens(tokenizer, &prompt(&messages), context, max_new)) {
                (Some(dropped_messages), Ok(found)) => {
                    prop_assert_eq!(&found, &Fitted { value: tokens(dropped_messages), dropped_messages });
                    prop_assert!(found.value.len() + max_new <= context);
                    prop_assert_eq!(found.is_shortened(), !fits(&0));
                }
                (None, Err(Error::PromptTooLong { tokens: found, dropped_messages, .. })) => {
                    prop_assert_eq!(dropped_messages, *borders.last().unwrap());
                    prop_assert_eq!(found, tokens(dropped_messages).len());
                }
                (expected, found) => prop_assert!(false, "{expected:?}: {found:?}"),
            }
        }
    }

    /// The template here refuses what does not begin with the user.
    #[test]
    fn what_stays_begins_with_the_user_and_ends_with_the_last_question(messages in waiting(), context in 0_usize..160) {
        for tokenizer in tokenizers() {
            if let Ok(found) = prompt_tokens(tokenizer, &prompt(&messages), context, 0) {
                let stays = without(&messages, found.dropped_messages);
                let first = stays.iter().find(|message| message.role != Role::System);
                prop_assert_eq!(first.unwrap().role, Role::User);
                prop_assert_eq!(stays.last(), messages.last());
                let again = prompt_tokens(tokenizer, &prompt(&stays), context, 0).unwrap();
                prop_assert_eq!(again, Fitted { dropped_messages: 0, value: found.value });
            }
        }
    }

    #[test]
    fn more_room_for_the_answer_never_leaves_more_of_the_prompt(messages in waiting(), context in 0_usize..160) {
        for tokenizer in tokenizers() {
            let dropped = |max_new| {
                let found = prompt_tokens(tokenizer, &prompt(&messages), context, max_new);
                found.map_or(usize::MAX, |found| found.dropped_messages)
            };
            let dropped: Vec<usize> = (0..20).step_by(4).map(dropped).collect();
            prop_assert!(dropped.is_sorted(), "{dropped:?}");
        }
    }

    #[test]
    fn a_demonstration_keeps_its_last_question_and_answer_for_every_stage(
        messages in waiting(), answer in text(), max_len in 0_usize..160,
    ) {
        let messages = [messages, vec![Message::assistant(answer.as_str())]].concat();
        let row = demonstration(&messages);
        for tokenizer in tokenizers() {
            let tokens = |dropped: usize| {
                tokenizer.encode_conversation(&without(&messages, dropped)).unwrap().input_ids
            };
            let expected = borders(&messages).into_iter().find(|&dropped| tokens(dropped).len() <= max_len);
            let expected = expected.map(|dropped_messages| Fitted { value: tokens(dropped_messages), dropped_messages });
            let taught = demonstration_sequence(tokenizer, &row, LossOn::Assistant, max_len).unwrap();
            prop_assert_eq!(taught.map(|it| it.map(|sequence| sequence.input_ids)), expected.clone());
            // An answer's tokens are those of generation, so that a reward model is given the same.
            prop_assert_eq!(answered_tokens(tokenizer, &row, max_len).unwrap(), expected);
        }
    }

    /// The law that reward model and PPO meet in: a comparison has the prompt that PPO would give in the same context with room for
    /// as many tokens as its longest completion has. With room for more, PPO's loses as many messages or more, from the same place.
    #[test]
    fn the_prompt_of_a_comparison_is_that_of_ppo_with_room_for_its_longest_answer(
        messages in waiting(),
        completions in prop::collection::btree_set(text(), 2..5),
        more in 0_usize..8,
        context in 0_usize..160,
    ) {
        let completions: Vec<String> = completions.into_iter().collect();
        let row = comparison(&messages, &completions);
        for tokenizer in tokenizers() {
            let lengths = completions.iter().map(|text| tokenizer.encode_completion(&messages, text).unwrap().len());
            let longest = lengths.max().unwrap();
            let compared = comparison_tokens(tokenizer, &row, context).unwrap();
            let asked = |room| prompt_tokens(tokenizer, &prompt(&messages), context, room);
            match (asked(longest), &compared) {
                (Ok(asked), Some(compared)) => {
                    prop_assert_eq!(&asked.value, &compared.value.prompt);
                    prop_assert_eq!(asked.dropped_messages, compared.dropped_messages);
                    prop_assert_eq!(compared.value.dropped, 0);
                }
                (Err(Error::PromptTooLong { dropped_messages, .. }), Some(compared)) => {
                    prop_assert!(dropped_messages >= compared.dropped_messages);
                    prop_assert!(compared.value.dropped > 0);
                }
                (Err(Error::PromptTooLong { .. }), None) => {}
                (asked, compared) => prop_assert!(false, "{asked:?}: {compared:?}"),
            }
            if let (Ok(asked), Some(compared)) = (asked(longest + more), &compared) {
                prop_assert!(asked.dropped_messages >= compared.dropped_messages);
                prop_assert_eq!(asked.value, tokenizer.encode_prompt(&without(&messages, asked.dropped_messages)).unwrap());
            }
        }
    }

    #[test]
    fn every_answer_that_is_compared_fits_with_its_prompt(
        messages in waiting(),
        completions in prop::collection::btree_set(text(), 2..5),
        max_len in 0_usize..160,
    ) {
        let completions: Vec<String> = completions.into_iter().collect();
        let row = comparison(&messages, &completions);
        for tokenizer in tokenizers() {
            let compared = comparison_tokens(tokenizer, &row, max_len).unwrap();
            prop_assert_eq!(&all_comparison_tokens(tokenizer, &[row.clone(), row.clone()], max_len).unwrap()[1], &compared);
            if let Some(Fitted { value, dropped_messages }) = compared {
                prop_assert!(value.completions.iter().all(|ids| value.prompt.len() + ids.len() <= max_len));
                prop_assert_eq!(value.completions.len() + value.dropped, completions.len());
                let stays = without(&messages, dropped_messages);
                prop_assert_eq!(&value.prompt, &tokenizer.encode_prompt(&stays).unwrap());
                prop_assert!(borders(&messages).contains(&dropped_messages));
            }
        }
    }
}
