//! Tokens to hidden states.

use burn::module::{Module, ParamId};
use burn::tensor::{Device, Int, Tensor};
use rlhf_core::BatchTensors;

use crate::architecture::{Architecture, PassSize, Positions};
use crate::cache::KvCache;
use crate::config::ModelConfig;
use crate::families::Family;
use crate::layers::{Block, Embedding, Linear, Norm, Start, Wanted};
use crate::lora::LoraConfig;
use crate::rotary::Rotation;

/// The trunk of a language model: embeddings, blocks, final normalisation. Its parts are those of its [`Architecture`].
#[derive(Module, Debug)]
pub struct Decoder {
    pub(crate) wte: Embedding,
    wpe: Option<Embedding>,
    h: Vec<Block>,
    ln_f: Norm,
    #[module(skip)]
    architecture: Architecture,
    /// Family whose words name the layers that get adapters; nothing else asks.
    #[module(skip)]
    family: Family,
    /// Settings of the adapters that the layers have, if they have some.
    #[module(skip)]
    lora: Option<LoraConfig>,
}

/// Data that all blocks share in a pass over a batch.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// Part of the result of the last block that is read.
    wanted: Wanted,
    /// `[rows, row_len, 3]`; see [`BatchTensors`].
    visible: Tensor<3, Int>,
    /// The same for layers with a sliding window, if there are some.
    windowed: Option<Tensor<3, Int>>,
    rotation: Option<Rotation>,
}

impl Decoder {
    /// Random weights are normal with `initializer_range`, residual layers scaled down, gains 1 and biases 0.
    pub(crate) fn build(config: &ModelConfig, start: &mut Start<'_>) -> Self {
        let architecture = config.architecture();
        Self {
            wte: Embedding::tokens(architecture, start),
            wpe: match architecture.positions {
                Positions::Learned => Some(Embedding::positions(architecture, start)),
                Positions::Rotary(_) => None,
            },
            h: (0..architecture.n_layers)
                .map(|_| Block::init(architecture, start))
                .collect(),
            ln_f: Norm::init(architecture.d_model, architecture.norm.kind, start),
            architecture: architecture.clone(),
            family: config.family(),
            lora: None,
        }
    }

    /// Hidden states after the final normalisation, for a whole batch at once.
    ///
    /// # Shapes
    /// - `batch`: `rows * row_len` tokens
    /// - result: `[rows * row_len, d_model]`
    pub fn hidden_states(&self, batch: &BatchTensors) -> Tensor<2> {
        self.hidden_states_of(batch, Wanted::All)
    }

    /// Rows `places` of [`Decoder::hidden_states`]: what is read of a prompt, or by a reward model. What the last block would
    /// do for the other tokens behind its attention is left out.
    ///
    /// # Shapes
    /// - `batch`: `rows * row_len` tokens, `places` of them, in any order
    /// - result: `[places, d_model]`
    pub fn hidden_states_at(&self, batch: &BatchTensors, places: &[usize]) -> Tensor<2> {
        self.hidden_states_of(batch, self.wanted(batch, places))
    }

    fn hidden_states_of(&self, batch: &BatchTensors, wanted: Wanted) -> Tensor<2> {
        let x = self.embed(batch.input_ids.clone(), batch.position_ids.clone()); // [tokens, d_model]
        self.normalise(self.through_blocks(x, &self.surroundings(batch, wanted)))
    }

    /// All blocks: `[tokens, d_model]` in, `[wanted, d_model]` out.
    pub(crate) fn through_blocks(&self, x: Tensor<2>, surroundings: &Surroundings) -> Tensor<2> {
        (0..self.h.len()).fold(x, |x, layer| self.block(layer, x, surroundings))
    }

    /// The tokens of `batch` at `places`.
    pub(crate) fn wanted(&self, batch: &BatchTensors, places: &[usize]) -> Wanted {
        let [tokens] = batch.input_ids.dims();
        Wanted::at(places, tokens, &self.device())
    }

    /// Data of a batch that the blocks need.
    pub(crate) fn surroundings(&self, batch: &BatchTensors, wanted: Wanted) -> Surroundings {
        Surroundings {
            wanted,
            visible: batch.visible.clone(),
            windowed: self.windowed(&batch.visible),
            rotation: self.rotation(batch.position_ids.clone()),
        }
    }

