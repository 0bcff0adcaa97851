//! Keys and values of the tokens seen so far.

use burn::tensor::{Device, Int, Tensor};
use rlhf_core::index_tensor;
use rlhf_kernels::{DecodeView, KvLayer, decode_attention, grouped_decode_attention};

/// A preallocated key/value cache for a left-padded batch.
#[derive(Debug, Clone)]
pub struct KvCache {
    layers: Vec<Option<KvLayer>>,
    visible_from: Vec<usize>,
    visible_tensor: Tensor<1, Int>,
    filled: usize,
    device: Device,
}

impl KvCache {
    pub(crate) fn new(
        n_layers: usize,
        n_kv_heads: usize,
        d_head: usize,
        visible_from: &[usize],
        capacity: usize,
        device: &Device,
    ) -> Self {
        let device = device.clone().inner();
        let dims = [visible_from.len(), n_kv_heads, capacity, d_head];
        Self {
            layers: (0..n_layers).map(|_| Some(KvLayer::new(dims, &device))).collect(),
            visible_tensor: index_tensor(visible_from, &device),
            visible_from: visible_from.to_vec(),
            filled: 0,
            device,
        }
    }

    /// Sequences in the cache.
    pub fn batch(&self) -> usize {
        self.visible_from.len()
    }

    /// Tokens in the cache, padding included.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Tokens that a sequence has room for, padding included.
    pub fn capacity(&self) -> usize {
        let layer = self.layers.iter().flatten().next();
        layer.map_or(0, KvLayer::capacity)
    }

    /// Takes in the sequences of `other`, behind its own. Padding that all have in common is given up.
    pub fn join(&mut self, other: Self) {
        let others = (other.visible_from, other.filled);
        self.gather(other.layers, others.0, others.1);
    }

    /// Gives up the padding that all sequences have in common, which makes room for more tokens.
    pub fn compact(&mut self) {
        self.gather(Vec::new(), Vec::new(), 0);
    }

    /// Makes room for `capacity` tokens, padding included, where there is less.
    pub fn reserve(&mut self, capacity: usize) {
        if capacity > self.capacity() {
            self.gather_into(Vec::new(), Vec::new(), 0, capacity);
        }
    }

    /// Forgets all but the first `tokens` tokens of its only sequence, padding not counted.
    ///
    /// # Panics
    /// If there are several sequences.
    pub fn truncate(&mut self, tokens: usize) {
        assert_eq!(self.batch(), 1, "one sequence has an end of its own");
        self.filled = self.filled.min(self.visible_from[0] + tokens);
    }

    fn gather(&mut self, layers: Vec<Option<KvLayer>>, visible_from: Vec<usize>, filled: usize) {
        let capacity = self.capacity();
        self.gather_into(layers, visible_from, filled, capacity);
    }

    fn gather_into(&mut self, layers: Vec<Option<KvLayer>>, visible_from: Vec<usize>, filled: usize, capacity: usize) {
        let own = self.visible_from.iter().map(|&from| self.filled - from);
        let lens: Vec<usize> = own.chain(visible_from.iter().map(|&from| filled - from)).collect();
        let end = lens.iter().copied().max().unwrap_or(0);
        let mut others = layers.into_iter();
        for slot in &mut self.layers {
            let own = slot.take().map(|layer| (layer, self.filled));
            let other = others.next().flatten().map(|layer| (layer, filled));
            let parts = own.into_iter().chain(other).collect();
            *slot = Some(KvLayer::joined(parts, end, capacity));
        }
        self.visible_from = lens.into_iter().map(|len| end - len).collect();
        self.visible_tensor = index_tensor(&self.visible_from, &self.device);
        self.filled = end;
    }

    /// Keeps the sequences at `rows`, in that order.
    pub fn select_rows(&mut self, rows: &[usize]) {
        for layer in &mut self.layers {
            *layer = layer.take().map(|l| l.select_rows(rows));
        }
        self.visible_from = rows.iter().map(|&r| self.visible_from[r]).collect();
        self.visible_tensor = index_tensor(&self.visible_from, &self.device);
    }

    pub(crate) fn attend(&mut self, layer: usize, qkv: Tensor<3>, n_heads: usize) -> Tensor<3> {
        let slot = &mut self.layers[layer];
        let cache = slot.take().expect("every layer is put back below");
        let (out, cache) = decode_attention(cache, qkv, self.visible_tensor.clone(), self.filled, n_heads);
        *slot = Some(cache);
        out
    }

    /// Attention of `[query, key, value]`, each `[batch, new_tokens, heads, d_head]`; `window` limits how far back it sees.
    pub(crate) fn attend_grouped(
        &mut self,
        layer: usize,
        [query, key, value]: [Tensor<4>; 3],
        window: Option<usize>,
    ) -> Tensor<3> {
        let view = DecodeView {
            visible_from: self.visible_tensor.clone(),
            filled: self.filled,
            window,
        };
        let slot = &mut self.layers[layer];
        let cache = slot.take().expect("every layer is put back below");
        let (out, cache) = grouped_decode_attention(cache, query, key, value, view);
        *slot = Some(cache);
        out
    }

    pub(crate) fn advance(&mut self, new_tokens: usize) {
        self.filled += new_tokens;
    }
}
