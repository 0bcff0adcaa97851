//! Every family against transformers 5.23 on torch 2.9: logits, log-probabilities, greedy decoding, scores.

use burn::tensor::Tensor;
use rlhf_core::{PaddingSide, TokenBatch, index_tensor, int_tensor, to_host};
use rlhf_inference::{GenerateOptions, Generator, Sampling};
use rlhf_model::{
    CausalLm, ScalarModel, load_causal_lm, load_scalar_model, sequence_logprobs, sequence_scores, sequence_values,
};

use crate::fixtures::{CONFIGS, Expected, model_dir};
use crate::tiny::assert_close;

// Absolute and relative parts. Logits reach 20, where neighbouring floats are 2e-6 apart; a log-prob is the difference of
// two such numbers. The composed operations stay within half of each.
const LOGITS: (f64, f64) = (1e-5, 1e-5);
const LOGPROBS: (f64, f64) = (3e-6, 1e-6);
const SCORES: (f64, f64) = (2e-6, 1e-6);

const LANGUAGE_MODELS: [&str; 9] = [
    "gpt2",
    "gpt2_hub_keys",
    "gpt_neox",
    "llama_sharded",
    "llama_tied",
    "llama_tied_bf16",
    "llama_untied",
    "qwen2",
    "qwen3",
];
const REWARD_MODELS: [&str; 2] = ["gpt2_reward", "llama_reward"];
const NEW_TOKENS: usize = 16;

fn language_models() -> impl Iterator<Item = (String, CausalLm, Expected)> {
    LANGUAGE_MODELS.into_iter().flat_map(|name| {
        CONFIGS.map(|config| {
            let dir = model_dir(name, config);
            let (model, _) = load_causal_lm(dir.path(), &crate::tiny::device()).expect("a model transformers wrote");
            (format!("{name}/{config}"), model, Expected::of(name))
        })
    })
}

/// The same sequences in every layout, with the padding side whose expectations apply.
fn layouts(expected: &Expected) -> Vec<(&'static str, Vec<Vec<u32>>, TokenBatch)> {
    let (right, _) = expected.sequences("right");
    let (left, _) = expected.sequences("left");
    vec![
        ("right", right.clone(), TokenBatch::padded(&right, PaddingSide::Right)),
        ("left", left.clone(), TokenBatch::padded(&left, PaddingSide::Left)),
        ("right", right.clone(), TokenBatch::pack(&right, 64)),
        ("left", left.clone(), TokenBatch::pack(&left, 1)),
    ]
}

/// Entries `[first .. first + count]` of each row of a `[rows, columns, width]` tensor, where `first` is the row's own.
fn real(values: &[f32], columns: usize, width: usize, firsts: &[usize], counts: &[usize]) -> Vec<Vec<f32>> {
    let rows = values.chunks(columns * width).zip(firsts.iter().zip(counts));
    rows.map(|(row, (&first, &count))| row[first * width..(first + count) * width].to_vec())
        .collect()
}

fn lens(sequences: &[Vec<u32>]) -> Vec<usize> {
    sequences.iter().map(Vec::len).collect()
}

#[test]
fn logits_agree_padded_and_packed() {
    for (name, model, expected) in language_models() {
        for (side, sequences, batch) in layouts(&expected) {
            let [_, columns, vocab] = expected.dims(&format!("{side}.logits"));
            let (_, firsts) = expected.sequences(side);
            let wanted = real(
                expected.floats(&format!("{side}.logits")),
                columns,
                vocab,
                &firsts,
                &lens(&sequences),
            );
            let logits = to_host(model.logits(model.hidden_states(&batch.to_device(&crate::tiny::device()))));
            for (i, sequence) in sequences.iter().enumerate() {
                let start = batch.flat_index(i, 0) * vocab;
                let found = &logits[start..start + sequence.len() * vocab];
                let what = format!("{name}, {side}, {} rows, sequence {i}", batch.rows());
                assert_close(what, found, &wanted[i], LOGITS);
            }
        }
    }
}

#[test]
fn logprobs_agree() {
    for (name, model, expected) in language_models() {
        for side in ["right", "left"] {
            let (sequences, firsts) = expected.sequences(side);
            let counts: Vec<usize> = sequences.iter().map(|s| s.len() - 1).collect();
            let [_, columns] = expected.dims(&format!("{side}.logprobs"));
            let wanted = real(
                expected.floats(&format!("{side}.logprobs")),
                columns,
                1,
                &firsts,
                &counts,
            );
            let found = sequence_logprobs(&model, &sequences, &[0, 0, 0], 1.0, 4096).logprobs;
            for (i, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                assert_close(format!("{name}, {side}, sequence {i}"), found, wanted, LOGPROBS);
            }
        }
    }
}

