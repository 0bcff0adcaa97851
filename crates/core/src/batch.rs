//! The token layout of every training and scoring pass: sequences laid end to end, no padding through the network.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Row length that training and scoring passes pack to when their sequences are shorter.
pub const ROW_LEN: usize = 256;

/// Variable-length sequences in `rows` rows of `row_len` tokens, on the host.
///
/// Each token carries the first position of its row that it may attend to, which expresses causal masks, packing and
/// padding on either side with one vector (see `docs/architecture.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBatch {
    rows: usize,
    row_len: usize,
    input_ids: Vec<i32>,
    position_ids: Vec<i32>,
    visible_from: Vec<i32>,
    starts: Vec<usize>,
    lens: Vec<usize>,
}

/// A [`TokenBatch`] on a device.
#[derive(Debug, Clone)]
pub struct BatchTensors {
    /// Token ids, `[rows * row_len]`.
    pub input_ids: Tensor<1, Int>,
    /// Position of each token in its own sequence, `[rows * row_len]`.
    pub position_ids: Tensor<1, Int>,
    /// First position of the row that a token attends to, `[rows, row_len]`.
    pub visible_from: Tensor<2, Int>,
}

/// Side on which [`TokenBatch::padded`] puts the padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaddingSide {
    /// Before the first token.
    Left,
    /// After the last token.
    Right,
}

impl TokenBatch {
    /// Packs `sequences` into as few rows as first-fit-decreasing finds, each of `max(row_len, longest)` tokens.
    ///
    /// Unused places at the end of a row hold id 0, attend to themselves alone and are never read.
    pub fn pack<S: AsRef<[u32]>>(sequences: &[S], row_len: usize) -> Self {
        let lens: Vec<usize> = sequences.iter().map(|s| s.as_ref().len()).collect();
        let longest = lens.iter().copied().max().unwrap_or(0);
        let capacity = longest.max(row_len.min(lens.iter().sum())).max(1);
        let mut order: Vec<usize> = (0..lens.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(lens[i]));

        let mut used: Vec<usize> = Vec::new();
        let mut places = vec![(0, 0); lens.len()];
        for i in order {
            let row = match used.iter().position(|&u| u + lens[i] <= capacity) {
                Some(row) => row,
                None => {
                    used.push(0);
                    used.len() - 1
                }
            };
            places[i] = (row, used[row]);
            used[row] += lens[i];
        }
        let rows = used.len().max(1);
        let row_len = used.iter().copied().max().unwrap_or(0).max(1);
        Self::place(sequences, rows, row_len, &places)
    }

    /// One row per sequence, padded to the longest on the given side with id 0.
    pub fn padded<S: AsRef<[u32]>>(sequences: &[S], side: PaddingSide) -> Self {
        let longest = sequences.iter().map(|s| s.as_ref().len()).max().unwrap_or(0).max(1);
        let places: Vec<(usize, usize)> = sequences
            .iter()
            .enumerate()
            .map(|(row, s)| match side {
                PaddingSide::Left => (row, longest - s.as_ref().len()),
                PaddingSide::Right => (row, 0),
            })
            .collect();
        Self::place(sequences, sequences.len().max(1), longest, &places)
    }

