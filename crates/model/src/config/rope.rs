//! Rotary embeddings in a `config.json`: `rope_parameters` of transformers 5, or `rope_theta` and `rope_scaling` of
//! transformers 4. Where a file has both, `rope_scaling` is what transformers 5 goes by; that is followed as long as the two
//! agree on what only one of them says.

use super::fields::{FieldFault, Fields};
use crate::architecture::{RopeScaling, Rotary};

/// A family's names of the fields that stand beside `rope_scaling`, and its values where they are missing.
pub(super) struct RopeNames {
    pub(super) theta: &'static str,
    pub(super) default_theta: f64,
    pub(super) partial: &'static str,
    pub(super) default_partial: f64,
}

/// Field with the tokens that a model was first trained on.
const ORIGINAL_LEN: &str = "original_max_position_embeddings";
/// Base of the wavelengths where a file names none, in most families.
pub(super) const DEFAULT_THETA: f64 = 10_000.0;

/// Reads the rotary embeddings of heads of width `d_head`.
pub(super) fn read(fields: &Fields<'_>, names: &RopeNames, d_head: usize) -> Result<Rotary, FieldFault> {
    let (mut new_path, mut old_path) = (String::new(), String::new());
    let new = fields.object("rope_parameters", &mut new_path)?;
    let old = fields.object("rope_scaling", &mut old_path)?;
    let objects = [&old, &new];
    let theta = agreed(fields, objects, "rope_theta", names.theta)?.unwrap_or(names.default_theta);
    let partial = agreed(fields, objects, "partial_rotary_factor", names.partial)?.unwrap_or(names.default_partial);
    let dims = (d_head as f64 * partial) as usize;
    if dims < 2 || dims > d_head || !dims.is_multiple_of(2) {
        let message =
            format!("{partial} of a head of {d_head} is {dims} features, expected an even number of at least 2");
        return Err(fields.fault(names.partial, message));
    }
    if theta <= 1.0 {
        return Err(fields.fault(names.theta, format!("{theta}, expected more than 1")));
    }
    let scaling = match (old, new) {
        (Some(old), Some(new)) => one_scaling(fields, &old, &new)?,
        (Some(object), None) | (None, Some(object)) => scaling(fields, &object)?,
        (None, None) => RopeScaling::Default,
    };
    if let RopeScaling::Factors { factors } | RopeScaling::LongRope { factors, .. } = &scaling
        && factors.len() != dims / 2
    {
        let message = format!(
            "{} numbers, expected {}, one for each pair of features that turns",
            factors.len(),
            dims / 2
        );
        let field = match scaling {
            RopeScaling::LongRope { .. } => "rope_parameters.short_factor",
            _ => "rope_parameters.freq_factors",
        };
        return Err(fields.fault(field, message));
    }
    let rotary = Rotary {
        dims,
        theta,
        scaling,
        unturned: Vec::new(),
    };
    // Finite numbers can still divide to infinity, or multiply past what `f32` holds.
    if !rotary.is_finite(fields.size("max_position_embeddings")?) {
        let message = format!("{theta} with {:?} gives angles that are no numbers", rotary.scaling);
        return Err(fields.fault(names.theta, message));
    }
    Ok(rotary)
}

