//! Scaling of the rotary frequencies.

/// How the frequencies differ from `theta^(-2i / dims)`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scaling {
    /// They do not.
    None,
    /// All are divided by one factor.
    Linear { factor: f64 },
    /// YaRN (Peng et al. 2023).
    Yarn(Yarn),
}

/// The settings of YaRN.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Yarn {
    pub(crate) factor: f64,
    pub(crate) original_len: usize,
    pub(crate) beta_fast: f64,
    pub(crate) beta_slow: f64,
    /// What llama.cpp multiplies the length of the rotated vectors with, beside the factor of the paper.
    pub(crate) extra_length: f64,
}

impl Yarn {
    /// The factor by which the paper lengthens the rotated vectors, `0.1 ln(factor) + 1`.
    pub(crate) fn length(&self) -> f64 {
        length(self.factor, 1.0)
    }
}

/// `0.1 weight ln(factor) + 1`, and 1 where nothing is stretched.
pub(super) fn length(factor: f64, weight: f64) -> f64 {
    if factor <= 1.0 {
        1.0
    } else {
        0.1 * weight * factor.ln() + 1.0
    }
}

/// Llama 3's scaling as what each frequency is divided by: 1 for short waves, `factor` for long ones, in between between.
pub(super) struct Llama3 {
    pub(super) factor: f64,
    pub(super) low_freq_factor: f64,
    pub(super) high_freq_factor: f64,
    pub(super) original_len: f64,
}

/// How far two factors may be apart that are the same but for rounding.
const ROUNDING: f32 = 1e-5;

impl Llama3 {
    /// The settings of Llama 3.1 to 3.3 that give these factors, if they do: all of them scale from 8192 tokens, by 8 or by 32.
    pub(super) fn recognise(factors: &[f32], theta: f64, dims: usize) -> Option<Self> {
        let largest = factors.iter().copied().fold(0.0, f32::max);
        let llama3 = Self {
            factor: f64::from(largest),
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_len: 8192.0,
        };
        let expected = llama3.freq_factors(theta, dims);
        let is_close = |(one, other): (&f32, &f32)| (one / other - 1.0).abs() <= ROUNDING;
        let same = expected.len() == factors.len() && factors.iter().zip(&expected).all(is_close);
        (same && largest > 1.0).then_some(llama3)
    }

    /// The factors of `dims / 2` frequencies.
    pub(super) fn freq_factors(&self, theta: f64, dims: usize) -> Vec<f32> {
        let factor = |i: usize| {
            let wavelength = 2.0 * std::f64::consts::PI * theta.powf(2.0 * i as f64 / dims as f64);
            if wavelength < self.original_len / self.high_freq_factor {
                1.0
            } else if wavelength > self.original_len / self.low_freq_factor {
                self.factor
            } else {
                let smooth = (self.original_len / wavelength - self.low_freq_factor)
                    / (self.high_freq_factor - self.low_freq_factor);
                1.0 / ((1.0 - smooth) / self.factor + smooth)
            }
        };
        (0..dims / 2).map(|i| factor(i) as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_llama3_are_told_by_its_factors() {
        let llama3 = Llama3 {
            factor: 32.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_len: 8192.0,
        };
        let mut factors = llama3.freq_factors(500_000.0, 64);
        let found = Llama3::recognise(&factors, 500_000.0, 64).expect("they are Llama 3's");
        assert_eq!(found.factor, 32.0);
        factors[20] *= 1.1;
        assert!(Llama3::recognise(&factors, 500_000.0, 64).is_none());
        assert!(Llama3::recognise(&[1.0; 32], 500_000.0, 64).is_none());
    }

    #[test]
    fn llama3_leaves_short_waves_and_stretches_long_ones() {
        let llama3 = Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_len: 16.0 * std::f64::consts::PI,
        };
        // Wavelengths 2 pi times 1, 4, 16: below 4 pi, between 4 pi and 16 pi, above.
        // smooth = (16 / 8 - 1) / 3 = 1/3, so 1 / (2/3 / 8 + 1/3) = 2.4.
        assert_eq!(llama3.freq_factors(64.0, 6), [1.0, 2.4, 8.0]);
    }
}
