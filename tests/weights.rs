//! Averages of weights and the state of the optimiser.

use rlhf_core::{
    AdamW, AdamWConfig, GradientBuffer, Targets, TensorMap, TokenBatch, WeightDecayOn, count_parameters, ema_update,
    named_parameters, to_host,
};
use rlhf_model::CausalLm;

use crate::tiny::{assert_close, causal_lm, sequences};

fn values(model: &CausalLm) -> Vec<f32> {
    named_parameters(model).into_iter().flat_map(|p| p.values).collect()
}

#[test]
fn the_average_moves_by_one_minus_decay_towards_the_current_weights() {
    let (average, current) = (
        causal_lm(1, false, &crate::tiny::device()),
        causal_lm(2, false, &crate::tiny::device().autodiff()),
    );
    for decay in [0.992, 0.5, 0.0, 1.0] {
        // In double precision: decay · average + (1 - decay) · current.
        let wanted: Vec<f32> = (values(&average).iter().zip(values(&current)))
            .map(|(&a, c)| (decay * f64::from(a) + (1.0 - decay) * f64::from(c)) as f32)
            .collect();
        let moved = ema_update(average.clone(), &current, decay);
        assert_close(format!("decay {decay}"), &values(&moved), &wanted, (1e-7, 2e-7));
        assert!(!moved.head_weight().is_autodiff(), "the average stays off the graph");
    }
    assert!(current.head_weight().is_autodiff());
}

#[test]
fn an_average_of_equal_weights_stays() {
    let model = causal_lm(1, true, &crate::tiny::device());
    assert_close(
        "equal",
        &values(&ema_update(model.clone(), &model, 0.992)),
        &values(&model),
        (1e-9, 3e-7),
    );
}

#[test]
fn the_number_of_parameters_is_that_of_the_architecture() {
    // wte 23·15, wpe 24·15; per block: ln 2·30, c_attn 15·45+45, c_proj 15·15+15, c_fc 15·37+37, c_proj 37·15+15; ln_f 30.
    let block = 60 + 720 + 240 + 592 + 570;
    let tied = 345 + 360 + 2 * block + 30;
    assert_eq!(count_parameters(&causal_lm(1, true, &crate::tiny::device())), tied);
    assert_eq!(
        count_parameters(&causal_lm(1, false, &crate::tiny::device())),
        tied + 345
    );
}

/// One step on a fixed batch of its own for every step number.
fn step(model: CausalLm, optimizer: &mut AdamW) -> CausalLm {
    let sequences = sequences(&[6, 4], optimizer.steps() as u64);
    let batch = TokenBatch::pack(&sequences, 16);
    let targets = Targets::from_positions(&batch, &sequences, &[1, 1]);
    let device = crate::tiny::device();
    let hidden = model.hidden_states_at(&batch.to_device(&device), targets.places());
    let loss = -model.token_logprobs(hidden, targets.ids(&device), 1.0).logprobs.mean();
    let mut gradients = GradientBuffer::new();
    gradients.add(&model, loss.backward());
    gradients.clip_norm(1.0);
    optimizer.step(model, gradients, 1e-2)
}

fn state(optimizer: &AdamW) -> TensorMap {
    optimizer
        .state()
        .into_iter()
        .map(|t| (t.name, (t.shape, to_host(t.values))))
        .collect()
}

#[test]
fn an_optimizer_restored_from_its_state_goes_on_bit_for_bit() {
    let config = AdamWConfig {
        weight_decay: 0.1,
        ..Default::default()
    };
    let (mut model, mut optimizer) = (
        causal_lm(4, true, &crate::tiny::device().autodiff()),
        AdamW::new(config.clone()),
    );
    for _ in 0..2 {
        model = step(model, &mut optimizer);
    }
    let mut saved = state(&optimizer);
    let mut restored = AdamW::restore(config, &model, 2, &mut saved).expect("the state of this model");
    assert!(saved.is_empty());
    let mut resumed = model.clone();
    for _ in 0..2 {
        model = step(model, &mut optimizer);
        resumed = step(resumed, &mut restored);
    }
    assert_eq!(values(&resumed), values(&model));
    assert_eq!(state(&restored), state(&optimizer));
    assert_eq!(restored.steps(), 4);
}

/// Biases, norms and embeddings explain nothing more simply when they are small (GPT-3, nanoGPT).
#[test]
fn weight_decay_leaves_biases_norms_and_embeddings_alone() {
    let moved_by_decay = |on: WeightDecayOn| -> Vec<String> {
        let stepped = |weight_decay| {
            let mut optimizer = AdamW::new(AdamWConfig {
                weight_decay,
                weight_decay_on: on,
                ..AdamWConfig::default()
            });
            let model = causal_lm(4, false, &crate::tiny::device().autodiff());
            named_parameters(&step(model, &mut optimizer))
        };
        let (without, with) = (stepped(0.0), stepped(0.5));
        let pairs = without.into_iter().zip(with);
        pairs
            .filter(|(a, b)| a.values != b.values)
            .map(|(a, _)| a.name)
            .collect()
    };
    let matrices = moved_by_decay(WeightDecayOn::Matrices);
    for name in &matrices {
        let is_matrix = ["c_attn.weight", "c_proj.weight", "c_fc.weight", "lm_head.weight"]
            .iter()
            .any(|ending| name.ends_with(ending));
        assert!(is_matrix, "{name}");
    }
    // Of two blocks four matrices each, and a head of its own.
    assert_eq!(matrices.len(), 9, "{matrices:?}");
    let all = moved_by_decay(WeightDecayOn::All);
    assert!(
        all.iter().any(|name| name.contains("wte")) && all.iter().any(|name| name.contains("ln_")),
        "{all:?}"
    );
}

#[test]
fn a_state_that_lacks_a_tensor_or_has_another_shape_is_refused_by_name() {
    let (model, mut optimizer) = (
        causal_lm(4, true, &crate::tiny::device().autodiff()),
        AdamW::new(AdamWConfig::default()),
    );
    let model = step(model, &mut optimizer);
    let name = "exp_avg_sq.transformer.h.1.mlp.c_fc.weight";
    let refused = |mut saved: TensorMap| {
        AdamW::restore(AdamWConfig::default(), &model, 1, &mut saved)
            .expect_err("a damaged state")
            .to_string()
    };
    let mut lacking = state(&optimizer);
    lacking.remove(name);
    let message = refused(lacking);
    assert!(message.contains(name) && message.contains("missing"), "{message}");
    let mut misshapen = state(&optimizer);
    misshapen.insert(name.into(), (vec![3], vec![0.0; 3]));
    let message = refused(misshapen);
    assert!(
        message.contains(name) && message.contains("[3]") && message.contains("[555]"),
        "{message}"
    );
}
