//! `rlhf generate`.

use std::collections::BTreeSet;

use crate::support::{
    CONTEXT, file, folder, language_model, numbers, padded_language_model, reward_model, rlhf, rlhf_reading, tokenizer,
};

#[test]
fn the_seed_decides() {
    let model = language_model(&folder("generation_seed"));
    let text = |seed: &str| {
        let arguments = [
            "generate",
            "--model",
            &model,
            "--prompt",
            "the sea",
            "--seed",
            seed,
            "--max-new-tokens",
            "20",
        ];
        rlhf(&arguments).printed()
    };
    assert_eq!(text("1"), text("1"));
    assert_ne!(text("1"), text("2"));
    assert!(text("1").ends_with('\n'));
}

#[test]
fn what_follows_a_prompt_does_not_depend_on_the_prompts_after_it() {
    let dir = folder("generation_batch");
    let model = language_model(&dir);
    let rows = |input: &str| {
        let arguments = [
            "generate",
            "--model",
            &model,
            "--input",
            "-",
            "--json",
            "--max-new-tokens",
            "8",
            "-n",
            "3",
        ];
        rlhf_reading(&arguments, input).rows()
    };
    let one = rows("{\"prompt\":\"the sea\"}\n");
    let many = rows(&"{\"prompt\":\"the sea\"}\n".repeat(50));
    assert_eq!(many.len(), 50);
    assert_eq!(one[0], many[0]);
    let distinct: BTreeSet<String> = many.iter().map(|row| row["completion_ids"].to_string()).collect();
    assert_eq!(distinct.len(), 50, "each prompt draws from a stream of its own");
    assert_eq!(one[0]["completions"].as_array().map(Vec::len), Some(3));
}

#[test]
fn rows_of_json_are_rows_that_score_reads() {
    let dir = folder("generation_score");
    let (model, reward) = (language_model(&dir), reward_model(&dir));
    for (n, field) in [("1", "score"), ("2", "scores")] {
        let prompts = "{\"prompt\":\"the sea\"}\n{\"messages\":[{\"role\":\"user\",\"content\":\"a ship\"}]}\n";
        let arguments = [
            "generate",
            "--model",
            &model,
            "--input",
            "-",
            "--json",
            "--max-new-tokens",
            "5",
            "-n",
            n,
        ];
        let answered = rlhf_reading(&arguments, prompts).printed();
        let path = file(&dir, "answers.jsonl", &answered);
        let scored = rlhf(&["score", "--model", &reward, "--input", &path]).rows();
        assert_eq!(scored.len(), 2);
        assert!(scored.iter().all(|row| row.get(field).is_some()), "{scored:?}");
    }
}

#[test]
fn a_prompt_that_leaves_no_room_is_refused_with_its_place() {
    let model = language_model(&folder("generation_room"));
    let generate = |input: &str, more: &[&str]| {
        rlhf_reading(
            &[&["generate", "--model", &model, "--input", "-"], more].concat(),
            input,
        )
    };
    // 1 + 3 + 1 tokens with the roles.
    let short = "{\"prompt\":\"xyz\"}\n";
    generate(short, &["--max-new-tokens", "43"]).printed();
    generate(short, &["--max-new-tokens", "44"]).refused(
        1,
        &[
            "standard input:1: the prompt has 5 tokens, which leaves room for 43",
            "--max-new-tokens is 44",
        ],
    );
    let long = format!("{short}{{\"prompt\":\"{}\"}}\n", "xyz".repeat(CONTEXT));
    generate(&long, &["--max-new-tokens", "1"]).refused(1, &["standard input:2: the row has 146 tokens"]);
    generate("{\"prompt\":[]}\n", &[]).refused(1, &["field `prompt`"]);
    generate("{\"text\":\"\"}\n", &[]).refused(1, &["the row has 0 tokens, expected at least 1"]);
}

#[test]
fn raw_prompts_have_no_roles() {
    let model = language_model(&folder("generation_raw"));
    let greedy = |more: &[&str]| {
        let common = [
            "generate",
            "--model",
            &model,
            "--temperature",
            "0",
            "--json",
            "--max-new-tokens",
            "6",
        ];
        rlhf_reading(&[common.as_slice(), more].concat(), "{\"text\":\"the sea\"}\n").rows()
    };
    let raw = greedy(&["--prompt", "the sea", "--raw"]);
    assert_eq!(raw, greedy(&["--input", "-"]));
    assert_ne!(
        raw[0]["completion_ids"],
        greedy(&["--prompt", "the sea"])[0]["completion_ids"]
    );
}

#[test]
fn for_people_several_completions_are_numbered_under_their_prompt() {
    let model = language_model(&folder("generation_people"));
    let arguments = [
        "generate",
        "--model",
        &model,
        "--prompt",
        "the sea",
        "-n",
        "2",
        "--max-new-tokens",
        "3",
    ];
    let text = rlhf(&arguments).printed();
    assert!(text.starts_with("> the sea\n1. "), "{text}");
    assert!(text.contains("\n2. "), "{text}");
}

#[test]
fn ids_of_padding_rows_are_sampled_without_harm_and_say_nothing() {
    let dir = folder("generation_padded");
    let model = padded_language_model(&dir, 112);
    let arguments = [
        "generate",
        "--model",
        &model,
        "--prompt",
        "the sea",
        "-n",
        "8",
        "--max-new-tokens",
        "20",
    ];
    rlhf(&arguments).printed();
    let row = &rlhf(&[arguments.as_slice(), &["--json"]].concat()).rows()[0];
    let tokenizer = tokenizer();
    let mut padding = 0;
    for index in 0..8 {
        let wrapped = serde_json::json!({ "ids": row["completion_ids"][index] });
        let ids: Vec<u32> = numbers(&wrapped, "ids").into_iter().map(|id| id as u32).collect();
        let with_token = |id: &u32| (*id as usize) < tokenizer.vocab_size();
        padding += ids.iter().filter(|id| !with_token(id)).count();
        let told: Vec<u32> = ids.into_iter().filter(with_token).collect();
        assert_eq!(row["completions"][index], tokenizer.decode(&told, true));
    }
    // Random weights know no difference: some 29 of 100 ids are of padding.
    assert!(padding > 8, "{padding}");
}
