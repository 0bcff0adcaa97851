//! A model from the metadata of a GGUF file.
//!
//! What llama.cpp passes over in silence is refused here by its key: an entry that is not known might change the numbers.

use super::rope::{Scaling, Yarn};
use super::{Family, Model};
use crate::error::{Error, Result};
use crate::read::{Array, Gguf, ROPE_FREQS, Value};

/// Sizes beyond this are taken for damage, as in `rlhf-model`.
const LARGEST_SIZE: u64 = 1 << 24;
/// More layers than this are taken for damage.
const MOST_LAYERS: usize = 4096;
const DEFAULT_THETA: f64 = 10_000.0;

/// Entries of an architecture that are read below, or that change no number.
const KNOWN: [&str; 29] = [
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "vocab_size",
    "use_parallel_residual",
    "tensor_data_layout",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "attention.causal",
    "attention.sliding_window",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.attn_factor",
    "rope.scaling.original_context_length",
    "rope.scaling.finetuned",
    "rope.scaling.yarn_ext_factor",
    "rope.scaling.yarn_attn_factor",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "rope.scaling.yarn_log_multiplier",
    "pooling_type",
];

/// The entries of one architecture: `block_count` is `llama.block_count`.
struct Keys<'a> {
    file: &'a Gguf,
    family: Family,
}

impl<'a> Keys<'a> {
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.family.architecture())
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.file.value(&self.name(key))
    }

    fn fault(&self, key: &str, message: impl Into<String>) -> Error {
        Error::key(self.file.path(), &self.name(key), message)
    }

    fn parsed<T>(&self, key: &str, expected: &str, parse: impl FnOnce(&'a Value) -> Option<T>) -> Result<Option<T>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match parse(value) {
                Some(parsed) => Ok(Some(parsed)),
                None => Err(self.fault(key, format!("{value}, expected {expected}"))),
            },
        }
    }

    /// A size, or a list of one size per layer that are all alike.
    fn optional_size(&self, key: &str) -> Result<Option<usize>> {
        self.parsed(
            key,
            "a whole number in 1 ..= 16777216, the same in all layers",
            |value| {
                let size = match value {
                    Value::Array(list @ Array::Numbers { .. }) => {
                        let mut sizes = list.numbers();
                        let first = sizes.next()?;
                        sizes.all(|size| size == first).then(|| first.as_u64())?
                    }
                    single => single.as_u64(),
                };
                let size = size.filter(|size| (1..=LARGEST_SIZE).contains(size))?;
                usize::try_from(size).ok()
            },
        )
    }

    fn size(&self, key: &str) -> Result<usize> {
        self.optional_size(key)?
            .ok_or_else(|| self.fault(key, "missing, expected a whole number"))
    }

    fn optional_number(&self, key: &str) -> Result<Option<f64>> {
        self.parsed(key, "a positive number", |value| {
            value.as_f64().filter(|number| number.is_finite() && *number > 0.0)
        })
    }

    fn flag_or(&self, key: &str, default: bool) -> Result<bool> {
        Ok(self.parsed(key, "true or false", Value::as_bool)?.unwrap_or(default))
    }
}

impl Model {
    /// The model in `file`.
    pub(crate) fn from_metadata(file: &Gguf) -> Result<Self> {
        let family = family(file)?;
        let keys = Keys { file, family };
        refuse_unknown(&keys)?;
        let n_layers = keys.size("block_count")?;
        if n_layers > MOST_LAYERS {
            let message = format!("{n_layers} layers, expected at most {MOST_LAYERS}");
            return Err(keys.fault("block_count", message));
        }
        let d_model = keys.size("embedding_length")?;
        let max_seq_len = keys.size("context_length")?;
        let (n_heads, n_kv_heads, d_head) = heads(&keys, d_model)?;
        let rotary_dims = rotary_dims(&keys, d_head)?;
        let theta = keys.optional_number("rope.freq_base")?.unwrap_or(DEFAULT_THETA);
        if theta <= 1.0 {
            return Err(keys.fault("rope.freq_base", format!("{theta}, expected more than 1")));
        }
        let scaling = scaling(&keys, max_seq_len)?;
        let (vocab_size, tied) = vocabulary(&keys, d_model)?;
        let bias = |names: [&str; 3]| {
            let all = names.map(|name| file.tensor(&format!("blk.0.{name}.bias")).is_some());
            all == [true; 3]
        };
        let attention_bias = bias(["attn_q", "attn_k", "attn_v"]);
        let mut model = Self {
            family,
            vocab_size,
            max_seq_len,
            d_model,
            d_inner: keys.size("feed_forward_length")?,
            n_layers,
            n_heads,
            n_kv_heads,
            d_head,
            eps: epsilon(&keys)?,
            rotary_dims,
            theta,
            scaling,
            freq_factors: freq_factors(&keys, rotary_dims)?,
            tied,
            qkv_bias: true,
            out_bias: true,
            mlp_bias: true,
            parallel: keys.flag_or("use_parallel_residual", family == Family::GptNeox)?,
            bos: token(file, "bos", vocab_size)?,
            eos: token(file, "eos", vocab_size)?,
            pad: token(file, "padding", vocab_size)?,
        };
        if family.like_llama() {
            // transformers' llama has one switch for all four biases of the attention; qwen2 has those of q, k and v.
            let all_four = attention_bias && bias(["attn_q", "attn_output", "attn_v"]);
            model.qkv_bias = family == Family::Qwen2 || family == Family::Llama && all_four;
            model.out_bias = family == Family::Llama && all_four;
            model.mlp_bias = family == Family::Llama && bias(["ffn_gate", "ffn_up", "ffn_down"]);
        }
        Ok(model)
    }
}

