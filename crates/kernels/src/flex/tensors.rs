//! Flex tensors and the slices and matrices that kernels know.

use burn::tensor::{Bytes, DType, Shape, bf16};
use burn_flex::{FlexTensor, Layout};

use super::matrix::Matrix;

pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(Shape::from(shape)),
        DType::F32,
    )
}

pub(super) fn dims<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    tensor.layout().shape().dims()
}

/// The tensor, copied if its elements do not follow one another.
pub(super) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

/// The tensor, copied if it is no plain view of rows and columns, transposed or not.
pub(super) fn strided(tensor: FlexTensor) -> FlexTensor {
    if tensor.layout().strides().iter().all(|&stride| stride > 0) {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

/// A matrix view of a tensor that went through [`strided`].
pub(super) fn matrix(tensor: &FlexTensor) -> Matrix<'_> {
    let [rows, cols] = dims(tensor);
    let layout = tensor.layout();
    let data = tensor.storage::<f32>().get(layout.start_offset()..).unwrap_or_default();
    let [row_stride, col_stride] = [0, 1].map(|dim| layout.strides()[dim].unsigned_abs());
    Matrix::strided(data, rows, cols, row_stride, col_stride)
}

/// The elements of a tensor that went through [`contiguous`].
pub(super) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("the tensor was made contiguous")
}

/// The elements of a bf16 tensor that went through [`contiguous`].
pub(super) fn slice_half(tensor: &FlexTensor) -> &[bf16] {
    tensor.as_slice().expect("the tensor was made contiguous")
}

/// The same to write: in place if nobody else holds the buffer, else in a copy.
pub(super) fn slice_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    let (start, end) = tensor
        .layout()
        .contiguous_offsets()
        .expect("the tensor was made contiguous");
    &mut tensor.storage_mut()[start..end]
}

/// Positions and token ids, in either integer type Burn makes them in.
pub(super) fn indices(tensor: FlexTensor) -> Vec<usize> {
    let tensor = contiguous(tensor);
    let index = |value: i64| usize::try_from(value).expect("an index is not negative");
    match tensor.dtype() {
        DType::I32 => {
            let values = tensor.as_slice::<i32>().expect("the tensor was made contiguous");
            values.iter().map(|&value| index(value.into())).collect()
        }
        _ => {
            let values = tensor.as_slice::<i64>().expect("the tensor was made contiguous");
            values.iter().map(|&value| index(value)).collect()
        }
    }
}
