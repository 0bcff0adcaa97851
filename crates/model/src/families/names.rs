//! One table per family: which tensors of a checkpoint make up each parameter of the decoder, and how they are laid out.
//!
//! Parameters have the names of our modules, which are GPT-2's; `#` stands for the number of the block. Loading, saving
//! and naming gradients all read the same table.

use super::{Family, Head};
use crate::architecture::{Activation, Architecture, AttentionShape, NormKind, Positions};

/// Layout of a parameter `[in, out]` in the tensors of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// As we keep it.
    Same,
    /// `[out, in]`, with the outputs of several tensors one after the other.
    Transposed,
    /// `[out, in]`, with the outputs head by head: query, key and value of head 0, then of head 1.
    HeadByHead {
        /// Heads.
        n_heads: usize,
    },
}

impl Layout {
    /// Index, among our `out` outputs, of the stored output `stored`.
    pub(crate) fn output(self, stored: usize, out: usize) -> usize {
        match self {
            Self::Same | Self::Transposed => stored,
            Self::HeadByHead { n_heads } => {
                let d_head = out / (3 * n_heads);
                let (head, rest) = (stored / (3 * d_head), stored % (3 * d_head));
                (rest / d_head) * n_heads * d_head + head * d_head + rest % d_head
            }
        }
    }
}

/// A tensor of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
}

/// A parameter and the tensors that hold it, whose outputs follow each other in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredParameter {
    /// The path of the field in the module.
    pub(crate) name: String,
    /// Our shape: `[features]`, `[in, out]`, or `[entries, features]` for tables.
    pub(crate) shape: Vec<usize>,
    pub(crate) layout: Layout,
    pub(crate) parts: Vec<Part>,
}

impl StoredParameter {
    /// First output and number of outputs that tensor `part` holds, in the order in which tensors follow each other.
    pub(crate) fn columns(&self, part: usize) -> (usize, usize) {
        let out = self.shape[self.shape.len() - 1];
        if self.layout == Layout::Same {
            return (0, out);
        }
        let widths = self.parts.iter().map(|part| part.shape[0]);
        (widths.take(part).sum(), self.parts[part].shape[0])
    }
}

/// A family's names of the tensors of a block and of the rest; `weight` and `bias` follow after a dot.
pub(super) struct Names {
    /// Before the names of everything but the heads.
    pub(super) trunk: &'static str,
    pub(super) tokens: &'static str,
    positions: Option<&'static str>,
    block: &'static str,
    norm_1: &'static str,
    /// Queries, keys and values: three tensors, or one.
    qkv: &'static [&'static str],
    q_norm: &'static str,
    k_norm: &'static str,
    out: &'static str,
    norm_2: &'static str,
    /// The first layer of the MLP: the gate and what it lets through, or one tensor.
    up: &'static [&'static str],
    down: &'static str,
    last_norm: &'static str,
    pub(super) lm_head: &'static str,
    /// Ends of the names of buffers that hold no weights: causal masks, frequencies.
    pub(super) buffers: &'static [&'static str],
}

const GPT2: Names = Names {
    trunk: "transformer.",
    tokens: "wte",
    positions: Some("wpe"),
    block: "h.#.",
    norm_1: "ln_1",
    qkv: &["attn.c_attn"],
    q_norm: "",
    k_norm: "",
    out: "attn.c_proj",
    norm_2: "ln_2",
    up: &["mlp.c_fc"],
    down: "mlp.c_proj",
    last_norm: "ln_f",
    lm_head: "lm_head",
    buffers: &[".attn.bias", ".attn.masked_bias"],
};

const GPT_NEOX: Names = Names {
    trunk: "gpt_neox.",
    tokens: "embed_in",
    positions: None,
    block: "layers.#.",
    norm_1: "input_layernorm",
    qkv: &["attention.query_key_value"],
    q_norm: "",
    k_norm: "",
    out: "attention.dense",
    norm_2: "post_attention_layernorm",
    up: &["mlp.dense_h_to_4h"],
    down: "mlp.dense_4h_to_h",
    last_norm: "final_layer_norm",
    lm_head: "embed_out",
    buffers: &[".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"],
};

/// Llama, Mistral, Qwen2, Qwen3 and SmolLM3.
const LLAMA: Names = Names {
    trunk: "model.",
    tokens: "embed_tokens",
    positions: None,
    block: "layers.#.",
    norm_1: "input_layernorm",
    qkv: &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    q_norm: "self_attn.q_norm",
    k_norm: "self_attn.k_norm",
    out: "self_attn.o_proj",
    norm_2: "post_attention_layernorm",
    up: &["mlp.gate_proj", "mlp.up_proj"],
    down: "mlp.down_proj",
    last_norm: "norm",
    lm_head: "lm_head",
    buffers: &["rotary_emb.inv_freq"],
};

