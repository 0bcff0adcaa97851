//! Views of row-major `f32` buffers as matrices, and their products.
//!
//! This is the safe face of the `gemm` crate: a view is checked against its buffer when it is made, so that a
//! product cannot leave it. Every product gives the same bits for any number of threads: `gemm` divides the result
//! into tiles by shape alone and adds up each tile in one order, whichever thread it falls to.
#![allow(
    unsafe_code,
    reason = "gemm takes raw pointers, and columns of one matrix go to several threads"
)]

use std::marker::PhantomData;

use gemm::Parallelism;
use rayon::prelude::*;

/// A matrix to read: element `(r, c)` stands at `r * row_stride + c * col_stride`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix whose rows follow one another.
    pub(super) fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols, 1)
    }

    /// A matrix with given distances between rows and between columns.
    pub(super) fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> Self {
        if rows > 0 && cols > 0 {
            let last = (rows - 1) * row_stride + (cols - 1) * col_stride;
            assert!(last < data.len(), "matrix of {rows} x {cols} leaves its buffer");
        }
        Self {
            data,
            rows,
            cols,
            row_stride,
            col_stride,
        }
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub(super) fn cols(&self) -> usize {
        self.cols
    }

    /// One row of a matrix whose rows are contiguous.
    pub(super) fn row(&self, row: usize) -> &'a [f32] {
        assert!(row < self.rows && self.col_stride == 1, "no such row in one piece");
        &self.data[row * self.row_stride..][..self.cols]
    }

    /// The rows `first .. first + rows`.
    pub(super) fn rows_from(&self, first: usize, rows: usize) -> Self {
        assert!(first + rows <= self.rows, "rows out of range");
        Self {
            data: self.data.get(first * self.row_stride..).unwrap_or_default(),
            rows,
            ..*self
        }
    }

    /// The transposed view.
    pub(super) fn t(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }
}

/// A matrix to write, row by row or by [`Product`]. Its rows are contiguous, `row_stride` apart.
///
/// Unlike `&mut [f32]` it can be a block of columns, of which several threads may each hold their own.
pub(super) struct MatrixMut<'a> {
    data: *mut f32,
    rows: usize,
    cols: usize,
    row_stride: usize,
    buffer: PhantomData<&'a mut [f32]>,
}

// SAFETY: a MatrixMut is an exclusive borrow of the elements it covers, like the `&mut [f32]` it was made from.
unsafe impl Send for MatrixMut<'_> {}

impl<'a> MatrixMut<'a> {
    /// A matrix that fills `data`.
    pub(super) fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// A matrix whose rows are `row_stride` apart.
    pub(super) fn strided(data: &'a mut [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert!(cols <= row_stride || rows <= 1, "rows would overlap");
        if rows > 0 && cols > 0 {
            assert!((rows - 1) * row_stride + cols <= data.len(), "matrix leaves its buffer");
        }
        Self {
            data: data.as_mut_ptr(),
            rows,
            cols,
            row_stride,
            buffer: PhantomData,
        }
    }

    /// Divides the matrix into blocks of `width` columns. `width` divides the number of columns.
    pub(super) fn split_columns(self, width: usize) -> impl Iterator<Item = MatrixMut<'a>> {
        assert!(
            self.cols.is_multiple_of(width),
            "{width} does not divide {} columns",
            self.cols
        );
        (0..self.cols / width).map(move |block| MatrixMut {
            // Blocks do not overlap, and `self` is gone. With no rows this points past the buffer, and is not used.
            data: self.data.wrapping_add(block * width),
            cols: width,
            ..self
        })
    }

    /// Divides the matrix into blocks of `width` columns; the last one has what is left.
    pub(super) fn column_blocks(self, width: usize) -> impl Iterator<Item = MatrixMut<'a>> {
        (0..self.cols.div_ceil(width)).map(move |block| MatrixMut {
            // SAFETY: the offset stays inside the first row; blocks do not overlap, and `self` is gone.
            data: unsafe { self.data.add(block * width) },
            cols: width.min(self.cols - block * width),
            ..self
        })
    }

    /// Number of columns.
    pub(super) fn cols(&self) -> usize {
        self.cols
    }

    /// The rows `first .. first + rows`.
    pub(super) fn rows_from(&mut self, first: usize, rows: usize) -> MatrixMut<'_> {
        assert!(first + rows <= self.rows, "rows out of range");
        MatrixMut {
            // With no rows this may point past the buffer, and is not used.
            data: self.data.wrapping_add(first * self.row_stride),
            rows,
            cols: self.cols,
            row_stride: self.row_stride,
            buffer: PhantomData,
        }
    }

    /// Sets every element.
    pub(super) fn fill(&mut self, value: f32) {
        for row in 0..self.rows {
            self.row(row).fill(value);
        }
    }

    /// One row.
    pub(super) fn row(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows, "row out of range");
        if self.cols == 0 {
            // What no element stands in need not lie in the buffer.
            return &mut [];
        }
        // SAFETY: the constructor checked that each row lies in the buffer, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(row * self.row_stride), self.cols) }
    }
}

