//! Llama and the families that differ from it by a part or two: Mistral, Qwen2, Qwen3.

use super::fields::{FieldFault, Fields};
use super::rope::{self, RopeNames};
use crate::architecture::{
    Activation, Architecture, AttentionShape, Norm, NormKind, Positions, Residual, SlidingWindow,
};
use crate::families::Family;

const ROPE: RopeNames = RopeNames {
    theta: "rope_theta",
    partial: "partial_rotary_factor",
    default_partial: 1.0,
};

/// Reads the configuration of a model of `family`, one of those that this module is about.
pub(super) fn read(family: Family, fields: &Fields<'_>) -> Result<Architecture, FieldFault> {
    let activation = fields.text_or("hidden_act", "silu")?;
    if !["silu", "swish"].contains(&activation) {
        return Err(fields.fault("hidden_act", format!("`{activation}`, expected `silu`")));
    }
    let attention = attention(family, fields)?;
    let rotary = rope::read(fields, &ROPE, attention.d_head)?;
    Ok(Architecture {
        vocab_size: fields.size("vocab_size")?,
        max_seq_len: fields.size("max_position_embeddings")?,
        d_model: fields.size("hidden_size")?,
        n_layers: super::layers(fields, "num_hidden_layers")?,
        d_inner: fields.size("intermediate_size")?,
        norm: Norm {
            kind: NormKind::Rms,
            eps: fields.non_negative_or("rms_norm_eps", 1e-6)?,
        },
        positions: Positions::Rotary(rotary),
        attention,
        activation: Activation::SwiGlu,
        mlp_bias: family == Family::Llama && fields.flag_or("mlp_bias", false)?,
        residual: Residual::Sequential,
        tied_head: fields.flag_or("tie_word_embeddings", false)?,
        initializer_range: fields.non_negative_or("initializer_range", 0.02)?,
    })
}

fn attention(family: Family, fields: &Fields<'_>) -> Result<AttentionShape, FieldFault> {
    let n_heads = fields.size("num_attention_heads")?;
    let n_kv_heads = fields.size_or("num_key_value_heads", n_heads)?;
    if !n_heads.is_multiple_of(n_kv_heads) {
        let message = format!("{n_kv_heads} does not divide num_attention_heads {n_heads}");
        return Err(fields.fault("num_key_value_heads", message));
    }
    let d_head = match fields.optional_size("head_dim")? {
        Some(d_head) => d_head,
        // The one family whose default does not depend on the width.
        None if family == Family::Qwen3 => 128,
        None => super::divided(fields, "num_attention_heads", "hidden_size")?,
    };
    let (qkv_bias, out_bias) = match family {
        Family::Qwen2 => (true, false),
        Family::Llama | Family::Qwen3 => {
            let bias = fields.flag_or("attention_bias", false)?;
            (bias, bias)
        }
        _ => (false, false),
    };
    Ok(AttentionShape {
        n_heads,
        n_kv_heads,
        d_head,
        qkv_bias,
        out_bias,
        qk_norm: family == Family::Qwen3,
        sliding_window: sliding_window(family, fields)?,
    })
}

/// Mistral limits every layer; Qwen those that `layer_types` names, or, in older files, those from `max_window_layers` on.
fn sliding_window(family: Family, fields: &Fields<'_>) -> Result<Option<SlidingWindow>, FieldFault> {
    let on = match family {
        Family::Mistral => true,
        Family::Qwen2 | Family::Qwen3 => fields.flag_or("use_sliding_window", false)?,
        _ => false,
    };
    let Some(tokens) = fields.optional_size("sliding_window")?.filter(|_| on) else {
        return Ok(None);
    };
    let n_layers = super::layers(fields, "num_hidden_layers")?;
    let layers = match (family, fields.texts("layer_types")?) {
        (Family::Mistral, _) => vec![true; n_layers],
        (_, Some(types)) if types.len() == n_layers => types.iter().map(|&t| t == "sliding_attention").collect(),
        (_, Some(types)) => {
            let message = format!("{} entries, expected num_hidden_layers {n_layers}", types.len());
            return Err(fields.fault("layer_types", message));
        }
        (_, None) => {
            let first = fields.optional_count("max_window_layers")?.unwrap_or(0);
            (0..n_layers).map(|layer| layer >= first).collect()
        }
    };
    Ok(Some(SlidingWindow { tokens, layers }))
}
