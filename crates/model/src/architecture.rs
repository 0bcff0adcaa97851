//! A decoder described without the words of any family: what [`crate::Decoder`] is built from.

pub use rlhf_kernels::Activation;

/// Sizes and parts of a decoder transformer.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// Words in the vocabulary.
    pub vocab_size: usize,
    /// Longest sequence, in tokens.
    pub max_seq_len: usize,
    /// Width of the hidden states.
    pub d_model: usize,
    /// Blocks.
    pub n_layers: usize,
    /// Width of the hidden layer of the MLP.
    pub d_inner: usize,
    /// Normalisation of hidden states.
    pub norm: Norm,
    /// Encoding of positions.
    pub positions: Positions,
    /// Heads, and what surrounds them.
    pub attention: AttentionShape,
    /// Function between the layers of the MLP.
    pub activation: Activation,
    /// True if the layers of the MLP have a bias.
    pub mlp_bias: bool,
    /// Arrangement of attention and MLP in a block.
    pub residual: Residual,
    /// True if the language-model head is the token embedding.
    pub tied_head: bool,
    /// Standard deviation of random weights.
    pub initializer_range: f64,
}

/// Normalisation over the features of a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    /// Kind of the normalisation.
    pub kind: NormKind,
    /// Added to the variance, or to the mean square.
    pub eps: f64,
}

/// The kinds of normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// Mean 0 and variance 1, then a gain and a bias.
    Layer,
    /// Mean square 1, then a gain.
    Rms,
}

/// Encoding of the position of a token.
#[derive(Debug, Clone, PartialEq)]
pub enum Positions {
    /// A learned vector per position, added to the token's; attention then has one key head per query head and no more
    /// parts than GPT-2's.
    Learned,
    /// Queries and keys turned by angles that grow with the position.
    Rotary(Rotary),
}

/// Rotary position embeddings.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    /// Features of a head that turn; an even number, at most `d_head`.
    pub dims: usize,
    /// Base of the wavelengths, which run from 2π to about `2π * theta` tokens.
    pub theta: f64,
    /// Change of the angles to reach further than the model was first trained.
    pub scaling: RopeScaling,
    /// For each layer, whether it is left without positions; empty if none is.
    pub unturned: Vec<bool>,
}

/// Changes to rotary angles; the formulas are in `rotary.rs`.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// None.
    Default,
    /// Every angle divided (Chen et al., arXiv 2306.15595).
    Linear {
        /// By this.
        factor: f64,
    },
    /// Another base for sequences longer than `original_len`; none for shorter ones.
    Dynamic {
        /// Factor by which they reach further.
        factor: f64,
        /// Tokens that the unchanged angles reach.
        original_len: usize,
    },
    /// Long waves divided, short ones kept, a ramp in between (Llama 3.1, arXiv 2407.21783).
    Llama3 {
        /// By this.
        factor: f64,
        /// Waves that turn fewer times than this within `original_len` are divided.
        low_freq_factor: f64,
        /// Waves that turn more often than this are kept.
        high_freq_factor: f64,
        /// Tokens that the model was first trained on.
        original_len: usize,
    },
    /// Each frequency divided by a number of its own, which a GGUF file lists.
    Factors {
        /// By these, `[dims / 2]`.
        factors: Vec<f64>,
    },
    /// The same for sequences of up to `original_len` tokens, with sharper attention (Ding et al., arXiv 2402.13753). Longer
    /// ones would have other factors for all of their tokens.
    LongRope {
        /// By these, `[dims / 2]`.
        factors: Vec<f64>,
        /// Factor of queries and of keys.
        attention_factor: f64,
        /// Tokens that the model was first trained on.
        original_len: usize,
    },
    /// The same with a ramp over the features, and sharper attention (Peng et al., arXiv 2309.00071).
    Yarn {
        /// By this.
        factor: f64,
        /// Factor of queries and of keys.
        attention_factor: f64,
        /// Waves that turn more often than this within `original_len` are kept.
        beta_fast: f64,
        /// Waves that turn fewer times than this are divided.
        beta_slow: f64,
        /// True if the ends of the ramp are whole numbers.
        truncate: bool,
        /// Tokens that the model was first trained on.
        original_len: usize,
    },
}

/// The heads of attention and the layers around them.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionShape {
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Width of a head.
    pub d_head: usize,
    /// True if queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// True if the layer after the heads has a bias.
    pub out_bias: bool,
    /// True if each query and key head is normalised before it turns.
    pub qk_norm: bool,
    /// Layers that look back a limited number of tokens.
    pub sliding_window: Option<SlidingWindow>,
}

impl AttentionShape {
    /// Width of queries, keys and values side by side.
    pub(crate) fn qkv_width(&self) -> usize {
        (self.n_heads + 2 * self.n_kv_heads) * self.d_head
    }
}

