//! Low-rank adapters: put on, trained, merged and taken off.

use std::collections::BTreeSet;

use burn::module::Module;
use burn::tensor::Tensor;
use rand::Rng;
use rlhf_core::{
    AdamW, AdamWConfig, GradientBuffer, NamedTensor, Targets, TensorMap, TokenBatch, count_parameters,
    count_trained_parameters, ema_update, named_parameters, rng, to_host, trained_parameters,
};
use rlhf_model::{CausalLm, LoraConfig, PassSize, ScalarModel, load_causal_lm};

use crate::fixtures::{CONFIGS, model_dir};
use crate::tiny::{assert_close, device, sequences, with_trained_parameters};

/// A fixture for each family and each way of storing weights.
pub(crate) const FIXTURES: [&str; 6] = ["gpt2", "gpt_neox", "llama_tied", "llama_untied", "qwen2", "qwen3"];

pub(crate) fn fixture(name: &str) -> CausalLm {
    load_causal_lm(model_dir(name, CONFIGS[0]).path(), &device())
        .expect("the fixture is whole")
        .0
}

/// Adapters on every linear layer.
pub(crate) fn everywhere() -> LoraConfig {
    LoraConfig {
        rank: 4,
        alpha: 6.0,
        ..LoraConfig::default()
    }
}

/// `model` with adapters that change it: no entry of B is zero.
pub(crate) fn adapted(model: CausalLm, lora: &LoraConfig, seed: u64) -> CausalLm {
    shaken_adapters(model.with_lora(lora, seed).expect("the layers are the model's"), seed)
}

/// A small number added to everything that is trained.
pub(crate) fn shaken_adapters<M: Module>(model: M, seed: u64) -> M {
    let mut parameters = trained_parameters(&model);
    let mut rng = rng(seed, "tests.adapters", &[]);
    for value in parameters.iter_mut().flat_map(|p| &mut p.values) {
        *value += rng.random_range(-0.2..0.2);
    }
    with_trained_parameters(model, parameters)
}

/// Logits of every token of a packed batch.
pub(crate) fn logits(model: &CausalLm) -> Vec<f32> {
    let batch = TokenBatch::pack(&sequences(&[5, 3, 8], 9), 16).to_device(&device());
    to_host(model.logits(model.hidden_states(&batch)))
}

/// The largest distance between two lists of equal length.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn fresh_adapters_change_nothing_to_the_bit() {
    for name in FIXTURES {
        let base = fixture(name);
        let fresh = base.clone().with_lora(&everywhere(), 1).expect("all layers");
        assert_eq!(logits(&fresh), logits(&base), "{name}");
    }
}

#[test]
fn without_its_adapters_a_model_is_its_base_to_the_bit() {
    for name in FIXTURES {
        let base = fixture(name);
        let model = adapted(base.clone(), &everywhere(), 2);
        assert!(
            distance(&logits(&model), &logits(&base)) > 0.01,
            "{name}: adapters that do nothing"
        );
        let off = model.without_lora();
        assert_eq!(logits(&off), logits(&base), "{name}");
        assert_eq!(named_parameters(&off), named_parameters(&base), "{name}");
        assert_eq!(count_trained_parameters(&off), count_parameters(&base), "{name}");
    }
}

#[test]
fn a_merged_model_gives_the_outputs_of_its_adapters() {
    for name in FIXTURES {
        for rslora in [false, true] {
            let lora = LoraConfig { rslora, ..everywhere() };
            let model = adapted(fixture(name), &lora, 3);
            let merged = model.clone().merged();
            assert!(merged.transformer.lora().is_none());
            assert_eq!(count_parameters(&merged), count_parameters(&fixture(name)));
            assert_close(name, &logits(&merged), &logits(&model), (1e-5, 1e-5));
        }
    }
}