fn family(file: &Gguf) -> Result<Family> {
    let fault = |key: &str, message: String| Err(Error::key(file.path(), key, message));
    if let Some(kind) = file
        .value("general.type")
        .filter(|kind| kind.as_text() != Some("model"))
    {
        return fault(
            "general.type",
            format!("{kind}, expected \"model\": an adapter or a part is none"),
        );
    }
    if let Some(parts) = file
        .value("split.count")
        .filter(|parts| !parts.is_off() && parts.as_u64() != Some(1))
    {
        let message =
            format!("the first of {parts} parts or another, expected one file; `llama-gguf-split --merge` joins them");
        return fault("split.count", message);
    }
    let key = "general.architecture";
    let Some(value) = file.value(key) else {
        return fault(key, format!("missing, expected one of {}", Family::architectures()));
    };
    match value.as_text().and_then(Family::from_architecture) {
        Some(family) => Ok(family),
        None => fault(key, format!("{value}, expected one of {}", Family::architectures())),
    }
}

/// Entries of the architecture that are not known may be there if they are off.
fn refuse_unknown(keys: &Keys<'_>) -> Result<()> {
    let prefix = keys.name("");
    for (key, value) in keys.file.metadata() {
        let Some(own) = key.strip_prefix(&prefix) else {
            continue;
        };
        if !KNOWN.contains(&own) && !value.is_off() {
            return Err(keys.fault(
                own,
                format!("{value}, which is not known here and may change the numbers"),
            ));
        }
    }
    if !keys.flag_or("attention.causal", true)? {
        return Err(keys.fault("attention.causal", "false, expected true"));
    }
    if keys.family != Family::GptNeox && keys.flag_or("use_parallel_residual", false)? {
        return Err(keys.fault("use_parallel_residual", "true, expected false"));
    }
    let window = keys.optional_size("attention.sliding_window");
    let len = keys.optional_size("context_length")?.unwrap_or(usize::MAX);
    match keys.get("attention.sliding_window") {
        Some(value) if !value.is_off() && window?.is_none_or(|window| window < len) => {
            let message = format!(
                "{value}, expected none below context_length {len}: {} has no window here",
                keys.family.architecture()
            );
            Err(keys.fault("attention.sliding_window", message))
        }
        _ => Ok(()),
    }
}

fn heads(keys: &Keys<'_>, d_model: usize) -> Result<(usize, usize, usize)> {
    let n_heads = keys.size("attention.head_count")?;
    let n_kv_heads = keys.optional_size("attention.head_count_kv")?.unwrap_or(n_heads);
    if !n_heads.is_multiple_of(n_kv_heads) {
        let message = format!("{n_kv_heads}, which does not divide attention.head_count {n_heads}");
        return Err(keys.fault("attention.head_count_kv", message));
    }
    if !keys.family.like_llama() && n_kv_heads != n_heads {
        let message = format!("{n_kv_heads}, expected attention.head_count {n_heads}");
        return Err(keys.fault("attention.head_count_kv", message));
    }
    let named = keys.optional_size("attention.key_length")?;
    let d_head = match named {
        Some(d_head) => d_head,
        None if d_model.is_multiple_of(n_heads) => d_model / n_heads,
        None => {
            let message = format!("{n_heads}, which does not divide embedding_length {d_model}");
            return Err(keys.fault("attention.head_count", message));
        }
    };
    if !keys.family.like_llama() && n_heads * d_head != d_model {
        let message = format!("{d_head} times {n_heads} heads, expected embedding_length {d_model}");
        return Err(keys.fault("attention.key_length", message));
    }
    let values = keys.optional_size("attention.value_length")?.unwrap_or(d_head);
    if values != d_head {
        let message = format!("{values}, expected the length of the keys, {d_head}");
        return Err(keys.fault("attention.value_length", message));
    }
    Ok((n_heads, n_kv_heads, d_head))
}

fn rotary_dims(keys: &Keys<'_>, d_head: usize) -> Result<usize> {
    if keys.family == Family::Gpt2 {
        return Ok(0);
    }
    let dims = keys.optional_size("rope.dimension_count")?.unwrap_or(d_head);
    let whole = keys.family.like_llama();
    if whole && dims != d_head || dims > d_head || !dims.is_multiple_of(2) {
        let expected = if whole { "all of" } else { "an even number up to" };
        let message = format!("{dims} features of a head, expected {expected} its {d_head}, which is even");
        return Err(keys.fault("rope.dimension_count", message));
    }
    Ok(dims)
}

