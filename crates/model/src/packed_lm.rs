//! A language model that does nothing but decode.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rlhf_core::to_host;
use rlhf_kernels::PackedWeight;

use crate::cache::KvCache;
use crate::decoder::Decoder;
use crate::heads::CausalLm;

/// A [`CausalLm`] for sampling. Where that makes a difference, its weights are laid out for a few rows ([`PackedWeight`]) in
/// place of what they were, so it can neither be trained nor saved; it takes about as much memory as the model that it came from,
/// which may be dropped.
#[derive(Module, Debug)]
pub struct PackedLm {
    transformer: Decoder,
    #[module(skip)]
    head: Head,
}

/// The head, `[d_model, vocab]`.
#[derive(Debug, Clone)]
enum Head {
    Packed(PackedWeight),
    Plain(Tensor<2>),
}

impl CausalLm {
    /// The model with its weights laid out for decoding and off the graph. Those that need no other layout are shared.
    pub fn packed(&self) -> PackedLm {
        let model = self.valid();
        let head = model.head_weight().transpose(); // [d_model, vocab]
        let is_tied = model.transformer.architecture().tied_head;
        let mut transformer = model.transformer.packed();
        if let Some(packed) = PackedWeight::new(&head) {
            if is_tied {
                transformer.wte.stand_in(packed.clone());
            }
            let head = Head::Packed(packed);
            return PackedLm { transformer, head };
        }
        // Through the host, once, so that every step multiplies contiguous memory.
        let (dims, device, dtype) = (head.dims(), head.device(), head.dtype());
        let head = Tensor::<2>::from_data(TensorData::new(to_host(head), dims), &device).cast(dtype);
        let head = Head::Plain(head);
        PackedLm { transformer, head }
    }
}

impl PackedLm {
    /// Raw logits.
    ///
    /// # Shapes
    /// - `hidden`: `[rows, d_model]`
    /// - result: `[rows, vocab]`
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.head {
            Head::Packed(weight) => weight.linear(hidden, None),
            Head::Plain(weight) => rlhf_kernels::linear(hidden, weight.clone(), None),
        }
    }

    /// See [`Decoder::decode`].
    pub fn decode(&self, input_ids: Tensor<1, Int>, position_ids: Tensor<1, Int>, cache: &mut KvCache) -> Tensor<2> {
        self.transformer.decode(input_ids, position_ids, cache)
    }

    /// See [`Decoder::decode_at`].
    pub fn decode_at(
        &self,
        input_ids: Tensor<1, Int>,
        position_ids: Tensor<1, Int>,
        places: &[usize],
        cache: &mut KvCache,
    ) -> Tensor<2> {
        self.transformer.decode_at(input_ids, position_ids, places, cache)
    }

    /// See [`Decoder::new_cache`].
    pub fn new_cache(&self, visible_from: &[usize], capacity: usize) -> KvCache {
        self.transformer.new_cache(visible_from, capacity)
    }

    /// The device that the weights are on.
    pub fn device(&self) -> Device {
        self.transformer.device()
    }

    /// Longest sequence the model is made for.
    pub fn max_seq_len(&self) -> usize {
        self.transformer.max_seq_len()
    }

    /// Words in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.transformer.vocab_size()
    }
}
