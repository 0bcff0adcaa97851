use burn::tensor::Device;
use rlhf_core::NamedTensor;
use rlhf_model::Gpt2Config;

use super::*;
use crate::loss::pairs_from_ranking;

fn model() -> ScalarModel {
    let config = Gpt2Config {
        vocab_size: 10,
        n_positions: 64,
        n_embd: 16,
        n_layer: 2,
        n_head: 2,
        initializer_range: 0.3,
        ..Default::default()
    };
    let device = Device::flex();
    let trunk = rlhf_model::CausalLm::init(&config.into(), 1, &device).transformer;
    ScalarModel::from_decoder(trunk, 2, &device).train()
}

/// Prompts with three to five completions of different lengths and two labelers who see them differently.
fn prompts() -> Vec<RankedPrompt> {
    (0..5usize)
        .map(|i| {
            let prompt: Vec<u32> = (0..3 + i).map(|t| ((i + t) % 10) as u32).collect();
            let k = 3 + i % 3;
            let completion = |c: usize| {
                (0..4 + 2 * c)
                    .map(|t| ((3 * c + t * i + 1) % 10) as u32)
                    .collect::<Vec<u32>>()
            };
            let annotation = |ranking: Vec<u32>| Annotation {
                labeler: None,
                pairs: pairs_from_ranking(&ranking),
                margin: 0.0,
                confidence: None,
            };
            RankedPrompt {
                sequences: (0..k).map(|c| [prompt.clone(), completion(c)].concat()).collect(),
                prompt_len: prompt.len(),
                annotations: vec![
                    annotation((0..k as u32).collect()),
                    annotation((0..k as u32).map(|c| (c + i as u32) % 3).collect()),
                ],
                source: None,
            }
        })
        .collect()
}

fn plain(config: &RewardConfig) -> Objective<'_> {
    Objective { config, per_token: 0.0 }
}

fn gradients(microbatch_tokens: usize, gradient_checkpointing: bool) -> (Vec<NamedTensor>, BatchLoss) {
    let (model, prompts) = (model(), prompts());
    let config = RewardConfig {
        microbatch_tokens,
        gradient_checkpointing,
        ..RewardConfig::default()
    };
    let prompts: Vec<&RankedPrompt> = prompts.iter().collect();
    let (gradients, batch, _) = batch_gradients(&model, &prompts, plain(&config));
    (gradients.to_named(&model), batch)
}

#[test]
fn gradients_do_not_depend_on_micro_batches_nor_on_chunks_of_a_prompt() {
    let (expected, whole) = gradients(100_000, false);
    assert!(expected.iter().flat_map(|t| &t.values).any(|&g| g.abs() > 1e-3));
    let together = prompts().iter().map(RankedPrompt::tokens).max().expect("some");
    // The last two are less than a prompt with its completions, so that these go through in chunks.
    for (tokens, checkpointing) in [(64, false), (64, true), (together - 1, false), (1, false)] {
        let (found, batch) = gradients(tokens, checkpointing);
        for (found, expected) in found.iter().zip(&expected) {
            for (a, b) in found.values.iter().zip(&expected.values) {
                assert!(
                    (a - b).abs() < 1e-6,
                    "{tokens} tokens: {}: {a} against {b}",
                    expected.name
                );
            }
        }
        assert!((batch.loss - whole.loss).abs() < 1e-6);
        assert_eq!((batch.pairs, batch.correct), (whole.pairs, whole.correct));
    }
}

#[test]
fn loss_and_accuracy_are_those_of_the_scores() {
    let (model, prompts) = (model(), prompts());
    let (_, batch) = gradients(64, false);
    let (mut loss, mut correct, mut pairs) = (0.0, 0.0, 0);
    for prompt in &prompts {
        let scores = sequence_scores(&model.valid(), &prompt.sequences, 1024);
        let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
        for annotation in &prompt.annotations {
            // -ln sigmoid of the difference, over the pairs of a labeler, two labelers, five prompts.
            let share = 1.0 / (annotation.pairs.len() as f64 * 2.0 * 5.0);
            for &(better, worse) in &annotation.pairs {
                let gap = scores[better] - scores[worse];
                loss += share * (1.0 + (-gap).exp()).ln();
                correct += f64::from(u8::from(gap > 0.0));
                pairs += 1;
            }
        }
    }
    assert!((batch.loss - loss).abs() < 1e-5, "{} against {loss}", batch.loss);
    assert_eq!(batch.pairs, pairs);
    assert!((batch.accuracy() - correct / pairs as f64).abs() < 1e-12);
    assert_eq!(BatchLoss::default().accuracy(), 0.0);
}

#[test]
fn the_gradient_is_that_of_the_mean_loss_of_the_step() {
    let (model, prompts) = (model(), prompts());
    // Scores are the head's weight times hidden states, its bias being 0: what the loss gains when all scores grow by a factor
    // is the inner product of the weight and its gradient.
    let loss_at = |factor: f64| -> f64 {
        let of_prompt = |prompt: &RankedPrompt| {
            let scores = sequence_scores(&model.valid(), &prompt.sequences, 1024);
            let scores: Vec<f64> = scores.into_iter().map(|score| factor * f64::from(score)).collect();
            prompt_loss(prompt, &scores, plain(&RewardConfig::default())).loss
        };
        prompts.iter().map(of_prompt).sum::<f64>() / prompts.len() as f64
    };
    let step = 1e-4;
    let expected = (loss_at(1.0 + step) - loss_at(1.0 - step)) / (2.0 * step);
    let (gradients, _) = gradients(64, false);
    let weights = rlhf_core::named_parameters(&model);
    let found: f64 = weights
        .iter()
        .zip(&gradients)
        .filter(|(weight, _)| weight.name.starts_with("score.weight"))
        .flat_map(|(weight, gradient)| weight.values.iter().zip(&gradient.values))
        .map(|(weight, gradient)| f64::from(weight * gradient))
        .sum();
    assert!(expected.abs() > 1e-3, "{expected}");
    assert!(
        (found - expected).abs() < 1e-3 * expected.abs(),
        "{found} against {expected}"
    );
}
