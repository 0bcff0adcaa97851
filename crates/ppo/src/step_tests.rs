use burn::module::Module;
use burn::tensor::Device;
use rlhf_core::NamedTensor;
use rlhf_model::Gpt2Config;

use super::*;
use crate::advantage::whiten_advantages;
use crate::config::ValueClip;
use crate::episode::{Response, Scored, Steps};
use crate::loss::Reduction;
use crate::ptx::PtxUnit;

const VOCAB: usize = 10;

fn models() -> (CausalLm, ScalarModel) {
    let config = Gpt2Config {
        vocab_size: VOCAB,
        n_positions: 64,
        n_embd: 16,
        n_layer: 2,
        n_head: 2,
        initializer_range: 0.3,
        ..Default::default()
    };
    let device = Device::flex();
    let policy = CausalLm::init(&config.into(), 1, &device);
    let value = ScalarModel::from_decoder(policy.transformer.clone(), 2, &device);
    (policy.train(), value.train())
}

/// Responses of different lengths, with numbers that no network said: every term of the losses is at work.
fn episodes() -> Vec<Episode> {
    let number = |i: usize, t: usize| ((7 * i + 3 * t) % 11) as f64 / 5.0 - 1.0;
    (0..7)
        .map(|i| {
            let (prompt_len, len) = (1 + i % 3, 3 + 2 * i);
            let list = |offset: f64| (0..len).map(|t| number(i, t) + offset).collect::<Vec<f64>>();
            Episode {
                response: Response {
                    prompt: i,
                    prompt_len,
                    sequence: (0..prompt_len + len).map(|t| ((i + t * t) % VOCAB) as u32).collect(),
                    finished: true,
                    sampled_logprobs: list(-2.3),
                },
                scored: Scored {
                    score: 0.0,
                    effective_score: 0.0,
                    old_logprobs: list(-2.3),
                    ref_logprobs: list(-2.5),
                    entropy: list(2.0),
                    kl: list(0.0),
                },
                steps: Steps {
                    values: list(0.1),
                    rewards: list(0.0),
                    advantages: whiten_advantages(&list(0.0)),
                    returns: list(0.3),
                },
            }
        })
        .collect()
}

fn text() -> Vec<TokenSequence> {
    (0..6)
        .map(|i| TokenSequence {
            input_ids: (0..8 + i).map(|t| ((3 * i + t) % VOCAB) as u32).collect(),
            loss_mask: (0..8 + i).map(|t| (t + i) % 3 > 0).collect(),
        })
        .collect()
}

#[track_caller]
fn assert_same(found: &[NamedTensor], expected: &[NamedTensor]) {
    assert!(expected.iter().flat_map(|t| &t.values).any(|&g| g.abs() > 1e-3));
    for (found, expected) in found.iter().zip(expected) {
        for (a, b) in found.values.iter().zip(&expected.values) {
            assert!((a - b).abs() < 1e-6, "{}: {a} against {b}", expected.name);
        }
    }
}

fn in_parts_of(microbatch_tokens: usize, reduction: Reduction, gradient_checkpointing: bool) -> PpoConfig {
    PpoConfig {
        microbatch_tokens,
        gradient_checkpointing,
        reduction,
        cliprange_value: ValueClip::Range(0.2),
        ..PpoConfig::default()
    }
}

/// Answers to two prompts, which stand together or in turn.
fn answers_of_two_prompts(together: bool) -> Vec<Episode> {
    let mut answers = episodes();
    for (i, episode) in answers.iter_mut().enumerate() {
        let of_prompt = if together { i / 4 } else { i % 2 };
        let prompt: Vec<u32> = (0..20).map(|t| ((of_prompt + 3 * t) % VOCAB) as u32).collect();
        let response = &mut episode.response;
        response.sequence = [&prompt, response.tokens()].concat();
        response.prompt_len = prompt.len();
    }
    answers
}

#[test]
fn a_prompt_that_goes_through_once_for_its_answers_changes_no_gradient() {
    let (policy, value) = models();
    let episodes = answers_of_two_prompts(true);
    assert_eq!(groups(&episodes), [0..4, 4..7]);
    // The same episodes in an order in which none stands beside another of its prompt.
    let apart: Vec<Episode> = [0, 4, 1, 5, 2, 6, 3].map(|i| episodes[i].clone()).into();
    assert_eq!(groups(&apart).len(), 7);
    for config in [
        in_parts_of(100_000, Reduction::TokenMean, false),
        in_parts_of(64, Reduction::SequenceMean, true),
    ] {
        let (found, stats, _) = policy_gradients(&policy, &episodes, &config);
        let (expected, stats_apart, _) = policy_gradients(&policy, &apart, &config);
        assert_same(&found.to_named(&policy), &expected.to_named(&policy));
        assert!((stats.loss - stats_apart.loss).abs() < 1e-5);
        let (found, _) = value_gradients(&value, &episodes, &config);
        let (expected, _) = value_gradients(&value, &apart, &config);
        assert_same(&found.to_named(&value), &expected.to_named(&value));
    }
    // Another prompt is another group.
    assert_eq!(groups(&answers_of_two_prompts(false)).len(), 7);
}

