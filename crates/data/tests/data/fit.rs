//! Rows that fit into a context: an inspection counts as many as the stages prepare.

use rlhf_data::{
    Fit, InspectOptions, Inspection, LossOn, Tokenizer, TokenizerConfig, all_comparison_tokens, answered_tokens,
    demonstration_sequence, inspect, pack_documents, read_comparisons, read_demonstrations,
};
use std::path::PathBuf;

/// One token a byte, after five special ones.
fn bytes() -> Tokenizer {
    let config = TokenizerConfig {
        vocab_size: 261,
        min_frequency: 2,
    };
    Tokenizer::train(["x"], &config).expect("in range")
}

fn file(folder: &tempfile::TempDir, rows: &str) -> PathBuf {
    let path = folder.path().join("rows.jsonl");
    std::fs::write(&path, rows).expect("the folder is there");
    path
}

fn look(rows: &str, max_seq_len: usize, max_new_tokens: Option<usize>, row: usize) -> Inspection {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tokenizer = bytes();
    let options = InspectOptions {
        tokenizer: Some(&tokenizer),
        max_seq_len: Some(max_seq_len),
        max_new_tokens,
        max_prompt_tokens: None,
        row,
    };
    inspect(file(&folder, rows), &options).expect("the rows are good")
}

/// Rows whole, shortened and left out; tokens that stay and all; sequences.
fn counts(fit: &Fit) -> ([usize; 3], [usize; 2], usize) {
    (
        [fit.whole, fit.shortened, fit.left_out],
        [fit.kept_tokens, fit.tokens],
        fit.sequences,
    )
}