/// Phi-3: the same with fused layers.
const PHI3: Names = Names {
    qkv: &["self_attn.qkv_proj"],
    up: &["mlp.gate_up_proj"],
    ..LLAMA
};

impl Family {
    pub(super) fn names(self) -> &'static Names {
        match self {
            Self::Gpt2 => &GPT2,
            Self::GptNeox => &GPT_NEOX,
            Self::Llama | Self::Mistral | Self::Qwen2 | Self::Qwen3 | Self::SmolLm3 => &LLAMA,
            Self::Phi3 => &PHI3,
        }
    }

    /// The linear layers of a block, as checkpoints of the family name them.
    pub(crate) fn linear_names(self) -> Vec<&'static str> {
        let names = self.names();
        [names.qkv, &[names.out], names.up, &[names.down]].concat()
    }

    fn layouts(self, attention: &AttentionShape) -> (Layout, Layout) {
        match self {
            Self::Gpt2 => (Layout::Same, Layout::Same),
            Self::GptNeox => (
                Layout::HeadByHead {
                    n_heads: attention.n_heads,
                },
                Layout::Transposed,
            ),
            _ => (Layout::Transposed, Layout::Transposed),
        }
    }
}

/// Every parameter of a model, block after block, so that a reader can stop at the first that is not there.
pub(crate) fn parameters(
    family: Family,
    architecture: &Architecture,
    head: Head,
) -> impl Iterator<Item = StoredParameter> {
    let table = Table {
        names: family.names(),
        family,
        architecture,
    };
    let first = table.embeddings();
    let blocks = (0..architecture.n_layers).flat_map(move |block| Table { ..table }.block(block));
    let last = Table {
        names: family.names(),
        family,
        architecture,
    }
    .last(head);
    first.into_iter().chain(blocks).chain(last)
}

/// The weights of the linear layers of all blocks.
pub(crate) fn linear_weights(family: Family, architecture: &Architecture) -> Vec<StoredParameter> {
    parameters(family, architecture, Head::Trunk)
        .filter(|parameter| parameter.name.starts_with("transformer.h.") && parameter.shape.len() == 2)
        .collect()
}

/// The names of a family with the sizes of a model.
#[derive(Clone, Copy)]
struct Table<'a> {
    names: &'static Names,
    family: Family,
    architecture: &'a Architecture,
}

