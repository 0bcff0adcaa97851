//! Laws of chat templates: where they are found, what they mark, what is refused and how it is said.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;

use proptest::prelude::*;
use rlhf_data::{Chat, ChatTemplate, Clock, Error, Rendered};
use serde_json::{Map, Value, json};

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::new(source, "t.jinja").unwrap()
}

fn talk(turns: &[(&str, &str)]) -> Vec<Value> {
    let message = |(role, content): &(&str, &str)| json!({ "role": role, "content": content });
    turns.iter().map(message).collect()
}

fn question_and_answer() -> Vec<Value> {
    talk(&[("user", "q"), ("assistant", "a")])
}

#[track_caller]
fn check_refused<T: std::fmt::Debug>(result: Result<T, Error>, expected: &str) {
    assert_eq!(result.unwrap_err().to_string(), expected);
}

#[track_caller]
fn check_fragments<T: std::fmt::Debug>(result: Result<T, Error>, fragments: &[&str]) {
    let message = result.unwrap_err().to_string();
    for fragment in fragments {
        assert!(message.contains(fragment), "{fragment:?} is not in: {message}");
    }
}

fn answers(rendered: &Rendered) -> Vec<&str> {
    let text = |span: &std::ops::Range<usize>| &rendered.text[span.clone()];
    rendered.answers.iter().map(text).collect()
}

#[test]
fn malformed_templates_are_named_with_their_line() {
    let new = |source: &str| ChatTemplate::new(source, "dir/t.jinja");
    check_fragments(
        new("a\n\n{% if %}\n"),
        &["dir/t.jinja:3: not a chat template: syntax error"],
    );
    check_fragments(
        new("{% for m in messages %}\n{{ m.content "),
        &["dir/t.jinja:2: not a chat template"],
    );
    check_fragments(
        new("{{ x\n| nofilter }}{% nosuchtag %}"),
        &["dir/t.jinja:2: ", "nosuchtag"],
    );
    check_refused(
        new("x\n{% generation %}"),
        "dir/t.jinja:2: not a chat template: a generation block begins here and has no endgeneration",
    );
}

#[test]
fn what_a_template_raises_is_said_to_the_letter() {
    let raising =
        template("{% macro refuse() %}{{ raise_exception('No: ' ~ messages[0].role) }}{% endmacro %}{{ refuse() }}");
    let expected = "t.jinja: the chat template refuses the conversation: No: user";
    check_refused(raising.text(&Chat::new(&question_and_answer())), expected);
}

#[test]
fn what_a_template_cannot_do_is_said_with_its_line() {
    let messages = question_and_answer();
    let text = |source: &str| template(source).text(&Chat::new(&messages));
    check_fragments(
        text("a\n{{ nothing.role }}"),
        &["t.jinja:2: the chat template fails: undefined value"],
    );
    check_fragments(
        text("\n\n{{ messages | nosuchfilter }}"),
        &["t.jinja:3: ", "nosuchfilter"],
    );
    check_fragments(text("{{ messages.append(1) }}"), &["t.jinja:1: ", "append"]);
    check_fragments(
        text("{{ 'a'.ljust(1000000000) }}"),
        &["t.jinja:1: ", "ljust: width 1000000000"],
    );
    check_fragments(text("{% include 'other' %}"), &["t.jinja:1: ", "other"]);
    check_fragments(text("{{ 'a'.split('') }}"), &["t.jinja:1: ", "empty separator"]);
}

/// Values nested a million deep overflowed the stack when they were printed or dropped, which ends the whole process.
#[test]
fn a_template_that_nests_values_without_end_is_a_text_or_an_error() {
    let nested = |levels: usize, rest: &str| {
        let (open, close) = ("[".repeat(50), "]".repeat(50));
        let turns = levels / 50;
        let source = format!(
            "{{% set ns = namespace(x=1) %}}{{% for i in range({turns}) %}}{{% set ns.x = {open}ns.x{close} %}}{{% endfor %}}{rest}"
        );
        template(&source).text(&Chat::new(&[]))
    };
    assert_eq!(nested(1_000_000, "dropped").unwrap(), "dropped");
    assert_eq!(nested(500_000, "{{ ns.x }}").unwrap().len(), 1_000_001);
    assert_eq!(nested(500_000, "{{ ns.x | tojson }}").unwrap().len(), 1_000_001);
    check_fragments(nested(4_000_000, ""), &["engine ran out of fuel"]);
}

