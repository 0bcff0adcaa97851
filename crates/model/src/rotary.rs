//! The angles of rotary position embeddings.
//!
//! The formulas are those of the papers that [`RopeScaling`] names, with the rounding of transformers: frequencies and
//! angles are `f32`.

use std::f64::consts::TAU;

use burn::tensor::{Int, Tensor, TensorData};

use crate::architecture::{RopeScaling, Rotary};

/// Cosines and sines of the angles at some positions.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    /// `[tokens, pairs]`
    pub(crate) cos: Tensor<2>,
    /// `[tokens, pairs]`
    pub(crate) sin: Tensor<2>,
}

impl Rotary {
    /// The rotation of tokens at `position_ids`, `[tokens]`, in a model for sequences of up to `max_seq_len`.
    pub(crate) fn rotation(&self, position_ids: Tensor<1, Int>, max_seq_len: usize) -> Rotation {
        let (frequencies, device) = (self.frequencies(max_seq_len), position_ids.device());
        let pairs = frequencies.len();
        let frequencies = Tensor::<2>::from_data(TensorData::new(frequencies, [1, pairs]), &device);
        let angles = position_ids.float().unsqueeze_dim::<2>(1) * frequencies; // [tokens, pairs]
        let scale = self.attention_factor();
        Rotation {
            cos: angles.clone().cos() * scale,
            sin: angles.sin() * scale,
        }
    }

    /// True if every angle of sequences of up to `seq_len` tokens is a number.
    pub(crate) fn is_finite(&self, seq_len: usize) -> bool {
        let angles = self.frequencies(seq_len);
        let last = seq_len as f32;
        (self.attention_factor() as f32).is_finite() && angles.iter().all(|angle| (angle * last).is_finite())
    }

    /// Radians per token of each pair of features, for sequences of up to `seq_len` tokens.
    pub(crate) fn frequencies(&self, seq_len: usize) -> Vec<f32> {
        let pairs = self.dims / 2;
        let base = |theta: f64, pair: usize| theta.powf(-((2 * pair) as f64) / self.dims as f64);
        let frequency = |pair: usize| {
            let plain = base(self.theta, pair);
            match &self.scaling {
                RopeScaling::Default => plain,
                RopeScaling::Factors { factors } | RopeScaling::LongRope { factors, .. } => plain / factors[pair],
                RopeScaling::Linear { factor } => plain / factor,
                &RopeScaling::Dynamic { factor, original_len } => {
                    let stretch = (seq_len.max(original_len)) as f64 / original_len as f64;
                    if stretch == 1.0 {
                        return plain;
                    }
                    let exponent = self.dims as f64 / (self.dims as f64 - 2.0);
                    base(self.theta * (factor * stretch - (factor - 1.0)).powf(exponent), pair)
                }
                &RopeScaling::Llama3 {
                    factor,
                    low_freq_factor,
                    high_freq_factor,
                    original_len,
                } => {
                    let turns = original_len as f64 * plain / TAU;
                    let kept = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
                    (1.0 - kept) * plain / factor + kept * plain
                }
                &RopeScaling::Yarn { factor, .. } => {
                    let divided = self.yarn_ramp(pair);
                    divided * plain / factor + (1.0 - divided) * plain
                }
            }
        };
        (0..pairs).map(|pair| frequency(pair) as f32).collect()
    }

    /// Position of pair `pair` on YaRN's way from a kept wave (0) to a divided one (1).
    fn yarn_ramp(&self, pair: usize) -> f64 {
        let RopeScaling::Yarn {
            beta_fast,
            beta_slow,
            truncate,
            original_len,
            ..
        } = self.scaling
        else {
            return 0.0;
        };
        // The feature whose wave turns `turns` times within the original length.
        let feature =
            |turns: f64| self.dims as f64 * (original_len as f64 / (turns * TAU)).ln() / (2.0 * self.theta.ln());
        let (mut low, mut high) = (feature(beta_fast), feature(beta_slow));
        if truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        let (low, mut high) = (low.max(0.0), high.min(self.dims as f64 - 1.0));
        if low == high {
            high += 0.001; // as transformers, so that the ramp is a step
        }
        ((pair as f64 - low) / (high - low)).clamp(0.0, 1.0)
    }

    fn attention_factor(&self) -> f64 {
        match self.scaling {
            RopeScaling::Yarn { attention_factor, .. } | RopeScaling::LongRope { attention_factor, .. } => {
                attention_factor
            }
            _ => 1.0,
        }
    }
}

#[cfg(test)]
#[path = "rotary_tests.rs"]
mod tests;
