//! Which answers are learnt.

use super::*;

#[test]
fn answers_are_left_out_in_the_spellings_of_those_who_write_them() {
    for (field, no, yes) in [
        ("weight", json!(0), json!(1)),
        ("weight", json!(0.0), json!(1.0)),
        ("weight", json!("0"), json!("1")),
        ("train", json!(false), json!(true)),
        ("training", json!("False"), json!("True")),
        ("loss", json!(false), json!(null)),
        ("loss_mask", json!(0), json!(1)),
        ("step_loss_mask", json!(0), json!(1)),
        ("trainable", json!(false), json!(true)),
        ("masked", json!(true), json!(false)),
    ] {
        let talk = [
            user("Two and two?"),
            marked("Five.", field, no.clone()),
            user("Is it?"),
            marked("No, four.", field, yes),
        ];
        assert_eq!(learnt(&talk), [false, true], "{field} {no}");
    }
}

#[test]
fn weights_between_and_marks_that_cannot_be_told_are_refused_by_their_place() {
    for (message, expected) in [
        (
            marked("b", "weight", json!(0.5)),
            "messages[1].weight`: expected true or false, 1 or 0",
        ),
        (
            marked("b", "train", json!("sometimes")),
            "messages[1].train`: expected true or false",
        ),
        (
            marked("b", "loss_mask", json!([0, 1])),
            "messages[1].loss_mask`: expected true or false",
        ),
        (
            marked("b", "mask", json!(1)),
            "messages[1].mask`: expected nothing: `weight` says",
        ),
        (
            marked("b", "train_detail", json!([{"begin_offset": 0}])),
            "messages[1].train_detail`: expected nothing",
        ),
    ] {
        let error = error_of(demonstrations(&[user("a"), message]));
        assert!(
            error.starts_with(&format!("rows.jsonl:1: field `{expected}")),
            "{error}"
        );
    }
    let mut both = marked("b", "weight", json!(0));
    both["train"] = json!(true);
    let error = error_of(demonstrations(&[user("a"), both]));
    assert!(
        error.contains("messages[1].train`: expected what `weight` beside it says"),
        "{error}"
    );
}

#[test]
fn marks_of_questions_and_of_what_is_not_learnt_make_no_difference() {
    let mut question = user("a");
    question["weight"] = json!(0.5);
    assert_eq!(learnt(&[question.clone(), assistant("b")]), [true]);
    // Nothing of prompts and comparisons is learnt word by word.
    let before = [question, marked("b", "weight", json!(0.5)), user("c")];
    let prompts = read_prompts(rows(&[json!({ "messages": before })]).path).unwrap().rows;
    assert!(prompts[0].messages.iter().all(|message| message.learnt));
    let pair = json!({"prompt": before, "chosen": "d", "rejected": "e"});
    let comparisons = read_comparisons(rows(&[pair]).path).unwrap().rows;
    assert_eq!(comparisons[0].messages, prompts[0].messages);
}

#[test]
fn what_is_not_learnt_is_in_the_context_and_no_target_however_conversations_are_written() {
    let talk = [
        user("a"),
        marked("bad", "weight", json!(0)),
        user("b"),
        assistant("good"),
        user("c"),
        marked("worse", "weight", json!(0)),
    ];
    let rows = demonstrations(&talk).unwrap();
    // The last answer is the last that is learnt: by it the reward model finds its zero.
    assert_eq!((rows[0].completion(), rows[0].prompt().len()), ("good", 3));
    for tokenizer in [tokenizer(), with_template(PLAIN), with_template(BLOCKS)] {
        assert_eq!(taught(&tokenizer, &rows[0]), "good<|eos|>");
        let sequence = demonstration_sequence(&tokenizer, &rows[0], LossOn::Assistant, 999)
            .unwrap()
            .unwrap()
            .value;
        let text = tokenizer.decode(&sequence.input_ids, false);
        assert!(text.contains("bad") && !text.contains("worse"), "{text}");
    }
}

#[test]
fn blocks_that_are_not_one_for_each_answer_are_refused_where_one_is_left_out() {
    let source = BLOCKS.replace("{% generation %}{{ m.content }}", "{% if m.content != 'b' %}{% generation %}{{ m.content }}{% endgeneration %}{% endif %}{% if false %}{% generation %}");
    let source = source.replace("<|eos|>{% endgeneration %}", "<|eos|>{% endgeneration %}{% endif %}");
    let rows = demonstrations(&[user("a"), marked("b", "weight", json!(0)), user("c"), assistant("d")]).unwrap();
    let error = demonstration_sequence(&with_template(&source), &rows[0], LossOn::Assistant, 999).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("rows.jsonl:1: ") && error.contains("1 generation blocks for 2 answers"),
        "{error}"
    );
}

#[test]
fn rows_without_an_answer_to_learn_are_left_out_and_counted_with_their_lines() {
    let good = json!({"messages": [user("a"), assistant("b")]});
    let left_out = [
        json!({"messages": [user("a"), marked("b", "train", json!(false))]}),
        json!({"prompt": "a", "completion": "b", "weight": 0}),
        json!({"prompt": "a", "completion": [marked("b", "weight", json!(0))]}),
    ];
    let [first, second, third] = left_out.clone();
    let written = rows(&[good, first, second, third]);
    let file = read_demonstrations(&written.path).unwrap().report.files.remove(0);
    assert_eq!((file.rows, file.skipped(), file.skipped_not_learnt), (1, 3, 3));
    assert_eq!(file.skipped_lines["not learnt"], [2, 3, 4]);
    let shown = inspect(&written.path, &InspectOptions::default()).unwrap().to_string();
    assert!(
        shown.contains("left out        3 not learnt (lines 2, 3, 4)"),
        "{shown}"
    );
    let error = error_of(read_demonstrations(rows(&left_out).path));
    assert!(
        error.contains("none of its 3 rows can be used: 3 not learnt (lines 1, 2, 3)"),
        "{error}"
    );
    let part = json!({"prompt": "a", "completion": "b", "weight": 0.3});
    let error = error_of(read_demonstrations(rows(&[part]).path));
    assert!(
        error.starts_with("rows.jsonl:1: field `weight`: expected 1 or 0"),
        "{error}"
    );
}

#[test]
fn an_inspection_counts_answers_that_are_not_learnt() {
    let talk = [
        user("a"),
        marked("b", "weight", json!(0)),
        user("c"),
        assistant(""),
        user("d"),
        assistant("e"),
    ];
    let found = inspect(rows(&[json!({ "messages": talk })]).path, &InspectOptions::default()).unwrap();
    assert_eq!(
        (found.answers_not_learnt, found.not_learnt_lines.as_slice()),
        (2, &[1][..])
    );
    let shown = found.to_string();
    assert!(shown.contains("not learnt      2 answers (line 1)"), "{shown}");
    assert!(shown.contains("assistant (not learnt): b"), "{shown}");
}

#[test]
fn an_answer_that_says_nothing_is_not_learnt() {
    assert_eq!(
        learnt(&[user("a"), assistant(" \n"), user("b"), assistant("c")]),
        [false, true]
    );
    let dialogue = "\n\nHuman: a\n\nAssistant:\n\nHuman: b\n\nAssistant:";
    let row = json!({"prompt": dialogue, "completion": "c"});
    let rows = read_demonstrations(rows(&[row]).path).unwrap().rows;
    assert!(!rows[0].messages[1].learnt && rows[0].messages[3].learnt);
}
