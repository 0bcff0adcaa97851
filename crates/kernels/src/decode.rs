//! Attention of new tokens over cached keys and values.

use burn::tensor::{Device, Int, Tensor};

use crate::composed;
#[cfg(feature = "flex")]
use crate::flex;

/// Cached keys and values of one layer, preallocated and written in place.
#[derive(Debug, Clone)]
pub struct KvLayer {
    /// `[batch, n_heads, d_head, capacity]`: transposed, so that the scores of neighbouring keys are neighbours.
    pub(crate) keys: Tensor<4>,
    /// `[batch, n_heads, capacity, d_head]`.
    pub(crate) values: Tensor<4>,
}

impl KvLayer {
    /// An empty cache for `[batch, n_heads, capacity, d_head]` keys and as many values.
    pub fn new(dims: [usize; 4], device: &Device) -> Self {
        let [batch, n_heads, capacity, d_head] = dims;
        Self {
            keys: Tensor::zeros([batch, n_heads, d_head, capacity], device),
            values: Tensor::zeros([batch, n_heads, capacity, d_head], device),
        }
    }

    /// Number of sequences.
    pub fn batch(&self) -> usize {
        self.values.dims()[0]
    }

    /// Number of tokens a sequence can hold.
    pub fn capacity(&self) -> usize {
        self.values.dims()[2]
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
        let empty = Self::new([batch, n_heads, capacity, d_head], &self.keys.device());
        let (all, heads, features) = (0..batch, 0..n_heads, 0..d_head);
        let keys = |tokens| [all.clone(), heads.clone(), features.clone(), tokens];
        let values = |tokens| [all.clone(), heads.clone(), tokens, features.clone()];
        Self {
            keys: empty
                .keys
                .slice_assign(keys(to.clone()), self.keys.slice(keys(from.clone()))),
            values: empty.values.slice_assign(values(to), self.values.slice(values(from))),
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