#[test]
fn entropy_is_that_of_the_reference_logits() {
    let expected = Expected::of("gpt2");
    let (model, _) = load_causal_lm(model_dir("gpt2", CONFIGS[0]).path(), &crate::tiny::device()).expect("fixture");
    let (sequences, firsts) = expected.sequences("right");
    let [_, columns, vocab] = expected.dims("right.logits");
    let counts: Vec<usize> = sequences.iter().map(|s| s.len() - 1).collect();
    let logits = real(expected.floats("right.logits"), columns, vocab, &firsts, &counts);
    for temperature in [1.0, 0.7] {
        let found = sequence_logprobs(&model, &sequences, &[0, 0, 0], temperature, 4096).entropy;
        for (i, rows) in logits.iter().enumerate() {
            let wanted: Vec<f32> = rows.chunks(vocab).map(|row| entropy(row, temperature)).collect();
            assert_close(
                format!("temperature {temperature}, sequence {i}"),
                &found[i],
                &wanted,
                (5e-6, 1e-6),
            );
        }
    }
}

/// `ln Z - Σ p·l` with `l` the logits over the temperature, in double precision.
fn entropy(logits: &[f32], temperature: f64) -> f32 {
    let logits: Vec<f64> = logits.iter().map(|&l| f64::from(l) / temperature).collect();
    let z: f64 = logits.iter().map(|l| l.exp()).sum();
    (z.ln() - logits.iter().map(|l| l.exp() / z * l).sum::<f64>()) as f32
}

#[test]
fn greedy_generation_chooses_the_reference_tokens() {
    for (name, model, expected) in language_models() {
        let (prompts, _) = expected.sequences("left");
        let wanted: Vec<Vec<u32>> = expected
            .ints("generate.new_tokens")
            .chunks(NEW_TOKENS)
            .map(|r| r.iter().map(|&t| t as u32).collect())
            .collect();
        for batch_size in [64, 1] {
            let options = GenerateOptions {
                max_new_tokens: NEW_TOKENS,
                eos_token_id: u32::MAX,
                sampling: Sampling::greedy(),
                batch_size,
                ..Default::default()
            };
            let completions = Generator::new(&model)
                .generate(&prompts, &options)
                .expect("prompts fit");
            for (completion, wanted) in completions.iter().zip(&wanted) {
                assert_eq!(&completion.tokens, wanted, "{name}, batch_size {batch_size}");
                assert!(!completion.finished);
                assert_eq!(completion.logprobs, vec![0.0; NEW_TOKENS]);
            }
        }
    }
}

#[test]
fn greedy_generation_keeps_the_eos_and_ends_there() {
    for (name, model, expected) in language_models() {
        let (prompts, _) = expected.sequences("left");
        let eos = expected.ints("generate_eos.eos_token_id")[0];
        let options = GenerateOptions {
            max_new_tokens: NEW_TOKENS,
            eos_token_id: eos as u32,
            sampling: Sampling::greedy(),
            ..Default::default()
        };
        let completions = Generator::new(&model)
            .generate(&prompts, &options)
            .expect("prompts fit");
        let rows = expected.ints("generate_eos.new_tokens").chunks(NEW_TOKENS);
        assert!(
            completions.iter().any(|c| c.finished),
            "the fixture has a row that ends early"
        );
        for (completion, row) in completions.iter().zip(rows) {
            let end = row.iter().position(|&t| t == eos);
            let wanted: Vec<u32> = row[..end.map_or(row.len(), |e| e + 1)]
                .iter()
                .map(|&t| t as u32)
                .collect();
            assert_eq!(completion.tokens, wanted, "{name}");
            assert_eq!(completion.finished, end.is_some(), "{name}");
        }
    }
}

