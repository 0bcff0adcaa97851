//! From logits to the distribution that the next token is drawn from.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rlhf_config::ConfigErrors;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Choice of the next token. The filters apply in the order of the fields.
///
/// PPO rollouts use the temperature alone: any filter would make the recorded log-probability that of another
/// distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Divides a positive logit of a token that occurred before, multiplies a negative one; 1 is off.
    pub repetition_penalty: f64,
    /// Divides the logits; 0 is greedy.
    pub temperature: f64,
    /// Keeps the k most likely tokens; 0 is off.
    pub top_k: usize,
    /// Keeps the smallest set of most likely tokens with at least this mass; 1 is off.
    pub top_p: f64,
    /// Drops tokens less likely than this share of the most likely one; 0 is off.
    pub min_p: f64,
}

/// Penalties below this, or above one over it, leave no order of the tokens that occurred.
const LEAST_PENALTY: f64 = 0.01;

impl Default for Sampling {
    fn default() -> Self {
        Self {
            repetition_penalty: 1.0,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
        }
    }
}

impl Sampling {
    /// The most likely token, always.
    pub fn greedy() -> Self {
        Self {
            temperature: 0.0,
            ..Self::default()
        }
    }

    /// True where every token may be drawn, with the probability that the model gives it at the temperature: what is drawn so is a sample
    /// of the model. Filters, a penalty and greedy choice have distributions of their own.
    pub fn draws_as_the_model(&self) -> bool {
        self.temperature > 0.0 && self.is_plain()
    }

    /// Plain sampling at a temperature.
    pub fn at_temperature(temperature: f64) -> Self {
        Self {
            temperature,
            ..Self::default()
        }
    }

    /// Faults of the options; paths are relative to this struct.
    pub fn validate(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        let (penalty, temperature, top_p, min_p) = (self.repetition_penalty, self.temperature, self.top_p, self.min_p);
        errors.check(
            (LEAST_PENALTY..=1.0 / LEAST_PENALTY).contains(&penalty),
            "repetition_penalty",
            || format!("expected {LEAST_PENALTY} to {}, found {penalty}", 1.0 / LEAST_PENALTY),
        );
        errors.check((0.0..=100.0).contains(&temperature), "temperature", || {
            format!("expected 0 to 100, found {temperature}")
        });
        errors.check(top_p > 0.0 && top_p <= 1.0, "top_p", || {
            format!("expected more than 0 and at most 1, found {top_p}")
        });
        errors.check((0.0..=1.0).contains(&min_p), "min_p", || {
            format!("expected 0 to 1, found {min_p}")
        });
        errors
    }

    fn is_plain(&self) -> bool {
        self.repetition_penalty == 1.0 && self.top_k == 0 && self.top_p == 1.0 && self.min_p == 0.0
    }

    /// Draws a token; returns it with its log-probability under the distribution it was drawn from.
    pub(crate) fn draw(&self, logits: &[f32], previous: &[u32], rng: &mut ChaCha8Rng) -> (u32, f32) {
        if self.is_plain() {
            return if self.temperature == 0.0 {
                (argmax(logits) as u32, 0.0)
            } else {
                draw_plain(logits, self.temperature, rng)
            };
        }
        let logits: Vec<f64> = logits.iter().map(|&l| f64::from(l)).collect();
        let probabilities = next_token_distribution(&logits, self, previous);
        let token = pick(&probabilities, rng.random::<f64>());
        (token as u32, probabilities[token].ln() as f32)
    }
}

/// Sampling without filters, in one pass of exponentials.
fn draw_plain(logits: &[f32], temperature: f64, rng: &mut ChaCha8Rng) -> (u32, f32) {
    // Finite however small the temperature: an infinite one would turn the largest logit's zero into a NaN.
    let inverse = ((1.0 / temperature) as f32).min(f32::MAX);
    let mut weights = vec![0.0; logits.len()];
    let max = rlhf_kernels::exponentials(logits, inverse, &mut weights);
    let blocks: Vec<f64> = weights.chunks(BLOCK).map(block_sum).collect();
    let total: f64 = blocks.iter().sum();
    let mut left = rng.random::<f64>() * total;
    // First the block, then the token in it.
    let mut block = 0;
    while block + 1 < blocks.len() && left >= blocks[block] {
        left -= blocks[block];
        block += 1;
    }
    let mut drawn = None;
    for (i, &weight) in weights.iter().enumerate().skip(block * BLOCK) {
        if weight > 0.0 {
            drawn = Some(i);
        }
        left -= f64::from(weight);
        if left < 0.0 {
            break;
        }
    }
    // Rounding may leave a little, and nobody to take it.
    let token = drawn.unwrap_or_else(|| argmax(logits));
    (
        token as u32,
        ((f64::from((logits[token] - max) * inverse)) - total.ln()) as f32,
    )
}

/// Words that are added up before a token is looked for among them.
const BLOCK: usize = 128;

/// The sum of some weights, none below zero and none above one.
fn block_sum(weights: &[f32]) -> f64 {
    let mut lanes = [0.0_f32; 16];
    for weights in weights.chunks(lanes.len()) {
        for (lane, weight) in lanes.iter_mut().zip(weights) {
            *lane += weight;
        }
    }
    lanes.iter().map(|&lane| f64::from(lane)).sum()
}

