//! Distance of a policy from its reference.

use rlhf_inference::{Completion, Sampling};
use rlhf_model::{CausalLm, sequence_logprobs};

use crate::scores::{TOKENS_AT_ONCE, whole_sequences};

/// Mean summed log-ratio of a model's own answers to a reference model, in nats per answer: an unbiased estimate of the KL
/// divergence (k1), both taken at the temperature that the answers were drawn at. Nothing where they were drawn through a filter or a penalty
/// or taken greedily: they are no samples of the model then, and the log-ratio on them is no KL divergence of anything.
pub fn kl_to_reference(
    model: &CausalLm,
    reference: &CausalLm,
    prompts: &[Vec<u32>],
    answers: &[Completion],
    sampling: &Sampling,
) -> Option<f64> {
    if !sampling.draws_as_the_model() {
        return None;
    }
    let sequences = whole_sequences(prompts, answers);
    let from: Vec<usize> = prompts.iter().map(Vec::len).collect();
    let total = |model: &CausalLm| -> f64 {
        let found = sequence_logprobs(model, &sequences, &from, sampling.temperature, TOKENS_AT_ONCE);
        found.logprobs.iter().flatten().map(|&p| f64::from(p)).sum()
    };
    Some((total(model) - total(reference)) / sequences.len().max(1) as f64)
}

/// KL divergence of the best of `n` answers from the policy that wrote them, in nats: ln n - (n - 1) / n (Gao et al. 2022). That is where no
/// two answers are alike; where some are, it is less (Beirami et al., arXiv 2401.01879).
pub fn best_of_n_kl(n: usize) -> f64 {
    if n == 0 {
        return 0.0;
    }
    let n = n as f64;
    n.ln() - (n - 1.0) / n
}

/// The smallest n whose best of n is at least as far from its policy as `kl`, at most `max`.
pub fn n_of_equal_kl(kl: f64, max: usize) -> usize {
    (1..max.max(1)).find(|&n| best_of_n_kl(n) >= kl).unwrap_or(max.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_of_n_is_as_far_as_published() {
        // Gao et al. 2022 (arXiv 2210.10760), section 2: ln n - (n - 1) / n.
        for (n, expected) in [(0, 0.0), (1, 0.0), (4, 0.636), (16, 1.835), (64, 3.175)] {
            let found = best_of_n_kl(n);
            assert!((found - expected).abs() < 5e-4, "{n}: {found}");
        }
    }

    #[test]
    fn n_is_the_first_that_is_far_enough() {
        // ln 2 - 1/2 = 0.193, ln 3 - 2/3 = 0.432.
        assert_eq!(n_of_equal_kl(-0.1, 8), 1);
        assert_eq!(n_of_equal_kl(0.0, 8), 1);
        assert_eq!(n_of_equal_kl(0.19, 8), 2);
        assert_eq!(n_of_equal_kl(0.2, 8), 3);
        assert_eq!(n_of_equal_kl(100.0, 8), 8);
        assert_eq!(n_of_equal_kl(100.0, 0), 1);
    }
}
