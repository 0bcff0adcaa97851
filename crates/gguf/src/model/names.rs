//! One table per family: the tensors of a model by both names, with their shapes and the order of their rows.

use super::order::Order;
use super::{Family, Model};

/// A tensor that a model has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spec {
    /// The name in a GGUF file.
    pub(crate) stored: String,
    /// The name in transformers' checkpoint.
    pub(crate) name: String,
    /// Sizes in the file, the length of a row first.
    pub(crate) dims: Vec<usize>,
    pub(crate) order: Order,
}

impl Spec {
    /// The shape in transformers' checkpoint.
    pub(crate) fn shape(&self) -> Vec<usize> {
        match self.order {
            Order::Transposed => self.dims.clone(),
            _ => self.dims.iter().rev().copied().collect(),
        }
    }

    /// Rows in the file that [`Order`] moves about: those of a matrix, the numbers of a bias.
    pub(crate) fn rows(&self) -> usize {
        *self.dims.last().expect("no tensor of the tables is without dimensions")
    }
}

/// A linear layer: names without `.weight`, width of its input and of its output.
struct Linear {
    stored: &'static str,
    name: &'static str,
    input: usize,
    output: usize,
    order: Order,
    bias: bool,
}

/// Every tensor of a model, layer after layer, so that a reader can stop at the first that is not there.
pub(crate) fn specs(model: &Model) -> impl Iterator<Item = Spec> {
    let layers = (0..model.n_layers).flat_map(move |layer| block(model, layer));
    ends(model).into_iter().chain(layers)
}

/// Names of transformers before the layers' own, of the layers, and of the four tensors outside of them.
struct Frame {
    layers: &'static str,
    tokens: &'static str,
    norm: &'static str,
    head: &'static str,
}

fn frame(family: Family) -> Frame {
    match family {
        Family::Gpt2 => Frame {
            layers: "transformer.h.",
            tokens: "transformer.wte",
            norm: "transformer.ln_f",
            head: "lm_head",
        },
        Family::GptNeox => Frame {
            layers: "gpt_neox.layers.",
            tokens: "gpt_neox.embed_in",
            norm: "gpt_neox.final_layer_norm",
            head: "embed_out",
        },
        _ => Frame {
            layers: "model.layers.",
            tokens: "model.embed_tokens",
            norm: "model.norm",
            head: "lm_head",
        },
    }
}

fn plain(stored: &str, name: &str, dims: &[usize]) -> Spec {
    Spec {
        stored: stored.to_owned(),
        name: name.to_owned(),
        dims: dims.to_vec(),
        order: Order::Same,
    }
}

fn norm(model: &Model, stored: &str, name: &str, width: usize) -> Vec<Spec> {
    let parts: &[&str] = if model.family.like_llama() {
        &["weight"]
    } else {
        &["weight", "bias"]
    };
    let part = |part| plain(&format!("{stored}.{part}"), &format!("{name}.{part}"), &[width]);
    parts.iter().map(part).collect()
}

/// What stands before and after the layers.
fn ends(model: &Model) -> Vec<Spec> {
    let frame = frame(model.family);
    let table = [model.d_model, model.vocab_size];
    let mut all = vec![plain("token_embd.weight", &format!("{}.weight", frame.tokens), &table)];
    if model.family == Family::Gpt2 {
        let dims = [model.d_model, model.max_seq_len];
        all.push(plain("position_embd.weight", "transformer.wpe.weight", &dims));
    }
    all.extend(norm(model, "output_norm", frame.norm, model.d_model));
    if !model.tied {
        all.push(plain("output.weight", &format!("{}.weight", frame.head), &table));
    }
    all
}

