//! The layers of a decoder, each a thin shell around its operations.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rlhf_core::index_tensor;
use rlhf_core::memory::F32;

use rlhf_kernels::PackedWeight;

use crate::architecture::{Activation, Architecture, AttentionShape, NormKind, Residual};
use crate::heads::reattach;
use crate::lora::{Adapter, Update};
use crate::precision::{Placement, WeightPrecision};
use crate::rotary::Rotation;

/// Initial values of parameters.
pub(crate) struct Start<'a> {
    /// Random numbers, or none for a module whose parameters are about to be replaced.
    rng: Option<ChaCha8Rng>,
    device: &'a Device,
    /// Precision of the matrices of a module without random numbers.
    weights: WeightPrecision,
}

impl<'a> Start<'a> {
    pub(crate) fn random(seed: u64, device: &'a Device) -> Self {
        Self {
            rng: Some(ChaCha8Rng::seed_from_u64(seed)),
            device,
            weights: WeightPrecision::F32,
        }
    }

    /// Zeros that take no memory.
    pub(crate) fn zeros(placement: Placement<'a>) -> Self {
        let Placement { device, weights } = placement;
        Self {
            rng: None,
            device,
            weights,
        }
    }

    pub(crate) fn normal<const D: usize>(&mut self, dims: [usize; D], std: f64) -> Param<Tensor<D>> {
        match &mut self.rng {
            Some(rng) => parameter(normal(dims.iter().product(), std, rng), dims, self.device),
            None => placeholder(dims, self.device, self.weights.dtype()),
        }
    }

    fn constant<const D: usize>(&self, value: f32, dims: [usize; D]) -> Param<Tensor<D>> {
        match self.rng {
            Some(_) => parameter(vec![value; dims.iter().product()], dims, self.device),
            None => placeholder(dims, self.device, DType::F32),
        }
    }
}

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

/// One zero, seen everywhere: a parameter of the right shape that is about to be replaced.
fn placeholder<const D: usize>(dims: [usize; D], device: &Device, dtype: DType) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::<D>::zeros([1; D], device).cast(dtype).expand(dims))
}

fn parameter<const D: usize>(values: Vec<f32>, dims: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(values, dims), device))
}

/// Rows of a table by index.
#[derive(Module, Debug)]
pub(crate) struct Embedding {
    /// `[entries, d_model]`
    pub(crate) weight: Param<Tensor<2>>,
    /// Substitute for it in a model that only decodes: the head that it is, `[d_model, entries]`.
    #[module(skip)]
    packed: Option<Box<PackedWeight>>,
}

impl Embedding {
    /// The embeddings of tokens.
    pub(crate) fn tokens(shape: &Architecture, start: &mut Start<'_>) -> Self {
        Self {
            weight: start.normal([shape.vocab_size, shape.d_model], shape.initializer_range),
            packed: None,
        }
    }

    /// The embeddings of positions.
    pub(crate) fn positions(shape: &Architecture, start: &mut Start<'_>) -> Self {
        Self {
            weight: start.normal([shape.max_seq_len, shape.d_model], shape.initializer_range),
            packed: None,
        }
    }

    /// Lets go of the weight, whose transpose `head` is, and reads it there: zeros take its place.
    pub(crate) fn stand_in(&mut self, head: PackedWeight) {
        let weight = self.weight.val();
        self.weight = placeholder(weight.dims(), &weight.device(), weight.dtype());
        self.packed = Some(Box::new(head));
    }

    /// `ids`: `[tokens]`; result `[tokens, d_model]`
    pub(crate) fn forward(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        if let Some(packed) = &self.packed {
            return packed.columns(ids);
        }
        let rows = self.weight.val().select(0, ids);
        match rows.dtype() {
            DType::BF16 => rows.cast(DType::F32),
            _ => rows,
        }
    }
}