#[test]
fn adapters_on_part_of_a_fused_layer_leave_the_other_parts_alone() {
    let base = fixture("llama_untied");
    let lora = LoraConfig {
        target_modules: vec!["k_proj".into()],
        ..everywhere()
    };
    let merged = adapted(base.clone(), &lora, 4).merged();
    let shape = base.transformer.architecture().attention.clone();
    let keys = shape.n_heads * shape.d_head..(shape.n_heads + shape.n_kv_heads) * shape.d_head;
    for (before, after) in named_parameters(&base).iter().zip(&named_parameters(&merged)) {
        assert_eq!(before.name, after.name);
        if !before.name.ends_with("attn.c_attn.weight") {
            assert_eq!(before, after);
            continue;
        }
        let out = before.shape[1];
        for (place, (before, after)) in before.values.iter().zip(&after.values).enumerate() {
            assert_eq!(before != after, keys.contains(&(place % out)), "column {}", place % out);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_adapters_and_another_seed_others() {
    let drawn = |seed| trained_parameters(&fixture("gpt2").with_lora(&everywhere(), seed).expect("all layers"));
    assert_eq!(drawn(7), drawn(7));
    assert_ne!(drawn(7), drawn(8));
    for parameter in drawn(7) {
        let largest = parameter.values.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        // A is uniform between ±1/√in, and hundreds of draws come close to the ends; B is zero.
        let bound = 1.0 / (parameter.shape[0] as f32).sqrt();
        let expected = if parameter.name.ends_with(".a") {
            0.8 * bound..bound
        } else {
            0.0..1e-30
        };
        assert!(expected.contains(&largest), "{}: {largest}", parameter.name);
    }
}

/// One step on a batch of its own for every step number.
fn step(model: CausalLm, optimizer: &mut AdamW) -> (CausalLm, Vec<NamedTensor>) {
    let sequences = sequences(&[6, 4], optimizer.steps() as u64);
    let batch = TokenBatch::pack(&sequences, 16);
    let targets = Targets::from_positions(&batch, &sequences, &[1, 1]);
    let hidden = model.hidden_states_at(&batch.to_device(&device()), targets.places());
    let loss: Tensor<1> = -model
        .token_logprobs(hidden, targets.ids(&device()), 1.0)
        .logprobs
        .mean();
    let mut gradients = GradientBuffer::new();
    gradients.add(&model, loss.backward());
    let named = gradients.to_named(&model);
    (optimizer.step(model, gradients, 1e-2), named)
}

#[test]
fn steps_move_adapters_alone_and_keep_moments_of_nothing_else() {
    for name in FIXTURES {
        let base = fixture(name);
        let mut optimizer = AdamW::new(AdamWConfig {
            weight_decay: 0.1,
            ..AdamWConfig::default()
        });
        let start = base.clone().with_lora(&everywhere(), 5).expect("all layers");
        let adapters: BTreeSet<String> = trained_parameters(&start).into_iter().map(|p| p.name).collect();
        assert!(adapters.iter().all(|name| name.contains(".adapters.")));
        let mut model = start.clone().train();
        for round in 0..3 {
            let (next, gradients) = step(model, &mut optimizer);
            model = next;
            for gradient in gradients {
                let is_zero = gradient.values.iter().all(|&g| g == 0.0);
                // While B is zero, nothing that A does is seen.
                let expected = !adapters.contains(&gradient.name) || round == 0 && gradient.name.ends_with(".a");
                assert_eq!(is_zero, expected, "{name}: {} in round {round}", gradient.name);
            }
        }
        let moved = model.valid();
        for (before, after) in named_parameters(&start).into_iter().zip(named_parameters(&moved)) {
            assert_eq!(
                before != after,
                adapters.contains(&before.name),
                "{name}: {}",
                before.name
            );
        }
        let moments: BTreeSet<String> = optimizer.state().into_iter().map(|moments| moments.name).collect();
        let expected = ["exp_avg", "exp_avg_sq"].map(|kind| adapters.iter().map(move |name| format!("{kind}.{name}")));
        assert_eq!(moments, expected.into_iter().flatten().collect(), "{name}");
        assert_eq!(logits(&moved.without_lora()), logits(&base), "{name}");
    }
}

/// The gradients of the mean negative log-probability of some sequences, by parameter.
fn gradients(model: &CausalLm) -> TensorMap {
    let sequences = sequences(&[9, 5, 12], 3);
    let batch = TokenBatch::pack(&sequences, 16);
    let targets = Targets::from_positions(&batch, &sequences, &[1, 1, 1]);
    let hidden = model.hidden_states_at(&batch.to_device(&device()), targets.places());
    let loss: Tensor<1> = -model
        .token_logprobs(hidden, targets.ids(&device()), 1.0)
        .logprobs
        .mean();
    let mut buffer = GradientBuffer::new();
    buffer.add(model, loss.backward());
    let named = buffer.to_named(model).into_iter();
    named.map(|g| (g.name, (g.shape, g.values))).collect()
}

/// `a b` for `a`: `[rows, inner]` and `b`: `[inner, columns]`, given by their entries.
fn product(
    [rows, inner, columns]: [usize; 3],
    a: impl Fn(usize, usize) -> f32,
    b: impl Fn(usize, usize) -> f32,
) -> Vec<f32> {
    let entry = |row, column| {
        (0..inner)
            .map(|i| f64::from(a(row, i)) * f64::from(b(i, column)))
            .sum::<f64>() as f32
    };
    (0..rows)
        .flat_map(|row| (0..columns).map(move |column| (row, column)))
        .map(|(r, c)| entry(r, c))
        .collect()
}

#[test]
fn gradients_of_adapters_are_those_of_the_merged_weights_through_the_product() {
    // W = W0 + s A B, so dA = s dW Bᵀ and dB = s Aᵀ dW, with the columns of dW that the adapter belongs to.
    let lora = LoraConfig {
        rank: 3,
        alpha: 1.5,
        ..LoraConfig::default()
    };
    for name in FIXTURES {
        let model = adapted(fixture(name), &lora, 10);
        let (of_adapters, of_merged) = (
            gradients(&model.clone().train()),
            gradients(&model.clone().merged().train()),
        );
        let values: TensorMap = trained_parameters(&model)
            .into_iter()
            .map(|p| (p.name, (p.shape, p.values)))
            .collect();
        let (mut layer, mut first) = (String::new(), 0);
        for (path, (a_shape, a)) in values.iter().filter(|(path, _)| path.ends_with(".a")) {
            let (of, _) = path.split_once(".adapters.").expect("the path of an adapter");
            let b_path = format!("{}b", path.strip_suffix('a').expect("it ends so"));
            let (b_shape, b) = &values[&b_path];
            if layer != of {
                (layer, first) = (of.to_owned(), 0);
            }
            let (w_shape, dw) = &of_merged[&format!("{of}.weight")];
            let ([input, rank], width, out) = ([a_shape[0], a_shape[1]], b_shape[1], w_shape[1]);
            let dw = |i: usize, o: usize| 0.5 * dw[i * out + first + o];
            let da = product([input, width, rank], dw, |o, r| b[r * width + o]);
            let db = product([rank, input, width], |r, i| a[i * rank + r], dw);
            for (path, expected) in [(path, da), (&b_path, db)] {
                let largest = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
                let tolerance = (2e-5 * f64::from(largest), 2e-5);
                assert_close(format!("{name} {path}"), &of_adapters[path].1, &expected, tolerance);
            }
            first += width;
        }
    }
}

#[test]
fn a_frozen_model_has_no_gradient_for_any_weight_of_the_base() {
    let model = adapted(fixture("llama_untied"), &everywhere(), 6).train();
    let sequences = sequences(&[6, 4], 1);
    let batch = TokenBatch::pack(&sequences, 16).to_device(&device());
    let head = model.head_weight();
    let gradients = model.logits(model.hidden_states(&batch)).sum().backward();
    assert!(
        head.is_autodiff() && head.grad(&gradients).is_none(),
        "the head is frozen"
    );
    let mut buffer = GradientBuffer::new();
    buffer.add(&model, gradients);
    let trained: usize = count_trained_parameters(&model);
    let moved = buffer.to_named(&model);
    let entries: usize = moved
        .iter()
        .filter(|g| g.values.iter().any(|&g| g != 0.0))
        .map(|g| g.values.len())
        .sum();
    assert_eq!(entries, trained);
}

#[test]
fn a_step_counts_one_product_in_the_backward_pass_of_a_frozen_weight() {
    let base = fixture("gpt2").transformer;
    let pass = PassSize::sequence(0, 10, 10).predicting();
    let (forward, full) = (base.architecture().forward_flops(&pass), base.step_flops(&pass));
    assert_eq!(full, 3.0 * forward);
    let adapted = base.with_lora(&everywhere(), 1).expect("all layers");
    // 2 blocks of width 32 and 128: rank 4 on c_attn 32+96, c_proj 32+32, c_fc 32+128 and c_proj 128+32.
    let adapters = 2.0 * 10.0 * 2.0 * 4.0 * f64::from(32 + 96 + 32 + 32 + 32 + 128 + 128 + 32);
    // Attention: 4 per feature, layer and token seen, of which there are 1 + 2 + … + 10.
    let attention = 4.0 * 32.0 * 2.0 * 55.0;
    assert_eq!(
        adapted.step_flops(&pass),
        2.0 * (forward - attention) + 3.0 * (attention + adapters)
    );
}

#[test]
fn the_head_of_a_scalar_model_is_trained_in_full() {
    let trunk = fixture("gpt2").transformer;
    let model = ScalarModel::from_decoder(trunk, 1, &device())
        .with_lora(&everywhere(), 1)
        .expect("all layers");
    let names: Vec<String> = trained_parameters(&model).into_iter().map(|p| p.name).collect();
    let heads: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| name.starts_with("score."))
        .collect();
    assert_eq!(heads, ["score.weight", "score.bias"]);
    assert!(
        names.len() > 2
            && names
                .iter()
                .all(|name| name.starts_with("score.") || name.contains(".adapters."))
    );
}

#[test]
fn an_average_moves_adapters_and_keeps_the_base() {
    let start = fixture("gpt2").with_lora(&everywhere(), 7).expect("all layers");
    let current = shaken_adapters(start.clone(), 7);
    let average = ema_update(start.clone(), &current.clone().train(), 0.75);
    let parameters = named_parameters(&start).into_iter().zip(named_parameters(&current));
    for ((before, now), found) in parameters.zip(named_parameters(&average)) {
        if !before.name.contains(".adapters.") {
            assert_eq!(found, before);
            continue;
        }
        let wanted: Vec<f32> = before
            .values
            .iter()
            .zip(&now.values)
            .map(|(b, n)| 0.75 * b + 0.25 * n)
            .collect();
        assert_close(&found.name, &found.values, &wanted, (1e-6, 1e-6));
    }
    assert_eq!(logits(&average.without_lora()), logits(&start));
}

#[test]
fn new_adapters_on_a_model_that_has_some_start_from_the_merged_model() {
    let first = adapted(fixture("qwen2"), &everywhere(), 8);
    let second = first.clone().with_lora(&everywhere(), 9).expect("all layers");
    assert_eq!(logits(&second), logits(&first.merged()));
    assert_eq!(
        count_trained_parameters(&second),
        count_trained_parameters(&adapted(fixture("qwen2"), &everywhere(), 8))
    );
}

#[test]
fn layers_that_the_model_has_not_are_refused_by_name() {
    let lora = LoraConfig {
        target_modules: vec!["q_proj".into(), "c_attnn".into()],
        ..LoraConfig::default()
    };
    let message = fixture("gpt2")
        .with_lora(&lora, 1)
        .expect_err("two unknown layers")
        .to_string();
    for part in [
        "target_modules[0]: `q_proj`",
        "target_modules[1]: `c_attnn`",
        "did you mean `c_attn`?",
        "gpt2",
    ] {
        assert!(message.contains(part), "`{message}` lacks {part}");
    }
}