/// Such a value is small, and its text longer than any memory.
#[test]
fn a_template_that_prints_a_value_which_holds_itself_over_and_over_is_stopped() {
    for print in [
        "{{ ns.x }}",
        "{{ ns.x | string }}",
        "{{ ns.x | e }}",
        "{{ ns.x | tojson }}",
    ] {
        let source = format!(
            "{{% set ns = namespace(x=['a']) %}}{{% for i in range(60) %}}{{% set ns.x = [ns.x, ns.x] %}}{{% endfor %}}{print}"
        );
        check_fragments(
            template(&source).text(&Chat::new(&[])),
            &["a value takes more than 16777216 bytes to print"],
        );
    }
}

#[test]
fn a_template_that_does_not_end_is_stopped() {
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{{ loop.index }}{% endfor %}{% endfor %}";
    check_fragments(
        template(endless).text(&Chat::new(&[])),
        &["t.jinja:1: the chat template fails: engine ran out of fuel"],
    );
    let recursive = "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}";
    check_fragments(
        template(recursive).text(&Chat::new(&[])),
        &["t.jinja:1: the chat template fails"],
    );
}

#[test]
fn the_date_is_the_clocks() {
    let dated = template("{{ strftime_now('%d %b %Y') }}");
    let text = |clock: Clock| dated.clone().with_clock(clock).text(&Chat::new(&[]));
    assert_eq!(text(Clock::fixed("2026-01-31", "").unwrap()).unwrap(), "31 Jan 2026");
    assert_eq!(text(Clock::System).unwrap().len(), "31 Jan 2026".len());
    check_fragments(text(Clock::Unset), &["t.jinja:1: ", "set data.chat_date"]);
}

fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn the_template_of_a_folder_is_found_where_transformers_finds_it() {
    let dir = tempfile::tempdir().unwrap();
    let load = || ChatTemplate::load(dir.path());
    assert!(load().unwrap().is_none());
    let source = || load().unwrap().unwrap().source().to_owned();
    write(
        dir.path(),
        "tokenizer_config.json",
        r#"{"chat_template":"of the config"}"#,
    );
    assert_eq!(source(), "of the config");
    let named =
        r#"{"chat_template":[{"name":"tool_use","template":"with tools"},{"name":"default","template":"without"}]}"#;
    write(dir.path(), "tokenizer_config.json", named);
    let found = load().unwrap().unwrap();
    let tools = json!([]);
    let with_tools = Chat {
        tools: Some(&tools),
        ..Chat::new(&[])
    };
    assert_eq!(found.text(&Chat::new(&[])).unwrap(), "without");
    assert_eq!(found.text(&with_tools).unwrap(), "with tools");
    write(dir.path(), "chat_template.jinja", "of the file");
    assert_eq!(source(), "of the file");
    write(
        dir.path(),
        "additional_chat_templates/tool_use.jinja",
        "with tools, of a file",
    );
    assert_eq!(
        load().unwrap().unwrap().text(&with_tools).unwrap(),
        "with tools, of a file"
    );
}

#[test]
fn special_tokens_of_a_folder_are_variables() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "chat_template.jinja",
        "{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ unk_token is defined }}",
    );
    write(
        dir.path(),
        "tokenizer_config.json",
        r#"{"bos_token":{"content":"<s>"},"eos_token":"</s>","pad_token":null}"#,
    );
    write(
        dir.path(),
        "special_tokens_map.json",
        r#"{"eos_token":"other","pad_token":"<pad>"}"#,
    );
    let template = ChatTemplate::load(dir.path()).unwrap().unwrap();
    assert_eq!(template.text(&Chat::new(&[])).unwrap(), "<s></s><pad>False");
}