/// `x @ weight + bias`, weights kept `[in, out]` as GPT-2 does.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    weight: Param<Tensor<2>>,
    bias: Option<Param<Tensor<1>>>,
    /// Low-rank updates of the weight; none unless LoRA is on.
    pub(crate) adapters: Vec<Adapter>,
    /// Substitute for the weight in a decoder that only decodes.
    #[module(skip)]
    packed: Option<Box<PackedWeight>>,
}

impl Linear {
    fn init(dims: [usize; 2], bias: bool, std: f64, start: &mut Start<'_>) -> Self {
        Self {
            weight: start.normal(dims, std),
            bias: bias.then(|| start.constant(0.0, [dims[1]])),
            adapters: Vec::new(),
            packed: None,
        }
    }

    /// Lays out the weight for decoding, where that makes a difference, and lets go of what it was: zeros take its place.
    pub(crate) fn pack(&mut self) {
        let weight = self.weight.val();
        if let Some(packed) = PackedWeight::new(&weight) {
            self.packed = Some(Box::new(packed));
            self.weight = placeholder(weight.dims(), &weight.device(), weight.dtype());
        }
    }

    /// Bytes of what [`Linear::pack`] lays out.
    pub(crate) fn packed_bytes(&self) -> u64 {
        let weight = self.weight.val().inner();
        let [inputs, out] = weight.dims();
        if PackedWeight::is_of_use(&weight) {
            F32 * (inputs * out) as u64
        } else {
            0
        }
    }

    /// `x @ weight + bias`, without adapters.
    fn product(&self, x: Tensor<2>) -> Tensor<2> {
        let bias = self.bias.as_ref().map(Param::val);
        match &self.packed {
            Some(packed) => packed.linear(x, bias),
            None => rlhf_kernels::linear(x, self.weight.val(), bias),
        }
    }

    /// `x`: `[tokens, in]`; result `[tokens, out]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let y = self.product(x.clone());
        if self.adapters.is_empty() {
            return y;
        }
        let [_, out] = y.dims();
        y + Update::of(&self.adapters, out).apply(x)
    }

    /// `inner`: what the activation takes, `[tokens, in]` or twice as wide; result `[tokens, out]`
    fn forward_activated(&self, inner: Tensor<2>, activation: Activation) -> Tensor<2> {
        // Adapters keep their input anyway, and nothing is kept where nothing is trained.
        if !self.adapters.is_empty() || self.packed.is_some() {
            return self.forward(activation.apply(inner));
        }
        let bias = self.bias.as_ref().map(Param::val);
        rlhf_kernels::activated_linear(inner, activation, self.weight.val(), bias)
    }

    /// Numbers in all adapters.
    pub(crate) fn adapter_size(&self) -> usize {
        let size = |adapter: &Adapter| {
            let sizes = adapter.sizes();
            sizes.rank * (sizes.input + sizes.width)
        };
        self.adapters.iter().map(size).sum()
    }

    /// The weight with the updates of the adapters, `[in, out]`, in f32 and off the graph.
    pub(crate) fn merged_weight(&self) -> Tensor<2> {
        let weight = self.weight.val().inner().cast(DType::F32);
        if self.adapters.is_empty() {
            return weight;
        }
        let [_, out] = weight.dims();
        weight + Update::of(&self.adapters, out).weight().inner()
    }

    /// Adds the updates of the adapters to the weight and takes them off.
    pub(crate) fn merge(&mut self) {
        if self.adapters.is_empty() {
            return;
        }
        let merged = self.merged_weight();
        self.adapters.clear();
        self.weight = self.weight.clone().map(|old| reattach(&old, merged));
    }
}

/// Normalisation over the last dimension: layer norm with a bias, RMS norm without.
#[derive(Module, Debug)]
pub(crate) struct Norm {
    weight: Param<Tensor<1>>,
    bias: Option<Param<Tensor<1>>>,
}

impl Norm {
    pub(crate) fn init(width: usize, kind: NormKind, start: &Start<'_>) -> Self {
        Self {
            weight: start.constant(1.0, [width]),
            bias: (kind == NormKind::Layer).then(|| start.constant(0.0, [width])),
        }
    }

