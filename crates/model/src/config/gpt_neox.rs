//! GPT-NeoX: Pythia and its kin.

use super::fields::{FieldFault, Fields};
use super::rope::{self, RopeNames};
use crate::architecture::{Activation, Architecture, AttentionShape, Norm, NormKind, Positions, Residual};

const ROPE: RopeNames = RopeNames {
    theta: "rotary_emb_base",
    default_theta: rope::DEFAULT_THETA,
    partial: "rotary_pct",
    default_partial: 0.25,
};

pub(super) fn read(fields: &Fields<'_>) -> Result<Architecture, FieldFault> {
    let n_heads = fields.size("num_attention_heads")?;
    let d_head = super::divided(fields, "num_attention_heads", "hidden_size")?;
    let activation = match fields.text_or("hidden_act", "gelu")? {
        "gelu" => Activation::GeluErf,
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Activation::GeluTanh,
        other => {
            let message = format!("`{other}`, expected gelu, gelu_new, gelu_fast or gelu_pytorch_tanh");
            return Err(fields.fault("hidden_act", message));
        }
    };
    let bias = fields.flag_or("attention_bias", true)?;
    Ok(Architecture {
        vocab_size: fields.size("vocab_size")?,
        max_seq_len: fields.size("max_position_embeddings")?,
        d_model: fields.size("hidden_size")?,
        n_layers: super::layers(fields, "num_hidden_layers")?,
        d_inner: fields.size("intermediate_size")?,
        norm: Norm {
            kind: NormKind::Layer,
            eps: fields.non_negative_or("layer_norm_eps", 1e-5)?,
        },
        positions: Positions::Rotary(rope::read(fields, &ROPE, d_head)?),
        attention: AttentionShape {
            n_heads,
            n_kv_heads: n_heads,
            d_head,
            qkv_bias: bias,
            out_bias: bias,
            qk_norm: false,
            sliding_window: None,
        },
        activation,
        mlp_bias: true,
        residual: if fields.flag_or("use_parallel_residual", true)? {
            Residual::Parallel
        } else {
            Residual::Sequential
        },
        tied_head: fields.flag_or("tie_word_embeddings", false)?,
        initializer_range: fields.non_negative_or("initializer_range", 0.02)?,
    })
}
