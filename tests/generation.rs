//! Generation: what a completion depends on, how often each token is drawn, where it stops, what it refuses.

use std::ops::ControlFlow;

use proptest::prelude::*;
use rlhf_core::{TensorMap, TokenBatch, load_parameters, named_parameters, to_host};
use rlhf_inference::{Completion, Error, GenerateOptions, Generator, Sampling, next_token_distribution};
use rlhf_model::{CausalLm, sequence_logprobs};

use crate::tiny::{VOCAB, assert_close, causal_lm, proptest_config, sequences};

const EOS: u32 = 2;

fn options(seed: u64) -> GenerateOptions {
    GenerateOptions {
        max_new_tokens: 12,
        eos_token_id: EOS,
        seed,
        ..Default::default()
    }
}

fn generate(model: &CausalLm, prompts: &[Vec<u32>], options: &GenerateOptions) -> Vec<Completion> {
    Generator::new(model)
        .generate(prompts, options)
        .expect("prompts of the right size")
}

/// The same tokens and the same ends; log-probabilities as close as other shapes of matrix products allow.
fn assert_same(found: &[Completion], expected: &[Completion]) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.tokens, expected.tokens, "completion {i}");
        assert_eq!(found.finished, expected.finished, "completion {i}");
        assert_close(
            format!("completion {i}"),
            &found.logprobs,
            &expected.logprobs,
            (2e-6, 1e-6),
        );
    }
}

#[test]
fn any_token_of_several_ends_a_completion() {
    let (model, prompts) = (causal_lm(5, true, &crate::tiny::device()), sequences(&[4], 5));
    let endless = GenerateOptions {
        eos_token_id: u32::MAX,
        ..options(5)
    };
    let whole = generate(&model, &prompts, &endless).remove(0);
    assert!(!whole.finished);
    let stop = whole.tokens[6];
    let first = whole
        .tokens
        .iter()
        .position(|&token| token == stop)
        .expect("it is there");
    let stopped = GenerateOptions {
        stop_token_ids: vec![u32::MAX - 1, stop],
        ..endless
    };
    let found = generate(&model, &prompts, &stopped).remove(0);
    assert!(found.finished);
    assert_eq!(found.tokens, whole.tokens[..=first]);
}

