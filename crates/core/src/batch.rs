//! The token layout of every training and scoring pass: sequences laid end to end, no padding through the network.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Row length that training and scoring passes pack to when their sequences are shorter.
pub const ROW_LEN: usize = 256;

/// The same where whole groups of sequences have to find room in a row.
pub const GROUP_ROW_LEN: usize = 1024;

/// Variable-length sequences in `rows` rows of `row_len` tokens, on the host.
///
/// Each token carries the first position of its row that it may attend to, and a gap behind that position, often empty,
/// that it may not: this expresses causal masks, packing, padding on either side, and a prompt that stands once for several
/// completions (see `docs/architecture.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBatch {
    rows: usize,
    row_len: usize,
    input_ids: Vec<i32>,
    position_ids: Vec<i32>,
    visible: Vec<[i32; 3]>,
    spans: Vec<SequenceSpan>,
}

/// Place of a sequence in the flat batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SequenceSpan {
    len: usize,
    /// Tokens at the beginning that others share.
    shared: usize,
    /// Flat index of the first shared token.
    shared_start: usize,
    /// Flat index of the first token of its own.
    own_start: usize,
}

/// A [`TokenBatch`] on a device.
#[derive(Debug, Clone)]
pub struct BatchTensors {
    /// Token ids, `[rows * row_len]`.
    pub input_ids: Tensor<1, Int>,
    /// Position of each token in its own sequence, `[rows * row_len]`.
    pub position_ids: Tensor<1, Int>,
    /// Places that a token attends to in its row, `[rows, row_len, 3]`: all from the first number to itself, without
    /// those between the second and the third.
    pub visible: Tensor<3, Int>,
}

/// Side on which [`TokenBatch::padded`] puts the padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaddingSide {
    /// Before the first token.
    Left,
    /// After the last token.
    Right,
}

impl SequenceSpan {
    fn flat_index(&self, position: usize) -> usize {
        match position.checked_sub(self.shared) {
            Some(own) => self.own_start + own,
            None => self.shared_start + position,
        }
    }
}

/// Number of tokens that all sequences begin with; the last token of a sequence counts as its own.
pub fn shared_len<S: AsRef<[u32]>>(group: &[S]) -> usize {
    let [first, others @ ..] = group else { return 0 };
    if others.is_empty() {
        return 0;
    }
    let first = first.as_ref();
    let agreeing = |other: &S| first.iter().zip(other.as_ref()).take_while(|(a, b)| a == b).count();
    let agreed = others.iter().map(agreeing).min().unwrap_or(0);
    let shortest = group.iter().map(|s| s.as_ref().len()).min().unwrap_or(0);
    agreed.min(shortest.saturating_sub(1))
}

/// Tokens that a group takes up in [`TokenBatch::pack_groups`].
pub fn shared_tokens<S: AsRef<[u32]>>(group: &[S]) -> usize {
    let shared = shared_len(group);
    shared + group.iter().map(|s| s.as_ref().len() - shared).sum::<usize>()
}

/// Tokens of a prompt from which on its completions go through a network together.
const SHARED_FROM: usize = 16;

/// Consecutive sequences that are completions of one prompt, given the number of tokens of the prompt of each: what they begin
/// with may go through a network once. Of shorter prompts each sequence is alone.
pub fn completions_of_prompts<S: AsRef<[u32]>>(sequences: &[S], prompt_lens: &[usize]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (i, (sequence, &len)) in sequences.iter().zip(prompt_lens).enumerate() {
        let belongs = |group: &Range<usize>| {
            let first = (sequences[group.start].as_ref(), prompt_lens[group.start]);
            len >= SHARED_FROM && first.1 == len && first.0[..len] == sequence.as_ref()[..len]
        };
        match groups.last_mut() {
            Some(group) if belongs(group) => group.end = i + 1,
            _ => groups.push(i..i + 1),
        }
    }
    groups
}

/// The rows that items are put into, one behind the other.
struct Rows {
    /// Tokens of each row.
    used: Vec<usize>,
    /// Row of each item and its first place there.
    places: Vec<(usize, usize)>,
}

