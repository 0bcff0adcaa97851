//! Tokens to hidden states.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use rand_chacha::ChaCha8Rng;
use rlhf_core::BatchTensors;

use crate::cache::KvCache;
use crate::config::ModelConfig;
use crate::layers::{Block, Embedding, LayerNorm};

/// The trunk of a GPT-2: embeddings, blocks, final layer norm.
#[derive(Module, Debug)]
pub struct Decoder {
    pub(crate) wte: Embedding,
    wpe: Embedding,
    h: Vec<Block>,
    ln_f: LayerNorm,
    n_heads: usize,
    eps: f64,
}

impl Decoder {
    /// Random weights: normal with `initializer_range`, residual layers scaled down, biases 0.
    pub(crate) fn init(config: &ModelConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let std = config.initializer_range;
        Self {
            wte: Embedding::init(config.vocab_size, config.n_embd, std, rng, device),
            wpe: Embedding::init(config.n_positions, config.n_embd, std, rng, device),
            h: (0..config.n_layer).map(|_| Block::init(config, rng, device)).collect(),
            ln_f: LayerNorm::init(config.n_embd, device),
            n_heads: config.n_head,
            eps: config.layer_norm_epsilon,
        }
    }

    /// Hidden states after the final layer norm, for a whole batch at once.
    ///
    /// # Shapes
    /// - `batch`: `rows * row_len` tokens
    /// - result: `[rows * row_len, d_model]`
    pub fn hidden_states(&self, batch: &BatchTensors) -> Tensor<2> {
        let [rows, row_len] = batch.visible_from.dims();
        let mut x = self.embed(batch.input_ids.clone(), batch.position_ids.clone()); // [tokens, d_model]
        let d_model = x.dims()[1];
        for block in &self.h {
            x = block.forward(x, self.eps, |qkv| {
                let qkv = qkv.reshape([rows, row_len, 3 * d_model]);
                rlhf_kernels::causal_attention(qkv, batch.visible_from.clone(), self.n_heads)
                    .reshape([rows * row_len, d_model])
            });
        }
        self.ln_f.forward(x, self.eps)
    }

    /// Hidden states of new tokens that follow those in `cache`, which takes them in.
    ///
    /// # Shapes
    /// - `input_ids`, `position_ids`: `[batch * new_tokens]`, row after row
    /// - result: `[batch * new_tokens, d_model]`
    pub fn decode(&self, input_ids: Tensor<1, Int>, position_ids: Tensor<1, Int>, cache: &mut KvCache) -> Tensor<2> {
        let mut x = self.embed(input_ids, position_ids); // [batch * new_tokens, d_model]
        let [tokens, d_model] = x.dims();
        let new_tokens = tokens / cache.batch();
        for (index, block) in self.h.iter().enumerate() {
            x = block.forward(x, self.eps, |qkv| {
                let qkv = qkv.reshape([cache.batch(), new_tokens, 3 * d_model]);
                cache.attend(index, qkv, self.n_heads).reshape([tokens, d_model])
            });
        }
        cache.advance(new_tokens);
        self.ln_f.forward(x, self.eps)
    }

    fn embed(&self, input_ids: Tensor<1, Int>, position_ids: Tensor<1, Int>) -> Tensor<2> {
        self.wte.forward(input_ids) + self.wpe.forward(position_ids)
    }

    /// A cache for `batch` sequences of up to `capacity` tokens, of which the first `visible_from[b]` are padding.
    pub fn new_cache(&self, visible_from: &[usize], capacity: usize) -> KvCache {
        let weight = self.wte.weight.val();
        let d_head = weight.dims()[1] / self.n_heads;
        KvCache::new(
            self.h.len(),
            self.n_heads,
            d_head,
            visible_from,
            capacity,
            &weight.device(),
        )
    }

    /// The plain device that the weights are on.
    pub fn device(&self) -> Device {
        self.wte.weight.val().device().inner()
    }

    /// Longest sequence the position embeddings allow.
    pub fn max_seq_len(&self) -> usize {
        self.wpe.weight.val().dims()[0]
    }

    /// Words in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.wte.weight.val().dims()[0]
    }

    /// Width of the hidden states.
    pub fn d_model(&self) -> usize {
        self.wte.weight.val().dims()[1]
    }
}
