//! Log-probabilities and scores against PyTorch.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{
    argument, file, folder, golden, language_model, numbers, reward_model, rlhf, rlhf_reading, tokenizer,
};

/// The tensors of `expected.safetensors` as numbers in row-major order; ids and masks are i64, the rest f32.
fn expected(model: &str) -> BTreeMap<String, Vec<f64>> {
    let bytes = std::fs::read(golden(model).join("expected.safetensors")).expect("part of the repository");
    let (length, rest) = bytes.split_first_chunk().expect("a header length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: BTreeMap<String, Value> = serde_json::from_slice(header).expect("a header");
    let tensor = |(name, entry): (String, Value)| {
        let offset = |index: usize| entry["data_offsets"][index].as_u64().expect("an offset") as usize;
        let data = &data[offset(0)..offset(1)];
        let values = match entry["dtype"].as_str() {
            Some("I64") => data
                .as_chunks()
                .0
                .iter()
                .map(|b| i64::from_le_bytes(*b) as f64)
                .collect(),
            _ => data
                .as_chunks()
                .0
                .iter()
                .map(|b| f64::from(f32::from_le_bytes(*b)))
                .collect(),
        };
        (name, values)
    };
    header
        .into_iter()
        .filter(|(name, _)| name != "__metadata__")
        .map(tensor)
        .collect()
}

/// The real ids of the three right-padded rows.
fn real_ids(expected: &BTreeMap<String, Vec<f64>>) -> Vec<Vec<u32>> {
    let columns = expected["right.input_ids"].len() / 3;
    let rows = expected["right.input_ids"]
        .chunks(columns)
        .zip(expected["right.attention_mask"].chunks(columns));
    rows.map(|(ids, mask)| {
        ids.iter()
            .zip(mask)
            .filter(|(_, real)| **real == 1.0)
            .map(|(&id, _)| id as u32)
            .collect()
    })
    .collect()
}

fn input_rows(folder: &std::path::Path, ids: &[Vec<u32>]) -> String {
    let rows: String = ids
        .iter()
        .map(|ids| format!("{}\n", json!({ "input_ids": ids })))
        .collect();
    file(folder, "ids.jsonl", &rows)
}

#[track_caller]
fn near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance,
            "found {found}, expected {expected}"
        );
    }
}

#[test]
fn logprobs_are_those_of_pytorch() {
    for model in ["gpt2", "gpt2_hub_keys"] {
        let expected = expected(model);
        let ids = real_ids(&expected);
        let input = input_rows(&folder(&format!("numbers_{model}")), &ids);
        let rows = rlhf(&["logprobs", "--model", &argument(&golden(model)), "--input", &input]).rows();
        assert_eq!(rows.len(), 3);
        for ((row, ids), expected) in rows.iter().zip(&ids).zip(expected["right.logprobs"].chunks(10)) {
            near(&numbers(row, "logprobs"), &expected[..ids.len() - 1], 1e-4);
        }
    }
}

#[test]
fn scores_are_those_of_pytorch() {
    let expected = expected("gpt2_reward");
    let input = input_rows(&folder("numbers_reward"), &real_ids(&expected));
    let rows = rlhf(&["score", "--model", &argument(&golden("gpt2_reward")), "--input", &input]).rows();
    let scores: Vec<f64> = rows.iter().map(|row| row["score"].as_f64().expect("a score")).collect();
    near(&scores, &expected["right.scores"], 1e-4);
}

#[test]
fn greedy_generation_is_that_of_pytorch() {
    const NEW: usize = 16;
    let expected = expected("gpt2");
    let input = input_rows(&folder("numbers_greedy"), &real_ids(&expected));
    let model = argument(&golden("gpt2"));
    let arguments = [
        "generate",
        "--model",
        &model,
        "--input",
        &input,
        "--temperature",
        "0",
        "--json",
    ];
    let rows = rlhf(&[arguments.as_slice(), &["--max-new-tokens", "16"]].concat()).rows();
    for (row, expected) in rows.iter().zip(expected["generate.new_tokens"].chunks(NEW)) {
        // The fixture goes on after EOS, id 2 in the model's configuration.
        let end = expected.iter().position(|&id| id == 2.0).map_or(NEW, |eos| eos + 1);
        assert_eq!(numbers(row, "completion_ids"), expected[..end]);
    }
}

