//! Gradients of whole tiny models against finite differences, and their accumulation over micro-batches.

use burn::module::Module;
use burn::tensor::Tensor;
use proptest::prelude::*;
use rand::Rng;
use rlhf_core::{
    GradientBuffer, NamedTensor, PaddingSide, Targets, TokenBatch, float_tensor, index_tensor, last_positions,
    micro_batches, rng, to_host, trained_parameters,
};
use rlhf_model::{Activations, CausalLm, LoraConfig, ScalarModel, last_scores};

use crate::lora::{adapted, everywhere, fixture};
use crate::tiny::{
    assert_close, causal_lm, long_lm, proptest_config, scalar_model, sequences, shaken, with_trained_parameters,
};

/// Random weights, one per term of a loss.
fn weights(count: usize, seed: u64) -> Tensor<1> {
    let mut rng = rng(seed, "tests.weights", &[]);
    float_tensor(
        &(0..count).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f32>>(),
        &crate::tiny::device(),
    )
}

/// A weighted sum of log-probabilities.
fn logprob_loss(model: &CausalLm, batch: &TokenBatch, sequences: &[Vec<u32>], weights: &Tensor<1>) -> Tensor<1> {
    let device = crate::tiny::device();
    let targets = Targets::from_positions(batch, sequences, &vec![1; sequences.len()]);
    let hidden = model.hidden_states_at(&batch.to_device(&device), targets.places());
    (model.token_logprobs(hidden, targets.ids(&device), 0.7).logprobs * matching(weights, model.head_weight())).sum()
}

/// A weighted sum of squared scores at the last tokens, and of scores everywhere.
fn score_loss(model: &ScalarModel, batch: &TokenBatch, sequences: &[Vec<u32>], weights: &Tensor<1>) -> Tensor<1> {
    let hidden = model
        .transformer
        .hidden_states(&batch.to_device(&crate::tiny::device()));
    let last = index_tensor(&last_positions(batch, sequences), &crate::tiny::device());
    let scores = model.score(hidden.select(0, last));
    let weights = matching(weights, scores.clone());
    (scores.clone() * scores * weights).sum()
}

/// `tensor` on the autodiff device where `like` is.
fn matching<const D: usize>(tensor: &Tensor<1>, like: Tensor<D>) -> Tensor<1> {
    if like.is_autodiff() {
        Tensor::from_inner(tensor.clone())
    } else {
        tensor.clone()
    }
}

/// Compares the gradient of `loss` at `model` with differences of it, one direction per parameter that is not frozen.
///
/// The direction is half along the gradient, so that the derivative stands out of the noise of f32, and half random, so
/// that a gradient of another direction is caught. The four-point formula leaves an error of order h⁴.
fn check<M: Module>(trainable: M, plain: M, loss: impl Fn(&M) -> Tensor<1>, seed: u64) {
    let mut buffer = GradientBuffer::new();
    buffer.add(&trainable, loss(&trainable).backward());
    let parameters = trained_parameters(&plain);
    let mut gradients = buffer.to_named(&trainable);
    gradients.retain(|gradient| parameters.iter().any(|parameter| parameter.name == gradient.name));
    assert_eq!(parameters.len(), gradients.len());
    let mut rng = rng(seed, "tests.directions", &[]);
    for (i, gradient) in gradients.iter().enumerate() {
        let noise: Vec<f32> = gradient.values.iter().map(|_| rng.random_range(-1.0f32..1.0)).collect();
        let (along, across) = (unit(&gradient.values), unit(&noise));
        let direction = unit(&along.iter().zip(&across).map(|(a, b)| a + b).collect::<Vec<_>>());
        let at = |step: f32| -> f64 {
            let mut moved: Vec<NamedTensor> = parameters.clone();
            moved[i]
                .values
                .iter_mut()
                .zip(&direction)
                .for_each(|(v, d)| *v += step * d);
            to_host(loss(&with_trained_parameters(plain.clone(), moved)))
                .into_iter()
                .map(f64::from)
                .sum()
        };
        let h = 2e-2f32;
        let difference = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * f64::from(h));
        let derivative: f64 = gradient
            .values
            .iter()
            .zip(&direction)
            .map(|(g, d)| f64::from(g * d))
            .sum();
        assert_close(&gradient.name, &[derivative as f32], &[difference as f32], (1e-4, 5e-4));
    }
}

