//! A decoder that does nothing but decode.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use crate::cache::KvCache;
use crate::decoder::Decoder;

/// A [`Decoder`] for sampling. Where that makes a difference, its linear layers have their weights laid out for a few rows
/// ([`rlhf_kernels::PackedWeight`]) in place of what they were, so it can neither be trained nor saved; it takes as much memory
/// as the decoder that it came from, which may be dropped.
#[derive(Module, Debug)]
pub struct PackedDecoder {
    decoder: Decoder,
}

impl PackedDecoder {
    pub(crate) fn new(decoder: Decoder) -> Self {
        Self { decoder }
    }

    /// See [`Decoder::decode`].
    pub fn decode(&self, input_ids: Tensor<1, Int>, position_ids: Tensor<1, Int>, cache: &mut KvCache) -> Tensor<2> {
        self.decoder.decode(input_ids, position_ids, cache)
    }

    /// See [`Decoder::decode_at`].
    pub fn decode_at(
        &self,
        input_ids: Tensor<1, Int>,
        position_ids: Tensor<1, Int>,
        places: &[usize],
        cache: &mut KvCache,
    ) -> Tensor<2> {
        self.decoder.decode_at(input_ids, position_ids, places, cache)
    }

    /// See [`Decoder::new_cache`].
    pub fn new_cache(&self, visible_from: &[usize], capacity: usize) -> KvCache {
        self.decoder.new_cache(visible_from, capacity)
    }

    /// The device that the weights are on.
    pub fn device(&self) -> Device {
        self.decoder.device()
    }

    /// Longest sequence the model is made for.
    pub fn max_seq_len(&self) -> usize {
        self.decoder.max_seq_len()
    }

    /// Words in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.decoder.vocab_size()
    }
}
