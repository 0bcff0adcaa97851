//! Arithmetic on rows of numbers that the compiler turns into vector instructions.
//!
//! Everything here is inlined into functions that `multiversion` compiles once per instruction set. Reductions run
//! over an array of [`LANES`] partial sums, which leaves the order of additions fixed and yet vectorisable. Nothing
//! uses fused multiply-add: without it, every instruction set gives the same bits.

/// Partial results of a reduction: one AVX-512 register.
pub(super) const LANES: usize = 16;

/// Registers' worth of partial sums, so that additions need not wait for one another.
const UNROLL: usize = 4;

const BLOCK: usize = LANES * UNROLL;

/// Below this, `exp` is zero; the smallest normal number is near.
const EXP_MIN: f32 = -86.9;
/// Above this, `exp` is infinite.
const EXP_MAX: f32 = 88.722_83;
/// Adding it leaves the nearest integer in the lowest bits of a float.
const ROUNDER: f32 = 12_582_912.0;
/// `ln 2` in two parts; the first has so few digits that its product with a small integer is exact.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// `e^x` to about one unit in the last place. NaN stays NaN.
///
/// With `n` the integer nearest to `x / ln 2` and `r = x - n ln 2`, this is `2^n e^r`, where `e^r` is the Cephes
/// polynomial for `|r| <= ln 2 / 2`.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let clamped = if x < EXP_MIN { EXP_MIN } else { x };
    let clamped = if clamped > EXP_MAX { EXP_MAX } else { clamped };
    let rounded = clamped * std::f32::consts::LOG2_E + ROUNDER;
    let n = rounded - ROUNDER;
    let r = clamped - n * LN_2_HIGH - n * LN_2_LOW;

    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let power = p * (r * r) + r + 1.0;

    // 2^(n - 1), because 2^128 is not a float but 2 * 2^127 * power may be one.
    let half_scale = f32::from_bits((rounded.to_bits() << 23).wrapping_add(126 << 23));
    let result = power * half_scale * 2.0;
    let result = if x < EXP_MIN { 0.0 } else { result };
    if x > EXP_MAX { f32::INFINITY } else { result }
}

/// Largest element, at least `floor`. NaN is passed over.
#[inline(always)]
pub(super) fn max(x: &[f32], floor: f32) -> f32 {
    let mut lanes = [floor; BLOCK];
    let (blocks, rest) = x.as_chunks::<BLOCK>();
    for block in blocks {
        for (lane, &value) in lanes.iter_mut().zip(block) {
            *lane = larger(value, *lane);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = larger(value, *lane);
    }
    fold(lanes, larger)
}

/// The larger number; `b` where `a` is NaN.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// Sum of `term(x[i])`.
#[inline(always)]
pub(super) fn sum(x: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; BLOCK];
    let (blocks, rest) = x.as_chunks::<BLOCK>();
    for block in blocks {
        for (lane, &value) in lanes.iter_mut().zip(block) {
            *lane += term(value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += term(value);
    }
    fold(lanes, |a, b| a + b)
}

/// Sums of `e^z` and of `e^z z` with `z = x - shift`.
#[inline(always)]
pub(super) fn exp_sums(x: &[f32], shift: f32) -> (f32, f32) {
    let (mut totals, mut weighted) = ([0.0; BLOCK], [0.0; BLOCK]);
    let mut take = |x: &[f32]| {
        for (l, &x) in x.iter().enumerate() {
            let z = x - shift;
            let e = exp(z);
            totals[l] += e;
            weighted[l] += e * z;
        }
    };
    let (blocks, rest) = x.as_chunks::<BLOCK>();
    for block in blocks {
        take(block);
    }
    take(rest);
    (fold(totals, |a, b| a + b), fold(weighted, |a, b| a + b))
}

/// Scalar product.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; BLOCK];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<BLOCK>(), b.as_chunks::<BLOCK>());
    for (a, b) in a.iter().zip(b) {
        for l in 0..BLOCK {
            lanes[l] += a[l] * b[l];
        }
    }
    for (lane, (&a, &b)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *lane += a * b;
    }
    fold(lanes, |a, b| a + b)
}

/// Joins all lanes, by halves.
#[inline(always)]
fn fold(mut lanes: [f32; BLOCK], join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = BLOCK;
    while width > 1 {
        width /= 2;
        for l in 0..width {
            lanes[l] = join(lanes[l], lanes[l + width]);
        }
    }
    lanes[0]
}

/// `acc += x`.
#[inline(always)]
pub(super) fn add(acc: &mut [f32], x: &[f32]) {
    for (acc, &x) in acc.iter_mut().zip(x) {
        *acc += x;
    }
}

/// Replaces scores by their softmax and returns the logarithm of the sum of their exponentials.
#[inline(always)]
pub(super) fn softmax(scores: &mut [f32]) -> f32 {
    let max = max(scores, f32::NEG_INFINITY);
    for score in scores.iter_mut() {
        *score = exp(*score - max);
    }
    let total = sum(scores, |weight| weight);
    let inverse = 1.0 / total;
    for score in scores.iter_mut() {
        *score *= inverse;
    }
    max + total.ln()
}

#[cfg(test)]
mod tests {
    use super::{dot, exp, max, softmax, sum};

    #[test]
    fn exp_is_accurate_over_its_whole_range() {
        let worst = (-868_999..=887_228)
            .map(|i| i as f32 * 1e-4)
            .map(|x| (f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs())
            .fold(0.0, f64::max);
        assert!(worst < 2e-7, "relative error {worst:e}");
    }

    #[test]
    fn exp_is_exact_at_its_ends() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        for x in [-87.0, -1e3, -1e30, f32::MIN, f32::NEG_INFINITY] {
            assert_eq!(exp(x), 0.0);
        }
        for x in [88.73, 1e3, 1e30, f32::MAX, f32::INFINITY] {
            assert_eq!(exp(x), f32::INFINITY);
        }
        assert!(exp(f32::NAN).is_nan());
        assert!((exp(88.72) / 88.72_f32.exp() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn reductions_cover_every_element_once() {
        for len in [0, 1, 15, 16, 17, 63, 64, 65, 200] {
            let x: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let (n, len) = (len as f32, len as usize);
            assert_eq!(sum(&x, |x| x), n * (n - 1.0) / 2.0);
            assert_eq!(dot(&x, &x), n * (n - 1.0) * (2.0 * n - 1.0) / 6.0);
            assert_eq!(max(&x, -1.0), n - 1.0);
            assert_eq!(max(&x[..len], 1e3), 1e3);
        }
    }

    #[test]
    fn softmax_adds_up_to_one_and_returns_the_log_sum() {
        // e^0 + e^ln 3 = 4
        let mut scores = [0.0, 3.0_f32.ln()];
        assert!((softmax(&mut scores) - 4.0_f32.ln()).abs() < 1e-6);
        assert!((scores[0] - 0.25).abs() < 1e-6 && (scores[1] - 0.75).abs() < 1e-6);
    }

    #[test]
    fn softmax_of_nan_is_nan() {
        let mut scores = [0.0, f32::NAN];
        assert!(softmax(&mut scores).is_nan());
        assert!(scores[0].is_nan());
    }
}
