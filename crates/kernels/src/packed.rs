//! Weights laid out for decoding.

use burn::tensor::{Int, Tensor};

#[cfg(feature = "flex")]
use crate::flex;

/// A weight `[in, out]` laid out for products with few rows: blocks of neighbouring columns, each in one piece. A step of decoding
/// multiplies a handful of rows with every weight; read where they stand, rows of a wide weight lie a page apart.
#[derive(Debug, Clone)]
pub struct PackedWeight {
    /// `[in * out]`
    values: Tensor<1>,
    /// `[in, out]`
    dims: [usize; 2],
}

impl PackedWeight {
    /// True of weights whose other layout an operation makes use of: f32 on Flex and nowhere else.
    pub fn is_of_use(weight: &Tensor<2>) -> bool {
        #[cfg(feature = "flex")]
        return flex::handles_plain(weight);
        #[cfg(not(feature = "flex"))]
        {
            let _ = weight;
            false
        }
    }

    /// Lays out a copy of `weight`; nothing where it is of no use.
    pub fn new(weight: &Tensor<2>) -> Option<Self> {
        #[cfg(feature = "flex")]
        if Self::is_of_use(weight) {
            let dims = weight.dims();
            let values = flex::pack(weight.clone());
            return Some(Self { values, dims });
        }
        let _ = weight;
        None
    }

    /// Columns of the weight, as rows: embeddings, where the weight is a head that is tied to them.
    ///
    /// # Shapes
    /// - `indices`: `[n]`
    /// - result: `[n, in]`
    pub fn columns(&self, indices: Tensor<1, Int>) -> Tensor<2> {
        #[cfg(feature = "flex")]
        return flex::packed_columns(self.values.clone(), self.dims, indices);
        #[cfg(not(feature = "flex"))]
        {
            let _ = indices;
            unreachable!("without Flex none is made")
        }
    }

    /// `x @ weight + bias`.
    ///
    /// # Shapes
    /// - `x`: `[tokens, in]`
    /// - `bias`: `[out]`
    /// - result: `[tokens, out]`
    pub fn linear(&self, x: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
        #[cfg(feature = "flex")]
        return flex::packed_linear(x, self.values.clone(), self.dims, bias);
        #[cfg(not(feature = "flex"))]
        {
            let _ = (x, bias, self.dims);
            unreachable!("without Flex none is made")
        }
    }
}
