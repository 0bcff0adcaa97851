//! A model as the entries that llama.cpp loads it by.

use super::rope::Scaling;
use super::{Family, Model};
use crate::write::Entries;

impl Model {
    /// Writes the entries of the architecture.
    pub(crate) fn to_metadata(&self, entries: &mut Entries) {
        let prefix = self.family.architecture();
        let key = |name: &str| format!("{prefix}.{name}");
        // Sizes were read as numbers that fit.
        let mut size = |name: &str, size: usize| entries.u32(&key(name), size as u32);
        size("block_count", self.n_layers);
        size("context_length", self.max_seq_len);
        size("embedding_length", self.d_model);
        size("feed_forward_length", self.d_inner);
        size("vocab_size", self.vocab_size);
        size("attention.head_count", self.n_heads);
        size("attention.head_count_kv", self.n_kv_heads);
        if self.family.like_llama() {
            size("attention.key_length", self.d_head);
            size("attention.value_length", self.d_head);
        }
        if self.rotary_dims > 0 {
            size("rope.dimension_count", self.rotary_dims);
            entries.f32(&key("rope.freq_base"), self.theta as f32);
        }
        let norm = if self.family.like_llama() {
            "rms_epsilon"
        } else {
            "epsilon"
        };
        entries.f32(&key(&format!("attention.layer_norm_{norm}")), self.eps as f32);
        if self.family == Family::GptNeox {
            entries.bool(&key("use_parallel_residual"), self.parallel);
        }
        match &self.scaling {
            Scaling::None => {}
            Scaling::Linear { factor } => {
                entries.text(&key("rope.scaling.type"), "linear");
                entries.f32(&key("rope.scaling.factor"), *factor as f32);
            }
            Scaling::Yarn(yarn) => {
                entries.text(&key("rope.scaling.type"), "yarn");
                entries.u32(&key("rope.scaling.original_context_length"), yarn.original_len as u32);
                for (name, number) in [
                    ("factor", yarn.factor),
                    ("attn_factor", yarn.extra_length),
                    ("yarn_beta_fast", yarn.beta_fast),
                    ("yarn_beta_slow", yarn.beta_slow),
                ] {
                    entries.f32(&key(&format!("rope.scaling.{name}")), number as f32);
                }
            }
        }
    }
}