    /// Part of the result of this block that is read by what follows it.
    fn wanted_of<'a>(&self, layer: usize, of_last: &'a Wanted) -> &'a Wanted {
        if layer + 1 == self.h.len() {
            of_last
        } else {
            &Wanted::All
        }
    }

    /// One block on a whole batch: `[rows * row_len, d_model]` in, and out but for the last block, which gives what is wanted.
    pub(crate) fn block(&self, layer: usize, x: Tensor<2>, surroundings: &Surroundings) -> Tensor<2> {
        let shape = &self.architecture;
        let visible = match (&surroundings.windowed, shape.window(layer)) {
            (Some(windowed), Some(_)) => windowed.clone(),
            _ => surroundings.visible.clone(),
        };
        let [rows, row_len, _] = visible.dims();
        let wanted = self.wanted_of(layer, &surroundings.wanted);
        self.h[layer].forward(x, wanted, shape, |attention, qkv| {
            let out = match &surroundings.rotation {
                None => {
                    let [_, width] = qkv.dims();
                    let qkv = qkv.reshape([rows, row_len, width]);
                    rlhf_kernels::causal_attention(qkv, visible, shape.attention.n_heads)
                }
                Some(rotation) => {
                    let rotation = shape.turns(layer).then_some(rotation);
                    let heads = attention.heads(qkv, &shape.attention, shape.norm.eps, rotation);
                    let [query, key, value] = heads.by_row(rows);
                    rlhf_kernels::grouped_attention(query, key, value, visible)
                }
            };
            let [_, _, width] = out.dims();
            out.reshape([rows * row_len, width])
        })
    }

    /// Normalisation after the last block.
    pub(crate) fn normalise(&self, x: Tensor<2>) -> Tensor<2> {
        self.ln_f.forward(x, self.architecture.norm.eps)
    }

    /// Hidden states of new tokens that follow those in `cache`, which takes them in.
    ///
    /// # Shapes
    /// - `input_ids`, `position_ids`: `[batch * new_tokens]`, row after row
    /// - result: `[batch * new_tokens, d_model]`
    pub fn decode(&self, input_ids: Tensor<1, Int>, position_ids: Tensor<1, Int>, cache: &mut KvCache) -> Tensor<2> {
        self.decode_wanted(input_ids, position_ids, &Wanted::All, cache)
    }

    /// Rows `places` of [`Decoder::decode`], as in [`Decoder::hidden_states_at`].
    ///
    /// # Shapes
    /// - `input_ids`, `position_ids`: `[batch * new_tokens]`, row after row
    /// - result: `[places, d_model]`
    pub fn decode_at(
        &self,
        input_ids: Tensor<1, Int>,
        position_ids: Tensor<1, Int>,
        places: &[usize],
        cache: &mut KvCache,
    ) -> Tensor<2> {
        let [tokens] = input_ids.dims();
        let wanted = Wanted::at(places, tokens, &self.device());
        self.decode_wanted(input_ids, position_ids, &wanted, cache)
    }

    fn decode_wanted(
        &self,
        input_ids: Tensor<1, Int>,
        position_ids: Tensor<1, Int>,
        wanted: &Wanted,
        cache: &mut KvCache,
    ) -> Tensor<2> {
        let shape = &self.architecture;
        let mut x = self.embed(input_ids, position_ids.clone()); // [batch * new_tokens, d_model]
        let rotation = self.rotation(position_ids);
        let [tokens, _] = x.dims();
        let (batch, new_tokens) = (cache.batch(), tokens / cache.batch());
        for (layer, block) in self.h.iter().enumerate() {
            x = block.forward(x, self.wanted_of(layer, wanted), shape, |attention, qkv| {
                let out = match &rotation {
                    None => {
                        let [_, width] = qkv.dims();
                        cache.attend(layer, qkv.reshape([batch, new_tokens, width]), shape.attention.n_heads)
                    }
                    Some(rotation) => {
                        let rotation = shape.turns(layer).then_some(rotation);
                        let heads = attention.heads(qkv, &shape.attention, shape.norm.eps, rotation);
                        cache.attend_grouped(layer, heads.by_row(batch), shape.window(layer))
                    }
                };
                let [_, _, width] = out.dims();
                out.reshape([tokens, width])
            });
        }
        cache.advance(new_tokens);
        self.normalise(x)
    }

    /// `input_ids`, `position_ids`: `[tokens]`; result `[tokens, d_model]`
    pub(crate) fn embed(&self, input_ids: Tensor<1, Int>, position_ids: Tensor<1, Int>) -> Tensor<2> {
        let tokens = self.wte.forward(input_ids);
        match &self.wpe {
            Some(wpe) => tokens + wpe.forward(position_ids),
            None => tokens,
        }
    }

    /// The embeddings that are trained, rather than frozen, and which of their rows the tokens of a batch are, `[tokens]`.
    pub(crate) fn trained_embeddings(&self, batch: &BatchTensors) -> Vec<(ParamId, Tensor<1, Int>)> {
        let tokens = Some((&self.wte, &batch.input_ids));
        let positions = self.wpe.as_ref().map(|wpe| (wpe, &batch.position_ids));
        [tokens, positions]
            .into_iter()
            .flatten()
            .filter(|(embedding, _)| embedding.weight.val().is_require_grad())
            .map(|(embedding, ids)| (embedding.weight.id, ids.clone()))
            .collect()
    }

    /// The rotation of queries and keys, one for all layers.
    fn rotation(&self, position_ids: Tensor<1, Int>) -> Option<Rotation> {
        match &self.architecture.positions {
            Positions::Learned => None,
            Positions::Rotary(rotary) => Some(rotary.rotation(position_ids, self.architecture.max_seq_len)),
        }
    }

    /// Visible tokens in the layers with a sliding window: none sees further back than `window - 1` tokens of its own
    /// sequence, those of a gap not counted.
    fn windowed(&self, visible: &Tensor<3, Int>) -> Option<Tensor<3, Int>> {
        let window = self.architecture.attention.sliding_window.as_ref()?.tokens as i64;
        let [rows, row_len, _] = visible.dims();
        let [from, gap_from, gap_to] = [0, 1, 2].map(|part| visible.clone().narrow(2, part, 1)); // [rows, row_len, 1]
        let first = Tensor::<1, Int>::arange(1 - window..1 - window + row_len as i64, &visible.device())
            .reshape([1, row_len, 1])
            .expand([rows, row_len, 1]);
        let before_gap = first.clone().lower(gap_to.clone());
        let skipped = (gap_to.clone() - gap_from.clone()).mask_fill(before_gap.bool_not(), 0);
        Some(Tensor::cat(vec![from.max_pair(first - skipped), gap_from, gap_to], 2))
    }

    /// The decoder with the weights of its linear layers laid out for decoding.
    pub(crate) fn packed(mut self) -> Self {
        self.h.iter_mut().for_each(Block::pack);
        self
    }

    /// Bytes of the linear layers that [`crate::CausalLm::packed`] lays out beside those of the model that it came from.
    pub fn packed_bytes(&self) -> u64 {
        let linears = self.h.iter().flat_map(Block::linears);
        linears.map(Linear::packed_bytes).sum()
    }

    /// A cache for `batch` sequences of up to `capacity` tokens, of which the first `visible_from[b]` are padding.
    pub fn new_cache(&self, visible_from: &[usize], capacity: usize) -> KvCache {
        let attention = &self.architecture.attention;
        KvCache::new(
            self.h.len(),
            attention.n_kv_heads,
            attention.d_head,
            visible_from,
            capacity,
            &self.device(),
        )
    }

    /// Floating-point operations of a forward pass with a head of `vocab_size` words, and of its backward pass: two products
    /// where forward has one, and one where the weight is frozen.
    pub fn step_flops(&self, pass: &PassSize) -> f64 {
        let forward = self.architecture.forward_flops(pass);
        if self.lora.is_none() {
            return 3.0 * forward;
        }
        let attention = self.architecture.forward_flops(&PassSize {
            tokens: 0,
            read: 0,
            predicted: 0,
            ..*pass
        });
        let adapters: usize = self.h.iter().flat_map(Block::linears).map(Linear::adapter_size).sum();
        2.0 * (forward - attention) + 3.0 * (attention + 2.0 * (adapters * pass.tokens) as f64)
    }

    /// Settings of the adapters that this decoder has, if it has some.
    pub fn lora(&self) -> Option<&LoraConfig> {
        self.lora.as_ref()
    }

    pub(crate) fn set_lora(&mut self, lora: Option<LoraConfig>) {
        self.lora = lora;
    }

    pub(crate) fn family(&self) -> Family {
        self.family
    }

    /// The linear layer with the weight `transformer.h.#.LAYER.weight`.
    pub(crate) fn linear(&self, weight: &str) -> &Linear {
        let (block, layer) = block_and_layer(weight).expect(NAMED);
        self.h[block].linear(layer).expect(NAMED)
    }

    /// The linear layer with this weight, if it has adapters.
    pub(crate) fn adapted_linear(&self, weight: &str) -> Option<&Linear> {
        let (block, layer) = block_and_layer(weight)?;
        let linear = self.h.get(block)?.linear(layer)?;
        (!linear.adapters.is_empty()).then_some(linear)
    }

    /// As [`Decoder::linear`], to be changed.
    pub(crate) fn linear_mut(&mut self, weight: &str) -> &mut Linear {
        let (block, layer) = block_and_layer(weight).expect(NAMED);
        self.h[block].linear_mut(layer).expect(NAMED)
    }

    /// Parts that the decoder consists of.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The plain device that the weights are on.
    pub fn device(&self) -> Device {
        self.wte.weight.val().device().inner()
    }

    /// Longest sequence the model is made for.
    pub fn max_seq_len(&self) -> usize {
        self.architecture.max_seq_len
    }

    /// Words in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.architecture.vocab_size
    }

    /// Width of the hidden states.
    pub fn d_model(&self) -> usize {
        self.architecture.d_model
    }
}

/// Reason that a layer is there.
const NAMED: &str = "the tables of families name layers of the decoder";

/// Block and layer in `transformer.h.#.LAYER.weight`.
fn block_and_layer(weight: &str) -> Option<(usize, &str)> {
    let (block, layer) = weight.strip_prefix("transformer.h.")?.split_once('.')?;
    Some((block.parse().ok()?, layer.strip_suffix(".weight")?))
}
