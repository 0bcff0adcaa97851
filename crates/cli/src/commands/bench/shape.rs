//! Models to measure, and what their arithmetic amounts to.

use burn::tensor::Device;
use clap::ValueEnum;
use rand::Rng;
use rlhf_model::{Architecture, CausalLm, Gpt2Config, ModelConfig, ScalarModel};

/// Sizes of a model and of its batch.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) n_layer: usize,
    pub(super) n_embd: usize,
    pub(super) n_head: usize,
    pub(super) context: usize,
    pub(super) vocab: usize,
    /// Sequences of an SFT step.
    pub(super) batch: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ShapeName {
    /// 4 layers of width 256, context 256, vocabulary 4096
    Tiny,
    /// 6 layers of width 384, context 256, vocabulary 8192
    Small,
    /// 12 layers of width 768, context 512, vocabulary 50257
    Gpt2,
}

impl ShapeName {
    pub(super) fn shape(self) -> Shape {
        let (name, [n_layer, n_embd, n_head, context, vocab, batch]) = match self {
            Self::Tiny => ("tiny", [4, 256, 4, 256, 4096, 16]),
            Self::Small => ("small", [6, 384, 6, 256, 8192, 12]),
            Self::Gpt2 => ("gpt2", [12, 768, 12, 512, 50257, 2]),
        };
        Shape {
            name,
            n_layer,
            n_embd,
            n_head,
            context,
            vocab,
            batch,
        }
    }
}

impl Shape {
    pub(super) fn architecture(&self) -> Architecture {
        ModelConfig::from(self.config()).architecture().clone()
    }

    fn config(&self) -> Gpt2Config {
        Gpt2Config {
            vocab_size: self.vocab,
            n_positions: self.context,
            n_embd: self.n_embd,
            n_layer: self.n_layer,
            n_head: self.n_head,
            ..Gpt2Config::default()
        }
    }

    pub(super) fn language_model(&self, seed: u64, device: &Device) -> CausalLm {
        CausalLm::init(&self.config().into(), seed, device)
    }

    pub(super) fn scalar_model(&self, seed: u64, device: &Device) -> ScalarModel {
        ScalarModel::from_decoder(self.language_model(seed, device).transformer, seed, device)
    }

    /// Parameters with a tied head.
    pub(super) fn parameters(&self) -> usize {
        let d = self.n_embd;
        let block = 12 * d * d + 13 * d;
        (self.vocab + self.context) * d + self.n_layer * block + 2 * d
    }

    /// Sequences of these lengths of random tokens.
    pub(super) fn sequences(&self, seed: u64, lens: &[usize]) -> Vec<Vec<u32>> {
        let mut rng = rlhf_core::rng(seed, "bench.tokens", &[]);
        lens.iter()
            .map(|&len| (0..len).map(|_| rng.random_range(0..self.vocab as u32)).collect())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_models_built() {
        for name in [ShapeName::Tiny, ShapeName::Small] {
            let shape = name.shape();
            let model = shape.language_model(1, &Device::flex());
            assert_eq!(shape.parameters(), rlhf_core::count_parameters(&model), "{name:?}");
        }
        // 4.27 million, as the peers print.
        assert_eq!(ShapeName::Tiny.shape().parameters(), 4_273_664);
    }
}