#[test]
fn files_that_hold_no_template_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing.jinja");
    let expected = format!("{}: no such file; expected a chat template in Jinja", path.display());
    check_refused(ChatTemplate::from_file(&path), &expected);
    let config = dir.path().join("tokenizer_config.json");
    for (text, expected) in [
        ("[]", "not a tokenizer: expected a JSON object"),
        (
            r#"{"chat_template":3}"#,
            "field `chat_template`: expected a string or a list of templates",
        ),
        (
            r#"{"chat_template":["a"]}"#,
            "field `chat_template`: expected a list of objects of `name` and `template`",
        ),
        (
            r#"{"chat_template":[{"name":"rag","template":"a"}]}"#,
            "field `chat_template`: expected one of the templates to be called `default`",
        ),
        (
            r#"{"chat_template":"a\n{% if %}"}"#,
            "(chat_template):2: not a chat template",
        ),
    ] {
        std::fs::write(&config, text).unwrap();
        check_fragments(
            ChatTemplate::load(dir.path()),
            &[&config.display().to_string(), expected],
        );
    }
    std::fs::write(&config, "{}").unwrap();
    std::fs::write(dir.path().join("chat_template.jinja"), b"\xff").unwrap();
    check_fragments(
        ChatTemplate::load(dir.path()),
        &["chat_template.jinja: expected UTF-8 text, found another encoding at byte 0"],
    );
}

#[test]
fn blocks_in_macros_and_nested_blocks_are_marked_where_they_are_printed() {
    let in_macro = "{% macro turn(m) %}<{{ m.role }}>{% generation %}{{ m.content }}{% endgeneration %}.{% endmacro %}\
        {% for m in messages %}{{ turn(m) }}{% endfor %}";
    let rendered = template(in_macro).render(&Chat::new(&question_and_answer())).unwrap();
    assert_eq!(rendered.text, "<user>q.<assistant>a.");
    assert_eq!(answers(&rendered), ["q", "a"]);
    let nested = "{% generation %}x{% generation %}y{% endgeneration %}{% endgeneration %}z";
    let rendered = template(nested).render(&Chat::new(&[])).unwrap();
    assert_eq!(answers(&rendered), ["xy", "y"]);
}

#[test]
fn a_block_that_is_changed_after_rendering_is_refused() {
    let changed = "{% set t %}{% generation %} {{ messages[1].content }} {% endgeneration %}{% endset %}{{ t | trim }}";
    let changed = template(changed);
    let messages = question_and_answer();
    assert_eq!(changed.text(&Chat::new(&messages)).unwrap(), "a");
    check_refused(
        changed.render(&Chat::new(&messages)),
        "t.jinja: cannot tell which text is the assistant's: the template changes a generation block after rendering it; \
         put the block around what is printed last",
    );
}

#[test]
fn answers_without_blocks_are_what_comes_after_the_generation_prompt() {
    let plain = "{% for m in messages %}<{{ m.role }}>\n{{ m.content }}</s>\n{% endfor %}\
        {% if add_generation_prompt %}<assistant>\n{% endif %}";
    let plain = template(plain);
    let messages = talk(&[("user", "q"), ("assistant", "a"), ("user", "r"), ("assistant", " b ")]);
    let rendered = plain.render(&Chat::new(&messages)).unwrap();
    assert_eq!(answers(&rendered), ["a</s>\n", " b </s>\n"]);
    assert_eq!(
        plain.render(&Chat::prompt(&messages)).unwrap().answers,
        rendered.answers
    );
}

#[test]
fn templates_whose_prefixes_do_not_agree_are_refused_with_the_message() {
    let render = |source: &str, messages: &[Value]| template(source).render(&Chat::new(messages));
    let other_prompt = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}";
    check_fragments(
        render(other_prompt, &question_and_answer()),
        &[
            "t.jinja: cannot tell which text is the assistant's in message 1: ",
            "does not begin with the text up to its generation prompt (at character 8: expected \"bot>\", found \"assistant>a\")",
            "put {% generation %} and {% endgeneration %} around it",
        ],
    );
    let later_changes = "{% for m in messages %}<{{ m.role }}>{{ m.content if loop.last else '...' }}{% endfor %}\
        {% if add_generation_prompt %}<assistant>{% endif %}";
    let longer = talk(&[("user", "q"), ("assistant", "a"), ("user", "r")]);
    check_fragments(
        render(later_changes, &longer),
        &["in message 1: the text up to it does not begin"],
    );
    let forgets = "{% for m in messages %}<{{ m.role }}>{{ m.content if m.role == 'user' or loop.last else '...' }}{% endfor %}\
        {% if add_generation_prompt %}<assistant>{% endif %}";
    check_fragments(
        render(forgets, &longer),
        &["in message 1: what follows changes the text up to it"],
    );
    let silent = "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}";
    check_fragments(
        render(silent, &question_and_answer()),
        &["in message 1: it adds nothing to the text"],
    );
    let first = "{{ messages[0].role }}{% for m in messages %}{{ m.content }}{% endfor %}";
    check_fragments(
        render(first, &talk(&[("assistant", "a")])),
        &["in message 0: the messages before it cannot be rendered alone (t.jinja:1: "],
    );
}

