//! Products of a few rows with a weight that is laid out for them.

use rayon::prelude::*;

use super::matrix::{Matrix, MatrixMut, product, unwritten};

/// Columns of a panel: four AVX-512 registers, what the kernels of `gemm` work on at a time.
const PANEL: usize = 64;
/// Rows that are multiplied with a panel at a time: a whole number of `gemm`'s tiles, and no more than it takes without making a copy of
/// the panel first.
const ROWS: usize = 48;
/// Products this small are not worth a second thread.
const SEQUENTIAL_WORK: usize = 1 << 19;

/// A weight in panels, one after the other: each has the rows of some columns in one piece.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a> {
    values: &'a [f32],
    rows: usize,
    cols: usize,
}

impl<'a> Packed<'a> {
    pub(super) fn new(values: &'a [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(values.len(), rows * cols, "matrix of {rows} x {cols}");
        Self { values, rows, cols }
    }

    fn panel(&self, panel: usize) -> Matrix<'a> {
        let first = panel * PANEL;
        let width = PANEL.min(self.cols - first);
        Matrix::new(&self.values[first * self.rows..][..self.rows * width], self.rows, width)
    }
}

/// The numbers of `weight`, panel after panel.
pub(super) fn pack(weight: Matrix<'_>) -> Vec<f32> {
    let (rows, cols) = (weight.rows(), weight.cols());
    let mut by_rows = Vec::new();
    let weight = weight.row_major(&mut by_rows);
    let mut values = unwritten(rows * cols);
    values
        .par_chunks_mut((PANEL * rows).max(1))
        .enumerate()
        .for_each(|(panel, values)| {
            let first = panel * PANEL;
            let width = PANEL.min(cols - first);
            for (row, values) in values.chunks_exact_mut(width).enumerate() {
                values.copy_from_slice(&weight.row(row)[first..first + width]);
            }
        });
    values
}

/// Some columns of the weight, one after the other.
pub(super) fn columns(weight: Packed<'_>, columns: &[usize]) -> Vec<f32> {
    let mut values = Vec::with_capacity(columns.len() * weight.rows);
    for &column in columns {
        let panel = weight.panel(column / PANEL);
        values.extend((0..weight.rows).map(|row| panel.row(row)[column % PANEL]));
    }
    values
}

/// `x @ weight + bias`.
pub(super) fn forward(x: Matrix<'_>, weight: Packed<'_>, bias: Option<&[f32]>) -> Vec<f32> {
    let (tokens, out) = (x.rows(), weight.cols);
    let mut y = unwritten(tokens * out);
    let panels: Vec<MatrixMut<'_>> = MatrixMut::new(&mut y, tokens, out).column_blocks(PANEL).collect();
    let at_once = SEQUENTIAL_WORK.div_ceil((tokens * weight.rows * PANEL).max(1));
    panels
        .into_par_iter()
        .with_min_len(at_once)
        .enumerate()
        .for_each(|(panel, mut y)| {
            let weight = weight.panel(panel);
            for first in (0..tokens).step_by(ROWS) {
                let rows = ROWS.min(tokens - first);
                let product = product(x.rows_from(first, rows), weight);
                let mut y = y.rows_from(first, rows);
                let Some(bias) = bias else {
                    product.store(&mut y);
                    continue;
                };
                let bias = &bias[panel * PANEL..][..y.cols()];
                for row in 0..rows {
                    y.row(row).copy_from_slice(bias);
                }
                product.add_to(&mut y);
            }
        });
    y
}