#[test]
fn text_is_encoded_plainly_and_prompts_in_the_chat_format() {
    let dir = folder("numbers_text");
    let (model, tokenizer) = (language_model(&dir), tokenizer());
    let question = [rlhf_data::Message::user("the sea?")];
    let chat = [
        tokenizer.encode_prompt(&question).unwrap(),
        tokenizer.encode_completion(&question, "the shore").unwrap(),
    ]
    .concat();
    let rows = [
        json!({ "text": "the sea <|eos|>" }),
        json!({ "input_ids": tokenizer.encode("the sea <|eos|>") }),
        json!({ "prompt": " the sea?\n", "completion": " the shore " }),
        json!({ "prompt": [{"role": "user", "content": "the sea?"}], "completion": "the shore" }),
        json!({ "messages": [{"role": "user", "content": "the sea?"}, {"role": "assistant", "content": "the shore"}] }),
        json!({ "input_ids": chat }),
    ];
    let input: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let found = rlhf(&[
        "logprobs",
        "--model",
        &model,
        "--input",
        &file(&dir, "rows.jsonl", &input),
    ])
    .rows();
    let found: Vec<Vec<f64>> = found.iter().map(|row| numbers(row, "logprobs")).collect();
    near(&found[0], &found[1], 1e-5);
    for row in &found[2..5] {
        near(row, &found[5], 1e-5);
    }
}

/// A post-processor as Llama 3, Mistral and Gemma have: bos before a text that stands by itself, and never before a conversation,
/// where the template writes it.
#[test]
fn a_text_by_itself_begins_with_bos_where_the_tokenizer_says_so() {
    let dir = folder("numbers_bos");
    let (model, reward, tokenizer) = (language_model(&dir), reward_model(&dir), tokenizer());
    let bos = tokenizer.pad_token_id().unwrap();
    for model in [&model, &reward] {
        let path = std::path::Path::new(model).join("tokenizer.json");
        let mut json: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        json["post_processor"] = json!({
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<|pad|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {"<|pad|>": {"id": "<|pad|>", "ids": [bos], "tokens": ["<|pad|>"]}},
        });
        std::fs::write(&path, json.to_string()).unwrap();
    }
    let ids = [vec![bos], tokenizer.encode("the sea")].concat();
    let rows = format!("{}\n{}\n", json!({ "text": "the sea" }), json!({ "input_ids": ids }));
    let rows = file(&dir, "rows.jsonl", &rows);
    for (command, model, field, more) in [
        ("logprobs", &model, "logprobs", &[][..]),
        ("score", &reward, "score", &[]),
        (
            "generate",
            &model,
            "completion_ids",
            &["--json", "--temperature", "0", "--max-new-tokens", "4"],
        ),
    ] {
        let arguments = [&[command, "--model", model, "--input", &rows], more].concat();
        let found = rlhf(&arguments).rows();
        assert_eq!(found[0][field], found[1][field], "{command}");
    }
    let raw = [
        "generate",
        "--model",
        &model,
        "--prompt",
        "the sea",
        "--raw",
        "--json",
        "--temperature",
        "0",
        "--max-new-tokens",
        "4",
    ];
    let text = [
        "generate",
        "--model",
        &model,
        "--input",
        &rows,
        "--json",
        "--temperature",
        "0",
        "--max-new-tokens",
        "4",
    ];
    assert_eq!(
        rlhf(&raw).rows()[0]["completion_ids"],
        rlhf(&text).rows()[0]["completion_ids"]
    );
    let question = [rlhf_data::Message::user("the sea?")];
    let row = format!("{}\n", json!({ "messages": question }));
    let shown = rlhf_reading(&["template", "--model", &model, "--input", "-"], &row).rows();
    assert_eq!(
        shown[0]["input_ids"],
        json!(tokenizer.encode_conversation(&question).unwrap().input_ids)
    );
}

#[test]
fn comparisons_end_with_the_share_of_pairs_that_the_scores_order_alike() {
    let dir = folder("numbers_comparisons");
    let model = reward_model(&dir);
    let score = |rows: &str| rlhf(&["score", "--model", &model, "--input", &file(&dir, "rows.jsonl", rows)]).rows();
    let answers = json!({ "prompt": "the sea", "completions": ["a ship", "the shore", "no"] });
    let plain = score(&format!("{answers}\n"));
    assert_eq!(plain.len(), 1, "nobody compared them");
    let scores = numbers(&plain[0], "scores");
    let place = |i: usize| scores.iter().filter(|other| **other > scores[i]).count();
    let ranking: Vec<usize> = (0..3).map(place).collect();
    let mut ranked = answers.clone();
    ranked["ranking"] = json!(ranking);
    let best = ranking.iter().position(|&rank| rank == 0).expect("one is best");
    let (best, other) = (&answers["completions"][best], &answers["completions"][(best + 1) % 3]);
    // Three pairs as the model orders them, and one the other way round.
    let wrong = json!({ "prompt": "the sea", "chosen": other, "rejected": best });
    let found = score(&format!("{ranked}\n{wrong}\n"));
    assert_eq!(found.len(), 3);
    near(&numbers(&found[0], "scores"), &scores, 1e-5);
    let last = &found[2];
    assert_eq!(
        (last["pair_accuracy"].as_f64(), last["n"].as_u64()),
        (Some(0.75), Some(4))
    );
    // All pairs are of one prompt: one observation of three quarters, by Wilson's formula.
    near(
        &[last["low"].as_f64().unwrap(), last["high"].as_f64().unwrap()],
        &[0.11791, 0.98537],
        1e-4,
    );
}
