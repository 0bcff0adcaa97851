//! Exponentials of logits, for the sampler.

use super::{
    dispatch::for_every_instruction_set,
    simd::{exp, max},
};

/// See [`crate::exponentials`].
pub(crate) fn exponentials(logits: &[f32], scale: f32, out: &mut [f32]) -> f32 {
    let mut largest = f32::NEG_INFINITY;
    relative_to_largest(logits, scale, out, &mut largest);
    largest
}

for_every_instruction_set! {
    fn relative_to_largest(logits: &[f32], scale: f32, out: &mut [f32], largest: &mut f32) {
        let max = max(logits, f32::NEG_INFINITY);
        for (out, &logit) in out.iter_mut().zip(logits) {
            *out = exp(scale * (logit - max));
        }
        *largest = max;
    }
}