impl Rows {
    /// First-fit-decreasing.
    fn first_fit(lens: &[usize], capacity: usize) -> Self {
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
        Self { used, places }
    }

    /// Rows of `row_len` tokens, or of as many as the longest item has, or, where too much of them would stay unused, fewer and longer
    /// ones: a long item beside a short one that finds no room in its row would take twice the places.
    fn without_gaps(lens: &[usize], row_len: usize) -> Self {
        const MOST_UNUSED: usize = 16;
        let total: usize = lens.iter().sum();
        let longest = lens.iter().copied().max().unwrap_or(0);
        let mut rows = Self::first_fit(lens, longest.max(row_len.min(total)).max(1));
        // One row has no gaps.
        for fewer in (1..rows.used.len()).rev() {
            if (rows.slots() - total) * MOST_UNUSED <= total {
                break;
            }
            let found = Self::first_fit(lens, longest.max(total.div_ceil(fewer)));
            if found.slots() < rows.slots() {
                rows = found;
            }
        }
        rows
    }

    fn slots(&self) -> usize {
        self.used.len() * self.used.iter().copied().max().unwrap_or(0)
    }
}

impl TokenBatch {
    /// Packs the completions of prompts, as [`completions_of_prompts`] finds them: a prompt stands once for all of its own.
    pub fn pack_completions<S: AsRef<[u32]>>(sequences: &[S], groups: &[Range<usize>]) -> Self {
        let first = groups.first().map_or(0, |group| group.start);
        let slices: Vec<&[S]> = groups
            .iter()
            .map(|group| &sequences[group.start - first..group.end - first])
            .collect();
        let is_shared = groups.iter().any(|group| group.len() > 1);
        Self::pack_groups(&slices, if is_shared { GROUP_ROW_LEN } else { ROW_LEN })
    }

    /// Packs `sequences` into as few rows as first-fit-decreasing finds, each of `max(row_len, longest)` tokens, or of more
    /// where a sixteenth of the places would stay unused.
    ///
    /// Unused places at the end of a row hold id 0, attend to themselves alone and are never read.
    pub fn pack<S: AsRef<[u32]>>(sequences: &[S], row_len: usize) -> Self {
        let groups: Vec<&[S]> = sequences.chunks(1).collect();
        Self::pack_groups(&groups, row_len)
    }

    /// Packs groups of sequences as [`TokenBatch::pack`] packs sequences; the tokens that all sequences of a group begin with
    /// stand in the batch once, except that each sequence keeps its last token to itself.
    ///
    /// Sequences are numbered through, group after group.
    pub fn pack_groups<S: AsRef<[u32]>>(groups: &[&[S]], row_len: usize) -> Self {
        let shared: Vec<usize> = groups.iter().map(|group| shared_len(group)).collect();
        let lens: Vec<usize> = groups.iter().map(|group| shared_tokens(group)).collect();
        let Rows { used, places } = Rows::without_gaps(&lens, row_len);
        let row_len = used.iter().copied().max().unwrap_or(0).max(1);
        let mut batch = Self::empty(used.len().max(1), row_len);
        for ((group, shared), (row, offset)) in groups.iter().zip(shared).zip(places) {
            let mut own = offset + shared;
            for sequence in *group {
                batch.place(sequence.as_ref(), shared, row, offset..own);
                own += sequence.as_ref().len() - shared;
            }
        }
        batch
    }

    /// One row per sequence, padded to the longest on the given side with id 0.
    pub fn padded<S: AsRef<[u32]>>(sequences: &[S], side: PaddingSide) -> Self {
        let longest = sequences.iter().map(|s| s.as_ref().len()).max().unwrap_or(0).max(1);
        let mut batch = Self::empty(sequences.len().max(1), longest);
        for (row, sequence) in sequences.iter().enumerate() {
            let sequence = sequence.as_ref();
            let offset = match side {
                PaddingSide::Left => longest - sequence.len(),
                PaddingSide::Right => 0,
            };
            batch.place(sequence, 0, row, offset..offset);
        }
        batch
    }

