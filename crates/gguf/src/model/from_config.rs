//! A model from the fields of `config.json`, in the spelling of transformers 4 or 5.
//!
//! What a GGUF file has no entry for, or what llama.cpp computes otherwise, is refused by its field.

use serde_json::{Map, Value};

use super::rope::{Llama3, Scaling, Yarn, length};
use super::{Family, Model};
use crate::error::{Error, Result};

/// The fields of an object, called `prefix` and their name.
#[derive(Clone, Copy)]
struct Fields<'a> {
    object: &'a Map<String, Value>,
    prefix: &'static str,
}

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn fault(&self, name: &str, message: impl Into<String>) -> Error {
        Error::config(&format!("{}{name}", self.prefix), message)
    }

    fn parsed<T>(&self, name: &str, expected: &str, parse: impl FnOnce(&'a Value) -> Option<T>) -> Result<Option<T>> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match parse(value) {
                Some(parsed) => Ok(Some(parsed)),
                None => Err(self.fault(name, format!("{value}, expected {expected}"))),
            },
        }
    }

    fn optional_size(&self, name: &str) -> Result<Option<usize>> {
        self.parsed(name, "a whole number from 1 to 4294967295", |value| {
            let size = value.as_u64().filter(|&size| size > 0 && u32::try_from(size).is_ok())?;
            usize::try_from(size).ok()
        })
    }

    fn size(&self, name: &str) -> Result<usize> {
        self.optional_size(name)?
            .ok_or_else(|| self.fault(name, "missing, expected a whole number"))
    }

    fn size_or(&self, name: &str, default: usize) -> Result<usize> {
        Ok(self.optional_size(name)?.unwrap_or(default))
    }

    fn optional_number(&self, name: &str) -> Result<Option<f64>> {
        self.parsed(name, "a positive number", |value| {
            value.as_f64().filter(|number| number.is_finite() && *number > 0.0)
        })
    }

    fn number_or(&self, name: &str, default: f64) -> Result<f64> {
        Ok(self.optional_number(name)?.unwrap_or(default))
    }

    fn flag_or(&self, name: &str, default: bool) -> Result<bool> {
        Ok(self.parsed(name, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    fn text_or(&self, name: &str, default: &'a str) -> Result<&'a str> {
        Ok(self.parsed(name, "a text", Value::as_str)?.unwrap_or(default))
    }

    fn fixed(&self, name: &str, expected: bool, default: bool) -> Result<()> {
        if self.flag_or(name, default)? == expected {
            return Ok(());
        }
        Err(self.fault(
            name,
            format!("{}, expected {expected}: llama.cpp has no other", !expected),
        ))
    }

    fn activation(&self, name: &str, default: &'static str, known: &[&str]) -> Result<()> {
        let found = self.text_or(name, default)?;
        if known.contains(&found) {
            return Ok(());
        }
        Err(self.fault(
            name,
            format!("`{found}`, expected {}: llama.cpp has no other", known.join(" or ")),
        ))
    }

    /// The first of a token or a list of them.
    fn token(&self, name: &str) -> Result<Option<u32>> {
        self.parsed(name, "a token id or a list of them", |value| {
            let first = value.as_array().map_or(Some(value), |list| list.first())?;
            u32::try_from(first.as_u64()?).ok()
        })
    }

    fn object(&self, name: &str, prefix: &'static str) -> Result<Option<Fields<'a>>> {
        let object = self.parsed(name, "an object", Value::as_object)?;
        Ok(object.map(|object| Fields { object, prefix }))
    }
}

impl Model {
    /// The model that a `config.json` describes.
    pub(crate) fn from_config(config: &Map<String, Value>) -> Result<Self> {
        let fields = Fields {
            object: config,
            prefix: "",
        };
        let name = fields.text_or("model_type", "")?;
        let Some(family) = Family::from_model_type(name) else {
            let message = format!("`{name}`, expected llama, mistral, qwen2, qwen3, gpt2 or gpt_neox");
            return Err(fields.fault("model_type", message));
        };
        let mut model = match family {
            Family::Gpt2 => gpt2(&fields)?,
            Family::GptNeox => gpt_neox(&fields)?,
            _ => llama(family, name, &fields)?,
        };
        model.tied = fields.flag_or("tie_word_embeddings", family == Family::Gpt2)?;
        model.bos = fields.token("bos_token_id")?;
        model.eos = fields.token("eos_token_id")?;
        model.pad = fields.token("pad_token_id")?;
        Ok(model)
    }
}

fn divided(fields: &Fields<'_>, whole: &str, parts: &str) -> Result<usize> {
    let (size, n) = (fields.size(whole)?, fields.size(parts)?);
    if size.is_multiple_of(n) {
        return Ok(size / n);
    }
    Err(fields.fault(parts, format!("{n}, which does not divide {whole} {size}")))
}

fn llama(family: Family, name: &str, fields: &Fields<'_>) -> Result<Model> {
    fields.activation("hidden_act", "silu", &["silu", "swish"])?;
    let max_seq_len = fields.size("max_position_embeddings")?;
    no_window(name, fields, max_seq_len)?;
    let d_head = match fields.optional_size("head_dim")? {
        Some(d_head) => d_head,
        None if family == Family::Qwen3 => 128,
        None => divided(fields, "hidden_size", "num_attention_heads")?,
    };
    let n_heads = fields.size("num_attention_heads")?;
    let n_kv_heads = fields.size_or("num_key_value_heads", n_heads)?;
    if !n_heads.is_multiple_of(n_kv_heads) || !d_head.is_multiple_of(2) {
        let message =
            format!("{n_kv_heads}, expected a divisor of {n_heads} heads, each of an even width, here {d_head}");
        return Err(fields.fault("num_key_value_heads", message));
    }
    let llama = name == "llama";
    let bias = llama && fields.flag_or("attention_bias", false)?;
    if family == Family::Qwen3 {
        fields.fixed("attention_bias", false, false)?;
    }
    let rope = rope(fields, "partial_rotary_factor", "rope_theta", 1.0, d_head, max_seq_len)?;
    if rope.dims != d_head {
        return Err(fields.fault("partial_rotary_factor", "expected 1: llama.cpp has no other"));
    }
    Ok(Model {
        family,
        vocab_size: fields.size("vocab_size")?,
        max_seq_len,
        d_model: fields.size("hidden_size")?,
        d_inner: fields.size("intermediate_size")?,
        n_layers: fields.size("num_hidden_layers")?,
        n_heads,
        n_kv_heads,
        d_head,
        eps: fields.number_or("rms_norm_eps", 1e-6)?,
        rotary_dims: rope.dims,
        theta: rope.theta,
        scaling: rope.scaling,
        freq_factors: rope.freq_factors,
        tied: false,
        qkv_bias: bias || family == Family::Qwen2,
        out_bias: bias,
        mlp_bias: llama && fields.flag_or("mlp_bias", false)?,
        parallel: false,
        bos: None,
        eos: None,
        pad: None,
    })
}

/// A window is no entry of these architectures; one that no text is longer than is none.
fn no_window(name: &str, fields: &Fields<'_>, max_seq_len: usize) -> Result<()> {
    let on = name == "mistral" || name.starts_with("qwen") && fields.flag_or("use_sliding_window", false)?;
    match fields.optional_size("sliding_window")?.filter(|_| on) {
        Some(window) if window < max_seq_len => {
            let message = format!(
                "{window}, which llama.cpp does not have for this architecture; expected none, or max_position_embeddings of at most {window}"
            );
            Err(fields.fault("sliding_window", message))
        }
        _ => Ok(()),
    }
}

fn gpt2(fields: &Fields<'_>) -> Result<Model> {
    fields.fixed("scale_attn_weights", true, true)?;
    fields.fixed("scale_attn_by_inverse_layer_idx", false, false)?;
    fields.fixed("add_cross_attention", false, false)?;
    fields.activation("activation_function", "gelu_new", &["gelu_new", "gelu_pytorch_tanh"])?;
    // transformers' defaults are GPT-2 small.
    let (d_model, n_heads) = (fields.size_or("n_embd", 768)?, fields.size_or("n_head", 12)?);
    if !d_model.is_multiple_of(n_heads) {
        return Err(fields.fault("n_head", format!("{n_heads}, which does not divide n_embd {d_model}")));
    }
    Ok(Model {
        family: Family::Gpt2,
        vocab_size: fields.size_or("vocab_size", 50257)?,
        max_seq_len: fields.size_or("n_positions", 1024)?,
        d_model,
        d_inner: fields.size_or("n_inner", 4 * d_model)?,
        n_layers: fields.size_or("n_layer", 12)?,
        n_heads,
        n_kv_heads: n_heads,
        d_head: d_model / n_heads,
        eps: fields.number_or("layer_norm_epsilon", 1e-5)?,
        rotary_dims: 0,
        theta: 10_000.0,
        scaling: Scaling::None,
        freq_factors: None,
        tied: true,
        qkv_bias: true,
        out_bias: true,
        mlp_bias: true,
        parallel: false,
        bos: None,
        eos: None,
        pad: None,
    })
}

fn gpt_neox(fields: &Fields<'_>) -> Result<Model> {
    fields.activation("hidden_act", "gelu", &["gelu"])?;
    fields.fixed("attention_bias", true, true)?;
    let (n_heads, d_head) = (
        fields.size("num_attention_heads")?,
        divided(fields, "hidden_size", "num_attention_heads")?,
    );
    let max_seq_len = fields.size("max_position_embeddings")?;
    let rope = rope(fields, "rotary_pct", "rotary_emb_base", 0.25, d_head, max_seq_len)?;
    Ok(Model {
        family: Family::GptNeox,
        vocab_size: fields.size("vocab_size")?,
        max_seq_len,
        d_model: fields.size("hidden_size")?,
        d_inner: fields.size("intermediate_size")?,
        n_layers: fields.size("num_hidden_layers")?,
        n_heads,
        n_kv_heads: n_heads,
        d_head,
        eps: fields.number_or("layer_norm_eps", 1e-5)?,
        rotary_dims: rope.dims,
        theta: rope.theta,
        scaling: rope.scaling,
        freq_factors: rope.freq_factors,
        tied: false,
        qkv_bias: true,
        out_bias: true,
        mlp_bias: true,
        parallel: fields.flag_or("use_parallel_residual", true)?,
        bos: None,
        eos: None,
        pad: None,
    })
}

struct Rope {
    dims: usize,
    theta: f64,
    scaling: Scaling,
    freq_factors: Option<Vec<f32>>,
}

/// `rope_parameters` of transformers 5, or `rope_scaling` and the fields called `partial` and `base` of transformers 4.
fn rope(
    fields: &Fields<'_>,
    partial: &str,
    base: &str,
    default_partial: f64,
    d_head: usize,
    max_seq_len: usize,
) -> Result<Rope> {
    let new = fields.object("rope_parameters", "rope_parameters.")?;
    let old = fields.object("rope_scaling", "rope_scaling.")?;
    let newer = |name: &str| new.map_or(Ok(None), |new| new.optional_number(name));
    let theta = match newer("rope_theta")? {
        Some(theta) => theta,
        None => fields.number_or(base, 10_000.0)?,
    };
    let share = match newer("partial_rotary_factor")? {
        Some(share) => share,
        None => fields.number_or(partial, default_partial)?,
    };
    let dims = (d_head as f64 * share) as usize;
    if dims < 2 || dims > d_head || !dims.is_multiple_of(2) {
        let message =
            format!("{share} of a head of {d_head} is {dims} features, expected an even number of at least 2");
        return Err(fields.fault(partial, message));
    }
    let mut rope = Rope {
        dims,
        theta,
        scaling: Scaling::None,
        freq_factors: None,
    };
    if let Some(object) = new.or(old) {
        scale(&mut rope, fields, &object, max_seq_len)?;
    }
    Ok(rope)
}

/// Reads how the frequencies are scaled.
fn scale(rope: &mut Rope, fields: &Fields<'_>, object: &Fields<'_>, max_seq_len: usize) -> Result<()> {
    let original_len = match object.optional_size("original_max_position_embeddings")? {
        Some(len) => len,
        None => fields.size_or("original_max_position_embeddings", max_seq_len)?,
    };
    let kind = object.text_or("rope_type", object.text_or("type", "default")?)?;
    match kind {
        // transformers changes nothing of a dynamic scaling's frequencies up to `max_position_embeddings`.
        "default" | "dynamic" | "freq_factors" => {}
        "linear" => {
            rope.scaling = Scaling::Linear {
                factor: needed(object, "factor")?,
            }
        }
        "yarn" => rope.scaling = yarn(object, max_seq_len, original_len)?,
        "llama3" => {
            let llama3 = Llama3 {
                factor: needed(object, "factor")?,
                low_freq_factor: needed(object, "low_freq_factor")?,
                high_freq_factor: needed(object, "high_freq_factor")?,
                original_len: original_len as f64,
            };
            rope.freq_factors = Some(llama3.freq_factors(rope.theta, rope.dims));
        }
        other => {
            let message =
                format!("`{other}`, expected default, dynamic, linear, llama3 or yarn: llama.cpp has no other");
            return Err(object.fault("rope_type", message));
        }
    }
    let expected = "a list of positive numbers, one for each frequency";
    let listed = object.parsed("freq_factors", expected, |value| {
        let numbers: Option<Vec<f32>> = value.as_array()?.iter().map(|x| Some(x.as_f64()? as f32)).collect();
        numbers.filter(|all| all.len() == rope.dims / 2 && all.iter().all(|x| x.is_finite() && *x > 0.0))
    })?;
    if listed.is_some() {
        rope.freq_factors = listed;
    }
    if rope.freq_factors.is_some() && fields.text_or("model_type", "")? != "llama" {
        let message =
            format!("`{kind}`, expected a llama for a scaling of each frequency: llama.cpp has it nowhere else");
        return Err(object.fault("rope_type", message));
    }
    Ok(())
}

fn needed(object: &Fields<'_>, name: &str) -> Result<f64> {
    object
        .optional_number(name)?
        .ok_or_else(|| object.fault(name, "missing, expected a positive number"))
}

fn yarn(object: &Fields<'_>, max_seq_len: usize, original_len: usize) -> Result<Scaling> {
    object.fixed("truncate", true, true)?;
    let factor = object.number_or("factor", max_seq_len as f64 / original_len as f64)?;
    let by_weights = match (
        object.optional_number("mscale")?,
        object.optional_number("mscale_all_dim")?,
    ) {
        (Some(one), Some(all)) => length(factor, one) / length(factor, all),
        _ => length(factor, 1.0),
    };
    Ok(Scaling::Yarn(Yarn {
        factor,
        original_len,
        beta_fast: object.number_or("beta_fast", 32.0)?,
        beta_slow: object.number_or("beta_slow", 1.0)?,
        extra_length: object.number_or("attention_factor", by_weights)? / length(factor, 1.0),
    }))
}