    /// `x`: `[rows, width]`
    pub(crate) fn forward(&self, x: Tensor<2>, eps: f64) -> Tensor<2> {
        match &self.bias {
            Some(bias) => rlhf_kernels::layer_norm(x, self.weight.val(), bias.val(), eps),
            None => rlhf_kernels::rms_norm(x, self.weight.val(), eps),
        }
    }
}

/// The layers around attention.
#[derive(Module, Debug)]
pub(crate) struct Attention {
    /// `[d_model, qkv_width]`: query heads, key heads, value heads.
    pub(crate) c_attn: Linear,
    pub(crate) c_proj: Linear,
    q_norm: Option<Norm>,
    k_norm: Option<Norm>,
}

/// Queries, keys and values, each `[tokens, heads, d_head]`.
pub(crate) struct Heads {
    pub(crate) query: Tensor<3>,
    pub(crate) key: Tensor<3>,
    pub(crate) value: Tensor<3>,
}

impl Heads {
    /// `[batch, tokens of each, heads, d_head]`
    pub(crate) fn by_row(self, batch: usize) -> [Tensor<4>; 3] {
        [self.query, self.key, self.value].map(|heads| {
            let [tokens, n, d_head] = heads.dims();
            heads.reshape([batch, tokens / batch, n, d_head])
        })
    }
}

impl Attention {
    /// Takes `[tokens, qkv_width]` apart, normalises queries and keys if the model does, and turns them if there is a rotation.
    pub(crate) fn heads(&self, qkv: Tensor<2>, shape: &AttentionShape, eps: f64, rotation: Option<&Rotation>) -> Heads {
        let [tokens, _] = qkv.dims();
        let d_head = shape.d_head;
        let part = |first: usize, n: usize| {
            let columns = first * d_head..(first + n) * d_head;
            qkv.clone().slice([0..tokens, columns]).reshape([tokens, n, d_head])
        };
        let turned = |heads: Tensor<3>, norm: &Option<Norm>| {
            let dims = heads.dims();
            let heads = match norm {
                Some(norm) => norm
                    .forward(heads.reshape([dims[0] * dims[1], d_head]), eps)
                    .reshape(dims),
                None => heads,
            };
            match rotation {
                Some(rotation) => rlhf_kernels::rotary(heads, rotation.cos.clone(), rotation.sin.clone()),
                None => heads,
            }
        };
        let (n_heads, n_kv_heads) = (shape.n_heads, shape.n_kv_heads);
        Heads {
            query: turned(part(0, n_heads), &self.q_norm),
            key: turned(part(n_heads, n_kv_heads), &self.k_norm),
            value: part(n_heads + n_kv_heads, n_kv_heads),
        }
    }
}

/// Feed-forward layer.
#[derive(Module, Debug)]
pub(crate) struct Mlp {
    /// `[d_model, d_inner]`, or `[d_model, 2 * d_inner]`: gates, and what they let through.
    pub(crate) c_fc: Linear,
    pub(crate) c_proj: Linear,
}

impl Mlp {
    fn forward(&self, x: Tensor<2>, activation: Activation) -> Tensor<2> {
        let inner = self.c_fc.forward(x); // [tokens, d_inner], or twice as wide
        self.c_proj.forward_activated(inner, activation)
    }
}

/// The tokens of a batch whose hidden states somebody reads.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    All,
    /// Those at these indices, `[wanted]`.
    At(Box<Tensor<1, Int>>),
}

impl Wanted {
    /// The tokens at `places` out of `tokens`.
    pub(crate) fn at(places: &[usize], tokens: usize, device: &Device) -> Self {
        if places.iter().copied().eq(0..tokens) {
            Self::All
        } else {
            Self::At(Box::new(index_tensor(places, device)))
        }
    }

    /// Their rows of `x` `[tokens, width]`.
    fn of(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::All => x,
            Self::At(places) => x.select(0, Tensor::clone(places)),
        }
    }
}

