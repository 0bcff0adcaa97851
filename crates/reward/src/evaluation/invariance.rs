//! What a score owes to its surroundings: padding, neighbours in a row, a prompt read once for several answers. It should owe them nothing but rounding.

use rlhf_core::stats::mean_std;
use rlhf_core::{PaddingSide, ROW_LEN, TokenBatch, to_host};
use rlhf_model::{ScalarModel, group_scores, last_scores};
use serde::{Deserialize, Serialize};

/// Answers that go through the network together.
const ANSWERS_AT_ONCE: usize = 8;

/// Largest differences between the scores of answers that were scored alone and beside others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Invariance {
    /// Answers that were scored in each way.
    pub answers: usize,
    /// In a batch, each on a row of its own, with padding before it.
    pub padded_left: f64,
    /// In a batch, each on a row of its own, with padding behind it.
    pub padded_right: f64,
    /// Laid end to end with others.
    pub packed: f64,
    /// Beside the other answers to its prompt, which is read once for all.
    pub shared_prompt: f64,
    /// Standard deviation of the scores of all answers, to measure the others by.
    pub spread: f64,
}

impl Invariance {
    /// The largest of the differences.
    pub fn largest(&self) -> f64 {
        let differences = [self.padded_left, self.padded_right, self.packed, self.shared_prompt];
        differences.into_iter().fold(0.0, f64::max)
    }
}

/// Scores the answers of each group, prompt and answer in one sequence, in five ways; nothing without any.
pub fn invariance(model: &ScalarModel, groups: &[Vec<Vec<u32>>]) -> Option<Invariance> {
    let groups: Vec<&[Vec<u32>]> = groups
        .iter()
        .map(Vec::as_slice)
        .filter(|group| group.iter().all(|answer| !answer.is_empty()) && !group.is_empty())
        .collect();
    let answers: Vec<&Vec<u32>> = groups.iter().copied().flatten().collect();
    if answers.is_empty() {
        return None;
    }
    let in_batches = |size: usize, batch: &dyn Fn(&[&Vec<u32>]) -> TokenBatch| -> Vec<f32> {
        let scores = |part: &[&Vec<u32>]| to_host(last_scores(model, &batch(part), part));
        answers.chunks(size).flat_map(scores).collect()
    };
    let alone = in_batches(1, &|part| TokenBatch::padded(part, PaddingSide::Right));
    let largest = |scores: &[f32]| {
        let differences = alone.iter().zip(scores);
        let differences = differences.map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
        // A score that is no number is as different as can be.
        differences.fold(
            0.0_f64,
            |most, found| if found.is_nan() { f64::INFINITY } else { most.max(found) },
        )
    };
    let together: Vec<f32> = group_scores(model, &groups, ROW_LEN * ANSWERS_AT_ONCE).concat();
    let spread = mean_std(&alone.iter().map(|&score| f64::from(score)).collect::<Vec<_>>()).1;
    Some(Invariance {
        answers: answers.len(),
        padded_left: largest(&in_batches(ANSWERS_AT_ONCE, &|part| {
            TokenBatch::padded(part, PaddingSide::Left)
        })),
        padded_right: largest(&in_batches(ANSWERS_AT_ONCE, &|part| {
            TokenBatch::padded(part, PaddingSide::Right)
        })),
        packed: largest(&in_batches(ANSWERS_AT_ONCE, &|part| TokenBatch::pack(part, ROW_LEN))),
        shared_prompt: largest(&together),
        spread,
    })
}
