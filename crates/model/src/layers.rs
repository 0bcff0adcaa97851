//! The layers of a decoder, each a thin shell around its fused operation.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Values drawn from a normal distribution with mean 0, by the Box–Muller transform.
pub(crate) fn normal(count: usize, std: f64, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt() * std;
        let angle = std::f64::consts::TAU * rng.random::<f64>();
        values.push((radius * angle.cos()) as f32);
        values.push((radius * angle.sin()) as f32);
    }
    values.truncate(count);
    values
}

fn parameter<const D: usize>(values: Vec<f32>, dims: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(values, dims), device))
}

/// Rows of a table by index.
#[derive(Module, Debug)]
pub(crate) struct Embedding {
    /// `[entries, d_model]`
    pub(crate) weight: Param<Tensor<2>>,
}

impl Embedding {
    pub(crate) fn init(entries: usize, width: usize, std: f64, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        Self {
            weight: parameter(normal(entries * width, std, rng), [entries, width], device),
        }
    }

    /// `ids`: `[tokens]`; result `[tokens, d_model]`
    pub(crate) fn forward(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        self.weight.val().select(0, ids)
    }
}

/// `x @ weight + bias`, weights stored `[in, out]` as GPT-2 does.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Linear {
    pub(crate) fn init(input: usize, output: usize, std: f64, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        Self {
            weight: parameter(normal(input * output, std, rng), [input, output], device),
            bias: parameter(vec![0.0; output], [output], device),
        }
    }

    /// `x`: `[tokens, in]`; result `[tokens, out]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        rlhf_kernels::linear(x, self.weight.val(), Some(self.bias.val()))
    }
}

/// Layer normalisation over the last dimension.
#[derive(Module, Debug)]
pub(crate) struct LayerNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

impl LayerNorm {
    pub(crate) fn init(width: usize, device: &Device) -> Self {
        Self {
            weight: parameter(vec![1.0; width], [width], device),
            bias: parameter(vec![0.0; width], [width], device),
        }
    }

    /// `x`: `[tokens, d_model]`
    pub(crate) fn forward(&self, x: Tensor<2>, eps: f64) -> Tensor<2> {
        rlhf_kernels::layer_norm(x, self.weight.val(), self.bias.val(), eps)
    }
}

/// The two linear layers around attention; attention itself has no weights.
#[derive(Module, Debug)]
pub(crate) struct Attention {
    /// `[d_model, 3 * d_model]`: queries, keys, values.
    pub(crate) c_attn: Linear,
    pub(crate) c_proj: Linear,
}

/// Feed-forward layer with GELU in its tanh form.
#[derive(Module, Debug)]
pub(crate) struct Mlp {
    c_fc: Linear,
    c_proj: Linear,
}

/// One pre-norm transformer block.
#[derive(Module, Debug)]
pub(crate) struct Block {
    pub(crate) ln_1: LayerNorm,
    pub(crate) attn: Attention,
    pub(crate) ln_2: LayerNorm,
    pub(crate) mlp: Mlp,
}

impl Block {
    pub(crate) fn init(config: &crate::ModelConfig, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let (d, inner, std) = (config.n_embd, config.d_inner(), config.initializer_range);
        // GPT-2 scales the layers that write into the residual stream by 1/sqrt(number of such layers).
        let residual_std = std / (2.0 * config.n_layer as f64).sqrt();
        Self {
            ln_1: LayerNorm::init(d, device),
            attn: Attention {
                c_attn: Linear::init(d, 3 * d, std, rng, device),
                c_proj: Linear::init(d, d, residual_std, rng, device),
            },
            ln_2: LayerNorm::init(d, device),
            mlp: Mlp {
                c_fc: Linear::init(d, inner, std, rng, device),
                c_proj: Linear::init(inner, d, residual_std, rng, device),
            },
        }
    }

    /// The block around an attention that turns `[tokens, 3 * d_model]` into `[tokens, d_model]`.
    pub(crate) fn forward(&self, x: Tensor<2>, eps: f64, attend: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Tensor<2> {
        let qkv = self.attn.c_attn.forward(self.ln_1.forward(x.clone(), eps)); // [tokens, 3 * d_model]
        let x = x + self.attn.c_proj.forward(attend(qkv)); // [tokens, d_model]
        let inner = self.mlp.c_fc.forward(self.ln_2.forward(x.clone(), eps)); // [tokens, d_inner]
        x + self.mlp.c_proj.forward(rlhf_kernels::gelu_tanh(inner))
    }
}
