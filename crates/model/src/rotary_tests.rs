//! The frequencies against the formulas as transformers documents them, written out here a second time; there is no
//! PyTorch fixture of a scaled model.

use burn::tensor::{Device, Int, Tensor};
use rlhf_core::to_host;

use super::*;

const THETA: f64 = 10_000.0;
const DIMS: usize = 16;

fn rotary(scaling: RopeScaling) -> Rotary {
    Rotary {
        dims: DIMS,
        theta: THETA,
        scaling,
        unturned: Vec::new(),
    }
}

/// θ^(-2i/d).
fn plain() -> Vec<f64> {
    (0..DIMS / 2)
        .map(|i| 1.0 / THETA.powf(2.0 * i as f64 / DIMS as f64))
        .collect()
}

#[track_caller]
fn check(scaling: RopeScaling, seq_len: usize, expected: impl IntoIterator<Item = f64>) {
    let found = rotary(scaling).frequencies(seq_len);
    let expected: Vec<f64> = expected.into_iter().collect();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert!(
            (f64::from(*found) / expected - 1.0).abs() < 1e-6,
            "{found} is not {expected}"
        );
    }
}

#[test]
fn without_scaling_the_wavelengths_are_a_geometric_series() {
    // 10000^(-2i/16) = 10^(-i/2): 1, 0.3162…, 0.1, ….
    check(
        RopeScaling::Default,
        64,
        (0..8).map(|i| 10f64.powf(-f64::from(i) / 2.0)),
    );
}

#[test]
fn linear_scaling_divides_every_frequency() {
    check(
        RopeScaling::Linear { factor: 4.0 },
        64,
        plain().into_iter().map(|f| f / 4.0),
    );
}

#[test]
fn dynamic_scaling_changes_the_base_beyond_the_original_length_only() {
    let scaling = RopeScaling::Dynamic {
        factor: 2.0,
        original_len: 64,
    };
    check(scaling.clone(), 10, plain());
    check(scaling.clone(), 64, plain());
    // base * ((2 * 160 / 64) - 1)^(16 / 14) = base * 4^(8/7)
    let base = THETA * 4f64.powf(8.0 / 7.0);
    check(scaling, 160, (0..8).map(|i| base.powf(-2.0 * f64::from(i) / 16.0)));
}

#[test]
fn llama3_scaling_keeps_short_waves_divides_long_ones_and_blends_between() {
    let (factor, low, high, old) = (8.0, 1.0, 4.0, 64.0);
    let scaling = RopeScaling::Llama3 {
        factor,
        low_freq_factor: low,
        high_freq_factor: high,
        original_len: 64,
    };
    let expected: Vec<f64> = plain()
        .into_iter()
        .map(|frequency| {
            let wavelength = std::f64::consts::TAU / frequency;
            if wavelength < old / high {
                frequency
            } else if wavelength > old / low {
                frequency / factor
            } else {
                let smooth = (old / wavelength - low) / (high - low);
                (1.0 - smooth) * frequency / factor + smooth * frequency
            }
        })
        .collect();
    // The case has waves of all three sorts: 2π < 16, 2π·10^0.5 ≈ 19.9 in between, 2π·10 ≈ 62.8 too, the rest above 64.
    assert_eq!(expected[0], 1.0);
    assert!(expected[1] < plain()[1] && expected[1] > plain()[1] / factor);
    assert_eq!(expected[3], plain()[3] / factor);
    check(scaling, 512, expected);
}

fn yarn(attention_factor: f64, truncate: bool) -> RopeScaling {
    RopeScaling::Yarn {
        factor: 4.0,
        attention_factor,
        beta_fast: 32.0,
        beta_slow: 1.0,
        truncate,
        original_len: 2048,
    }
}

#[test]
fn yarn_ramps_over_the_features() {
    // Turning `r` times in 2048 tokens: feature 16 ln(2048 / (2π r)) / (2 ln 10000):
    // r = 32: 16 * ln(10.186) / 18.4207 = 2.0160; r = 1: 16 * ln(325.95) / 18.4207 = 5.0263.
    // Whole numbers: from 2 to 6. The ramp at i is (i - 2) / 4 between 0 and 1.
    let blend = |i: usize, divided: f64| plain()[i] * (divided / 4.0 + (1.0 - divided));
    let ramp = [0.0, 0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0];
    check(
        yarn(1.0, true),
        8192,
        ramp.iter().enumerate().map(|(i, &r)| blend(i, r)),
    );
    let (low, high) = (2.016_000, 5.026_300);
    let found = rotary(yarn(1.0, false)).frequencies(8192);
    for (i, found) in found.iter().enumerate() {
        let divided = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
        assert!(
            (f64::from(*found) / blend(i, divided) - 1.0).abs() < 1e-4,
            "{i}: {found}"
        );
    }
}

#[test]
fn the_rotation_is_cosine_and_sine_of_position_times_frequency_and_yarn_makes_both_longer() {
    let positions = Tensor::<1, Int>::from_ints([0, 3, 17], &Device::flex());
    for (scaling, scale) in [(RopeScaling::Default, 1.0), (yarn(1.25, true), 1.25)] {
        let rotary = rotary(scaling);
        let frequencies = rotary.frequencies(64);
        let Rotation { cos, sin } = rotary.rotation(positions.clone(), 64);
        let angles: Vec<f64> = [0.0, 3.0, 17.0]
            .iter()
            .flat_map(|p| frequencies.iter().map(move |&f| p * f64::from(f)))
            .collect();
        for ((angle, cos), sin) in angles.iter().zip(to_host(cos)).zip(to_host(sin)) {
            assert!((f64::from(cos) - scale * angle.cos()).abs() < 2e-6);
            assert!((f64::from(sin) - scale * angle.sin()).abs() < 2e-6);
        }
    }
}
