//! Scores of answers by a reward model.

use rlhf_inference::Completion;
use rlhf_model::{ScalarModel, sequence_scores};

/// Tokens that go through a network together.
pub(crate) const TOKENS_AT_ONCE: usize = 8192;

/// Each prompt with the answer to it.
pub(crate) fn whole_sequences(prompts: &[Vec<u32>], answers: &[Completion]) -> Vec<Vec<u32>> {
    let whole = |(prompt, answer): (&Vec<u32>, &Completion)| [prompt.as_slice(), &answer.tokens].concat();
    prompts.iter().zip(answers).map(whole).collect()
}

/// The score of the answer to each prompt.
pub fn answer_scores(reward: &ScalarModel, prompts: &[Vec<u32>], answers: &[Completion]) -> Vec<f64> {
    let scores = sequence_scores(reward, &whole_sequences(prompts, answers), TOKENS_AT_ONCE);
    scores.into_iter().map(f64::from).collect()
}
