//! From logits on the host to weights that a token is drawn by.

#[cfg(feature = "flex")]
use crate::flex;

/// Writes `e^(scale (logit - max))` of every logit to `out`, which is as long, and returns `max`, the largest logit.
pub fn exponentials(logits: &[f32], scale: f32, out: &mut [f32]) -> f32 {
    assert_eq!(logits.len(), out.len(), "room for every logit");
    #[cfg(feature = "flex")]
    return flex::exponentials(logits, scale, out);
    #[cfg(not(feature = "flex"))]
    {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for (out, logit) in out.iter_mut().zip(logits) {
            *out = (scale * (logit - max)).exp();
        }
        max
    }
}