#[test]
fn gradients_do_not_depend_on_micro_batches() {
    let ((policy, value), episodes) = (models(), episodes());
    for reduction in [Reduction::TokenMean, Reduction::SequenceMean] {
        let whole = in_parts_of(100_000, reduction, false);
        for parts in [
            in_parts_of(64, reduction, false),
            in_parts_of(1, reduction, false),
            in_parts_of(64, reduction, true),
        ] {
            let (found, stats, error) = policy_gradients(&policy, &episodes, &parts);
            let (expected, whole_stats, whole_error) = policy_gradients(&policy, &episodes, &whole);
            assert_same(&found.to_named(&policy), &expected.to_named(&policy));
            assert!(
                (stats.loss - whole_stats.loss).abs() < 1e-5,
                "{stats:?} {whole_stats:?}"
            );
            assert!((stats.clipfrac - whole_stats.clipfrac).abs() < 1e-6);
            assert!((error - whole_error).abs() < 1e-4 * whole_error);
            let (found, stats) = value_gradients(&value, &episodes, &parts);
            let (expected, whole_stats) = value_gradients(&value, &episodes, &whole);
            assert_same(&found.to_named(&value), &expected.to_named(&value));
            assert!((stats.loss - whole_stats.loss).abs() < 1e-5);
        }
    }
}

#[test]
fn pretraining_gradients_do_not_depend_on_micro_batches() {
    let ((policy, _), text) = (models(), text());
    let text: Vec<&TokenSequence> = text.iter().collect();
    for unit in [PtxUnit::TokenMean, PtxUnit::SequenceMean, PtxUnit::SequenceSum] {
        let of = |microbatch_tokens| {
            let mut config = in_parts_of(microbatch_tokens, Reduction::TokenMean, false);
            config.ptx.unit = unit;
            ptx_gradients(&policy, &text, &config)
        };
        let ((found, loss), (expected, whole)) = (of(16), of(100_000));
        assert_same(&found.to_named(&policy), &expected.to_named(&policy));
        assert!((loss - whole).abs() < 1e-5 * whole && whole > 0.0, "{loss} {whole}");
    }
}

#[test]
fn a_ratio_that_is_no_number_breaks_the_invariant_of_the_first_step() {
    let (policy, _) = models();
    let mut episodes = episodes();
    for microbatch_tokens in [1, 100_000] {
        episodes[2].scored.old_logprobs[1] = f64::NAN;
        let config = in_parts_of(microbatch_tokens, Reduction::TokenMean, false);
        let (_, mut stats, _) = policy_gradients(&policy, &episodes, &config);
        stats.clipfrac = 0.0;
        assert!(crate::invariants::check_first_step(0, 0.0, &stats, &episodes, &config).is_err());
    }
}

#[test]
fn a_step_against_the_gradient_raises_what_was_better_than_expected() {
    let ((policy, _), mut episodes) = (models(), episodes());
    let config = in_parts_of(64, Reduction::TokenMean, false);
    // The policy that sampled is this one; the first response was good, the others bad.
    let sequences: Vec<Vec<u32>> = episodes.iter().map(|e| e.response.sequence.clone()).collect();
    let from: Vec<usize> = episodes.iter().map(|e| e.response.prompt_len).collect();
    let logprobs = |policy: &CausalLm| {
        let found = rlhf_model::sequence_logprobs(&policy.valid(), &sequences, &from, 1.0, 1024);
        found.logprobs
    };
    let before = logprobs(&policy);
    for (i, episode) in episodes.iter_mut().enumerate() {
        episode.scored.old_logprobs = before[i].iter().map(|&p| f64::from(p)).collect();
        episode.steps.advantages.fill(if i == 0 { 1.0 } else { -1.0 });
    }
    let (gradients, stats, ratio_error) = policy_gradients(&policy, &episodes, &config);
    assert!(ratio_error < 1e-4 && stats.clipfrac == 0.0, "{stats:?}");
    let mut learner = rlhf_core::Learner::new(policy, rlhf_core::AdamWConfig::default());
    learner.step(gradients, 1e-3);
    let after = logprobs(learner.module());
    for (i, (before, after)) in before.iter().zip(&after).enumerate() {
        let rise: f32 = after.iter().zip(before).map(|(a, b)| a - b).sum();
        assert!((rise > 0.0) == (i == 0), "response {i} rose by {rise}");
    }
}