/// `values` over their length; zeros stay zeros.
fn unit(values: &[f32]) -> Vec<f32> {
    let norm = values.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
    values.iter().map(|v| v / norm).collect()
}

const LENS: [usize; 4] = [5, 2, 7, 3];

fn batches(sequences: &[Vec<u32>]) -> [TokenBatch; 2] {
    [
        TokenBatch::pack(sequences, 9),
        TokenBatch::padded(sequences, PaddingSide::Left),
    ]
}

#[test]
fn gradients_through_log_probs_are_finite_differences() {
    let sequences = sequences(&LENS, 21);
    let weights = weights(13, 21);
    for tied in [true, false] {
        for batch in batches(&sequences) {
            check(
                causal_lm(21, tied, &crate::tiny::device().autodiff()),
                causal_lm(21, tied, &crate::tiny::device()),
                |model| logprob_loss(model, &batch, &sequences, &weights),
                21,
            );
        }
    }
}

#[test]
fn gradients_through_the_scalar_head_are_finite_differences() {
    let sequences = sequences(&LENS, 22);
    let weights = weights(4, 22);
    for batch in batches(&sequences) {
        check(
            scalar_model(22, &crate::tiny::device().autodiff()),
            scalar_model(22, &crate::tiny::device()),
            |model| score_loss(model, &batch, &sequences, &weights),
            22,
        );
    }
}

#[test]
fn gradients_of_adapters_are_finite_differences() {
    let sequences = sequences(&LENS, 25);
    let weights = weights(13, 25);
    let lora = LoraConfig {
        rank: 3,
        alpha: 3.0,
        ..LoraConfig::default()
    };
    for batch in batches(&sequences) {
        let plain = adapted(causal_lm(25, false, &crate::tiny::device()), &lora, 25);
        check(
            plain.clone().train(),
            plain,
            |model| logprob_loss(model, &batch, &sequences, &weights),
            25,
        );
    }
}

#[test]
fn a_zero_head_scores_zero_and_learns_while_its_trunk_does_not() {
    let sequences = sequences(&LENS, 23);
    let device = crate::tiny::device().autodiff();
    let model = ScalarModel::zero_head(causal_lm(23, true, &device).transformer, &device);
    let batch = TokenBatch::pack(&sequences, 9);
    let scores = model.token_scores(&batch.to_device(&crate::tiny::device()));
    assert!(to_host(scores.clone().inner()).iter().all(|&s| s == 0.0));
    let mut buffer = GradientBuffer::new();
    buffer.add(&model, scores.sum().backward());
    for gradient in buffer.to_named(&model) {
        let zero = gradient.values.iter().all(|&g| g == 0.0);
        assert_eq!(zero, gradient.name.starts_with("transformer."), "{}", gradient.name);
    }
}

#[test]
fn a_rescaled_model_gives_the_scores_on_the_new_scale_and_still_learns() {
    let sequences = sequences(&LENS, 24);
    let batch = TokenBatch::pack(&sequences, 9).to_device(&crate::tiny::device());
    let model = scalar_model(24, &crate::tiny::device().autodiff());
    let wanted: Vec<f32> = to_host(model.token_scores(&batch).inner())
        .iter()
        .map(|s| 1.7 * s - 0.4)
        .collect();
    let model = model.rescaled(1.7, -0.4);
    let scores = model.token_scores(&batch);
    assert_close("rescaled", &to_host(scores.clone().inner()), &wanted, (2e-6, 2e-6));
    let mut buffer = GradientBuffer::new();
    buffer.add(&model, scores.sum().backward());
    for gradient in buffer.to_named(&model) {
        assert!(
            gradient.values.iter().any(|&g| g != 0.0),
            "{} has no gradient",
            gradient.name
        );
    }
    let plain = scalar_model(24, &crate::tiny::device()).rescaled(1.7, -0.4);
    assert_close(
        "rescaled, plain device",
        &to_host(plain.token_scores(&batch)),
        &wanted,
        (2e-6, 2e-6),
    );
}