/// One pre-norm transformer block.
#[derive(Module, Debug)]
pub(crate) struct Block {
    pub(crate) ln_1: Norm,
    pub(crate) attn: Attention,
    pub(crate) ln_2: Norm,
    pub(crate) mlp: Mlp,
}

impl Block {
    pub(crate) fn init(shape: &Architecture, start: &mut Start<'_>) -> Self {
        let (d, std, attention) = (shape.d_model, shape.initializer_range, &shape.attention);
        // GPT-2 scales the layers that write into the residual stream by 1/sqrt(number of such layers).
        let residual_std = std / (2.0 * shape.n_layers as f64).sqrt();
        let heads = attention.n_heads * attention.d_head;
        let head_norm =
            |start: &Start<'_>| (attention.qk_norm).then(|| Norm::init(attention.d_head, shape.norm.kind, start));
        Self {
            ln_1: Norm::init(d, shape.norm.kind, start),
            attn: Attention {
                c_attn: Linear::init([d, attention.qkv_width()], attention.qkv_bias, std, start),
                c_proj: Linear::init([heads, d], attention.out_bias, residual_std, start),
                q_norm: head_norm(start),
                k_norm: head_norm(start),
            },
            ln_2: Norm::init(d, shape.norm.kind, start),
            mlp: Mlp {
                c_fc: Linear::init([d, shape.mlp_width()], shape.mlp_bias, std, start),
                c_proj: Linear::init([shape.d_inner, d], shape.mlp_bias, residual_std, start),
            },
        }
    }

    /// The linear layers.
    pub(crate) fn linears(&self) -> [&Linear; 4] {
        [&self.attn.c_attn, &self.attn.c_proj, &self.mlp.c_fc, &self.mlp.c_proj]
    }

    /// Lays out the weights of the linear layers for decoding.
    pub(crate) fn pack(&mut self) {
        let (attention, mlp) = (&mut self.attn, &mut self.mlp);
        for linear in [
            &mut attention.c_attn,
            &mut attention.c_proj,
            &mut mlp.c_fc,
            &mut mlp.c_proj,
        ] {
            linear.pack();
        }
    }

    /// The linear layer of this name.
    pub(crate) fn linear(&self, name: &str) -> Option<&Linear> {
        let place = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]
            .iter()
            .position(|&known| known == name)?;
        Some(self.linears()[place])
    }

    /// As [`Block::linear`], to be changed.
    pub(crate) fn linear_mut(&mut self, name: &str) -> Option<&mut Linear> {
        match name {
            "attn.c_attn" => Some(&mut self.attn.c_attn),
            "attn.c_proj" => Some(&mut self.attn.c_proj),
            "mlp.c_fc" => Some(&mut self.mlp.c_fc),
            "mlp.c_proj" => Some(&mut self.mlp.c_proj),
            _ => None,
        }
    }

    /// The block around an attention that turns `[tokens, qkv_width]` into `[tokens, n_heads * d_head]`, at the tokens that
    /// are `wanted`: others are seen, and nothing is computed of what they see.
    pub(crate) fn forward(
        &self,
        x: Tensor<2>,
        wanted: &Wanted,
        shape: &Architecture,
        attend: impl FnOnce(&Attention, Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let eps = shape.norm.eps;
        let qkv = self.attn.c_attn.forward(self.ln_1.forward(x.clone(), eps)); // [tokens, qkv_width]
        let attended = wanted.of(attend(&self.attn, qkv)); // [wanted, n_heads * d_head]
        let attended = self.attn.c_proj.forward(attended); // [wanted, d_model]
        let x = wanted.of(x);
        let sum = x.clone() + attended;
        let seen = match shape.residual {
            Residual::Sequential => sum.clone(),
            Residual::Parallel => x,
        };
        sum + self.mlp.forward(self.ln_2.forward(seen, eps), shape.activation)
    }
}