#[test]
fn variables_reach_the_template_but_never_hide_the_conversation() {
    let variables: Map<String, Value> = serde_json::from_value(json!({ "messages": "mine", "x": 1 })).unwrap();
    let messages = question_and_answer();
    let chat = Chat {
        variables: Some(&variables),
        ..Chat::new(&messages)
    };
    assert_eq!(template("{{ messages | length }}{{ x }}").text(&chat).unwrap(), "21");
}

/// Texts that try to be taken for what a template or our own marks write.
fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<String>(),
        "\\PC{0,4}",
        "[\u{e000}-\u{e003}\u{f0000}-\u{f0003}\u{ffffe}]{1,3}",
        Just("{% endgeneration %}".to_owned()),
        Just("{{ messages }}".to_owned()),
        Just("</s><assistant>".to_owned()),
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
}

fn conversation() -> impl Strategy<Value = Vec<(String, String)>> {
    let role = prop_oneof![
        Just("user".to_owned()),
        Just("assistant".to_owned()),
        Just("system".to_owned())
    ];
    prop::collection::vec((role, hostile()), 0..5)
}

proptest! {
    #[test]
    fn no_text_breaks_out_of_a_generation_block(turns in conversation(), prompt in any::<bool>()) {
        let source = "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}{% generation %}{{ m.content }}</s>\
            {% endgeneration %}{% else %}{{ m.content }}</s>{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
        let turns: Vec<(&str, &str)> = turns.iter().map(|(role, content)| (&**role, &**content)).collect();
        let messages = talk(&turns);
        let chat = Chat { add_generation_prompt: prompt, ..Chat::new(&messages) };
        let rendered = template(source).render(&chat).unwrap();
        let mut expected: String = turns.iter().map(|(role, content)| format!("<{role}>{content}</s>")).collect();
        if prompt {
            expected.push_str("<assistant>");
        }
        prop_assert_eq!(&rendered.text, &expected);
        let said: Vec<String> =
            turns.iter().filter(|(role, _)| *role == "assistant").map(|(_, content)| format!("{content}</s>")).collect();
        prop_assert_eq!(answers(&rendered), said);
    }

    #[test]
    fn answers_are_found_without_blocks_whatever_is_said(turns in conversation(), prompt in any::<bool>()) {
        let source = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}\
            {% if add_generation_prompt %}<assistant>{% endif %}";
        let turns: Vec<(&str, &str)> = turns.iter().map(|(role, content)| (&**role, &**content)).collect();
        let messages = talk(&turns);
        let chat = Chat { add_generation_prompt: prompt, ..Chat::new(&messages) };
        let rendered = template(source).render(&chat).unwrap();
        let said: Vec<String> =
            turns.iter().filter(|(role, _)| *role == "assistant").map(|(_, content)| format!("{content}</s>")).collect();
        prop_assert_eq!(answers(&rendered), said);
    }

    #[test]
    fn no_template_panics(parts in prop::collection::vec(
        "\\{%-?|-?%\\}|\\{\\{|\\}\\}| generation | endgeneration | for m in messages | endfor | m\\.content |\\| tojson\\(indent=3\\)|\
         \\.split\\(|'a'|\\)|\\[1:\\]|raise_exception\\('x'\\)|\n|é| if | set x = |1", 0..12,
    )) {
        let messages = question_and_answer();
        if let Ok(template) = ChatTemplate::new(&parts.concat(), "t.jinja") {
            let _ = template.render(&Chat::new(&messages));
        }
    }
}