proptest! {
    #![proptest_config(proptest_config(8))]

    #[test]
    fn a_completion_does_not_depend_on_its_batch(
        lens in prop::collection::vec(1usize..10, 1..9), seed in any::<u64>(), batch_size in 1usize..9, first_stream in 0u64..1000
    ) {
        let (model, prompts) = (causal_lm(seed, true, &crate::tiny::device()), sequences(&lens, seed));
        let options = GenerateOptions { first_stream, ..options(seed) };
        let together = generate(&model, &prompts, &options);
        assert_same(&generate(&model, &prompts, &GenerateOptions { batch_size, ..options.clone() }), &together);
        assert_same(&generate(&model, &prompts, &GenerateOptions { batch_size: 1, ..options.clone() }), &together);
        // Prompts alone, the last one first, each with the stream it had: `first_stream + index`.
        for (i, prompt) in prompts.iter().enumerate().rev() {
            let alone = GenerateOptions { first_stream: first_stream + i as u64, ..options.clone() };
            assert_same(&generate(&model, std::slice::from_ref(prompt), &alone), &together[i..=i]);
        }
    }

    /// A prompt of several completions goes through once.
    #[test]
    fn a_completion_does_not_depend_on_how_often_its_prompt_is_completed(
        lens in prop::collection::vec(1usize..10, 1..4), times in 2usize..5, batch_size in 1usize..9, seed in any::<u64>()
    ) {
        let model = causal_lm(seed, true, &crate::tiny::device());
        let prompts: Vec<Vec<u32>> = sequences(&lens, seed).into_iter().flat_map(|p| std::iter::repeat_n(p, times)).collect();
        let options = GenerateOptions { batch_size, ..options(seed) };
        let together = generate(&model, &prompts, &options);
        for (i, prompt) in prompts.iter().enumerate() {
            let alone = GenerateOptions { first_stream: i as u64, ..options.clone() };
            assert_same(&generate(&model, std::slice::from_ref(prompt), &alone), &together[i..=i]);
        }
    }

    #[test]
    fn other_prompts_do_not_change_a_completion(
        lens in prop::collection::vec(1usize..10, 2..9), other_lens in prop::collection::vec(1usize..10, 9), seed in any::<u64>(), kept in 0usize..9
    ) {
        let (model, prompts) = (causal_lm(seed, false, &crate::tiny::device()), sequences(&lens, seed));
        let kept = kept % prompts.len();
        let mut others = sequences(&other_lens, seed ^ 1);
        others.insert(kept, prompts[kept].clone());
        let (before, after) = (generate(&model, &prompts, &options(seed)), generate(&model, &others, &options(seed)));
        assert_same(&after[kept..=kept], &before[kept..=kept]);
    }

    #[test]
    fn greedy_completions_follow_their_prompts_through_a_shuffle(lens in prop::collection::vec(1usize..10, 1..9), seed in any::<u64>()) {
        let (model, prompts) = (causal_lm(seed, true, &crate::tiny::device()), sequences(&lens, seed));
        let greedy = GenerateOptions { sampling: Sampling::greedy(), ..options(seed) };
        let mut expected = generate(&model, &prompts, &greedy);
        expected.reverse();
        let reversed: Vec<Vec<u32>> = prompts.into_iter().rev().collect();
        assert_same(&generate(&model, &reversed, &greedy), &expected);
    }

    #[test]
    fn recorded_log_probs_are_those_of_a_pass_over_the_whole_text(
        lens in prop::collection::vec(1usize..10, 1..9), seed in any::<u64>(), temperature in 0.5f64..1.5
    ) {
        let (model, prompts) = (causal_lm(seed, true, &crate::tiny::device()), sequences(&lens, seed));
        let options = GenerateOptions { sampling: Sampling::at_temperature(temperature), ..options(seed) };
        let completions = generate(&model, &prompts, &options);
        let texts: Vec<Vec<u32>> = prompts.iter().zip(&completions).map(|(p, c)| [p.as_slice(), &c.tokens].concat()).collect();
        let scored = sequence_logprobs(&model, &texts, &lens, temperature, 64).logprobs;
        for (i, (completion, scored)) in completions.iter().zip(&scored).enumerate() {
            assert_close(format!("completion {i}"), &completion.logprobs, scored, (3e-6, 1e-6));
        }
    }

    #[test]
    fn a_completion_ends_at_its_first_eos_or_at_the_limit(lens in prop::collection::vec(1usize..10, 1..9), seed in any::<u64>(), limit in 0usize..13) {
        let (model, prompts) = (causal_lm(seed, true, &crate::tiny::device()), sequences(&lens, seed));
        for completion in generate(&model, &prompts, &GenerateOptions { max_new_tokens: limit, ..options(seed) }) {
            let end = completion.tokens.iter().position(|&t| t == EOS);
            prop_assert_eq!(completion.finished, end.is_some());
            prop_assert_eq!(completion.tokens.len(), end.map_or(limit, |e| e + 1));
            prop_assert_eq!(completion.tokens.len(), completion.logprobs.len());
        }
    }
}

#[test]
fn a_seed_repeats_and_another_seed_or_stream_differs() {
    let (model, prompts) = (causal_lm(5, true, &crate::tiny::device()), sequences(&[3; 8], 5));
    let tokens = |options: &GenerateOptions| {
        generate(&model, &prompts, options)
            .into_iter()
            .map(|c| c.tokens)
            .collect::<Vec<_>>()
    };
    let first = tokens(&options(1));
    assert_eq!(tokens(&options(1)), first);
    assert_ne!(tokens(&options(2)), first);
    assert_ne!(
        tokens(&GenerateOptions {
            first_stream: 8,
            ..options(1)
        }),
        first
    );
}

