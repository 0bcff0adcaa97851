//! Attention of new tokens over cached keys and values.

use burn::tensor::{Device, Int, Tensor, s};

use crate::composed;
#[cfg(feature = "flex")]
use crate::flex;

/// Keys of a block in the cache of a Flex device: its scores fill one AVX-512 register.
#[cfg(feature = "flex")]
pub(crate) const KEY_BLOCK: usize = 16;

/// Cached keys and values of one layer, preallocated and written in place.
#[derive(Debug, Clone)]
pub struct KvLayer {
    /// `[batch, n_heads, blocks, d_head, block]`: within a block of tokens transposed, so that the scores of neighbouring keys are
    /// neighbours, and yet read from first to last. The last block has room for tokens that the values have none for. On devices
    /// without fused operations there is one block.
    pub(crate) keys: Tensor<5>,
    /// `[batch, n_heads, capacity, d_head]`.
    pub(crate) values: Tensor<4>,
}

impl KvLayer {
    /// An empty cache for `[batch, n_heads, capacity, d_head]` keys and as many values.
    pub fn new(dims: [usize; 4], device: &Device) -> Self {
        let [batch, n_heads, capacity, d_head] = dims;
        let values = Tensor::zeros(dims, device);
        let block = match () {
            #[cfg(feature = "flex")]
            () if flex::handles_plain(&values) => KEY_BLOCK,
            () => capacity.max(1),
        };
        let keys = Tensor::zeros([batch, n_heads, capacity.div_ceil(block), d_head, block], device);
        Self { keys, values }
    }

    /// Number of sequences.
    pub fn batch(&self) -> usize {
        self.values.dims()[0]
    }

    /// Number of tokens a sequence can hold.
    pub fn capacity(&self) -> usize {
        self.values.dims()[2]
    }

    /// The keys as one matrix per sequence and head, `[batch, n_heads, d_head, blocks * block]`: a view if there is one block.
    pub(crate) fn transposed_keys(keys: Tensor<5>) -> Tensor<4> {
        let [batch, n_heads, blocks, d_head, block] = keys.dims();
        keys.swap_dims(2, 3).reshape([batch, n_heads, d_head, blocks * block])
    }

    /// The reverse of [`KvLayer::transposed_keys`].
    pub(crate) fn in_blocks(keys: Tensor<4>, block: usize) -> Tensor<5> {
        let [batch, n_heads, d_head, capacity] = keys.dims();
        let keys = keys.reshape([batch, n_heads, d_head, capacity / block, block]);
        keys.swap_dims(2, 3)
    }

    /// The sequences of several caches, one cache after the other, in a cache of `capacity` tokens. Each cache comes with the
    /// number of tokens in it; they are moved so that the last one stands before `end`, and those that have no place then,
    /// which have to be padding, are dropped.
    pub fn joined(parts: Vec<(Self, usize)>, end: usize, capacity: usize) -> Self {
        let moved = parts
            .into_iter()
            .map(|(part, filled)| part.moved(filled, end, capacity));
        let (keys, values) = moved.map(|part| (part.keys, part.values)).unzip();
        Self {
            keys: Tensor::cat(keys, 0),
            values: Tensor::cat(values, 0),
        }
    }

    fn moved(self, filled: usize, end: usize, capacity: usize) -> Self {
        let [batch, n_heads, _, d_head] = self.values.dims();
        let kept = filled.min(end);
        let (from, to) = (filled - kept..filled, end - kept..end);
        let empty = Self::new([batch, n_heads, capacity, d_head], &self.values.device());
        let values = empty.values.slice_assign(
            s![.., .., to.clone(), ..],
            self.values.slice(s![.., .., from.clone(), ..]),
        );
        let [.., block] = empty.keys.dims();
        let keys = Self::transposed_keys(self.keys).slice(s![.., .., .., from]);
        let keys = Self::transposed_keys(empty.keys).slice_assign(s![.., .., .., to], keys);
        Self {
            keys: Self::in_blocks(keys, block),
            values,
        }
    }

    /// Keeps the sequences at `indices`, in that order.
    pub fn select_rows(self, indices: &[usize]) -> Self {
        let indices: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
        let indices = Tensor::<1, Int>::from_data(indices.as_slice(), &self.keys.device());
        Self {
            keys: self.keys.select(0, indices.clone()),
            values: self.values.select(0, indices),
        }
    }

    /// The cache with `key` and `value`, each `[batch, n_heads, new_tokens, d_head]`, at the positions from `filled` on, and the
    /// keys `[batch, n_heads, d_head, seen]` and values `[batch, n_heads, seen, d_head]` of all tokens up to there.
    pub(crate) fn extended(self, key: Tensor<4>, value: Tensor<4>, filled: usize) -> (Self, Tensor<4>, Tensor<4>) {
        let [_, _, new_tokens, _] = key.dims();
        let [.., block] = self.keys.dims();
        let (new, seen) = (filled..filled + new_tokens, 0..filled + new_tokens);
        let keys = Self::transposed_keys(self.keys).slice_assign(s![.., .., .., new.clone()], key.swap_dims(2, 3));
        let values = self.values.slice_assign(s![.., .., new, ..], value);
        let seen_keys = keys.clone().slice(s![.., .., .., seen.clone()]);
        let seen_values = values.clone().slice(s![.., .., seen, ..]);
        let keys = Self::in_blocks(keys, block);
        (Self { keys, values }, seen_keys, seen_values)
    }
}

/// Writes the keys and values of new tokens into the cache at positions `filled ..`, and attends each new token `t`
/// over positions `visible_from[b] ..= filled + t`. A padding token (before `visible_from`) sees itself only; nobody
/// reads its output.
///
/// # Shapes
///
/// - `qkv`: `[batch, new_tokens, 3 * d_model]`
/// - `visible_from`: `[batch]`, the number of padding tokens on the left of each sequence
/// - result: `[batch, new_tokens, d_model]`
pub fn decode_attention(
    cache: KvLayer,
    qkv: Tensor<3>,
    visible_from: Tensor<1, Int>,
    filled: usize,
    n_heads: usize,
) -> (Tensor<3>, KvLayer) {
    #[cfg(feature = "flex")]
    if flex::handles_plain(&qkv) {
        let place = flex::DecodePlace {
            n_heads,
            filled,
            window: None,
        };
        return flex::decode_attention(cache, qkv, visible_from, place);
    }
    composed::decode_attention(cache, qkv, visible_from, filled, n_heads)
}