#[test]
fn long_packed_sequences_have_the_gradient_of_each_alone() {
    let lens = [150, 90, 40, 200, 7, 256];
    let (model, sequences) = (long_lm(33, &crate::tiny::device().autodiff()), sequences(&lens, 33));
    let (mut packed, mut alone) = (GradientBuffer::new(), GradientBuffer::new());
    let batch = TokenBatch::pack(&sequences, 256);
    let all = weights(lens.iter().map(|len| len - 1).sum(), 33);
    packed.add(&model, logprob_loss(&model, &batch, &sequences, &all).backward());
    let mut used = 0;
    for sequence in sequences.chunks(1) {
        let count = sequence[0].len() - 1;
        let weights = all.clone().narrow(0, used, count);
        used += count;
        alone.add(
            &model,
            logprob_loss(&model, &TokenBatch::pack(sequence, 1), sequence, &weights).backward(),
        );
    }
    let norm = alone.norm();
    for (packed, alone) in packed.to_named(&model).iter().zip(alone.to_named(&model)) {
        assert_close(&packed.name, &packed.values, &alone.values, (5e-7 * norm, 2e-6));
    }
}

#[test]
fn a_prompt_that_stands_once_for_its_completions_changes_no_score_and_no_gradient() {
    let beginnings = sequences(&[70, 5, 1], 34);
    let ends = sequences(&[9, 30, 1, 64, 2, 3, 8, 4], 35);
    let with_end = |beginning: usize, end: usize| [beginnings[beginning].clone(), ends[end].clone()].concat();
    let groups = [
        vec![with_end(0, 0), with_end(0, 1), with_end(0, 2), with_end(0, 3)],
        vec![with_end(1, 4), with_end(1, 5)],
        vec![with_end(2, 6)],
        // Two that are the same, and one that is the beginning of the other.
        vec![with_end(1, 7), with_end(1, 7), beginnings[1].clone()],
    ];
    let groups: Vec<&[Vec<u32>]> = groups.iter().map(Vec::as_slice).collect();
    let all = groups.concat();
    let trunk = long_lm(34, &crate::tiny::device().autodiff()).transformer;
    let model = shaken(
        ScalarModel::from_decoder(trunk, 34, &crate::tiny::device().autodiff()),
        34,
    );
    let shared = TokenBatch::pack_groups(&groups, 256);
    let apart = TokenBatch::pack(&all, 256);
    assert!(shared.rows() * shared.row_len() < apart.rows() * apart.row_len());

    let scores = |batch: &TokenBatch| to_host(last_scores(&model, batch, &all).inner());
    assert_close("scores", &scores(&shared), &scores(&apart), (2e-6, 2e-6));
    let weights = weights(all.len(), 34);
    let gradient = |batch: &TokenBatch| {
        let mut buffer = GradientBuffer::new();
        buffer.add(&model, score_loss(&model, batch, &all, &weights).backward());
        buffer
    };
    let (shared, apart) = (gradient(&shared), gradient(&apart));
    let norm = apart.norm();
    for (shared, apart) in shared.to_named(&model).iter().zip(apart.to_named(&model)) {
        assert_close(&shared.name, &shared.values, &apart.values, (5e-7 * norm, 2e-6));
    }
}

