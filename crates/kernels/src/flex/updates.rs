//! Operations that nobody differentiates: a step of the optimiser, and those of decoding.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Int, Tensor};
use burn_flex::FlexTensor;

use super::packed::{self, Packed};
use super::{adamw, contiguous, decode, dims, indices, matrix, slice, slice_mut, strided, tensor};
use crate::{AdamWStep, KvLayer};

/// Operations on plain Flex tensors only: nobody differentiates an optimiser step or a decoding step.
#[backend_extension(Flex)]
pub(crate) trait FusedUpdates: Backend {
    fn fused_adamw(
        param: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        exp_avg: FloatTensor<Self>,
        exp_avg_sq: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    fn fused_pack(weight: FloatTensor<Self>) -> FloatTensor<Self>;

    fn fused_packed_matmul(x: FloatTensor<Self>, values: FloatTensor<Self>, dims: [usize; 2]) -> FloatTensor<Self>;

    fn fused_packed_linear(
        x: FloatTensor<Self>,
        values: FloatTensor<Self>,
        dims: [usize; 2],
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    fn fused_packed_columns(values: FloatTensor<Self>, dims: [usize; 2], indices: IntTensor<Self>)
    -> FloatTensor<Self>;

    /// Returns the output, the keys and the values.
    fn fused_decode(
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        qkv: FloatTensor<Self>,
        visible_from: IntTensor<Self>,
        place: DecodePlace,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// The position of new tokens, and the number of heads that look back from them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DecodePlace {
    pub(crate) n_heads: usize,
    /// Tokens in the cache before the new ones.
    pub(crate) filled: usize,
    /// Number of tokens that a token sees, itself and those before it; without a number it sees all of them.
    pub(crate) window: Option<usize>,
}

pub(crate) fn adamw_step<const D: usize>(
    param: Tensor<D>,
    grad: Tensor<D>,
    exp_avg: Tensor<D>,
    exp_avg_sq: Tensor<D>,
    step: &AdamWStep,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    let [param, grad, exp_avg, exp_avg_sq] = [param, grad, exp_avg, exp_avg_sq].map(Tensor::into_dispatch);
    let (param, exp_avg, exp_avg_sq) = Dispatch::fused_adamw(param, grad, exp_avg, exp_avg_sq, *step);
    (
        Tensor::from_dispatch(param),
        Tensor::from_dispatch(exp_avg),
        Tensor::from_dispatch(exp_avg_sq),
    )
}

/// The numbers of a weight as [`packed_linear`] takes them.
pub(crate) fn pack(weight: Tensor<2>) -> Tensor<1> {
    Tensor::from_dispatch(Dispatch::fused_pack(weight.into_dispatch()))
}

/// See [`crate::PackedWeight::linear`].
pub(crate) fn packed_linear(x: Tensor<2>, values: Tensor<1>, dims: [usize; 2], bias: Option<Tensor<1>>) -> Tensor<2> {
    let (x, values) = (x.into_dispatch(), values.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => Dispatch::fused_packed_linear(x, values, dims, bias.into_dispatch()),
        None => Dispatch::fused_packed_matmul(x, values, dims),
    })
}

/// See [`crate::PackedWeight::columns`].
pub(crate) fn packed_columns(values: Tensor<1>, dims: [usize; 2], indices: Tensor<1, Int>) -> Tensor<2> {
    let (values, indices) = (values.into_dispatch(), indices.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_packed_columns(values, dims, indices))
}

pub(crate) fn decode_attention(
    cache: KvLayer,
    qkv: Tensor<3>,
    visible_from: Tensor<1, Int>,
    place: DecodePlace,
) -> (Tensor<3>, KvLayer) {
    let (keys, values) = (cache.keys.into_dispatch(), cache.values.into_dispatch());
    let (output, keys, values) =
        Dispatch::fused_decode(keys, values, qkv.into_dispatch(), visible_from.into_dispatch(), place);
    let cache = KvLayer {
        keys: Tensor::from_dispatch(keys),
        values: Tensor::from_dispatch(values),
    };
    (Tensor::from_dispatch(output), cache)
}

impl FusedUpdates for Flex {
    fn fused_adamw(
        param: FlexTensor,
        grad: FlexTensor,
        exp_avg: FlexTensor,
        exp_avg_sq: FlexTensor,
        step: AdamWStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let grad = contiguous(grad);
        let [mut param, mut exp_avg, mut exp_avg_sq] = [param, exp_avg, exp_avg_sq].map(contiguous);
        adamw::update(
            slice_mut(&mut param),
            slice(&grad),
            slice_mut(&mut exp_avg),
            slice_mut(&mut exp_avg_sq),
            &step,
        );
        (param, exp_avg, exp_avg_sq)
    }

    fn fused_pack(weight: FlexTensor) -> FlexTensor {
        let weight = strided(weight);
        let [rows, cols] = dims(&weight);
        tensor(packed::pack(matrix(&weight)), [rows * cols])
    }

    fn fused_packed_matmul(x: FlexTensor, values: FlexTensor, dims: [usize; 2]) -> FlexTensor {
        packed_forward(x, &contiguous(values), dims, None)
    }

    fn fused_packed_linear(x: FlexTensor, values: FlexTensor, dims: [usize; 2], bias: FlexTensor) -> FlexTensor {
        packed_forward(x, &contiguous(values), dims, Some(&contiguous(bias)))
    }

    fn fused_packed_columns(values: FlexTensor, [rows, cols]: [usize; 2], columns: FlexTensor) -> FlexTensor {
        let (values, columns) = (contiguous(values), indices(columns));
        let weight = Packed::new(slice(&values), rows, cols);
        tensor(packed::columns(weight, &columns), [columns.len(), rows])
    }

    fn fused_decode(
        keys: FlexTensor,
        values: FlexTensor,
        qkv: FlexTensor,
        visible_from: FlexTensor,
        place: DecodePlace,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [mut keys, mut values, qkv] = [keys, values, qkv].map(contiguous);
        let [batch, n_kv_heads, capacity, d_head] = dims(&values);
        let [_, new_tokens, _] = dims(&qkv);
        let DecodePlace {
            n_heads,
            filled,
            window,
        } = place;
        let sizes = decode::Dims {
            batch,
            n_heads,
            n_kv_heads,
            d_head,
            capacity,
            filled,
            new_tokens,
            window,
        };
        let output = decode::attend(
            slice_mut(&mut keys),
            slice_mut(&mut values),
            slice(&qkv),
            &indices(visible_from),
            sizes,
        );
        (tensor(output, [batch, new_tokens, n_heads * d_head]), keys, values)
    }
}

fn packed_forward(
    x: FlexTensor,
    values: &FlexTensor,
    [inputs, out]: [usize; 2],
    bias: Option<&FlexTensor>,
) -> FlexTensor {
    let x = strided(x);
    let x = matrix(&x);
    let weight = Packed::new(slice(values), inputs, out);
    tensor(packed::forward(x, weight, bias.map(slice)), [x.rows(), out])
}