#[test]
fn a_model_on_the_autodiff_device_generates_the_same() {
    let prompts = sequences(&[3, 5], 5);
    let plain = generate(&causal_lm(5, false, &crate::tiny::device()), &prompts, &options(1));
    assert_same(
        &generate(
            &causal_lm(5, false, &crate::tiny::device().autodiff()),
            &prompts,
            &options(1),
        ),
        &plain,
    );
}

#[test]
fn streaming_tells_of_every_token_and_a_break_ends_that_completion_alone() {
    let (model, prompts) = (causal_lm(5, true, &crate::tiny::device()), sequences(&[3, 1, 4, 6], 5));
    let generator = Generator::new(&model);
    let plain = generator.generate(&prompts, &options(1)).expect("prompts fit");
    let mut heard = vec![Vec::new(); prompts.len()];
    let mut listen = |prompt: usize, token| {
        heard[prompt].push(token);
        if prompt == 2 && heard[2].len() == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let completions = generator
        .generate_streaming(&prompts, &options(1), &mut listen)
        .expect("prompts fit");
    assert!(plain[2].tokens.len() > 2, "prompt 2 would have gone on");
    for (i, completion) in completions.iter().enumerate() {
        assert_eq!(completion.tokens, heard[i]);
        let wanted = if i == 2 {
            &plain[i].tokens[..2]
        } else {
            &plain[i].tokens
        };
        assert_eq!(completion.tokens, wanted);
    }
    assert!(!completions[2].finished);
}

/// Logits of the token after `text`.
fn next_logits(model: &CausalLm, text: &[u32]) -> Vec<f64> {
    let hidden = model.hidden_states(&TokenBatch::pack(&[text], 1).to_device(&crate::tiny::device()));
    let logits = to_host(model.logits(hidden));
    logits[(text.len() - 1) * VOCAB..]
        .iter()
        .map(|&l| f64::from(l))
        .collect()
}

/// Draws one token after the same prompt from `DRAWS` streams and compares the counts with the probabilities.
fn check_frequencies(sampling: Sampling) {
    const DRAWS: usize = 6000;
    let (model, prompt) = (
        causal_lm(11, true, &crate::tiny::device()),
        sequences(&[5], 11).remove(0),
    );
    let probabilities = next_token_distribution(&next_logits(&model, &prompt), &sampling, &prompt);

    let options = GenerateOptions {
        max_new_tokens: 1,
        batch_size: 1000,
        sampling,
        ..options(3)
    };
    let mut counts = vec![0.0f64; probabilities.len()];
    for completion in generate(&model, &vec![prompt; DRAWS], &options) {
        let token = completion.tokens[0] as usize;
        counts[token] += 1.0;
        assert_close(
            "log-prob",
            &completion.logprobs,
            &[probabilities[token].ln() as f32],
            (1e-6, 1e-6),
        );
    }
    // Tokens too rare for a chi-square cell of their own share one.
    let (mut chi_square, mut cells, mut rare) = (0.0, 0, (0.0, 0.0));
    for (count, probability) in counts.iter().zip(&probabilities) {
        assert!(*probability > 0.0 || *count == 0.0, "a filtered token was drawn");
        let expected = probability * DRAWS as f64;
        if expected < 5.0 {
            rare = (rare.0 + count, rare.1 + expected);
        } else {
            chi_square += (count - expected).powi(2) / expected;
            cells += 1;
        }
    }
    if rare.1 > 0.0 {
        chi_square += (rare.0 - rare.1).powi(2) / rare.1;
        cells += 1;
    }
    // Mean k, variance 2k for k degrees of freedom; the seed is fixed, so this bound is met always or never.
    let freedom = f64::from(cells - 1);
    assert!(cells >= 3, "a case with something to compare");
    assert!(
        chi_square < freedom + 3.0 * (2.0 * freedom).sqrt(),
        "chi-square {chi_square:.1} over {freedom} degrees of freedom"
    );
}

#[test]
fn tokens_are_drawn_as_often_as_they_are_likely() {
    check_frequencies(Sampling::default());
    check_frequencies(Sampling::at_temperature(2.0));
}

#[test]
fn filtered_tokens_are_drawn_as_often_as_they_are_likely() {
    check_frequencies(Sampling {
        top_k: 6,
        ..Sampling::at_temperature(1.5)
    });
    check_frequencies(Sampling {
        top_p: 0.8,
        ..Sampling::at_temperature(2.0)
    });
    check_frequencies(Sampling {
        min_p: 0.05,
        repetition_penalty: 1.3,
        ..Sampling::at_temperature(2.0)
    });
}

#[track_caller]
fn refused(prompts: &[Vec<u32>], options: &GenerateOptions, wanted: &[&str]) -> Error {
    let error = Generator::new(&causal_lm(1, true, &crate::tiny::device()))
        .generate(prompts, options)
        .expect_err("bad input");
    let message = error.to_string();
    assert!(
        wanted.iter().all(|part| message.contains(part)),
        "`{message}` lacks one of {wanted:?}"
    );
    error
}

#[test]
fn an_empty_prompt_is_refused_by_its_index() {
    let error = refused(&[vec![1], vec![]], &options(1), &["prompt 1", "empty"]);
    assert!(matches!(error, Error::EmptyPrompt { index: 1 }));
}

#[test]
fn a_prompt_that_does_not_fit_the_context_is_refused_and_one_that_just_fits_is_not() {
    // The context is 24: 13 + 12 does not fit, 12 + 12 does.
    let error = refused(
        &[vec![1; 12], vec![1; 13]],
        &options(1),
        &["prompt 1", "13 tokens", "max_new_tokens 12", "24"],
    );
    assert!(matches!(
        error,
        Error::TooLong {
            index: 1,
            prompt_len: 13,
            max_new_tokens: 12,
            context: 24
        }
    ));
    let endless = GenerateOptions {
        eos_token_id: u32::MAX,
        ..options(1)
    };
    assert_eq!(
        generate(&causal_lm(1, true, &crate::tiny::device()), &[vec![1; 12]], &endless)[0]
            .tokens
            .len(),
        12
    );
    refused(
        &[vec![1]],
        &GenerateOptions {
            max_new_tokens: usize::MAX,
            ..options(1)
        },
        &["prompt 0", "24"],
    );
}

#[test]
fn a_token_outside_the_vocabulary_is_refused() {
    let error = refused(
        &[vec![1, 23]],
        &options(1),
        &["prompt 0", "token 23", "vocabulary", "23"],
    );
    assert!(matches!(
        error,
        Error::UnknownToken {
            index: 0,
            id: 23,
            vocab_size: 23
        }
    ));
}

#[test]
fn a_sampling_option_out_of_range_is_refused_by_name() {
    let cases = [
        ("temperature", Sampling::at_temperature(-1.0)),
        ("temperature", Sampling::at_temperature(f64::NAN)),
        (
            "top_p",
            Sampling {
                top_p: 0.0,
                ..Default::default()
            },
        ),
        (
            "min_p",
            Sampling {
                min_p: 1.5,
                ..Default::default()
            },
        ),
        (
            "repetition_penalty",
            Sampling {
                repetition_penalty: 0.0,
                ..Default::default()
            },
        ),
    ];
    for (field, sampling) in cases {
        refused(&[vec![1]], &GenerateOptions { sampling, ..options(1) }, &[field]);
    }
}

/// Weights that are finite, and logits that are not: every answer was token 0.
#[test]
fn logits_that_are_no_numbers_are_refused_by_the_prompt() {
    let model = load_parameters_scaled(f32::MAX);
    for sampling in [Sampling::greedy(), Sampling::default()] {
        let found =
            Generator::new(&model).generate(&[vec![1, 2], vec![3]], &GenerateOptions { sampling, ..options(1) });
        let message = found.expect_err("no numbers").to_string();
        assert!(
            message.contains("prompt") && message.contains("no numbers"),
            "{message}"
        );
    }
}

/// A model whose last gain is `gain`.
fn load_parameters_scaled(gain: f32) -> CausalLm {
    let model = causal_lm(3, true, &crate::tiny::device());
    let parameters = named_parameters(&model).into_iter().map(|mut parameter| {
        if parameter.name == "transformer.ln_f.weight" {
            parameter.values.fill(gain);
        }
        (parameter.name, (parameter.shape, parameter.values))
    });
    let mut tensors: TensorMap = parameters.collect();
    load_parameters(model, &mut tensors).expect("the model's own")
}

#[test]
fn almost_no_temperature_is_greedy_with_any_filter() {
    let logits: Vec<f64> = vec![1.0, 3.5, -2.0, 3.4, 0.0];
    for temperature in [1e-308, 1e-300, 1e-10] {
        for (top_k, top_p, min_p, repetition_penalty) in [
            (0, 1.0, 0.0, 1.0),
            (2, 1.0, 0.0, 1.0),
            (0, 0.9, 0.0, 1.0),
            (0, 1.0, 0.1, 1.0),
            (0, 1.0, 0.0, 1.2),
        ] {
            let sampling = Sampling {
                repetition_penalty,
                temperature,
                top_k,
                top_p,
                min_p,
            };
            let found = next_token_distribution(&logits, &sampling, &[2]);
            assert_eq!(found, [0.0, 1.0, 0.0, 0.0, 0.0], "{sampling:?}");
        }
    }
}

#[test]
fn greedy_decoding_minds_the_repetition_penalty() {
    let (model, prompt) = (causal_lm(3, true, &crate::tiny::device()), vec![1]);
    let sampling = Sampling {
        repetition_penalty: 1.5,
        ..Sampling::greedy()
    };
    let plain = GenerateOptions {
        sampling: Sampling::greedy(),
        eos_token_id: u32::MAX,
        ..options(1)
    };
    let penalised = GenerateOptions {
        sampling: sampling.clone(),
        ..plain.clone()
    };
    let completion = generate(&model, std::slice::from_ref(&prompt), &penalised).remove(0);
    assert_ne!(
        completion.tokens,
        generate(&model, std::slice::from_ref(&prompt), &plain)[0].tokens
    );
    let text = [prompt, completion.tokens].concat();
    for t in 1..text.len() {
        let probabilities = next_token_distribution(&next_logits(&model, &text[..t]), &sampling, &text[..t]);
        assert_eq!(probabilities[text[t] as usize], 1.0, "token {t}");
    }
}

#[test]
fn a_temperature_below_the_smallest_float_is_greedy() {
    let (model, prompts) = (causal_lm(3, true, &crate::tiny::device()), sequences(&[3, 5], 3));
    let cold = GenerateOptions {
        sampling: Sampling::at_temperature(1e-300),
        ..options(1)
    };
    let greedy = GenerateOptions {
        sampling: Sampling::greedy(),
        ..options(1)
    };
    assert_eq!(generate(&model, &prompts, &cold), generate(&model, &prompts, &greedy));
}

/// Every family, also with rows that join others whose cache is full of padding by then.
#[test]
fn rows_that_join_a_batch_write_what_they_write_alone() {
    for (name, config) in crate::families::cases() {
        let model = crate::families::model(&config);
        let prompts = sequences(&[1, 9, 2, 7, 3, 3, 8, 1, 5, 4, 6], 3);
        let lasting = |max_new_tokens| GenerateOptions {
            max_new_tokens,
            ..options(11)
        };
        for (batch_size, max_new_tokens) in [(3, 12), (2, 5), (9, 1)] {
            let together = GenerateOptions {
                batch_size,
                ..lasting(max_new_tokens)
            };
            let mut told = vec![Vec::new(); prompts.len()];
            let found = Generator::new(&model)
                .generate_streaming(&prompts, &together, &mut |index, token| {
                    told[index].push(token);
                    ControlFlow::Continue(())
                })
                .expect("prompts of the right size");
            for (i, prompt) in prompts.iter().enumerate() {
                let alone = GenerateOptions {
                    first_stream: i as u64,
                    ..lasting(max_new_tokens)
                };
                let expected = generate(&model, std::slice::from_ref(prompt), &alone);
                assert_eq!(found[i].tokens, expected[0].tokens, "{name}: completion {i}");
                assert_eq!(told[i], expected[0].tokens, "{name}: completion {i}");
            }
        }
    }
}
