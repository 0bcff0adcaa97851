//! The order of a tensor's rows in a GGUF file, and in transformers' checkpoint.

/// How the numbers of a tensor in the file stand to those of transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Alike.
    Same,
    /// Rows of each head: (i, half) in the file, so that the two of a rotation are neighbours, (half, i) in transformers.
    Rotary {
        /// Heads.
        n_heads: usize,
    },
    /// `[out, in]` in the file, `[in, out]` in transformers.
    Transposed,
    /// Rows are all queries, all keys, all values in the file; query, key and value of each head in transformers.
    HeadByHead {
        /// Heads.
        n_heads: usize,
    },
}

impl Order {
    /// The row in transformers' order of row `stored` of `rows` in the file's.
    fn row(self, stored: usize, rows: usize) -> usize {
        match self {
            Self::Same | Self::Transposed => stored,
            Self::Rotary { n_heads } => {
                let d_head = rows / n_heads;
                let (head, inner) = (stored / d_head, stored % d_head);
                head * d_head + inner % 2 * (d_head / 2) + inner / 2
            }
            Self::HeadByHead { n_heads } => {
                let d_head = rows / (3 * n_heads);
                let (part, rest) = (stored / (n_heads * d_head), stored % (n_heads * d_head));
                rest / d_head * 3 * d_head + part * d_head + rest % d_head
            }
        }
    }

    /// Pairs of places, (in the file, in transformers' order) with the length of the run that begins there.
    fn runs(self, rows: usize, width: usize) -> impl Iterator<Item = (usize, usize)> {
        (0..rows).map(move |stored| (stored * width, self.row(stored, rows) * width))
    }

    /// Numbers of the file in transformers' order.
    ///
    /// # Shapes
    /// - `stored`, `out`: `[rows, width]`; a bias has rows of one
    pub(crate) fn to_transformers(self, stored: &[f32], rows: usize, out: &mut [f32]) {
        let width = stored.len() / rows;
        if self == Self::Transposed {
            return transpose(stored, rows, width, out);
        }
        for (from, to) in self.runs(rows, width) {
            out[to..to + width].copy_from_slice(&stored[from..from + width]);
        }
    }

    /// Numbers of transformers in the file's order; `rows` counts the file's.
    pub(crate) fn to_file(self, numbers: &[f32], rows: usize) -> Vec<f32> {
        let width = numbers.len() / rows;
        let mut out = vec![0.0; numbers.len()];
        if self == Self::Transposed {
            transpose(numbers, width, rows, &mut out);
            return out;
        }
        for (to, from) in self.runs(rows, width) {
            out[to..to + width].copy_from_slice(&numbers[from..from + width]);
        }
        out
    }
}

/// `[rows, width]` to `[width, rows]`, in squares that fit into the cache.
fn transpose(from: &[f32], rows: usize, width: usize, to: &mut [f32]) {
    const SIDE: usize = 32;
    for top in (0..rows).step_by(SIDE) {
        for left in (0..width).step_by(SIDE) {
            for row in top..(top + SIDE).min(rows) {
                for column in left..(left + SIDE).min(width) {
                    to[column * rows + row] = from[row * width + column];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(order: Order, rows: usize, expected: &[f32]) {
        let stored: Vec<f32> = (0..expected.len()).map(|i| i as f32).collect();
        let mut out = vec![0.0; stored.len()];
        order.to_transformers(&stored, rows, &mut out);
        assert_eq!(out, expected);
        assert_eq!(order.to_file(&out, rows), stored);
    }

    #[test]
    fn rotary_rows_go_from_pairs_to_halves() {
        // Two heads of four rows: pairs (0 1) (2 3) become halves (0 2) (1 3).
        check(
            Order::Rotary { n_heads: 2 },
            8,
            &[0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0],
        );
        // One head of two rows of two.
        check(Order::Rotary { n_heads: 1 }, 2, &[0.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn queries_keys_and_values_are_dealt_to_their_heads() {
        // Two heads of one row: q0 q1 k0 k1 v0 v1 becomes q0 k0 v0 q1 k1 v1.
        check(Order::HeadByHead { n_heads: 2 }, 6, &[0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
    }

    #[test]
    fn a_matrix_is_turned() {
        // [[0 1 2] [3 4 5]] becomes [[0 3] [1 4] [2 5]].
        check(Order::Transposed, 2, &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    }
}
