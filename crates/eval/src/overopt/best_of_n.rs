//! Best of n from a pool of answers: the mean over all ways to draw n of them, and not one draw.

/// The probability that the answer at each place, in rising order of score, is the best of `n` drawn from `total` without putting back:
/// C(i - 1, n - 1) / C(total, n) for place i from 1. What the best of n is worth is then a weighted mean over all answers, unbiased and of the least
/// variance (Nakano et al. 2021, arXiv 2112.09332, appendix I).
///
/// # Panics
/// If n is 0 or more than there are.
pub fn best_of_n_weights(n: usize, total: usize) -> Vec<f64> {
    assert!(n >= 1 && n <= total, "the best of {n} of {total} answers");
    let mut weights = vec![0.0; total];
    // From the highest down: C(i - 2, n - 1) / C(i - 1, n - 1) = (i - n) / (i - 1).
    let mut weight = n as f64 / total as f64;
    for place in (n..=total).rev() {
        weights[place - 1] = weight;
        if place > 1 {
            weight *= (place - n) as f64 / (place - 1) as f64;
        }
    }
    weights
}

/// The answers to a prompt in the order of what is optimised, ready to say what the best of n is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct BestOfN {
    /// Rising.
    proxy: Vec<f64>,
    /// That of each; equal proxy scores share their mean, for any of them may be taken.
    gold: Vec<f64>,
}

impl BestOfN {
    /// The answers to a prompt by their scores.
    pub fn new(proxy: &[f64], gold: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..proxy.len().min(gold.len())).collect();
        order.sort_by(|&a, &b| proxy[a].total_cmp(&proxy[b]));
        let proxy: Vec<f64> = order.iter().map(|&row| proxy[row]).collect();
        let mut gold: Vec<f64> = order.iter().map(|&row| gold[row]).collect();
        let mut start = 0;
        for equals in proxy.chunk_by(|a, b| a == b) {
            let range = start..start + equals.len();
            let mean = gold[range.clone()].iter().sum::<f64>() / equals.len() as f64;
            gold[range].fill(mean);
            start += equals.len();
        }
        Self { proxy, gold }
    }

    /// Answers.
    pub fn len(&self) -> usize {
        self.proxy.len()
    }

    /// True without answers.
    pub fn is_empty(&self) -> bool {
        self.proxy.is_empty()
    }

    /// Mean proxy score and mean gold score of the best of n by the proxy, n the one that `weights` are of.
    pub fn worth(&self, weights: &[f64]) -> (f64, f64) {
        let of = |scores: &[f64]| scores.iter().zip(weights).map(|(score, weight)| score * weight).sum();
        (of(&self.proxy), of(&self.gold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean over every subset of `n` answers, one by one.
    fn by_enumeration(proxy: &[f64], gold: &[f64], n: usize) -> (f64, f64) {
        let (mut sum, mut subsets) = ((0.0, 0.0), 0.0);
        for mask in 0_u32..1 << proxy.len() {
            if mask.count_ones() as usize != n {
                continue;
            }
            let chosen = (0..proxy.len()).filter(|i| mask >> i & 1 == 1);
            let best = chosen
                .max_by(|&a, &b| proxy[a].total_cmp(&proxy[b]))
                .expect("n is not 0");
            sum = (sum.0 + proxy[best], sum.1 + gold[best]);
            subsets += 1.0;
        }
        (sum.0 / subsets, sum.1 / subsets)
    }

    #[test]
    fn it_is_the_mean_over_every_way_to_draw_n() {
        let proxy = [0.3, -1.0, 2.0, 0.7, 1.1, -0.2, 0.9];
        let gold = [0.5, 0.1, 0.0, 0.9, 0.4, 0.3, 0.8];
        let answers = BestOfN::new(&proxy, &gold);
        for n in 1..=7 {
            let found = answers.worth(&best_of_n_weights(n, 7));
            let expected = by_enumeration(&proxy, &gold, n);
            assert!(
                (found.0 - expected.0).abs() < 1e-12 && (found.1 - expected.1).abs() < 1e-12,
                "{n}"
            );
        }
    }

    #[test]
    fn weights_sum_to_one_and_one_of_n_is_the_mean() {
        for (n, total) in [(1, 5), (3, 5), (5, 5), (256, 256), (128, 256), (17, 300)] {
            let weights = best_of_n_weights(n, total);
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{n} of {total}");
            assert!(weights.is_sorted());
        }
        assert_eq!(best_of_n_weights(1, 4), [0.25; 4]);
        assert_eq!(best_of_n_weights(3, 3), [0.0, 0.0, 1.0]);
    }

    #[test]
    fn answers_that_score_alike_are_taken_alike() {
        // The best two of three by the proxy are equal: gold is their mean whenever one of them is drawn.
        let found = BestOfN::new(&[1.0, 1.0, 0.0], &[0.0, 1.0, 9.0]);
        assert_eq!(found, BestOfN::new(&[1.0, 0.0, 1.0], &[1.0, 9.0, 0.0]));
        assert_eq!(found.worth(&best_of_n_weights(3, 3)), (1.0, 0.5));
    }
}
