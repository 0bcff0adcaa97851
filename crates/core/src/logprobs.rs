//! The hidden state that predicts a token: the shift between positions and targets is made here alone.

use burn::tensor::{Device, Int, Tensor};

use crate::batch::{TokenBatch, int_tensor};

/// Targets of a batch with the hidden states that predict them, sequence after sequence.
///
/// The token at position `t` of a sequence is predicted from position `t - 1`; token 0 is predicted by nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Targets {
    places: Vec<usize>,
    ids: Vec<i32>,
}

impl Targets {
    /// Every token of sequence `i` from position `from[i]` (at least 1) to its end.
    pub fn from_positions<S: AsRef<[u32]>>(batch: &TokenBatch, sequences: &[S], from: &[usize]) -> Self {
        let mut targets = Self::default();
        for (i, (sequence, &first)) in sequences.iter().zip(from).enumerate() {
            for t in first.max(1)..sequence.as_ref().len() {
                targets.push(batch, i, t, sequence.as_ref()[t]);
            }
        }
        targets
    }

    /// Every token whose mask is true; `masks[i][0]` is ignored.
    pub fn from_masks<S: AsRef<[u32]>, M: AsRef<[bool]>>(batch: &TokenBatch, sequences: &[S], masks: &[M]) -> Self {
        let mut targets = Self::default();
        for (i, (sequence, mask)) in sequences.iter().zip(masks).enumerate() {
            for (t, &id) in sequence.as_ref().iter().enumerate().skip(1) {
                if mask.as_ref()[t] {
                    targets.push(batch, i, t, id);
                }
            }
        }
        targets
    }

    fn push(&mut self, batch: &TokenBatch, sequence: usize, t: usize, id: u32) {
        self.places.push(batch.flat_index(sequence, t - 1));
        self.ids.push(id as i32);
    }

    /// Number of targets.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Flat indices into the batch, `[rows * row_len]`, of the hidden states that predict the targets.
    pub fn places(&self) -> &[usize] {
        &self.places
    }

    /// The target ids, `[targets]`.
    pub fn ids(&self, device: &Device) -> Tensor<1, Int> {
        int_tensor(&self.ids, device)
    }
}

/// Flat index of the last token of every sequence: where a reward model is read.
///
/// # Panics
/// If a sequence is empty: it has no last token.
pub fn last_positions<S: AsRef<[u32]>>(batch: &TokenBatch, sequences: &[S]) -> Vec<usize> {
    sequences
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let len = s.as_ref().len();
            assert!(len > 0, "sequence {i} is empty");
            batch.flat_index(i, len - 1)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_predicted_from_the_position_before_it() {
        let sequences = [vec![5u32, 6, 7], vec![8, 9]];
        let batch = TokenBatch::pack(&sequences, 8);
        let targets = Targets::from_positions(&batch, &sequences, &[2, 0]);
        assert_eq!(targets.ids, [7, 9]);
        assert_eq!(targets.places(), [batch.flat_index(0, 1), batch.flat_index(1, 0)]);
        let masks = [vec![true, false, true], vec![true, true]];
        assert_eq!(Targets::from_masks(&batch, &sequences, &masks), targets);
        assert_eq!(last_positions(&batch, &sequences), [2, 4]);
    }
}