/// `scale * lhs @ rhs`, waiting for a place to go.
pub(super) struct Product<'a> {
    lhs: Matrix<'a>,
    rhs: Matrix<'a>,
    scale: f32,
    parallelism: Parallelism,
}

/// The product of two matrices, computed by the calling thread.
pub(super) fn product<'a>(lhs: Matrix<'a>, rhs: Matrix<'a>) -> Product<'a> {
    Product {
        lhs,
        rhs,
        scale: 1.0,
        parallelism: Parallelism::None,
    }
}

impl Product<'_> {
    /// Multiplies the product by a number.
    pub(super) fn scaled(self, scale: f32) -> Self {
        Self { scale, ..self }
    }

    /// Lets all threads of the current pool take part.
    pub(super) fn parallel(self) -> Self {
        Self {
            parallelism: Parallelism::Rayon(rayon::current_num_threads()),
            ..self
        }
    }

    /// Overwrites `dst`, without reading it.
    pub(super) fn store(self, dst: &mut MatrixMut<'_>) {
        self.run(dst, false);
    }

    /// Adds to `dst`.
    pub(super) fn add_to(self, dst: &mut MatrixMut<'_>) {
        self.run(dst, true);
    }

    fn run(self, dst: &mut MatrixMut<'_>, read_dst: bool) {
        let Self {
            lhs,
            rhs,
            scale,
            parallelism,
        } = self;
        assert_eq!((dst.rows, dst.cols, lhs.cols), (lhs.rows, rhs.cols, rhs.rows), "shapes");
        // SAFETY: the constructors of the three views checked that all their elements lie in their buffers, the
        // shapes agree, and `dst` cannot overlap `lhs` or `rhs` because it is an exclusive borrow.
        unsafe {
            gemm::gemm(
                dst.rows,
                dst.cols,
                lhs.cols,
                dst.data,
                1,
                dst.row_stride as isize,
                read_dst,
                lhs.data.as_ptr(),
                lhs.col_stride as isize,
                lhs.row_stride as isize,
                rhs.data.as_ptr(),
                rhs.col_stride as isize,
                rhs.row_stride as isize,
                1.0,
                scale,
                false,
                false,
                false,
                parallelism,
            );
        }
    }
}

/// A buffer of `len` numbers for a caller that writes all of them before it reads any: what `vec![0.0; len]` would
/// be without the pass over memory that sets the zeros. Unit tests get NaN, so that a gap cannot hide; Miri
/// notices one by itself.
#[expect(clippy::uninit_vec, reason = "the caller writes before it reads; f32 has no Drop")]
pub(super) fn unwritten(len: usize) -> Vec<f32> {
    if cfg!(all(test, not(miri))) {
        return vec![f32::NAN; len];
    }
    let mut buffer = Vec::with_capacity(len);
    // SAFETY: the capacity is `len`, and every caller overwrites the whole buffer before anything reads it.
    unsafe {
        buffer.set_len(len);
    }
    buffer
}

/// Width of the square tiles in which matrices are transposed.
const TILE: usize = 16;

