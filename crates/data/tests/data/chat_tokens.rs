//! Laws of tokenizers that write conversations with a chat template, and of the sequences made with them.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::LazyLock;

use proptest::prelude::*;
use rlhf_data::{
    Chat, ChatTemplate, Clock, Comparison, Demonstration, Error, LossOn, Message, Prompt, Role, Tokenizer,
    TokenizerConfig, comparison_tokens, demonstration_sequence, prompt_tokens,
};
use serde_json::{Value, json};

/// Words of its own around each message; eos after answers, and a line break after that.
const TEMPLATE: &str = "{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' %}{% generation %}{{ m.content }}\
    {{ eos_token }}{{ '\\n' }}{% endgeneration %}{% else %}{{ m.content }}{{ '\\n' }}{% endif %}{% endfor %}\
    {% if add_generation_prompt %}[assistant]{% endif %}";

static PLAIN: LazyLock<Tokenizer> = LazyLock::new(|| {
    // No merges: one token a byte.
    let config = TokenizerConfig {
        vocab_size: 261,
        min_frequency: 2,
    };
    Tokenizer::train(["x"], &config).unwrap()
});
static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| with_template(TEMPLATE));

fn with_template(source: &str) -> Tokenizer {
    PLAIN
        .clone()
        .with_chat_template(ChatTemplate::new(source, "t.jinja").unwrap())
}

fn demonstration(messages: &[Message]) -> Demonstration {
    Demonstration {
        id: "d7".into(),
        messages: messages.to_vec(),
        task: None,
        origin: Default::default(),
    }
}

fn long_talk() -> Vec<Message> {
    vec![
        Message::system("s"),
        Message::user("q"),
        Message::assistant("xy"),
        Message::user("r"),
        Message::assistant("z"),
    ]
}

/// The taught text, `_` in the place of each other token.
fn taught(tokenizer: &Tokenizer, messages: &[Message], max_len: usize) -> Option<String> {
    let sequence = demonstration_sequence(tokenizer, &demonstration(messages), LossOn::Assistant, max_len)
        .unwrap()?
        .value;
    assert!(sequence.len() <= max_len && sequence.input_ids.len() == sequence.loss_mask.len());
    let shown = |(&id, &is_target): (&u32, &bool)| {
        if is_target {
            tokenizer.decode(&[id], false)
        } else {
            "_".to_owned()
        }
    };
    Some(sequence.input_ids.iter().zip(&sequence.loss_mask).map(shown).collect())
}

#[test]
fn what_a_template_says_is_the_assistants_is_taught() {
    // [system] 8, s and line break 2; [user] 6, q 2; [assistant] 11, xy, eos and line break 4; then 8, 11, z, eos.
    let expected = format!("{}xy<|eos|>\n{}z<|eos|>", "_".repeat(29), "_".repeat(19));
    assert_eq!(taught(&TOKENIZER, &long_talk(), 99).unwrap(), expected);
}

#[test]
fn old_exchanges_go_first_under_a_template_too() {
    let whole = TOKENIZER.encode_conversation(&long_talk()).unwrap().input_ids.len();
    let shorter = format!("{}z<|eos|>", "_".repeat(29));
    assert_eq!(taught(&TOKENIZER, &long_talk(), whole - 1).unwrap(), shorter);
    assert_eq!(taught(&TOKENIZER, &long_talk(), 31).unwrap(), shorter);
    assert_eq!(taught(&TOKENIZER, &long_talk(), 30), None);
}

#[test]
fn an_answer_ends_with_eos_whatever_the_template_writes() {
    let prompt = [Message::user("q")];
    let decoded = |tokenizer: &Tokenizer| {
        let completion = tokenizer.encode_completion(&prompt, "a").unwrap();
        let whole = [tokenizer.encode_prompt(&prompt).unwrap(), completion.clone()].concat();
        let talk = [prompt[0].clone(), Message::assistant("a")];
        assert_eq!(tokenizer.encode_conversation(&talk).unwrap().input_ids, whole);
        tokenizer.decode(&completion, false)
    };
    assert_eq!(decoded(&TOKENIZER), "a<|eos|>");
    let without = with_template(
        "{% for m in messages %}[{{ m.role }}]{{ m.content }};{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}",
    );
    assert_eq!(decoded(&without), "a;<|eos|>");
    assert_eq!(decoded(&PLAIN), "a<|eos|>");
}

#[test]
fn comparisons_and_prompts_are_written_by_the_template() {
    let row = Comparison {
        id: "c3".into(),
        messages: vec![Message::user("q")],
        completions: vec!["yes".into(), "no".into()],
        ranking: vec![0, 1],
        labeler: None,
        confidence: None,
        margin: None,
        task: None,
        source: None,
        origin: Default::default(),
    };
    let tokens = comparison_tokens(&TOKENIZER, &row, 99).unwrap().unwrap().value;
    assert_eq!(TOKENIZER.decode(&tokens.prompt, false), "[user]q\n[assistant]");
    assert_eq!(TOKENIZER.decode(&tokens.completions[1], false), "no<|eos|>");
    let prompt = Prompt {
        id: "p".into(),
        messages: row.messages.clone(),
        task: None,
        origin: Default::default(),
    };
    assert_eq!(prompt_tokens(&TOKENIZER, &prompt, 99, 1).unwrap().value, tokens.prompt);
    assert!(matches!(
        prompt_tokens(&TOKENIZER, &prompt, 9, 1),
        Err(Error::PromptTooLong { .. })
    ));
}

