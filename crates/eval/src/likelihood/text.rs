//! Perplexity of texts, by token and, for models of different tokenizers, by word and byte.

use rlhf_core::micro_batches;
use rlhf_core::stats::{Interval, bootstrap_share};
use rlhf_likelihood::{TextUnits, WindowRule, windows};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::likelihood::score::LikelihoodScorer;
use crate::scores::TOKENS_AT_ONCE;

/// Perplexity of a file of text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TextReport {
    /// The file.
    pub file: String,
    /// Documents in it.
    pub documents: usize,
    /// Tokens that were predicted, words and bytes.
    pub units: TextUnits,
    /// How documents longer than a window were cut.
    pub rule: WindowRule,
    /// Windows that there were.
    pub windows: usize,
    /// Sum of the log-probabilities, in nats.
    pub logprob: f64,
    /// e to the mean negative log-probability of a token. The interval is of a bootstrap over windows, and without ends where there are
    /// fewer than two.
    pub perplexity_per_token: Interval,
    /// The same by word.
    pub perplexity_per_word: Interval,
    /// The same by byte.
    pub perplexity_per_byte: Interval,
    /// Bits by byte.
    pub bits_per_byte: f64,
}

impl LikelihoodScorer<'_> {
    /// Perplexity of the documents of a file. Each begins anew, after what the tokenizer's texts stand behind.
    ///
    /// # Errors
    /// Numbers that are none, or an interruption.
    pub fn text(&self, file: &str, documents: &[String], rule: WindowRule, seed: u64) -> Result<TextReport> {
        let before = self.tokenizer.before_text();
        let texts: Vec<&str> = documents.iter().map(String::as_str).collect();
        let ids: Vec<Vec<u32>> = (self.tokenizer.encode_batch(&texts).into_iter())
            .map(|ids| [&before[before.len() - 1..], &ids].concat())
            .collect();
        let mut units = TextUnits::default();
        let (mut sequences, mut from): (Vec<&[u32]>, Vec<usize>) = (Vec::new(), Vec::new());
        for (ids, text) in ids.iter().zip(&texts) {
            units += TextUnits::of(text, ids.len() - 1);
            for window in windows(ids.len(), rule) {
                from.push(window.first - window.tokens.start);
                sequences.push(&ids[window.tokens]);
            }
        }
        let lens: Vec<usize> = sequences.iter().map(|sequence| sequence.len()).collect();
        let mut losses: Vec<(f64, usize)> = Vec::with_capacity(sequences.len());
        for part in micro_batches(&lens, TOKENS_AT_ONCE) {
            let scored = self.logprobs(&sequences[part.clone()], &from[part], false)?;
            losses.extend(scored.iter().map(|scored| (-scored.logprob, scored.tokens)));
            (self.told)(losses.len(), sequences.len());
        }
        Ok(TextReport::new(file, documents.len(), units, rule, &losses, seed))
    }
}

impl TextReport {
    /// Of windows, each with its loss in nats and the tokens that it predicted.
    fn new(
        file: &str,
        documents: usize,
        units: TextUnits,
        rule: WindowRule,
        losses: &[(f64, usize)],
        seed: u64,
    ) -> Self {
        let loss: f64 = losses.iter().map(|window| window.0).sum();
        let by_token = match losses {
            [] | [_] => Interval {
                value: loss / units.tokens as f64,
                low: f64::NAN,
                high: f64::NAN,
                n: units.tokens,
            },
            _ => bootstrap_share(losses, seed),
        };
        let per = |count: usize| {
            let scale = units.tokens as f64 / count as f64;
            Interval {
                value: (by_token.value * scale).exp(),
                low: (by_token.low * scale).exp(),
                high: (by_token.high * scale).exp(),
                n: by_token.n,
            }
        };
        Self {
            file: file.to_owned(),
            documents,
            units,
            rule,
            windows: losses.len(),
            logprob: -loss,
            perplexity_per_token: per(units.tokens),
            perplexity_per_word: per(units.words),
            perplexity_per_byte: per(units.bytes),
            bits_per_byte: loss / units.bytes as f64 / std::f64::consts::LN_2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: WindowRule = WindowRule { window: 8, stride: 4 };

    #[test]
    fn perplexities_are_those_of_a_hand() {
        let units = TextUnits {
            tokens: 8,
            words: 4,
            bytes: 16,
        };
        let found = TextReport::new("f", 1, units, RULE, &[(6.0, 4), (10.0, 4)], 1);
        // 16 nats: 2 a token, 4 a word, 1 a byte.
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
        near(found.perplexity_per_token.value, 2.0_f64.exp());
        near(found.perplexity_per_word.value, 4.0_f64.exp());
        near(found.perplexity_per_byte.value, 1.0_f64.exp());
        near(found.bits_per_byte, std::f64::consts::LOG2_E);
        near(found.logprob, -16.0);
        // Both windows the cheap one, and both the dear one.
        near(found.perplexity_per_token.low, 1.5_f64.exp());
        near(found.perplexity_per_word.high, 5.0_f64.exp());
        assert_eq!(found.perplexity_per_token.n, 8);
    }

    #[test]
    fn a_single_window_has_no_interval() {
        let units = TextUnits {
            tokens: 3,
            words: 2,
            bytes: 9,
        };
        let found = TextReport::new("f", 1, units, RULE, &[(6.0, 3)], 1);
        assert!((found.perplexity_per_token.value - 2.0_f64.exp()).abs() < 1e-9);
        assert!(found.perplexity_per_token.low.is_nan() && found.perplexity_per_word.high.is_nan());
    }
}
