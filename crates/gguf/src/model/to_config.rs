//! A model as the fields of `config.json`.

use serde_json::{Map, Value, json};

use super::rope::{Llama3, Scaling};
use super::{Family, Model};

/// A JSON object from `json!`.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => unreachable!("it is written as an object"),
    }
}

impl Model {
    /// The fields of `config.json`, with transformers' names.
    pub(crate) fn to_config(&self) -> Map<String, Value> {
        let mut fields = match self.family {
            Family::Gpt2 => self.gpt2_fields(),
            Family::GptNeox => self.gpt_neox_fields(),
            _ => self.llama_fields(),
        };
        fields.insert("tie_word_embeddings".into(), json!(self.tied));
        for (name, id) in [("bos", self.bos), ("eos", self.eos), ("pad", self.pad)] {
            if let Some(id) = id {
                fields.insert(format!("{name}_token_id"), json!(id));
            }
        }
        fields
    }

    fn llama_fields(&self) -> Map<String, Value> {
        let mut fields = object(json!({
            "model_type": self.family.model_type(),
            "vocab_size": self.vocab_size,
            "hidden_size": self.d_model,
            "intermediate_size": self.d_inner,
            "num_hidden_layers": self.n_layers,
            "num_attention_heads": self.n_heads,
            "num_key_value_heads": self.n_kv_heads,
            "head_dim": self.d_head,
            "hidden_act": "silu",
            "max_position_embeddings": self.max_seq_len,
            "rms_norm_eps": self.eps,
            "rope_parameters": self.rope_parameters(),
        }));
        if self.family == Family::Llama {
            fields.insert("attention_bias".into(), json!(self.qkv_bias));
            fields.insert("mlp_bias".into(), json!(self.mlp_bias));
        } else {
            fields.insert("use_sliding_window".into(), json!(false));
        }
        fields
    }

    fn gpt2_fields(&self) -> Map<String, Value> {
        object(json!({
            "model_type": self.family.model_type(),
            "vocab_size": self.vocab_size,
            "n_positions": self.max_seq_len,
            "n_embd": self.d_model,
            "n_layer": self.n_layers,
            "n_head": self.n_heads,
            "n_inner": self.d_inner,
            "layer_norm_epsilon": self.eps,
            "activation_function": "gelu_new",
        }))
    }

    fn gpt_neox_fields(&self) -> Map<String, Value> {
        let mut rope = self.rope_parameters();
        rope.insert("partial_rotary_factor".into(), json!(self.partial()));
        object(json!({
            "model_type": self.family.model_type(),
            "vocab_size": self.vocab_size,
            "hidden_size": self.d_model,
            "intermediate_size": self.d_inner,
            "num_hidden_layers": self.n_layers,
            "num_attention_heads": self.n_heads,
            "hidden_act": "gelu",
            "max_position_embeddings": self.max_seq_len,
            "layer_norm_eps": self.eps,
            "use_parallel_residual": self.parallel,
            "attention_bias": true,
            "rotary_pct": self.partial(),
            "rotary_emb_base": self.theta,
            "rope_parameters": rope,
        }))
    }

    /// The share of a head that is rotated, such that cutting off the fraction of `d_head` times it gives the features.
    fn partial(&self) -> f64 {
        let partial = self.rotary_dims as f64 / self.d_head as f64;
        if (self.d_head as f64 * partial) as usize == self.rotary_dims {
            partial
        } else {
            partial.next_up()
        }
    }

    fn rope_parameters(&self) -> Map<String, Value> {
        let theta = json!(self.theta);
        let mut fields = match &self.scaling {
            Scaling::None => object(json!({"rope_type": "default", "rope_theta": theta})),
            Scaling::Linear { factor } => object(json!({"rope_type": "linear", "rope_theta": theta, "factor": factor})),
            Scaling::Yarn(yarn) => {
                let mut fields = object(json!({
                    "rope_type": "yarn",
                    "rope_theta": theta,
                    "factor": yarn.factor,
                    "original_max_position_embeddings": yarn.original_len,
                    "beta_fast": yarn.beta_fast,
                    "beta_slow": yarn.beta_slow,
                }));
                if yarn.extra_length != 1.0 {
                    let length = yarn.length() * yarn.extra_length;
                    fields.insert("attention_factor".into(), json!(length));
                }
                fields
            }
        };
        let Some(factors) = &self.freq_factors else {
            return fields;
        };
        match Llama3::recognise(factors, self.theta, self.rotary_dims) {
            Some(llama3) => fields.extend(object(json!({
                "rope_type": "llama3",
                "factor": llama3.factor,
                "low_freq_factor": llama3.low_freq_factor,
                "high_freq_factor": llama3.high_freq_factor,
                "original_max_position_embeddings": llama3.original_len as u64,
            }))),
            // A type of ours, so that whoever does not know the factors does not pass over them.
            None => fields.extend(object(json!({"rope_type": "freq_factors", "freq_factors": factors}))),
        }
        fields
    }
}