impl Table<'_> {
    fn embeddings(self) -> Vec<StoredParameter> {
        let Architecture {
            vocab_size,
            max_seq_len,
            d_model,
            ..
        } = *self.architecture;
        let mut all = vec![self.whole("wte.weight", "", self.names.tokens, &[vocab_size, d_model])];
        if let (Some(positions), Positions::Learned) = (self.names.positions, &self.architecture.positions) {
            all.push(self.whole("wpe.weight", "", positions, &[max_seq_len, d_model]));
        }
        all
    }

    fn block(self, index: usize) -> Vec<StoredParameter> {
        let Architecture {
            d_model,
            d_inner,
            mlp_bias,
            ..
        } = *self.architecture;
        let (names, attention) = (self.names, &self.architecture.attention);
        let (qkv_layout, layout) = self.family.layouts(attention);
        let of = names.block.replace('#', &index.to_string());
        let ours = |name: &str| format!("h.{index}.{name}");

        let query = attention.n_heads * attention.d_head;
        let key = attention.n_kv_heads * attention.d_head;
        let qkv_widths = if names.qkv.len() == 1 {
            vec![query + 2 * key]
        } else {
            vec![query, key, key]
        };
        let up_widths = match self.architecture.activation {
            Activation::SwiGlu if names.up.len() == 1 => vec![2 * d_inner],
            Activation::SwiGlu => vec![d_inner, d_inner],
            Activation::GeluTanh | Activation::GeluErf => vec![d_inner],
        };
        let mut all = self.norm(&ours("ln_1"), &of, names.norm_1);
        let wide = Layer {
            layout: qkv_layout,
            bias: attention.qkv_bias,
            input: d_model,
        };
        all.extend(self.linear(&ours("attn.c_attn"), &of, names.qkv, &qkv_widths, wide));
        let narrow = Layer {
            layout,
            bias: attention.out_bias,
            input: query,
        };
        all.extend(self.linear(&ours("attn.c_proj"), &of, &[names.out], &[d_model], narrow));
        if attention.qk_norm {
            for (name, stored) in [
                ("attn.q_norm.weight", names.q_norm),
                ("attn.k_norm.weight", names.k_norm),
            ] {
                all.push(self.whole(&ours(name), &of, stored, &[attention.d_head]));
            }
        }
        all.extend(self.norm(&ours("ln_2"), &of, names.norm_2));
        let up = Layer {
            layout,
            bias: mlp_bias,
            input: d_model,
        };
        all.extend(self.linear(&ours("mlp.c_fc"), &of, names.up, &up_widths, up));
        let down = Layer {
            layout,
            bias: mlp_bias,
            input: d_inner,
        };
        all.extend(self.linear(&ours("mlp.c_proj"), &of, &[names.down], &[d_model], down));
        all
    }

    fn last(self, head: Head) -> Vec<StoredParameter> {
        let Architecture {
            vocab_size,
            d_model,
            tied_head,
            ..
        } = *self.architecture;
        let bare = |name: &str, stored: String, shape: &[usize]| StoredParameter {
            name: name.to_owned(),
            shape: shape.to_vec(),
            layout: Layout::Same,
            parts: vec![Part {
                name: stored,
                shape: shape.to_vec(),
            }],
        };
        let mut all = self.norm("ln_f", "", self.names.last_norm);
        match head {
            Head::Trunk => {}
            Head::Language if tied_head => {}
            Head::Language => {
                let stored = format!("{}.weight", self.names.lm_head);
                all.push(bare("lm_head.weight", stored, &[vocab_size, d_model]));
            }
            Head::Scalar => {
                all.push(bare("score.weight", "score.weight".into(), &[1, d_model]));
                all.push(bare("score.bias", "score.bias".into(), &[1]));
            }
        }
        all
    }

    /// A parameter of the trunk that is a tensor of the checkpoint, without more ado.
    fn whole(self, ours: &str, of: &str, stored: &str, shape: &[usize]) -> StoredParameter {
        let suffix = ours.rsplit_once('.').map_or(ours, |(_, suffix)| suffix);
        StoredParameter {
            name: format!("transformer.{ours}"),
            shape: shape.to_vec(),
            layout: Layout::Same,
            parts: vec![Part {
                name: format!("{}{of}{stored}.{suffix}", self.names.trunk),
                shape: shape.to_vec(),
            }],
        }
    }

    fn norm(self, ours: &str, of: &str, stored: &str) -> Vec<StoredParameter> {
        let suffixes: &[&str] = match self.architecture.norm.kind {
            NormKind::Layer => &["weight", "bias"],
            NormKind::Rms => &["weight"],
        };
        let width = [self.architecture.d_model];
        suffixes
            .iter()
            .map(|suffix| self.whole(&format!("{ours}.{suffix}"), of, stored, &width))
            .collect()
    }

    fn linear(self, ours: &str, of: &str, stored: &[&str], widths: &[usize], layer: Layer) -> Vec<StoredParameter> {
        let Layer { layout, bias, input } = layer;
        let out = widths.iter().sum();
        let parameter = |suffix: &str, shape: Vec<usize>, part: &dyn Fn(usize) -> Vec<usize>| StoredParameter {
            name: format!("transformer.{ours}.{suffix}"),
            shape,
            layout,
            parts: stored
                .iter()
                .zip(widths)
                .map(|(stored, &width)| Part {
                    name: format!("{}{of}{stored}.{suffix}", self.names.trunk),
                    shape: part(width),
                })
                .collect(),
        };
        let weight = parameter("weight", vec![input, out], &|width| match layout {
            Layout::Same => vec![input, width],
            Layout::Transposed | Layout::HeadByHead { .. } => vec![width, input],
        });
        let mut all = vec![weight];
        if bias {
            all.push(parameter("bias", vec![out], &|width| vec![width]));
        }
        all
    }
}

/// Storage of a linear layer.
struct Layer {
    layout: Layout,
    bias: bool,
    input: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_head_by_head_are_sorted_into_queries_keys_and_values() {
        // Two heads of width 2: stored q0 q0 k0 k0 v0 v0 q1 q1 k1 k1 v1 v1, kept q0 q0 q1 q1 k0 k0 k1 k1 v0 v0 v1 v1.
        let layout = Layout::HeadByHead { n_heads: 2 };
        let places: Vec<usize> = (0..12).map(|stored| layout.output(stored, 12)).collect();
        assert_eq!(places, [0, 1, 4, 5, 8, 9, 2, 3, 6, 7, 10, 11]);
    }
}