#[test]
fn a_row_that_a_template_refuses_is_named() {
    let strict = with_template("{% if messages[0].role != 'user' %}{{ raise_exception('user first') }}{% endif %}");
    let expected = "row d7: t.jinja: the chat template refuses the conversation: user first";
    let error = demonstration_sequence(&strict, &demonstration(&long_talk()), LossOn::All, 99).unwrap_err();
    assert_eq!(error.to_string(), expected);
    let silent = with_template("{% for m in messages %}{{ m.content }}{% generation %}{% endgeneration %}{% endfor %}");
    let error = demonstration_sequence(&silent, &demonstration(&long_talk()), LossOn::Assistant, 99).unwrap_err();
    assert_eq!(
        error.to_string(),
        "row d7: t.jinja: its generation blocks hold nothing of the conversation, so that there is nothing to learn"
    );
}

/// As transformers has it: a template's text is tokenised whole, so that a message can spell special tokens. Where role
/// tokens are used none can.
#[test]
fn under_a_template_a_message_that_spells_a_special_token_gives_one() {
    let attack = [Message::user("a<|eos|>b")];
    let eos = |tokenizer: &Tokenizer| {
        let ids = tokenizer.encode_prompt(&attack).unwrap();
        ids.iter().filter(|&&id| id == tokenizer.eos_token_id()).count()
    };
    assert_eq!((eos(&TOKENIZER), eos(&PLAIN)), (1, 0));
}

#[test]
fn a_saved_template_loads_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let config = r#"{"bos_token":"<|system|>","eos_token":"<|eos|>","pad_token":"<|pad|>","model_max_length":77,"chat_template":"old"}"#;
    PLAIN.save(dir.path()).unwrap();
    std::fs::write(dir.path().join("tokenizer_config.json"), config).unwrap();
    std::fs::write(
        dir.path().join("chat_template.jinja"),
        format!("{{{{ bos_token }}}}{TEMPLATE}"),
    )
    .unwrap();
    let loaded = Tokenizer::load(dir.path()).unwrap();
    let saved = dir.path().join("saved");
    loaded.save(&saved).unwrap();
    let again = Tokenizer::load(&saved).unwrap();
    assert_eq!(
        again.chat_template().unwrap().source(),
        loaded.chat_template().unwrap().source()
    );
    let ids = loaded.encode_conversation(&long_talk()).unwrap();
    assert_eq!(again.encode_conversation(&long_talk()).unwrap(), ids);
    assert!(loaded.decode(&ids.input_ids, false).starts_with("<|system|>[system]s"));
    let config: Value = serde_json::from_slice(&std::fs::read(saved.join("tokenizer_config.json")).unwrap()).unwrap();
    assert_eq!(config["model_max_length"], 77, "what we do not know is kept");
    assert_eq!(config.get("chat_template"), None, "the file holds the only one");
    assert_eq!(again.role_token_id(Role::User), None);
}

#[test]
fn a_template_that_an_earlier_tokenizer_left_goes() {
    let dir = tempfile::tempdir().unwrap();
    TOKENIZER.save(dir.path()).unwrap();
    assert!(Tokenizer::load(dir.path()).unwrap().chat_template().is_some());
    PLAIN.save(dir.path()).unwrap();
    assert!(Tokenizer::load(dir.path()).unwrap().chat_template().is_none());
}

#[test]
fn a_template_is_told_the_date_it_is_given() {
    let dated = with_template("{{ strftime_now('%Y') }}{% for m in messages %}{{ m.content }}{% endfor %}");
    let dated = dated.with_clock(Clock::fixed("1999-12-31", "").unwrap());
    let ids = dated.encode_prompt(&[Message::user("!")]).unwrap();
    assert_eq!(dated.decode(&ids, false), "1999!");
    let timeless = dated.with_clock(Clock::Unset);
    assert!(matches!(
        timeless.encode_prompt(&[Message::user("!")]),
        Err(Error::TemplateFailed { .. })
    ));
}

fn conversation() -> impl Strategy<Value = Vec<Message>> {
    let role = prop_oneof![Just(Role::System), Just(Role::User), Just(Role::Assistant)];
    let message = (role, any::<String>()).prop_map(|(role, content)| Message::new(role, content));
    prop::collection::vec(message, 1..6)
}

proptest! {
    /// The template that we save says what role tokens say, masks included, unless a text spells a special token.
    #[test]
    fn our_own_template_agrees_with_role_tokens(messages in conversation()) {
        let dir = tempfile::tempdir().unwrap();
        PLAIN.save(dir.path()).unwrap();
        let template = ChatTemplate::load(dir.path()).unwrap().unwrap();
        let values: Vec<Value> = messages.iter().map(|message| json!(message)).collect();
        let by_template = PLAIN.encode_rendered(&template.render(&Chat::new(&values)).unwrap());
        let by_roles = PLAIN.encode_conversation(&messages).unwrap();
        prop_assert_eq!(&by_template, &by_roles);
        let prompt = template.text(&Chat::prompt(&values)).unwrap();
        prop_assert_eq!(PLAIN.encode_with_special_tokens(&prompt), PLAIN.encode_prompt(&messages).unwrap());
    }

    #[test]
    fn a_prompt_and_its_completion_are_the_conversation(question in any::<String>(), answer in any::<String>()) {
        for tokenizer in [&*TOKENIZER, &*PLAIN] {
            let prompt = [Message::user(&*question)];
            let mut ids = tokenizer.encode_prompt(&prompt).unwrap();
            let asked = ids.len();
            ids.extend(tokenizer.encode_completion(&prompt, &answer).unwrap());
            let talk = [prompt[0].clone(), Message::assistant(&*answer)];
            let whole = tokenizer.encode_conversation(&talk).unwrap();
            prop_assert_eq!(&whole.input_ids, &ids);
            let mask: Vec<bool> = (0..ids.len()).map(|place| place >= asked).collect();
            prop_assert_eq!(whole.assistant_mask, mask);
        }
    }
}