/// Index of the largest value, the first one of several.
fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best
}

fn pick(probabilities: &[f64], uniform: f64) -> usize {
    let mut left = uniform;
    for (i, p) in probabilities.iter().enumerate() {
        left -= p;
        if left < 0.0 && *p > 0.0 {
            return i;
        }
    }
    probabilities.iter().rposition(|&p| p > 0.0).unwrap_or(0)
}

/// The distribution of the next token after repetition penalty, temperature, top-k, top-p and min-p, in that order.
///
/// `logits`: `[vocab]`; `previous`: the tokens that the repetition penalty looks at. A temperature of 0 puts all mass on
/// the most likely token.
pub fn next_token_distribution(logits: &[f64], sampling: &Sampling, previous: &[u32]) -> Vec<f64> {
    let mut logits = logits.to_vec();
    if sampling.repetition_penalty != 1.0 {
        let seen: std::collections::BTreeSet<u32> = previous.iter().copied().collect();
        for id in seen {
            let logit = &mut logits[id as usize];
            *logit = if *logit > 0.0 {
                *logit / sampling.repetition_penalty
            } else {
                *logit * sampling.repetition_penalty
            };
        }
    }
    if sampling.temperature == 0.0 {
        let best = (0..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best });
        return (0..logits.len()).map(|i| f64::from(u8::from(i == best))).collect();
    }
    // Differences to the largest stay finite, or become infinite with the right sign, however small the temperature.
    let best = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for logit in &mut logits {
        *logit = if *logit == best {
            0.0
        } else {
            (*logit - best) / sampling.temperature
        };
    }
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
    if sampling.top_k > 0 && sampling.top_k < order.len() {
        let threshold = logits[order[sampling.top_k - 1]];
        order.retain(|&i| logits[i] >= threshold);
    }
    let mut probabilities = softmax_over(&logits, &order);
    if sampling.top_p < 1.0 {
        let mut mass = 0.0;
        let keep = order
            .iter()
            .position(|&i| {
                mass += probabilities[i];
                mass >= sampling.top_p
            })
            .map_or(order.len(), |last| last + 1);
        order.truncate(keep);
        probabilities = softmax_over(&logits, &order);
    }
    if sampling.min_p > 0.0 {
        let threshold = sampling.min_p * order.first().map_or(0.0, |&i| probabilities[i]);
        order.retain(|&i| probabilities[i] >= threshold);
        probabilities = softmax_over(&logits, &order);
    }
    probabilities
}

/// Softmax over the kept indices, 0 elsewhere; `kept` starts with the largest.
fn softmax_over(logits: &[f64], kept: &[usize]) -> Vec<f64> {
    let mut probabilities = vec![0.0; logits.len()];
    let Some(&best) = kept.first() else {
        return probabilities;
    };
    let total: f64 = kept.iter().map(|&i| (logits[i] - logits[best]).exp()).sum();
    for &i in kept {
        probabilities[i] = (logits[i] - logits[best]).exp() / total;
    }
    probabilities
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    /// Several blocks, the last one not full: the statistic is that of chi-square, with one degree of freedom less than words.
    #[test]
    fn every_token_of_a_large_vocabulary_is_drawn_as_often_as_it_is_likely() {
        let logits: Vec<f32> = (0..3 * BLOCK + 16).map(|i| (i * 37 % 101) as f32 * 0.03).collect();
        let wide: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        let expected = next_token_distribution(&wide, &Sampling::default(), &[]);
        let (draws, rng) = (100_000, &mut ChaCha8Rng::seed_from_u64(3));
        let mut counts = vec![0.0; logits.len()];
        for _ in 0..draws {
            let (token, logprob) = Sampling::default().draw(&logits, &[], rng);
            assert!((f64::from(logprob) - expected[token as usize].ln()).abs() < 1e-5);
            counts[token as usize] += 1.0;
        }
        let term = |(count, p): (f64, &f64)| (count - f64::from(draws) * p).powi(2) / (f64::from(draws) * p);
        let chi_square: f64 = counts.into_iter().zip(&expected).map(term).sum();
        let (degrees, deviation) = (399.0, (2.0_f64 * 399.0).sqrt());
        assert!(
            (chi_square - degrees).abs() < 4.0 * deviation,
            "chi-square {chi_square}"
        );
    }

    #[test]
    fn a_token_without_weight_is_not_drawn() {
        let mut logits = vec![f32::NEG_INFINITY; 5 * BLOCK];
        (logits[BLOCK + 3], logits[3 * BLOCK]) = (0.5, 0.0);
        let rng = &mut ChaCha8Rng::seed_from_u64(4);
        let drawn: Vec<usize> = (0..1000).map(|_| draw_plain(&logits, 1.0, rng).0 as usize).collect();
        assert!(drawn.iter().all(|&token| token == BLOCK + 3 || token == 3 * BLOCK));
        assert!(drawn.contains(&(BLOCK + 3)) && drawn.contains(&(3 * BLOCK)));
    }
}
