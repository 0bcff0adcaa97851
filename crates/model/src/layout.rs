//! Between a parameter as we keep it and the tensors of a checkpoint that hold it.

use std::ops::Range;

use crate::families::{Layout, StoredParameter};
use crate::storage::StoredNumbers;

/// Stored rows that are turned into columns together, so that memory is written in runs.
const ROWS: usize = 16;

impl StoredParameter {
    /// True if the checkpoint has the numbers in our order, in one tensor.
    pub(crate) fn is_stored_as_held(&self) -> bool {
        self.layout == Layout::Same && self.parts.len() == 1
    }

    /// Fills the place of part `index` in `ours`, the values of the whole parameter, from what is stored.
    pub(crate) fn read_part(&self, index: usize, stored: &StoredNumbers<'_>, ours: &mut [f32]) {
        if self.is_stored_as_held() {
            return stored.decode(0, ours);
        }
        let columns = self.output_columns(index);
        let input = columns.input;
        let mut rows = vec![0.0; ROWS * input];
        for start in (0..columns.width).step_by(ROWS) {
            let n = ROWS.min(columns.width - start);
            stored.decode(start * input, &mut rows[..n * input]);
            let places = columns.places(start..start + n);
            for (i, line) in ours.chunks_mut(columns.out).enumerate() {
                for (row, &place) in places.iter().enumerate() {
                    line[place] = rows[row * input + i];
                }
            }
        }
    }

    /// The values of part `index`, in the order the checkpoint stores them.
    pub(crate) fn write_part(&self, index: usize, ours: &[f32]) -> Vec<f32> {
        if self.is_stored_as_held() {
            return ours.to_vec();
        }
        let columns = self.output_columns(index);
        let (input, width) = (columns.input, columns.width);
        let mut stored = vec![0.0; width * input];
        for start in (0..width).step_by(ROWS) {
            let rows = start..width.min(start + ROWS);
            let places = columns.places(rows.clone());
            for (i, line) in ours.chunks(columns.out).enumerate() {
                for (row, &place) in rows.clone().zip(&places) {
                    stored[row * input + i] = line[place];
                }
            }
        }
        stored
    }

    /// Outputs that part `index` holds. A bias is a matrix of one input.
    fn output_columns(&self, index: usize) -> OutputColumns {
        let out = self.shape[self.shape.len() - 1];
        let (first, width) = self.columns(index);
        OutputColumns {
            layout: self.layout,
            input: self.shape.iter().product::<usize>() / out,
            first,
            width,
            out,
        }
    }
}

/// The outputs `first .. first + width` of `out`, each a column of `input` numbers.
struct OutputColumns {
    layout: Layout,
    input: usize,
    first: usize,
    width: usize,
    out: usize,
}

impl OutputColumns {
    /// Places in our weight of the outputs that are stored as `rows`.
    fn places(&self, rows: Range<usize>) -> Vec<usize> {
        rows.map(|row| self.layout.output(self.first + row, self.out)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::Part;
    use crate::storage::StorageType;

    fn parameter(layout: Layout, shape: &[usize], parts: &[&[usize]]) -> StoredParameter {
        let part = |shape: &&[usize]| Part {
            name: "part".into(),
            shape: shape.to_vec(),
        };
        StoredParameter {
            name: "parameter".into(),
            shape: shape.to_vec(),
            layout,
            parts: parts.iter().map(part).collect(),
        }
    }

    #[track_caller]
    fn check(parameter: &StoredParameter, stored: &[&[f32]], ours: &[f32]) {
        let mut found = vec![f32::NAN; ours.len()];
        for (index, stored) in stored.iter().enumerate() {
            let storage = StorageType::F32;
            let bytes = &storage.encode(stored)[..];
            parameter.read_part(index, &StoredNumbers::Encoded { storage, bytes }, &mut found);
            assert_eq!(&parameter.write_part(index, ours), stored);
        }
        assert_eq!(found, ours);
    }

    #[test]
    fn outputs_of_several_tensors_stand_side_by_side() {
        // Two inputs, three outputs: one in the first tensor, two in the second.
        let weight = parameter(Layout::Transposed, &[2, 3], &[&[1, 2], &[2, 2]]);
        check(
            &weight,
            &[&[1.0, 2.0], &[3.0, 4.0, 5.0, 6.0]],
            &[1.0, 3.0, 5.0, 2.0, 4.0, 6.0],
        );
        let bias = parameter(Layout::Transposed, &[3], &[&[1], &[2]]);
        check(&bias, &[&[1.0], &[2.0, 3.0]], &[1.0, 2.0, 3.0]);
    }

    #[test]
    fn outputs_head_by_head_are_sorted() {
        // Two heads of width 1 and one input: stored q0 k0 v0 q1 k1 v1.
        let layout = Layout::HeadByHead { n_heads: 2 };
        let stored: &[f32] = &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let ours = [1.0, 4.0, 2.0, 5.0, 3.0, 6.0];
        check(&parameter(layout, &[1, 6], &[&[6, 1]]), &[stored], &ours);
        check(&parameter(layout, &[6], &[&[6]]), &[stored], &ours);
    }

    #[test]
    fn more_rows_than_are_turned_at_once_come_out_transposed() {
        let (input, out) = (3, 2 * ROWS + 5);
        let stored: Vec<f32> = (0..input * out).map(|i| i as f32).collect();
        let ours: Vec<f32> = (0..input)
            .flat_map(|i| (0..out).map(move |o| (o * input + i) as f32))
            .collect();
        check(
            &parameter(Layout::Transposed, &[input, out], &[&[out, input]]),
            &[&stored],
            &ours,
        );
    }
}