/// `<|user|> a <|assistant|> b <|eos|>`: 5 tokens; twice that, of which the first half can go; and one that is too long.
const DEMONSTRATIONS: &str = r#"{"prompt":"a","completion":"b"}
{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"}]}
{"prompt":"a","completion":"0123456789"}
"#;

#[test]
fn demonstrations_are_counted_as_sft_and_reward_take_them() {
    let found = look(DEMONSTRATIONS, 8, None, 1);
    let [sft, reward] = &found.fit[..] else {
        panic!("{:?}", found.fit);
    };
    // 5, 10 and 14 tokens; 5 and 5 stay.
    assert_eq!((sft.stages, counts(sft)), ("sft", ([1, 1, 1], [10, 29], 2)));
    assert_eq!(sft.affected, [2, 3]);
    // The reward model's demonstrations lose as much of their beginning.
    assert_eq!(counts(reward), ([1, 1, 1], [10, 29], 2));
    // What the stages themselves call says the same.
    let folder = tempfile::tempdir().unwrap();
    let rows = read_demonstrations(file(&folder, DEMONSTRATIONS)).unwrap().rows;
    let tokenizer = bytes();
    let kept = |row| demonstration_sequence(&tokenizer, row, LossOn::Assistant, 8).unwrap();
    assert_eq!(
        rows.iter().filter_map(kept).map(|s| s.value.len()).sum::<usize>(),
        sft.kept_tokens
    );
    let kept = |row| answered_tokens(&tokenizer, row, 8).unwrap();
    assert_eq!(rows.iter().filter_map(kept).count(), reward.sequences);
    // With room for all of them nothing is lost.
    let whole = look(DEMONSTRATIONS, 14, None, 1);
    assert!(
        whole
            .fit
            .iter()
            .all(|fit| fit.whole == 3 && fit.affected.is_empty() && fit.tokens == fit.kept_tokens)
    );
}

const COMPARISONS: &str = r#"{"prompt":"a","completions":["b","cc","0123456789"],"ranking":[0,1,2]}
{"prompt":"a","chosen":"b","rejected":"0123456789"}
{"prompt":"a","chosen":"b","rejected":"c"}
"#;

#[test]
fn comparisons_are_counted_as_reward_takes_them() {
    let found = look(COMPARISONS, 8, None, 1);
    let [reward] = &found.fit[..] else {
        panic!("{:?}", found.fit);
    };
    // Prompts of 3 tokens; answers of 2, 3 and 11, of 2 and 11, of 2 and 2.
    assert_eq!(counts(reward), ([1, 1, 1], [8 + 7, 19 + 16 + 7], 4));
    assert_eq!(reward.affected, [1, 2]);
    let folder = tempfile::tempdir().unwrap();
    let rows = read_comparisons(file(&folder, COMPARISONS)).unwrap().rows;
    let kept = all_comparison_tokens(&bytes(), &rows, 8).unwrap();
    assert_eq!(
        kept.iter()
            .flatten()
            .map(|row| row.value.completions.len())
            .sum::<usize>(),
        reward.sequences
    );
    assert_eq!(kept.iter().flatten().count(), reward.whole + reward.shortened);
}

#[test]
fn prompts_leave_room_for_their_answers() {
    let prompts = "{\"prompt\":\"a\"}\n{\"prompt\":\"0123456789\"}\n";
    let found = look(prompts, 16, Some(5), 1);
    // 3 and 12 tokens, and 11 may be asked.
    assert_eq!(counts(&found.fit[0]), ([1, 0, 1], [3, 15], 1));
    let talk = r#"{"messages":[{"role":"user","content":"abcd"},{"role":"assistant","content":"e"},{"role":"user","content":"f"}]}"#;
    let found = look(talk, 8, Some(5), 1);
    // <|user|> abcd <|assistant|> e <|eos|> are 8, and <|user|> f <|assistant|> 3.
    assert_eq!(counts(&found.fit[0]), ([0, 1, 0], [3, 11], 1));
    let found = look(prompts, 16, Some(5), 1);
    assert!(
        found.fit[0].rule.contains("no room for 5 new tokens"),
        "{:?}",
        found.fit[0]
    );
    assert!(
        look(prompts, 128, None, 1).fit[0]
            .rule
            .contains("no room for 64 new tokens")
    );
    // Rows of other kinds are looked at as prompts where an answer's room is given.
    for rows in [DEMONSTRATIONS, COMPARISONS] {
        let as_prompts = look(rows, 16, Some(13), 1).fit.pop().unwrap();
        assert_eq!(
            (as_prompts.stages, as_prompts.shortened > 0),
            ("sample, ppo, eval", rows == DEMONSTRATIONS)
        );
    }
}

#[test]
fn text_loses_nothing() {
    let found = look("{\"text\":\"abcdef\"}\n{\"text\":\"g\"}\n", 4, None, 1);
    // eos a b c d e f eos g eos in windows of 4 that share a token: 9 tokens are learnt in 3 windows.
    assert_eq!(counts(&found.fit[0]), ([2, 0, 0], [9, 9], 3));
    assert_eq!(pack_documents(&bytes(), ["abcdef", "g"], 4).len(), 3);
    assert_eq!(found.row.parts[0].tokens.marked_text(), "<|eos|>[[abc]]");
}

/// The marked text of each part of a row, and what becomes of it.
fn shown(rows: &str, max_seq_len: usize, row: usize) -> (Vec<String>, String) {
    let found = look(rows, max_seq_len, Some(1), row).row;
    let texts = found.parts.iter().map(|part| part.tokens.marked_text().to_owned());
    (texts.collect(), found.fate.unwrap_or_default())
}

#[test]
fn a_row_is_shown_as_the_model_is_given_it() {
    let (texts, fate) = shown(DEMONSTRATIONS, 8, 1);
    assert_eq!(
        (texts, fate.as_str()),
        (vec!["<|user|>a<|assistant|>[[b<|eos|>]]".to_owned()], "")
    );
    let (texts, fate) = shown(DEMONSTRATIONS, 8, 2);
    assert_eq!(texts, ["<|user|>c<|assistant|>[[d<|eos|>]]"]);
    assert_eq!(fate, "shortened: of 10 tokens 5 stay");
    let (texts, fate) = shown(DEMONSTRATIONS, 8, 3);
    assert_eq!(texts, ["<|user|>a<|assistant|>[[0123456789<|eos|>]]"]);
    assert_eq!(fate, "left out: 14 tokens, at most 8 fit");
    let (texts, fate) = shown(COMPARISONS, 8, 1);
    let answers = ["b[[<|eos|>]]", "cc[[<|eos|>]]", "0123456789[[<|eos|>]]"];
    assert_eq!(texts, [&["<|user|>a<|assistant|>"], answers.as_slice()].concat());
    assert_eq!(fate, "shortened: 1 of 3 answers do not fit 8 tokens");
    let talk = r#"[{"role":"user","content":"abc"},{"role":"assistant","content":"d"},{"role":"user","content":"e"}]"#;
    let (texts, fate) = shown(&format!(r#"{{"messages":{talk}}}"#), 8, 1);
    assert_eq!(texts, ["<|user|>e<|assistant|>"]);
    assert_eq!(fate, "shortened: of 10 tokens 3 stay");
    let row = format!(r#"{{"prompt":{talk},"completions":["f","g","0123456789"],"ranking":[0,1,2]}}"#);
    let (texts, fate) = shown(&row, 8, 1);
    assert_eq!(texts[0], "<|user|>e<|assistant|>");
    assert_eq!(
        fate,
        "shortened: of 10 tokens 3 stay; shortened: 1 of 3 answers do not fit 8 tokens"
    );
    let (texts, fate) = shown("{\"prompt\":\"abcdef\"}\n", 8, 1);
    assert_eq!(texts, ["<|user|>abcdef<|assistant|>"]);
    assert!(fate.contains("8 tokens; expected at most 7"), "{fate}");
}

#[test]
fn a_row_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, DEMONSTRATIONS);
    for row in [0, 4] {
        let options = InspectOptions {
            row,
            ..InspectOptions::default()
        };
        let error = inspect(&path, &options).unwrap_err().to_string();
        assert!(
            error.ends_with(&format!("rows.jsonl: there is no row {row}; expected one from 1 to 3")),
            "{error}"
        );
    }
}

#[test]
fn an_inspection_prints_what_is_lost_and_what_is_learnt() {
    let text = look(DEMONSTRATIONS, 8, None, 2).to_string();
    for line in [
        "at most 8 tokens:",
        "  sft: 1 rows whole, 1 shortened, 1 left out",
        "    10 of 29 tokens stay, in 2 sequences",
        "    rows 2, 3",
        "row 2:",
        "  user: a",
        "conversation, learnt in [[ ]]:",
        "  <|user|>c<|assistant|>[[d<|eos|>]]",
        "  position      id  learnt  text",
        "         4       1  yes     \"<|eos|>\"",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
    }
}
