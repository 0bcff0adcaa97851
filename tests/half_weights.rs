//! Models whose weights are held as bf16: what a checkpoint in bf16 says is lost nowhere.

use burn::module::Module;
use burn::tensor::DType;
use rlhf_core::memory::ParameterBytes;
use rlhf_core::{GradientBuffer, Targets, TokenBatch, to_host};
use rlhf_inference::{GenerateOptions, Generator, Sampling};
use rlhf_model::{CausalLm, LoraConfig, Placement, StorageType, WeightPrecision, load_causal_lm, save_causal_lm};

use crate::lora::{adapted, everywhere};
use crate::tiny::{assert_close, device, sequences};

/// A model of each family, written in bf16 and loaded with weights of each width.
fn each_family(run: impl Fn(&str, CausalLm, CausalLm)) {
    let device = device();
    for (name, config) in crate::families::cases() {
        let dir = tempfile::tempdir().expect("a folder");
        let config = config.with_storage(StorageType::Bf16);
        save_causal_lm(dir.path(), &crate::families::model(&config), &config).expect("it is written");
        let load = |weights| {
            let device = &device;
            load_causal_lm(dir.path(), Placement { device, weights })
                .expect("it was written")
                .0
        };
        run(name, load(WeightPrecision::F32), load(WeightPrecision::Bf16));
    }
}

#[test]
fn weights_in_bf16_take_half_and_say_the_same() {
    each_family(|name, single, half| {
        let [single_size, half_size] = [&single, &half].map(|model| ParameterBytes::of(model).all);
        assert!(half_size < 6 * single_size / 10, "{name}: {half_size} of {single_size}");
        let sequences = sequences(&[9, 4, 7], 3);
        let batch = TokenBatch::pack(&sequences, 14);
        let targets = Targets::from_positions(&batch, &sequences, &[1, 1, 1]);
        let of = |model: &CausalLm| {
            let hidden = model.hidden_states_at(&batch.to_device(&device()), targets.places());
            let logprobs = model
                .token_logprobs(hidden.clone(), targets.ids(&device()), 0.7)
                .logprobs;
            (to_host(model.logits(hidden)), to_host(logprobs))
        };
        let (found, expected) = (of(&half), of(&single));
        assert_close(name, &found.0, &expected.0, (1e-5, 1e-5));
        assert_close(name, &found.1, &expected.1, (1e-5, 1e-5));
        let options = GenerateOptions {
            max_new_tokens: 6,
            sampling: Sampling::at_temperature(0.0),
            ..GenerateOptions::default()
        };
        let answers = |model: &CausalLm| Generator::new(model).generate(&sequences, &options).expect("it fits");
        assert_eq!(answers(&half), answers(&single), "{name}");
    });
}

#[test]
fn adapters_on_weights_in_bf16_learn_as_on_the_same_weights_in_f32() {
    each_family(|name, single, half| {
        let lora = |base_weights| LoraConfig {
            base_weights,
            ..everywhere()
        };
        let gradients = |model: CausalLm| {
            let model = model.train();
            let sequences = sequences(&[9, 4], 5);
            let batch = TokenBatch::pack(&sequences, 13);
            let targets = Targets::from_positions(&batch, &sequences, &[1, 1]);
            let hidden = model.hidden_states_at(&batch.to_device(&device()), targets.places());
            let loss = model.token_logprobs(hidden, targets.ids(&device()), 1.0).logprobs.sum();
            let mut gradients = GradientBuffer::new();
            gradients.add(&model, loss.backward());
            gradients.to_named(&model)
        };
        let expected = gradients(adapted(single.clone(), &lora(WeightPrecision::F32), 7));
        for base in [half, single] {
            let model = adapted(base, &lora(WeightPrecision::Bf16), 7);
            assert_eq!(model.head_weight().dtype(), DType::BF16, "{name}");
            for (found, expected) in gradients(model).iter().zip(&expected) {
                assert_close(&found.name, &found.values, &expected.values, (2e-5, 1e-4));
            }
        }
    });
}