impl<'a> Matrix<'a> {
    /// The same matrix with contiguous rows: itself if it has them, else a copy in `buffer`, made by all threads.
    pub(super) fn row_major(self, buffer: &'a mut Vec<f32>) -> Matrix<'a> {
        if self.col_stride == 1 || self.rows * self.cols == 0 {
            return self;
        }
        *buffer = unwritten(self.rows * self.cols);
        buffer
            .par_chunks_mut(TILE * self.cols)
            .enumerate()
            .for_each(|(tile, out)| self.copy_rows(tile * TILE, out));
        Matrix::new(buffer, self.rows, self.cols)
    }

    /// Copies at most [`TILE`] rows from `first` on to `out`, as many as it has. Columns are read one at a time, so
    /// they should be contiguous.
    fn copy_rows(&self, first: usize, out: &mut [f32]) {
        let height = out.len() / self.cols;
        for c0 in (0..self.cols).step_by(TILE) {
            let width = TILE.min(self.cols - c0);
            let mut tile = [[0.0; TILE]; TILE]; // [column, row]
            for (c, tile) in tile[..width].iter_mut().enumerate() {
                let source = first * self.row_stride + (c0 + c) * self.col_stride;
                if height == TILE && self.row_stride == 1 {
                    tile.copy_from_slice(&self.data[source..source + TILE]);
                } else {
                    for (r, value) in tile[..height].iter_mut().enumerate() {
                        *value = self.data[source + r * self.row_stride];
                    }
                }
            }
            for (r, row) in out.chunks_exact_mut(self.cols).enumerate() {
                if let Some(row) = row[c0..].first_chunk_mut::<TILE>() {
                    *row = std::array::from_fn(|c| tile[c][r]);
                } else {
                    for (c, value) in row[c0..].iter_mut().enumerate() {
                        *value = tile[c][r];
                    }
                }
            }
        }
    }
}

/// The transpose of `matrix` with its rows one after the other, in `out`, by the calling thread.
pub(super) fn transpose(matrix: Matrix<'_>, out: &mut Vec<f32>) {
    let matrix = matrix.t();
    out.resize(matrix.rows * matrix.cols, 0.0);
    for (tile, out) in out.chunks_mut(TILE * matrix.cols).enumerate() {
        matrix.copy_rows(tile * TILE, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `lhs @ rhs`, one number after the other.
    fn by_definition(lhs: Matrix<'_>, rhs: Matrix<'_>) -> Vec<f32> {
        let at = |m: &Matrix<'_>, r: usize, c: usize| m.data[r * m.row_stride + c * m.col_stride];
        let element = |r, c| (0..lhs.cols).map(|k| at(&lhs, r, k) * at(&rhs, k, c)).sum();
        (0..lhs.rows)
            .flat_map(|r| (0..rhs.cols).map(move |c| (r, c)))
            .map(|(r, c)| element(r, c))
            .collect()
    }

    fn whole_numbers(len: usize) -> Vec<f32> {
        (0..len).map(|i| (i % 7) as f32 - 3.0).collect()
    }

    #[test]
    fn small_products_are_their_definition_in_any_layout() {
        // Whole numbers, so that any order of additions gives the same.
        for (rows, inner, cols) in [(1, 1, 1), (3, 17, 5), (18, 2, 4), (2, 3, 19), (4, 0, 3)] {
            let (a, b) = (whole_numbers(rows * inner), whole_numbers(inner * cols));
            let left = [Matrix::new(&a, rows, inner), Matrix::new(&a, inner, rows).t()];
            let right = [Matrix::new(&b, inner, cols), Matrix::new(&b, cols, inner).t()];
            for (lhs, rhs) in left.into_iter().flat_map(|l| right.map(|r| (l, r))) {
                let expected = by_definition(lhs, rhs);
                for waiting in [product(lhs, rhs), product(lhs, rhs).parallel()] {
                    let mut out = unwritten(rows * cols);
                    waiting.store(&mut MatrixMut::new(&mut out, rows, cols));
                    assert_eq!(out, expected);
                    product(lhs, rhs)
                        .scaled(2.0)
                        .add_to(&mut MatrixMut::new(&mut out, rows, cols));
                    assert!(out.iter().zip(&expected).all(|(out, e)| *out == 3.0 * e));
                }
            }
        }
    }

    #[test]
    fn small_blocks_of_columns_are_written_by_several_threads() {
        let (rows, blocks, width) = (3, 4, 2);
        let mut buffer = vec![0.0; rows * blocks * width];
        let columns: Vec<_> = MatrixMut::new(&mut buffer, rows, blocks * width)
            .split_columns(width)
            .collect();
        columns.into_par_iter().enumerate().for_each(|(block, mut columns)| {
            columns.fill(-1.0);
            for row in 0..rows {
                columns.row(row)[1] = block as f32;
            }
            columns.rows_from(1, 1).row(0)[0] = 10.0;
        });
        let expected: Vec<f32> = [-1.0, 10.0, -1.0]
            .into_iter()
            .flat_map(|first| (0..blocks).flat_map(move |block| [first, block as f32]))
            .collect();
        assert_eq!(buffer, expected);
    }

    /// Neither rows without columns nor columns without rows may be looked for in a buffer that has no place for them.
    #[test]
    fn small_matrices_of_nothing_point_nowhere() {
        let blocks: Vec<_> = MatrixMut::new(&mut [], 0, 6).split_columns(2).collect();
        assert_eq!(blocks.len(), 3);
        let mut none = MatrixMut::strided(&mut [], 3, 0, 5);
        assert!(none.row(2).is_empty());
        none.rows_from(3, 0).fill(1.0);
        assert!(MatrixMut::new(&mut [1.0], 1, 1).rows_from(1, 0).rows == 0);
    }

    #[test]
    fn small_transposes_are_transposed() {
        for (rows, cols) in [(1, 1), (17, 3), (16, 18)] {
            let data = whole_numbers(rows * cols);
            let matrix = Matrix::new(&data, rows, cols);
            let (mut copy, mut out) = (Vec::new(), Vec::new());
            let turned = matrix.t().row_major(&mut copy);
            transpose(matrix, &mut out);
            for (r, c) in (0..rows).flat_map(|r| (0..cols).map(move |c| (r, c))) {
                assert_eq!(turned.row(c)[r], data[r * cols + c]);
                assert_eq!(out[c * rows + r], data[r * cols + c]);
            }
        }
    }
}