/// A limit to how far back a token sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlidingWindow {
    /// Tokens seen, the token itself included.
    pub tokens: usize,
    /// For each layer, whether it has the limit.
    pub layers: Vec<bool>,
}

/// Arrangement of attention and MLP in a block, which adds both to its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residual {
    /// Attention, then an MLP that sees the sum.
    Sequential,
    /// Attention and an MLP that both see the input.
    Parallel,
}

impl Architecture {
    /// Width of the first layer of the MLP.
    pub(crate) fn mlp_width(&self) -> usize {
        match self.activation {
            Activation::SwiGlu => 2 * self.d_inner,
            Activation::GeluTanh | Activation::GeluErf => self.d_inner,
        }
    }

    /// True if layer `layer` turns queries and keys by their positions.
    pub(crate) fn turns(&self, layer: usize) -> bool {
        match &self.positions {
            Positions::Learned => false,
            Positions::Rotary(rotary) => !rotary.unturned.get(layer).is_some_and(|&unturned| unturned),
        }
    }

    /// Tokens that layer `layer` sees, if not all.
    pub(crate) fn window(&self, layer: usize) -> Option<usize> {
        let window = self.attention.sliding_window.as_ref()?;
        window.layers[layer].then_some(window.tokens)
    }

    /// Floating-point operations of a forward pass: two per weight and token in a product of matrices, and four per feature
    /// of a query head and token seen in attention. What the last block leaves out of the tokens that nobody reads is not
    /// counted; sliding windows are not counted off.
    pub fn forward_flops(&self, pass: &PassSize) -> f64 {
        let attention = &self.attention;
        let heads = attention.n_heads * attention.d_head;
        let (d, layers) = (self.d_model, self.n_layers);
        let before = d * attention.qkv_width();
        let behind = d * (heads + self.mlp_width() + self.d_inner);
        let tokens_behind = (layers.saturating_sub(1) * pass.tokens + layers.min(1) * pass.read) as f64;
        let blocks = layers as f64 * (before as f64 * pass.tokens as f64 + 2.0 * heads as f64 * pass.seen as f64)
            + behind as f64 * tokens_behind;
        2.0 * (blocks + (d * self.vocab_size) as f64 * pass.predicted as f64)
    }
}

/// Size of one pass through a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PassSize {
    /// Tokens that go through the blocks.
    pub tokens: usize,
    /// Tokens that each of them sees, itself included, all together.
    pub seen: usize,
    /// Tokens whose hidden states are read.
    pub read: usize,
    /// Tokens at which a language-model head says what comes next.
    pub predicted: usize,
}

impl PassSize {
    /// `len` tokens one after another behind `before` tokens that went through already, `read` of them by a head of one
    /// output or by nobody.
    pub fn sequence(before: usize, len: usize, read: usize) -> Self {
        Self {
            tokens: len,
            seen: len * before + len * (len + 1) / 2,
            read,
            predicted: 0,
        }
    }

    /// The same with a language-model head that reads.
    #[must_use]
    pub fn predicting(self) -> Self {
        Self {
            predicted: self.read,
            ..self
        }
    }
}

impl std::iter::Sum for PassSize {
    fn sum<I: Iterator<Item = Self>>(passes: I) -> Self {
        passes.fold(Self::default(), |sum, pass| Self {
            tokens: sum.tokens + pass.tokens,
            seen: sum.seen + pass.seen,
            read: sum.read + pass.read,
            predicted: sum.predicted + pass.predicted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Gpt2Config, ModelConfig};

    #[test]
    fn a_pass_counts_weights_what_is_seen_and_what_is_predicted() {
        let config = Gpt2Config {
            vocab_size: 10,
            n_positions: 8,
            n_embd: 4,
            n_layer: 2,
            n_head: 2,
            ..Gpt2Config::default()
        };
        let config = ModelConfig::from(config);
        let architecture = config.architecture();
        // 12 d² = 192 weights a block; 3 tokens see 1 + 2 + 3 = 6, in two products of width 4.
        let alone = PassSize::sequence(0, 3, 3);
        assert_eq!(
            architecture.forward_flops(&alone),
            2.0 * 2.0 * (192.0 * 3.0 + 2.0 * 4.0 * 6.0)
        );
        // The head: 40 weights for each of two tokens. For the third, the last block is done with it behind its attention: 9 d².
        let heard = PassSize::sequence(0, 3, 2).predicting();
        assert_eq!(
            architecture.forward_flops(&heard) - architecture.forward_flops(&alone),
            2.0 * (40.0 * 2.0 - 144.0)
        );
        // In two parts it is as much.
        let parts = [PassSize::sequence(0, 1, 0), PassSize::sequence(1, 2, 2).predicting()];
        assert_eq!(parts.into_iter().sum::<PassSize>(), heard);
    }
}