    fn empty(rows: usize, row_len: usize) -> Self {
        let tokens = rows * row_len;
        Self {
            rows,
            row_len,
            input_ids: vec![0; tokens],
            position_ids: vec![0; tokens],
            visible: (0..tokens).map(|i| [(i % row_len) as i32, 0, 0]).collect(),
            spans: Vec::new(),
        }
    }

    /// Writes a sequence into a row: its first `shared` tokens at `gap.start`, where a sequence of the same group may have
    /// put them already, the others at `gap.end`.
    fn place(&mut self, ids: &[u32], shared: usize, row: usize, gap: Range<usize>) {
        let first = row * self.row_len;
        let span = SequenceSpan {
            len: ids.len(),
            shared,
            shared_start: first + gap.start,
            own_start: first + gap.end,
        };
        let hidden = match shared {
            0 => [gap.end, 0, 0],
            _ => [gap.start, gap.start + shared, gap.end],
        };
        for (t, &id) in ids.iter().enumerate() {
            let flat = span.flat_index(t);
            self.input_ids[flat] = id as i32;
            self.position_ids[flat] = t as i32;
            self.visible[flat] = if t < shared {
                [gap.start as i32, 0, 0]
            } else {
                hidden.map(|position| position as i32)
            };
        }
        self.spans.push(span);
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Tokens in a row.
    pub fn row_len(&self) -> usize {
        self.row_len
    }

    /// Tokens that go through the network: those of the sequences and the unused places.
    pub fn slots(&self) -> usize {
        self.rows * self.row_len
    }

    /// Flat index, into `[rows * row_len]`, of token `position` of sequence `sequence`.
    ///
    /// # Panics
    /// If the sequence has no such token: the index would be that of a neighbour.
    pub fn flat_index(&self, sequence: usize, position: usize) -> usize {
        let span = self.spans[sequence];
        assert!(
            position < span.len,
            "position {position} of sequence {sequence}, which has {} tokens",
            span.len
        );
        span.flat_index(position)
    }

    /// Copies the batch to `device`.
    pub fn to_device(&self, device: &Device) -> BatchTensors {
        let tokens = self.rows * self.row_len;
        let flat = |ids: &[i32]| int_tensor(ids, device);
        debug_assert_eq!(self.input_ids.len(), tokens);
        BatchTensors {
            input_ids: flat(&self.input_ids),
            position_ids: flat(&self.position_ids),
            visible: flat(self.visible.as_flattened()).reshape([self.rows, self.row_len, 3]),
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
pub fn micro_batches(lens: &[usize], max_tokens: usize) -> Vec<Range<usize>> {
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

    fn first_seen(batch: &TokenBatch) -> Vec<i32> {
        batch.visible.iter().map(|seen| seen[0]).collect()
    }

    #[test]
    fn a_shared_beginning_stands_once_and_the_other_completions_are_not_seen() {
        // Two completions of the prompt 1 2: 3 4 and 5. One sequence more: 6.
        let groups: [&[Vec<u32>]; 2] = [&[vec![1, 2, 3, 4], vec![1, 2, 5]], &[vec![6]]];
        let batch = TokenBatch::pack_groups(&groups, 8);
        assert_eq!((batch.rows(), batch.row_len()), (1, 6));
        assert_eq!(batch.input_ids, [1, 2, 3, 4, 5, 6]);
        assert_eq!(batch.position_ids, [0, 1, 2, 3, 2, 0]);
        // The 5 sees itself and 0..2, not 2..4.
        let expected = [[0, 0, 0], [0, 0, 0], [0, 2, 2], [0, 2, 2], [0, 2, 4], [5, 0, 0]];
        assert_eq!(batch.visible, expected);
        assert_eq!(
            (batch.flat_index(1, 1), batch.flat_index(1, 2), batch.flat_index(2, 0)),
            (1, 4, 5)
        );
    }

    #[test]
    fn the_last_token_of_a_sequence_is_its_own() {
        let twins: &[Vec<u32>] = &[vec![1, 2, 3], vec![1, 2, 3]];
        assert_eq!(shared_tokens(twins), 4);
        assert_eq!(TokenBatch::pack_groups(&[twins], 8).input_ids, [1, 2, 3, 3]);
        assert_eq!(shared_tokens::<Vec<u32>>(&[]), 0);
    }

    #[test]
    fn completions_of_a_prompt_are_those_that_stand_together_and_begin_alike() {
        let prompt = |id: u32| vec![id; SHARED_FROM];
        let with = |id, last| [prompt(id), vec![last]].concat();
        let sequences = [with(1, 8), with(1, 9), with(2, 8), with(1, 8)];
        assert_eq!(
            completions_of_prompts(&sequences, &[SHARED_FROM; 4]),
            [0..2, 2..3, 3..4]
        );
        // A shorter prompt is not worth a group.
        assert_eq!(
            completions_of_prompts(&sequences[..2], &[SHARED_FROM - 1; 2]),
            [0..1, 1..2]
        );
        let batch = TokenBatch::pack_completions(&sequences, &[0..2, 2..3, 3..4]);
        assert_eq!(batch.slots(), 3 * SHARED_FROM + 4);
        assert_eq!(
            batch,
            TokenBatch::pack_groups(&[&sequences[..2], &sequences[2..3], &sequences[3..]], GROUP_ROW_LEN)
        );
    }

    #[test]
    fn packing_places_sequences_end_to_end() {
        let batch = TokenBatch::pack(&[vec![1, 2, 7], vec![3, 4, 5], vec![6]], 4);
        assert_eq!((batch.rows(), batch.row_len()), (1, 7));
        let batch = TokenBatch::pack(&[vec![1, 2, 7, 8], vec![3, 4, 5], vec![6]], 4);
        assert_eq!((batch.rows(), batch.row_len()), (2, 4));
        assert_eq!(batch.input_ids, [1, 2, 7, 8, 3, 4, 5, 6]);
        assert_eq!(batch.position_ids, [0, 1, 2, 3, 0, 1, 2, 0]);
        assert_eq!(first_seen(&batch), [0, 0, 0, 0, 0, 0, 0, 3]);
        assert_eq!(batch.flat_index(0, 1), 1);
        assert_eq!(batch.flat_index(2, 0), 7);
        // Places that stay unused see themselves.
        let lens = [16, 16, 15].map(|len| vec![1_u32; len]);
        let batch = TokenBatch::pack(&lens, 16);
        assert_eq!((batch.rows(), batch.slots()), (3, 48));
        assert_eq!((batch.input_ids[47], batch.visible[47]), (0, [15, 0, 0]));
    }

    #[test]
    fn a_long_group_beside_a_short_one_does_not_take_twice_the_places() {
        let lens = [2000, 40].map(|len| vec![1_u32; len]);
        let batch = TokenBatch::pack(&lens, GROUP_ROW_LEN);
        assert_eq!((batch.rows(), batch.slots()), (1, 2040));
    }

    #[test]
    fn left_padding_hides_the_pads() {
        let batch = TokenBatch::padded(&[vec![7], vec![8, 9]], PaddingSide::Left);
        assert_eq!(batch.input_ids, [0, 7, 8, 9]);
        assert_eq!(first_seen(&batch), [0, 1, 0, 0]);
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
            let tokens: usize = lens.iter().sum();
            prop_assert!(16 * batch.slots() <= 17 * tokens);
            let mut seen = std::collections::BTreeSet::new();
            for (i, sequence) in sequences.iter().enumerate() {
                for (t, &id) in sequence.iter().enumerate() {
                    let flat = batch.flat_index(i, t);
                    prop_assert!(seen.insert(flat));
                    prop_assert_eq!(batch.input_ids[flat], id as i32);
                    let first = flat / batch.row_len() * batch.row_len() + batch.visible[flat][0] as usize;
                    prop_assert_eq!(first, batch.flat_index(i, 0));
                }
            }
        }
    }
}
