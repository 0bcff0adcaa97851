//! Bytes that passes through a decoder take. What is counted is what the fused operations of `rlhf-kernels` keep; the
//! composed ones of other backends keep a few times as much.

use burn::module::Module;
use burn::tensor::Device;
use rlhf_core::lanes::{at_once, lanes};
use rlhf_core::memory::{F32, MemoryForecast, ParameterBytes};

use crate::architecture::{Architecture, Residual};
use crate::training_pass::Activations;

/// Passes without gradients over the parts of a batch, some of them at the same time; see [`rlhf_core::lanes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassesAtOnce {
    at_once: usize,
    /// Tokens of the largest part.
    tokens: usize,
}

impl PassesAtOnce {
    /// Passes of `model` over sequences of these lengths, each of at most `max_tokens` tokens.
    pub fn of<M: Module>(model: &M, device: &Device, lens: &[usize], max_tokens: usize) -> Self {
        let parts = lanes(lens, max_tokens);
        let tokens = parts.iter().map(|part| lens[part.clone()].iter().sum()).max();
        Self {
            at_once: at_once(model, device, parts.len()),
            tokens: tokens.unwrap_or(0),
        }
    }

    /// Bytes of all that are in work.
    pub fn bytes(&self, architecture: &Architecture) -> u64 {
        let Architecture {
            vocab_size, d_model, ..
        } = *architecture;
        let workspace = rlhf_kernels::token_logprobs_workspace(self.tokens, vocab_size, d_model);
        self.at_once as u64 * (architecture.inference_bytes(self.tokens) + F32 * workspace as u64)
    }

    /// Bytes that stay in the hands of the allocator, for the threads that passes at the same time have to themselves.
    pub fn kept(&self, architecture: &Architecture) -> u64 {
        match self.at_once {
            0 | 1 => 0,
            _ => self.bytes(architecture),
        }
    }
}

/// Use that a loss makes of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadUse {
    /// A sum of log-probabilities with weights that are known beforehand.
    Sum,
    /// Each log-probability.
    Each,
    /// One number of a head that is no language model's.
    Score,
}

impl HeadUse {
    /// Numbers that exist while the head works.
    fn workspace(self, read: usize, architecture: &Architecture) -> usize {
        let (vocab, d_model) = (architecture.vocab_size, architecture.d_model);
        match self {
            Self::Score => 0,
            Self::Sum => rlhf_kernels::logprob_sum_workspace(read, vocab),
            Self::Each => rlhf_kernels::token_logprobs_workspace(read, vocab, d_model),
        }
    }
}

/// The passes of a training loop, where they are largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LargestPass {
    /// Tokens that go through the network at once, unused places included.
    pub slots: usize,
    /// Tokens whose hidden states the head reads.
    pub read: usize,
    /// Use that the loss makes of it.
    pub head: HeadUse,
    /// True if a step of the optimiser sums up the gradients of several passes.
    pub is_one_of_several: bool,
    /// Activations kept for the backward pass.
    pub activations: Activations,
}

impl LargestPass {
    /// Memory of a step beside weights and moments of the optimiser: when the backward pass begins, when it has come to
    /// the first block, when it ends, and when the optimiser goes through the parameters.
    pub fn moments(&self, architecture: &Architecture, size: &ParameterBytes) -> [MemoryForecast; 4] {
        let summed = if self.is_one_of_several { size.trained } else { 0 };
        // The embedding of tokens, whose gradient is there from the beginning where it is the head too.
        let words = if size.trained == size.all {
            architecture.head_bytes()
        } else {
            0
        };
        let head = if self.head == HeadUse::Score { 0 } else { words };
        let of_block = size.trained.saturating_sub(words) / architecture.n_layers.max(1) as u64;
        let none = MemoryForecast::default();
        let begins = MemoryForecast {
            gradients: summed + head,
            activations: architecture.training_bytes(self, size.trained == size.all),
            ..none
        };
        let first_block = MemoryForecast {
            gradients: summed + size.trained - of_block,
            activations: architecture.block_bytes(self.slots, size.trained == size.all),
            ..none
        };
        let ends = MemoryForecast {
            gradients: summed + size.trained,
            activations: F32 * (self.slots * architecture.d_model) as u64,
            ..none
        };
        let optimizer = MemoryForecast {
            gradients: size.trained + size.largest_trained,
            ..none
        };
        [begins, first_block, ends, optimizer]
    }
}

impl Architecture {
    /// Bytes that a training pass has put aside when its forward part ends; adapters, if not all weights are `trained`, keep
    /// their inputs.
    fn training_bytes(&self, pass: &LargestPass, trained: bool) -> u64 {
        let LargestPass { slots, read, .. } = *pass;
        let workspace = pass.head.workspace(read, self);
        // Around the last normalisation, its input, its result, and the gradient of that.
        let ends = F32 * (3 * read * self.d_model + workspace) as u64;
        match pass.activations {
            Activations::Kept => {
                let [before, behind] = self.kept_in_block(trained);
                let tokens_behind = self.n_layers.saturating_sub(1) * slots + read;
                F32 * (self.n_layers * slots * before + tokens_behind * behind) as u64 + ends
            }
            // The blocks come back one by one, when the head is done with.
            Activations::Recomputed => {
                F32 * (slots * self.n_layers * self.d_model) as u64 + ends.max(self.block_bytes(slots, trained))
            }
        }
    }

    /// Bytes that the backward pass of a block begins with.
    fn block_bytes(&self, slots: usize, trained: bool) -> u64 {
        // The gradient of what the activation gives, which is computed anew beside it.
        let anew = if trained { 2 * self.d_inner } else { 0 };
        let kept: usize = self.kept_in_block(trained).iter().sum();
        F32 * (slots * (kept + self.d_model + anew)) as u64
    }

    /// Bytes that a pass without gradients needs for `tokens` at the widest place of a block.
    pub fn inference_bytes(&self, tokens: usize) -> u64 {
        F32 * (tokens * (3 * self.d_model + self.inner_of_mlp())) as u64
    }

    /// Bytes of the keys and values of `rows` sequences of up to `capacity` tokens.
    pub fn cache_bytes(&self, rows: usize, capacity: usize) -> u64 {
        let heads = self.attention.n_kv_heads * self.attention.d_head;
        F32 * (2 * self.n_layers * heads * rows * capacity) as u64
    }

    /// Bytes of the matrix between hidden states and words.
    pub fn head_bytes(&self) -> u64 {
        F32 * (self.vocab_size * self.d_model) as u64
    }

    /// Numbers that stay in a block for each token up to its attention, and behind it, where the last block has no other tokens
    /// than those that are read.
    fn kept_in_block(&self, trained: bool) -> [usize; 2] {
        let (d, heads) = (self.d_model, &self.attention);
        let attended = heads.n_heads * heads.d_head;
        // Inputs of the normalisations: those of a parallel block are one. Their results: inputs of linear layers.
        let second_input = match self.residual {
            Residual::Sequential => d,
            Residual::Parallel => 0,
        };
        let normalised_heads = if heads.qk_norm {
            (heads.n_heads + heads.n_kv_heads) * heads.d_head
        } else {
            0
        };
        // Attention reads queries, keys and values side by side, repeated where heads share them.
        // What the activation gives comes back with the backward pass.
        let inner = if trained { self.mlp_width() } else { self.inner_of_mlp() };
        [2 * d + normalised_heads + 4 * attended, second_input + d + inner]
    }

    /// Numbers between the layers of the MLP for each token.
    fn inner_of_mlp(&self) -> usize {
        self.mlp_width() + self.d_inner
    }
}