fn epsilon(keys: &Keys<'_>) -> Result<f64> {
    let key = if keys.family.like_llama() {
        "attention.layer_norm_rms_epsilon"
    } else {
        "attention.layer_norm_epsilon"
    };
    keys.optional_number(key)?
        .ok_or_else(|| keys.fault(key, "missing, expected a positive number"))
}

fn scaling(keys: &Keys<'_>, max_seq_len: usize) -> Result<Scaling> {
    let factor = match keys.optional_number("rope.scaling.factor")? {
        Some(factor) => Some(factor),
        None => keys.optional_number("rope.scale_linear")?,
    };
    // llama.cpp takes a factor without a type for linear scaling.
    let default = if factor.is_some_and(|factor| factor != 1.0) {
        "linear"
    } else {
        "none"
    };
    let kind = keys
        .parsed("rope.scaling.type", "none, linear or yarn", Value::as_text)?
        .unwrap_or(default);
    let number = |key: &str, default: f64| Ok::<f64, Error>(keys.optional_number(key)?.unwrap_or(default));
    let extra_length = number("rope.scaling.attn_factor", 1.0)? * number("rope.scaling.yarn_attn_factor", 1.0)?;
    if kind != "yarn" && extra_length != 1.0 {
        return Err(keys.fault(
            "rope.scaling.attn_factor",
            format!("{extra_length} without yarn, expected 1"),
        ));
    }
    match kind {
        "none" => Ok(Scaling::None),
        "linear" => match factor {
            Some(factor) => Ok(Scaling::Linear { factor }),
            None => Err(keys.fault("rope.scaling.factor", "missing, expected the factor of linear scaling")),
        },
        "yarn" => {
            let blend = keys.get("rope.scaling.yarn_ext_factor").and_then(Value::as_f64);
            // Below 0 leaves the choice to the type, which is 1.
            if blend.is_some_and(|blend| blend >= 0.0 && blend != 1.0) {
                let message = format!("{}, expected 1", blend.unwrap_or_default());
                return Err(keys.fault("rope.scaling.yarn_ext_factor", message));
            }
            if keys
                .get("rope.scaling.yarn_log_multiplier")
                .is_some_and(|value| !value.is_off())
            {
                return Err(keys.fault("rope.scaling.yarn_log_multiplier", "expected none"));
            }
            let missing = || keys.fault("rope.scaling.factor", "missing, expected the factor of yarn");
            Ok(Scaling::Yarn(Yarn {
                factor: factor.ok_or_else(missing)?,
                original_len: keys
                    .optional_size("rope.scaling.original_context_length")?
                    .unwrap_or(max_seq_len),
                beta_fast: number("rope.scaling.yarn_beta_fast", 32.0)?,
                beta_slow: number("rope.scaling.yarn_beta_slow", 1.0)?,
                extra_length,
            }))
        }
        other => Err(keys.fault("rope.scaling.type", format!("`{other}`, expected none, linear or yarn"))),
    }
}

fn freq_factors(keys: &Keys<'_>, dims: usize) -> Result<Option<Vec<f32>>> {
    let Some(factors) = keys.file.freq_factors() else {
        return Ok(None);
    };
    if factors.len() != dims / 2 || keys.family == Family::Gpt2 {
        let message = format!(
            "{} factors, expected one for each of {} frequencies",
            factors.len(),
            dims / 2
        );
        return Err(Error::tensor(keys.file.path(), ROPE_FREQS, message));
    }
    Ok(Some(factors.to_vec()))
}

/// Rows of the embedding, and whether it is the head too.
fn vocabulary(keys: &Keys<'_>, d_model: usize) -> Result<(usize, bool)> {
    let name = "token_embd.weight";
    let fault = |message: String| Error::tensor(keys.file.path(), name, message);
    let Some(tokens) = keys.file.tensor(name) else {
        return Err(fault("missing, so the file holds no whole model".to_owned()));
    };
    match tokens.dims[..] {
        [width, rows] if width == d_model as u64 && rows <= LARGEST_SIZE => {
            let tied = keys.file.tensor("output.weight").is_none() || keys.file.head_is_copy();
            Ok((rows as usize, tied))
        }
        _ => Err(fault(format!(
            "shape {:?}, expected [{d_model}, tokens], at most 16777216 tokens",
            tokens.dims
        ))),
    }
}

/// The special token that `tokenizer.ggml.{name}_token_id` names.
fn token(file: &Gguf, name: &str, vocab_size: usize) -> Result<Option<u32>> {
    let key = format!("tokenizer.ggml.{name}_token_id");
    let Some(value) = file.value(&key) else {
        return Ok(None);
    };
    // Some writers say so that there is none.
    if value.as_u64() == Some(u64::from(u32::MAX)) || *value == Value::Signed(-1) {
        return Ok(None);
    }
    match value.as_u64().filter(|&id| id < vocab_size as u64) {
        Some(id) => Ok(Some(id as u32)),
        None => Err(Error::key(
            file.path(),
            &key,
            format!("{value}, expected a token below {vocab_size}"),
        )),
    }
}
