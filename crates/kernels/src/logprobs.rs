//! Log-probabilities of target tokens under a tied language-model head.

use burn::tensor::{Int, Tensor};

use crate::composed;
#[cfg(feature = "flex")]
use crate::flex;

/// The result of [`token_logprobs`].
#[derive(Debug, Clone)]
pub struct TokenLogprobs {
    /// Log-probability of each target, in nats: `[selected]`.
    pub logprobs: Tensor<1>,
    /// Entropy of each predicted distribution, in nats: `[selected]`. A statistic: no gradient flows through it.
    pub entropy: Tensor<1>,
}

/// Log-softmax of `hidden @ weight^T / temperature` at the targets, and its entropy. A weight that is frozen may be held as
/// bf16.
///
/// # Shapes
///
/// - `hidden`: `[selected, d_model]`
/// - `weight`: `[vocab, d_model]`
/// - `targets`: `[selected]`, each in `0 .. vocab`
pub fn token_logprobs(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: Tensor<1, Int>,
    temperature: f64,
) -> TokenLogprobs {
    #[cfg(feature = "flex")]
    if flex::handles(&hidden) {
        return flex::token_logprobs(hidden, weight, targets, temperature);
    }
    composed::token_logprobs(hidden, composed::widened(weight), targets, temperature)
}

/// Numbers that [`token_logprobs`] holds besides inputs and results while it works on `selected` positions: a part of the
/// logits where it is fused, all of them elsewhere.
pub fn token_logprobs_workspace(selected: usize, vocab: usize, d_model: usize) -> usize {
    #[cfg(feature = "flex")]
    return flex::logprobs_workspace(selected, vocab, d_model);
    #[cfg(not(feature = "flex"))]
    {
        let _ = d_model;
        selected * vocab
    }
}

/// `sum_t weights[t] logprob[t]` of the log-probabilities that [`token_logprobs`] gives at temperature 1: for losses whose
/// weights are known beforehand. On Flex the gradients come out of the same pass, for one product of matrices less.
/// No gradient flows into `weights`.
///
/// # Shapes
///
/// - `hidden`: `[selected, d_model]`
/// - `weight`: `[vocab, d_model]`
/// - `targets`: `[selected]`, each in `0 .. vocab`
/// - `weights`: `[selected]`
/// - result: `[1]`
pub fn logprob_sum(hidden: Tensor<2>, weight: Tensor<2>, targets: Tensor<1, Int>, weights: Tensor<1>) -> Tensor<1> {
    #[cfg(feature = "flex")]
    if flex::handles(&hidden) {
        return flex::logprob_sum(hidden, weight, targets, weights);
    }
    composed::logprob_sum(hidden, composed::widened(weight), targets, weights)
}

/// Numbers that [`logprob_sum`] holds besides inputs and results while it works on `selected` positions with gradients.
pub fn logprob_sum_workspace(selected: usize, vocab: usize) -> usize {
    #[cfg(feature = "flex")]
    return flex::logprob_sum_workspace(selected, vocab);
    #[cfg(not(feature = "flex"))]
    {
        selected * vocab
    }
}