fn block(model: &Model, layer: usize) -> Vec<Spec> {
    let family = model.family;
    let (stored, name) = (format!("blk.{layer}."), format!("{}{layer}.", frame(family).layers));
    let (norm_1, norm_2) = if family == Family::Gpt2 {
        ("ln_1", "ln_2")
    } else {
        ("input_layernorm", "post_attention_layernorm")
    };
    let mut all = norm(
        model,
        &format!("{stored}attn_norm"),
        &format!("{name}{norm_1}"),
        model.d_model,
    );
    if family == Family::Qwen3 {
        for (ours, theirs) in [("attn_q_norm", "q_norm"), ("attn_k_norm", "k_norm")] {
            let name = format!("{name}self_attn.{theirs}");
            all.extend(norm(model, &format!("{stored}{ours}"), &name, model.d_head));
        }
    }
    all.extend(norm(
        model,
        &format!("{stored}ffn_norm"),
        &format!("{name}{norm_2}"),
        model.d_model,
    ));
    let layers = match family {
        Family::Gpt2 => gpt2(model),
        Family::GptNeox => gpt_neox(model),
        _ => llama(model),
    };
    for linear in layers {
        let (stored, name) = (format!("{stored}{}", linear.stored), format!("{name}{}", linear.name));
        let parts = [
            ("weight", vec![linear.input, linear.output]),
            ("bias", vec![linear.output]),
        ];
        for (part, dims) in parts.into_iter().take(if linear.bias { 2 } else { 1 }) {
            // A bias has nothing to turn.
            let turned = linear.order == Order::Transposed && part == "bias";
            all.push(Spec {
                stored: format!("{stored}.{part}"),
                name: format!("{name}.{part}"),
                dims,
                order: if turned { Order::Same } else { linear.order },
            });
        }
    }
    all
}

type Row = (&'static str, &'static str, usize, usize, Order, bool);

fn linears<const N: usize>(rows: [Row; N]) -> Vec<Linear> {
    let linear = |(stored, name, input, output, order, bias)| Linear {
        stored,
        name,
        input,
        output,
        order,
        bias,
    };
    rows.map(linear).into()
}

fn llama(model: &Model) -> Vec<Linear> {
    let Model { d_model, d_inner, .. } = *model;
    let (query, key) = (model.n_heads * model.d_head, model.n_kv_heads * model.d_head);
    let rotary = |n_heads| match model.family {
        Family::Llama => Order::Rotary { n_heads },
        _ => Order::Same,
    };
    let (of_q, of_k) = (rotary(model.n_heads), rotary(model.n_kv_heads));
    let (qkv, out, mlp) = (model.qkv_bias, model.out_bias, model.mlp_bias);
    linears([
        ("attn_q", "self_attn.q_proj", d_model, query, of_q, qkv),
        ("attn_k", "self_attn.k_proj", d_model, key, of_k, qkv),
        ("attn_v", "self_attn.v_proj", d_model, key, Order::Same, qkv),
        ("attn_output", "self_attn.o_proj", query, d_model, Order::Same, out),
        ("ffn_gate", "mlp.gate_proj", d_model, d_inner, Order::Same, mlp),
        ("ffn_up", "mlp.up_proj", d_model, d_inner, Order::Same, mlp),
        ("ffn_down", "mlp.down_proj", d_inner, d_model, Order::Same, mlp),
    ])
}

fn gpt2(model: &Model) -> Vec<Linear> {
    let Model { d_model, d_inner, .. } = *model;
    linears([
        ("attn_qkv", "attn.c_attn", d_model, 3 * d_model, Order::Transposed, true),
        ("attn_output", "attn.c_proj", d_model, d_model, Order::Transposed, true),
        ("ffn_up", "mlp.c_fc", d_model, d_inner, Order::Transposed, true),
        ("ffn_down", "mlp.c_proj", d_inner, d_model, Order::Transposed, true),
    ])
}

fn gpt_neox(model: &Model) -> Vec<Linear> {
    let Model { d_model, d_inner, .. } = *model;
    let qkv = Order::HeadByHead { n_heads: model.n_heads };
    linears([
        ("attn_qkv", "attention.query_key_value", d_model, 3 * d_model, qkv, true),
        ("attn_output", "attention.dense", d_model, d_model, Order::Same, true),
        ("ffn_up", "mlp.dense_h_to_4h", d_model, d_inner, Order::Same, true),
        ("ffn_down", "mlp.dense_4h_to_h", d_inner, d_model, Order::Same, true),
    ])
}

/// Why a tensor that the family has not cannot just be left out.
pub(crate) fn surplus_hint(model: &Model) -> String {
    format!(
        "{} of {} layers has no such tensor, and leaving it out would change what it computes",
        model.family.architecture(),
        model.n_layers
    )
}
