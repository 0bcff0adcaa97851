//! Llama and the families that differ from it by a part or two: Mistral, Qwen2, Qwen3, Phi-3, SmolLM3.

use super::fields::{FieldFault, Fields};
use super::rope::{self, RopeNames};
use crate::architecture::{
    Activation, Architecture, AttentionShape, Norm, NormKind, Positions, Residual, RopeScaling, SlidingWindow,
};
use crate::families::Family;

/// SmolLM3's base of the wavelengths where a file names none.
const SMOLLM3_THETA: f64 = 2_000_000.0;
/// Distance between SmolLM3's layers without positions where a file does not say.
const SMOLLM3_INTERVAL: usize = 4;

fn rope_names(family: Family) -> RopeNames {
    RopeNames {
        theta: "rope_theta",
        default_theta: if family == Family::SmolLm3 {
            SMOLLM3_THETA
        } else {
            rope::DEFAULT_THETA
        },
        partial: "partial_rotary_factor",
        default_partial: 1.0,
    }
}

/// Reads the configuration of a model of `family`, one of those that this module is about.
pub(super) fn read(family: Family, fields: &Fields<'_>) -> Result<Architecture, FieldFault> {
    let activation = fields.text_or("hidden_act", "silu")?;
    if !["silu", "swish"].contains(&activation) {
        return Err(fields.fault("hidden_act", format!("`{activation}`, expected `silu`")));
    }
    let attention = attention(family, fields)?;
    let mut rotary = rope::read(fields, &rope_names(family), attention.d_head)?;
    if family == Family::SmolLm3 {
        rotary.unturned = unturned(fields)?;
    }
    let (default_eps, default_tied) = match family {
        Family::Phi3 => (1e-5, false),
        Family::SmolLm3 => (1e-6, true),
        _ => (1e-6, false),
    };
    Ok(Architecture {
        vocab_size: fields.size("vocab_size")?,
        max_seq_len: match rotary.scaling {
            RopeScaling::LongRope { original_len, .. } => original_len,
            _ => fields.size("max_position_embeddings")?,
        },
        d_model: fields.size("hidden_size")?,
        n_layers: super::layers(fields, "num_hidden_layers")?,
        d_inner: fields.size("intermediate_size")?,
        norm: Norm {
            kind: NormKind::Rms,
            eps: fields.non_negative_or("rms_norm_eps", default_eps)?,
        },
        positions: Positions::Rotary(rotary),
        attention,
        activation: Activation::SwiGlu,
        mlp_bias: matches!(family, Family::Llama | Family::SmolLm3) && fields.flag_or("mlp_bias", false)?,
        residual: Residual::Sequential,
        tied_head: fields.flag_or("tie_word_embeddings", default_tied)?,
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
        Family::Llama | Family::Qwen3 | Family::SmolLm3 => {
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

/// The layers that SmolLM3 leaves without positions: those with a 0 in `no_rope_layers`, or every fourth.
fn unturned(fields: &Fields<'_>) -> Result<Vec<bool>, FieldFault> {
    let n_layers = super::layers(fields, "num_hidden_layers")?;
    match fields.counts("no_rope_layers")? {
        Some(turned) if turned.len() >= n_layers => Ok(turned[..n_layers].iter().map(|&turned| turned == 0).collect()),
        Some(turned) => {
            let message = format!("{} entries, expected num_hidden_layers {n_layers}", turned.len());
            Err(fields.fault("no_rope_layers", message))
        }
        None => {
            let interval = fields.size_or("no_rope_layer_interval", SMOLLM3_INTERVAL)?;
            Ok((1..=n_layers).map(|layer| layer.is_multiple_of(interval)).collect())
        }
    }
}

/// Mistral and Phi-3 limit every layer; SmolLM3 those without positions; Qwen those that `layer_types` names, or, in older files, those from `max_window_layers` on.
fn sliding_window(family: Family, fields: &Fields<'_>) -> Result<Option<SlidingWindow>, FieldFault> {
    let on = match family {
        Family::Mistral | Family::Phi3 => true,
        Family::Qwen2 | Family::Qwen3 | Family::SmolLm3 => fields.flag_or("use_sliding_window", false)?,
        _ => false,
    };
    let Some(tokens) = fields.optional_size("sliding_window")?.filter(|_| on) else {
        return Ok(None);
    };
    let n_layers = super::layers(fields, "num_hidden_layers")?;
    let layers = match (family, fields.texts("layer_types")?) {
        (Family::Mistral | Family::Phi3, _) => vec![true; n_layers],
        (_, Some(types)) if types.len() == n_layers => types.iter().map(|&t| t == "sliding_attention").collect(),
        (_, Some(types)) => {
            let message = format!("{} entries, expected num_hidden_layers {n_layers}", types.len());
            return Err(fields.fault("layer_types", message));
        }
        (Family::SmolLm3, None) => unturned(fields)?,
        (_, None) => {
            let first = fields.optional_count("max_window_layers")?.unwrap_or(0);
            (0..n_layers).map(|layer| layer >= first).collect()
        }
    };
    Ok(Some(SlidingWindow { tokens, layers }))
}