proptest! {
    #![proptest_config(proptest_config(8))]

    #[test]
    fn micro_batches_add_up_to_the_gradient_of_the_whole(
        lens in prop::collection::vec(2usize..9, 1..7), max_tokens in 1usize..40, seed in any::<u64>()
    ) {
        let (model, sequences) = (causal_lm(seed, true, &crate::tiny::device().autodiff()), sequences(&lens, seed));
        let terms: usize = lens.iter().map(|len| len - 1).sum();
        let all = to_host(weights(terms, seed));
        let gradient = |groups: &[std::ops::Range<usize>]| {
            let (mut buffer, mut used) = (GradientBuffer::new(), 0);
            for group in groups {
                let part = &sequences[group.clone()];
                let count: usize = part.iter().map(|s| s.len() - 1).sum();
                let weights = float_tensor(&all[used..used + count], &crate::tiny::device());
                used += count;
                buffer.add(&model, logprob_loss(&model, &TokenBatch::pack(part, 16), part, &weights).backward());
            }
            buffer
        };
        let whole = gradient(std::slice::from_ref(&(0..sequences.len())));
        let parts = gradient(&micro_batches(&lens, max_tokens));
        let norm = whole.norm();
        for (part, whole) in parts.to_named(&model).iter().zip(whole.to_named(&model)) {
            assert_close(&part.name, &part.values, &whole.values, (2e-7 * norm, 2e-6));
        }
        // ⟨a, a⟩ = ‖a‖², and adding twice a buffer gives three times it.
        prop_assert!((whole.dot(&parts) - norm * norm).abs() <= 1e-5 * norm * norm);
        let mut thrice = parts.clone();
        thrice.add_scaled(parts, 2.0);
        prop_assert!((thrice.norm() - 3.0 * norm).abs() <= 1e-5 * norm);
    }
}

/// Gradients of a weighted sum of log-probabilities of some packed sequences; by Burn's graph alone without `activations`.
fn training_gradients(model: &CausalLm, activations: Option<Activations>) -> Vec<NamedTensor> {
    let device = crate::tiny::device();
    let sequences = sequences(&[9, 4, 7], 3);
    let batch = TokenBatch::pack(&sequences, 14);
    let targets = Targets::from_positions(&batch, &sequences, &[1, 2, 1]);
    let (tensors, places) = (batch.to_device(&device), targets.places());
    let loss = |hidden| {
        let logprobs = model.token_logprobs(hidden, targets.ids(&device), 0.7).logprobs;
        let weights = matching(&weights(targets.len(), 5), logprobs.clone());
        (logprobs * weights).sum()
    };
    let mut gradients = GradientBuffer::new();
    match activations {
        None => gradients.add(model, loss(model.hidden_states_at(&tensors, places)).backward()),
        Some(activations) => {
            let (hidden, pass) = model.transformer.training_pass(&tensors, places, activations);
            pass.backward(loss(hidden), model, &mut gradients);
        }
    }
    gradients.to_named(model)
}

#[test]
fn a_training_pass_has_the_gradients_of_the_graph() {
    let others = crate::families::cases();
    let others = others
        .iter()
        .map(|(name, config)| (*name, crate::families::model(config)));
    for (name, model) in others.chain([("gpt2, with learned positions", fixture("gpt2"))]) {
        let model = model.train();
        let graph = training_gradients(&model, None);
        for (graph, pass) in graph.iter().zip(training_gradients(&model, Some(Activations::Kept))) {
            let name = format!("{name}: {}", graph.name);
            assert_close(&name, &pass.values, &graph.values, (1e-6, 1e-6));
        }
    }
}

#[test]
fn gradient_checkpointing_changes_no_bit_of_a_gradient() {
    let compare = |name: &str, model: CausalLm| {
        let model = model.train();
        let kept = training_gradients(&model, Some(Activations::Kept));
        assert!(kept.iter().any(|g| g.values.iter().any(|v| *v != 0.0)), "{name}");
        for (kept, again) in kept
            .iter()
            .zip(training_gradients(&model, Some(Activations::Recomputed)))
        {
            assert_eq!(kept, &again, "{name}");
        }
    };
    for (name, config) in crate::families::cases() {
        let model = crate::families::model(&config);
        compare(name, model.clone());
        compare(&format!("{name} with adapters"), adapted(model, &everywhere(), 7));
    }
    let first_only = LoraConfig {
        target_modules: vec!["c_fc".into()],
        ..everywhere()
    };
    compare(
        "adapters on one kind of layer",
        adapted(fixture("gpt2"), &first_only, 7),
    );
}