#[test]
fn cached_and_uncached_logits_of_the_greedy_answers_agree() {
    let device = crate::tiny::device();
    for (name, model, expected) in language_models() {
        let (prompts, pads) = expected.sequences("left");
        let columns = pads[0] + prompts[0].len();
        let [rows, steps, vocab] = expected.dims("generate.logits");
        let wanted = expected.floats("generate.logits");
        let answers = expected.ints("generate.new_tokens");

        let sequences: Vec<Vec<u32>> = (prompts.iter().zip(answers.chunks(steps)))
            .map(|(prompt, answer)| prompt.iter().copied().chain(answer.iter().map(|&t| t as u32)).collect())
            .collect();
        let batch = TokenBatch::pack(&sequences, 256);
        let hidden = model.hidden_states(&batch.to_device(&device));
        let places: Vec<usize> = (0..rows)
            .flat_map(|r| (0..steps).map(move |s| (r, s)))
            .map(|(r, s)| batch.flat_index(r, prompts[r].len() - 1 + s))
            .collect();
        let found = to_host(model.logits(hidden.select(0, index_tensor(&places, &device))));
        assert_close(format!("{name}, uncached"), &found, wanted, LOGITS);

        let ids: Vec<i32> = expected.ints("left.input_ids").iter().map(|&t| t as i32).collect();
        let positions: Vec<i32> = expected.ints("left.position_ids").iter().map(|&t| t as i32).collect();
        let mut cache = model.transformer.new_cache(&pads, columns + steps);
        let hidden = model
            .transformer
            .decode(int_tensor(&ids, &device), int_tensor(&positions, &device), &mut cache);
        let last: Vec<usize> = (1..=rows).map(|r| r * columns - 1).collect();
        let mut logits: Vec<Tensor<2>> = vec![model.logits(hidden.select(0, index_tensor(&last, &device)))];
        for step in 0..steps - 1 {
            let ids: Vec<i32> = (0..rows).map(|r| answers[r * steps + step] as i32).collect();
            let positions: Vec<i32> = prompts.iter().map(|p| (p.len() + step) as i32).collect();
            let hidden =
                model
                    .transformer
                    .decode(int_tensor(&ids, &device), int_tensor(&positions, &device), &mut cache);
            logits.push(model.logits(hidden));
        }
        let found = to_host(Tensor::stack::<3>(logits, 1)); // [rows, steps, vocab]
        assert_eq!(found.len(), rows * steps * vocab);
        assert_close(format!("{name}, cached"), &found, wanted, LOGITS);

        let from: Vec<usize> = prompts.iter().map(Vec::len).collect();
        let found = sequence_logprobs(&model, &sequences, &from, 1.0, 4096)
            .logprobs
            .concat();
        assert_close(
            format!("{name}, log-probs"),
            &found,
            expected.floats("generate.logprobs"),
            LOGPROBS,
        );
    }
}

/// The reward models in both spellings of their configurations.
fn reward_models() -> impl Iterator<Item = (String, ScalarModel, Expected)> {
    REWARD_MODELS.into_iter().flat_map(|name| {
        CONFIGS.map(|config| {
            let dir = model_dir(name, config);
            let (model, _) = load_scalar_model(dir.path(), &crate::tiny::device()).expect("a model transformers wrote");
            (format!("{name}/{config}"), model, Expected::of(name))
        })
    })
}

#[test]
fn scores_agree() {
    for (name, model, expected) in reward_models() {
        for side in ["right", "left"] {
            let (sequences, _) = expected.sequences(side);
            let found = sequence_scores(&model, &sequences, 4096);
            assert_close(
                format!("{name}, {side}"),
                &found,
                expected.floats(&format!("{side}.scores")),
                SCORES,
            );
        }
    }
}

#[test]
fn token_scores_agree_padded_and_packed() {
    for (name, model, expected) in reward_models() {
        for (side, sequences, batch) in layouts(&expected) {
            let (_, firsts) = expected.sequences(side);
            let [_, columns] = expected.dims(&format!("{side}.token_scores"));
            let wanted = real(
                expected.floats(&format!("{side}.token_scores")),
                columns,
                1,
                &firsts,
                &lens(&sequences),
            );
            let scores = to_host(model.token_scores(&batch.to_device(&crate::tiny::device())));
            for (i, sequence) in sequences.iter().enumerate() {
                let start = batch.flat_index(i, 0);
                let what = format!("{name}, {side}, {} rows, sequence {i}", batch.rows());
                assert_close(what, &scores[start..start + sequence.len()], &wanted[i], SCORES);
            }
        }
    }
}

#[test]
fn the_value_before_a_token_is_the_token_score_of_the_one_before_it() {
    for (name, model, expected) in reward_models() {
        let (sequences, firsts) = expected.sequences("right");
        let [_, columns] = expected.dims("right.token_scores");
        let counts = lens(&sequences);
        let wanted = real(expected.floats("right.token_scores"), columns, 1, &firsts, &counts);
        let values = sequence_values(&model, &sequences, &[2, 2, 2], 4096);
        for (i, wanted) in wanted.iter().enumerate() {
            let wanted = &wanted[1..sequences[i].len() - 1];
            assert_close(format!("{name}, sequence {i}"), &values[i], wanted, SCORES);
        }
    }
}