    fn place<S: AsRef<[u32]>>(sequences: &[S], rows: usize, row_len: usize, places: &[(usize, usize)]) -> Self {
        let tokens = rows * row_len;
        let mut batch = Self {
            rows,
            row_len,
            input_ids: vec![0; tokens],
            position_ids: vec![0; tokens],
            visible_from: (0..tokens).map(|i| (i % row_len) as i32).collect(),
            starts: Vec::with_capacity(sequences.len()),
            lens: Vec::with_capacity(sequences.len()),
        };
        for (sequence, &(row, offset)) in sequences.iter().zip(places) {
            let ids = sequence.as_ref();
            let start = row * row_len + offset;
            for (t, &id) in ids.iter().enumerate() {
                batch.input_ids[start + t] = id as i32;
                batch.position_ids[start + t] = t as i32;
                batch.visible_from[start + t] = offset as i32;
            }
            batch.starts.push(start);
            batch.lens.push(ids.len());
        }
        batch
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Tokens in a row.
    pub fn row_len(&self) -> usize {
        self.row_len
    }

    /// Tokens that belong to sequences.
    pub fn real_tokens(&self) -> usize {
        self.lens.iter().sum()
    }

    /// Flat index, into `[rows * row_len]`, of token `position` of sequence `sequence`.
    ///
    /// # Panics
    /// If the sequence has no such token: the index would be that of a neighbour.
    pub fn flat_index(&self, sequence: usize, position: usize) -> usize {
        let len = self.lens[sequence];
        assert!(
            position < len,
            "position {position} of sequence {sequence}, which has {len} tokens"
        );
        self.starts[sequence] + position
    }

    /// The largest position id plus one: what the model's context must hold.
    pub fn longest(&self) -> usize {
        self.lens.iter().copied().max().unwrap_or(0)
    }

    /// Copies the batch to `device`.
    pub fn to_device(&self, device: &Device) -> BatchTensors {
        let tokens = self.rows * self.row_len;
        let flat = |ids: &[i32]| int_tensor(ids, device);
        debug_assert_eq!(self.input_ids.len(), tokens);
        BatchTensors {
            input_ids: flat(&self.input_ids),
            position_ids: flat(&self.position_ids),
            visible_from: flat(&self.visible_from).reshape([self.rows, self.row_len]),
        }
    }
}

/// A host list of integers as a tensor `[n]`.
pub fn int_tensor(values: &[i32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

/// A host list of indices as a tensor `[n]`.
pub fn index_tensor(values: &[usize], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.iter().map(|&v| v as i32).collect();
    int_tensor(&values, device)
}

/// A host list of floats as a tensor `[n]`.
pub fn float_tensor(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

/// Copies a float tensor to the host in row-major order.
pub fn to_host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .into_data()
        .convert::<f32>()
        .try_to_vec()
        .expect("converted to f32 on the line above")
}

/// Splits consecutive items into groups whose token counts add up to at most `max_tokens`.
///
/// An item longer than that forms a group of its own; groups keep the order and none is empty.
pub fn micro_batches(lens: &[usize], max_tokens: usize) -> Vec<std::ops::Range<usize>> {
    let mut groups = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (i, &len) in lens.iter().enumerate() {
        if i > start && tokens + len > max_tokens {
            groups.push(start..i);
            (start, tokens) = (i, 0);
        }
        tokens += len;
    }
    if start < lens.len() {
        groups.push(start..lens.len());
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packing_places_sequences_end_to_end() {
        let batch = TokenBatch::pack(&[vec![1, 2], vec![3, 4, 5], vec![6]], 4);
        assert_eq!((batch.rows(), batch.row_len()), (2, 4));
        assert_eq!(batch.input_ids, [3, 4, 5, 6, 1, 2, 0, 0]);
        assert_eq!(batch.position_ids, [0, 1, 2, 0, 0, 1, 0, 0]);
        assert_eq!(batch.visible_from, [0, 0, 0, 3, 0, 0, 2, 3]);
        assert_eq!(batch.flat_index(0, 1), 5);
        assert_eq!(batch.flat_index(2, 0), 3);
    }

    #[test]
    fn left_padding_hides_the_pads() {
        let batch = TokenBatch::padded(&[vec![7], vec![8, 9]], PaddingSide::Left);
        assert_eq!(batch.input_ids, [0, 7, 8, 9]);
        assert_eq!(batch.visible_from, [0, 1, 0, 0]);
        assert_eq!(batch.position_ids, [0, 0, 0, 1]);
    }

    #[test]
    fn micro_batches_respect_the_limit() {
        assert_eq!(micro_batches(&[3, 3, 3, 9, 1], 6), [0..2, 2..3, 3..4, 4..5]);
        assert!(micro_batches(&[], 6).is_empty());
    }

    proptest! {
        #[test]
        fn every_token_lands_once_and_sees_its_own_sequence_only(
            lens in prop::collection::vec(1usize..9, 1..12), row_len in 1usize..20
        ) {
            let sequences: Vec<Vec<u32>> = lens.iter().enumerate()
                .map(|(i, &len)| (0..len).map(|t| (i * 100 + t + 1) as u32).collect()).collect();
            let batch = TokenBatch::pack(&sequences, row_len);
            let mut seen = std::collections::BTreeSet::new();
            for (i, sequence) in sequences.iter().enumerate() {
                for (t, &id) in sequence.iter().enumerate() {
                    let flat = batch.flat_index(i, t);
                    prop_assert!(seen.insert(flat));
                    prop_assert_eq!(batch.input_ids[flat], id as i32);
                    let first = flat / batch.row_len() * batch.row_len() + batch.visible_from[flat] as usize;
                    prop_assert_eq!(first, batch.flat_index(i, 0));
                }
            }
        }
    }
}