/// A number that `rope_scaling`, `rope_parameters` and the file itself, there under the name `plain`, may each give.
fn agreed(
    fields: &Fields<'_>,
    objects: [&Option<Fields<'_>>; 2],
    name: &str,
    plain: &str,
) -> Result<Option<f64>, FieldFault> {
    let mut found = fields.optional_number(plain)?;
    for object in objects.into_iter().flatten() {
        match (found, object.optional_number(name)?) {
            (Some(one), Some(other)) if one != other => {
                return Err(object.fault(name, format!("{other}, but another field has {one}: which is meant?")));
            }
            (one, other) => found = one.or(other),
        }
    }
    Ok(found)
}

/// The scaling of a file that has `rope_scaling` and `rope_parameters`: one that says nothing goes with any other.
fn one_scaling(fields: &Fields<'_>, old: &Fields<'_>, new: &Fields<'_>) -> Result<RopeScaling, FieldFault> {
    match (scaling(fields, old)?, scaling(fields, new)?) {
        (one, RopeScaling::Default) => Ok(one),
        (one, other) if one == other => Ok(one),
        (one, other) => {
            let message = format!("{one:?}, but rope_parameters has {other:?}: which is meant?");
            Err(fields.fault("rope_scaling", message))
        }
    }
}

fn scaling(fields: &Fields<'_>, object: &Fields<'_>) -> Result<RopeScaling, FieldFault> {
    let kind = match (object.optional_text("rope_type")?, object.optional_text("type")?) {
        (Some(one), Some(other)) if one != other => {
            return Err(object.fault(
                "rope_type",
                format!("`{one}`, but `type` is `{other}`: which is meant?"),
            ));
        }
        (one, other) => one.or(other).unwrap_or("default"),
    };
    let max_len = fields.size("max_position_embeddings")?;
    let original = match object.optional_size(ORIGINAL_LEN)? {
        Some(len) => Some(len),
        None => fields.optional_size(ORIGINAL_LEN)?,
    };
    let original_len = original.unwrap_or(max_len);
    match (kind, object.numbers("freq_factors")?) {
        ("default" | "freq_factors", Some(factors)) => return Ok(RopeScaling::Factors { factors }),
        (_, Some(_)) => {
            let message = format!("expected none with rope_type `{kind}`, which has factors of its own");
            return Err(object.fault("freq_factors", message));
        }
        (_, None) => {}
    }
    match kind {
        "default" => Ok(RopeScaling::Default),
        "linear" => Ok(RopeScaling::Linear {
            factor: object.number("factor")?,
        }),
        // transformers measures the length against `max_position_embeddings`, whatever the original one is.
        "dynamic" => Ok(RopeScaling::Dynamic {
            factor: object.number("factor")?,
            original_len: max_len,
        }),
        "llama3" => llama3(object, original_len),
        // Phi-3's own, under the names it had before.
        "longrope" | "su" => longrope(object, max_len, original),
        "yarn" if object.numbers("short_factor")?.is_some() => longrope(object, max_len, original),
        "yarn" => yarn(object, max_len, original_len),
        other => {
            let message = format!("`{other}`, expected default, linear, dynamic, llama3, yarn or longrope");
            Err(object.fault("rope_type", message))
        }
    }
}

fn llama3(object: &Fields<'_>, original_len: usize) -> Result<RopeScaling, FieldFault> {
    let (low, high) = (object.number("low_freq_factor")?, object.number("high_freq_factor")?);
    if low >= high {
        return Err(object.fault(
            "high_freq_factor",
            format!("{high}, expected more than low_freq_factor {low}"),
        ));
    }
    Ok(RopeScaling::Llama3 {
        factor: object.number("factor")?,
        low_freq_factor: low,
        high_freq_factor: high,
        original_len,
    })
}

/// LongRoPE up to the original length: beyond it, every angle would become another.
fn longrope(object: &Fields<'_>, max_len: usize, original_len: Option<usize>) -> Result<RopeScaling, FieldFault> {
    let original_len = original_len.ok_or_else(|| object.fault(ORIGINAL_LEN, "missing, expected a whole number"))?;
    let Some(factors) = object.numbers("short_factor")? else {
        return Err(object.fault("short_factor", "missing, expected a list of positive numbers"));
    };
    let stretch = object.number_or("factor", max_len as f64 / original_len as f64)?;
    let by_length = if stretch <= 1.0 {
        1.0
    } else {
        (1.0 + stretch.ln() / (original_len as f64).ln()).sqrt()
    };
    Ok(RopeScaling::LongRope {
        factors,
        attention_factor: object.number_or("attention_factor", by_length)?,
        original_len,
    })
}

fn yarn(object: &Fields<'_>, max_len: usize, original_len: usize) -> Result<RopeScaling, FieldFault> {
    let factor = object.number_or("factor", max_len as f64 / original_len as f64)?;
    // The logarithm of the stretch, as the paper fits it.
    let length = |weight: f64| {
        if factor <= 1.0 {
            1.0
        } else {
            0.1 * weight * factor.ln() + 1.0
        }
    };
    let by_weights = match (
        object.optional_number("mscale")?,
        object.optional_number("mscale_all_dim")?,
    ) {
        (Some(one), Some(all)) => length(one) / length(all),
        _ => length(1.0),
    };
    let (beta_fast, beta_slow) = (
        object.number_or("beta_fast", 32.0)?,
        object.number_or("beta_slow", 1.0)?,
    );
    if beta_fast < beta_slow {
        return Err(object.fault(
            "beta_fast",
            format!("{beta_fast}, expected at least beta_slow {beta_slow}"),
        ));
    }
    Ok(RopeScaling::Yarn {
        factor,
        attention_factor: object.number_or("attention_factor", by_weights)?,
        beta_fast,
        beta_slow,
        truncate: object.flag_or("truncate", true)?,
        original_len,
    })
}
