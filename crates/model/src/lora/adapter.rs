//! The update of one linear layer.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// `scale · A B`, added to some columns of a weight.
#[derive(Module, Debug)]
pub(crate) struct Adapter {
    /// `[in, rank]`
    a: Param<Tensor<2>>,
    /// `[rank, width]`
    b: Param<Tensor<2>>,
    #[module(skip)]
    slot: AdapterSlot,
}

/// Columns of a weight that an adapter updates, and the factor of the update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AdapterSlot {
    /// Index among the tensors that hold the weight in a checkpoint.
    pub(crate) part: usize,
    /// First column of that tensor in our weight.
    pub(crate) first: usize,
    /// Factor of `A B`.
    pub(crate) scale: f64,
}

/// The sizes of an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) input: usize,
    pub(crate) rank: usize,
    /// Columns of the weight that it updates.
    pub(crate) width: usize,
}

impl Adapter {
    /// The start of training: `A` uniform between ±1/√in, which is PyTorch's `kaiming_uniform_(a=√5)` and PEFT's choice,
    /// and `B` zero, so that nothing changes yet.
    pub(crate) fn init(slot: AdapterSlot, sizes: Sizes, rng: &mut ChaCha8Rng, device: &Device) -> Self {
        let Sizes { input, rank, width } = sizes;
        let bound = 1.0 / (input as f64).sqrt();
        let a = (0..input * rank)
            .map(|_| rng.random_range(-bound..bound) as f32)
            .collect();
        Self::new(slot, sizes, [a, vec![0.0; rank * width]], device)
    }

    /// An adapter of given values: `[in, rank]` and `[rank, width]`.
    pub(crate) fn new(slot: AdapterSlot, sizes: Sizes, [a, b]: [Vec<f32>; 2], device: &Device) -> Self {
        let Sizes { input, rank, width } = sizes;
        let parameter =
            |values, dims: [usize; 2]| Param::from_tensor(Tensor::from_data(TensorData::new(values, dims), device));
        Self {
            a: parameter(a, [input, rank]),
            b: parameter(b, [rank, width]),
            slot,
        }
    }

    pub(crate) fn slot(&self) -> AdapterSlot {
        self.slot
    }

    pub(crate) fn sizes(&self) -> Sizes {
        let [[input, rank], [_, width]] = self.factors().map(|factor| factor.dims());
        Sizes { input, rank, width }
    }

    /// `A`, `[in, rank]`, and `B`, `[rank, width]`.
    pub(crate) fn factors(&self) -> [Tensor<2>; 2] {
        [self.a.val(), self.b.val()]
    }

    /// Rows of a matrix with all columns of the weight, zero outside those of this adapter: `[rank, out]`.
    fn scaled_rows(&self, out: usize) -> Tensor<2> {
        let rows = self.b.val() * self.slot.scale; // [rank, width]
        let [rank, width] = rows.dims();
        let device = rows.device();
        let blank = |columns: usize| (columns > 0).then(|| Tensor::zeros([rank, columns], &device));
        let (before, after) = (self.slot.first, out - self.slot.first - width);
        let parts: Vec<Tensor<2>> = [blank(before), Some(rows), blank(after)]
            .into_iter()
            .flatten()
            .collect();
        joined(parts, 1)
    }
}

/// The updates of all adapters of a layer as one product `down · up`.
pub(crate) struct Update {
    /// `[in, ranks]`
    down: Tensor<2>,
    /// `[ranks, out]`
    up: Tensor<2>,
}

impl Update {
    /// `adapters`, at least one, of a layer with `out` outputs.
    pub(crate) fn of(adapters: &[Adapter], out: usize) -> Self {
        Self {
            down: joined(adapters.iter().map(|adapter| adapter.a.val()).collect(), 1),
            up: joined(adapters.iter().map(|adapter| adapter.scaled_rows(out)).collect(), 0),
        }
    }

    /// Term added to the layer's output for `x`: `[tokens, in]`; result `[tokens, out]`.
    pub(crate) fn apply(self, x: Tensor<2>) -> Tensor<2> {
        rlhf_kernels::linear(rlhf_kernels::linear(x, self.down, None), self.up, None)
    }

    /// Term added to the weight, `[in, out]`.
    pub(crate) fn weight(self) -> Tensor<2> {
        rlhf_kernels::linear(self.down, self.up, None)
    }
}

/// `parts`, at least one, side by side along `dim`.
fn joined(mut parts: Vec<Tensor<2>>, dim: usize) -> Tensor<2> {
    match parts.len() {
        1 => parts.remove(0),
        _ => Tensor::cat(parts, dim),
    }
}
