//! Small random models and sequences, and how close numbers are.

use std::fmt::Display;

use burn::module::Module;
use burn::tensor::Device;
use proptest::test_runner::{Config as ProptestConfig, RngSeed};
use rand::Rng;
use rlhf_core::{NamedTensor, TensorMap, load_parameters, load_trained_parameters, named_parameters, rng};
use rlhf_model::{CausalLm, Gpt2Config, ModelConfig, ScalarModel};

/// Width of the models of [`config`].
pub(crate) const D_MODEL: usize = 15;
/// Words of the models of [`config`].
pub(crate) const VOCAB: usize = 23;

/// Two layers, three heads of width 5, 23 words, 24 positions: sizes that fill no vector register, as those of the golden
/// models do.
pub(crate) fn config(tied: bool) -> ModelConfig {
    gpt2(tied).into()
}

fn gpt2(tied: bool) -> Gpt2Config {
    Gpt2Config {
        vocab_size: VOCAB,
        n_positions: 24,
        n_embd: D_MODEL,
        n_layer: 2,
        n_head: 3,
        n_inner: Some(37),
        tie_word_embeddings: tied,
        initializer_range: 0.2,
        ..Default::default()
    }
}

/// The device that `RLHF_TEST_DEVICE` names, `flex` without it.
pub(crate) fn device() -> Device {
    let name = std::env::var("RLHF_TEST_DEVICE").unwrap_or_else(|_| "flex".to_owned());
    rlhf_core::parse_device(&name).expect("RLHF_TEST_DEVICE names a device of this build")
}

/// A language model in which no parameter, bias or gain included, has a value that would hide it.
pub(crate) fn causal_lm(seed: u64, tied: bool, device: &Device) -> CausalLm {
    shaken(CausalLm::init(&config(tied), seed, device), seed)
}

/// A tied language model for sequences of up to 256 tokens.
pub(crate) fn long_lm(seed: u64, device: &Device) -> CausalLm {
    let config = Gpt2Config {
        n_positions: 256,
        ..gpt2(true)
    };
    shaken(CausalLm::init(&config.into(), seed, device), seed)
}

/// The same for a reward or value model.
pub(crate) fn scalar_model(seed: u64, device: &Device) -> ScalarModel {
    let trunk = CausalLm::init(&config(true), seed, device).transformer;
    shaken(ScalarModel::from_decoder(trunk, seed, device), seed)
}

/// `model` with a small number added to every parameter, so that no bias is 0 and no gain 1.
pub(crate) fn shaken<M: Module>(model: M, seed: u64) -> M {
    let mut parameters = named_parameters(&model);
    let mut rng = rng(seed, "tests.shake", &[]);
    for value in parameters.iter_mut().flat_map(|p| &mut p.values) {
        *value += rng.random_range(-0.2..0.2);
    }
    with_parameters(model, parameters)
}

/// `model` with other values in its parameters.
pub(crate) fn with_parameters<M: Module>(model: M, parameters: Vec<NamedTensor>) -> M {
    let mut tensors: TensorMap = parameters.into_iter().map(|p| (p.name, (p.shape, p.values))).collect();
    let model = load_parameters(model, &mut tensors).expect("the parameters are this model's");
    assert!(tensors.is_empty(), "{:?} belong to nothing", tensors.keys());
    model
}

/// `model` with other values in the parameters that are not frozen.
pub(crate) fn with_trained_parameters<M: Module>(model: M, parameters: Vec<NamedTensor>) -> M {
    let mut tensors: TensorMap = parameters.into_iter().map(|p| (p.name, (p.shape, p.values))).collect();
    let model = load_trained_parameters(model, &mut tensors).expect("the parameters are this model's");
    assert!(tensors.is_empty(), "{:?} belong to nothing", tensors.keys());
    model
}

/// Random sequences of these lengths over the words of [`config`].
pub(crate) fn sequences(lens: &[usize], seed: u64) -> Vec<Vec<u32>> {
    let mut rng = rng(seed, "tests.sequences", &[]);
    lens.iter()
        .map(|&len| (0..len).map(|_| rng.random_range(0..VOCAB as u32)).collect())
        .collect()
}

/// Few cases from a fixed seed; `PROPTEST_CASES` asks for that many from a random one.
pub(crate) fn proptest_config(cases: u32) -> ProptestConfig {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig {
            cases,
            rng_seed: RngSeed::Fixed(1),
            ..config
        },
    }
}

/// Asserts `|actual - expected| <= abs + rel * |expected|` everywhere; the message shows the worst place.
///
/// With `RLHF_TESTS_SHOW_ERRORS` set and `--nocapture` it prints how much of the tolerance was used.
#[track_caller]
pub(crate) fn assert_close(what: impl Display, actual: &[f32], expected: &[f32], (abs, rel): (f64, f64)) {
    assert_eq!(actual.len(), expected.len(), "{what}: lengths");
    let excess = |&(_, (a, e)): &(usize, (&f32, &f32))| {
        let (a, e) = (f64::from(*a), f64::from(*e));
        // A NaN is infinitely far away.
        let distance = (a - e).abs();
        if distance.is_nan() {
            f64::INFINITY
        } else {
            distance / (abs + rel * e.abs())
        }
    };
    let worst = actual
        .iter()
        .zip(expected)
        .enumerate()
        .max_by(|a, b| excess(a).total_cmp(&excess(b)));
    let Some(worst) = worst else { return };
    let (i, (a, e)) = worst;
    if std::env::var_os("RLHF_TESTS_SHOW_ERRORS").is_some() {
        eprintln!(
            "{what}: at {i}: {a} against {e}, {:.3} of the tolerance",
            excess(&worst)
        );
    }
    assert!(
        excess(&worst) <= 1.0,
        "{what}: at {i}: {a}, expected {e}, off by {:.3e}, {:.2} times the tolerance",
        (f64::from(*a) - f64::from(*e)).abs(),
        excess(&worst)
    );
}
