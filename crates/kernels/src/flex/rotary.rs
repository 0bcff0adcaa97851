//! Rotary position embeddings: pairs of features turned by an angle, and turned back for the gradient.

use rayon::prelude::*;

use super::{dispatch::for_every_instruction_set, matrix::unwritten};

/// Tokens a thread takes at a time.
const CHUNK: usize = 32;

/// Cosine and sine of the angle of each token and pair, `[tokens, pairs]`, for heads of `d_head` features.
#[derive(Debug, Clone, Copy)]
pub(super) struct Angles<'a> {
    pub(super) cos: &'a [f32],
    pub(super) sin: &'a [f32],
    pub(super) pairs: usize,
    pub(super) d_head: usize,
}

/// The direction in which pairs turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// By the angle.
    Forward,
    /// Back by the angle: the transpose of a rotation, which takes a gradient from the result to what was turned.
    Back,
}

/// Turns every head of `x`, which holds `width` features a token.
pub(super) fn turn(x: &[f32], width: usize, angles: Angles<'_>, turn: Turn) -> Vec<f32> {
    let mut y = unwritten(x.len());
    if angles.pairs == 0 {
        y.copy_from_slice(x);
        return y;
    }
    let sign = match turn {
        Turn::Forward => 1.0,
        Turn::Back => -1.0,
    };
    y.par_chunks_mut(CHUNK * width)
        .zip(x.par_chunks(CHUNK * width))
        .zip(angles.cos.par_chunks(CHUNK * angles.pairs))
        .zip(angles.sin.par_chunks(CHUNK * angles.pairs))
        .for_each(|(((y, x), cos), sin)| {
            let angles = Angles { cos, sin, ..angles };
            turn_chunk(x, width, angles, sign, y);
        });
    y
}

for_every_instruction_set! {
    fn turn_chunk<'a>(x: &[f32], width: usize, angles: Angles<'a>, sign: f32, y: &mut [f32]) {
        let Angles {
            cos,
            sin,
            pairs,
            d_head,
        } = angles;
        let tokens = x.chunks_exact(width).zip(y.chunks_exact_mut(width));
        let angles = cos.chunks_exact(pairs).zip(sin.chunks_exact(pairs));
        for ((x, y), (cos, sin)) in tokens.zip(angles) {
            for (x, y) in x.chunks_exact(d_head).zip(y.chunks_exact_mut(d_head)) {
                let (first, second) = x[..2 * pairs].split_at(pairs);
                let (turned, rest) = y.split_at_mut(2 * pairs);
                let (turned_first, turned_second) = turned.split_at_mut(pairs);
                for i in 0..pairs {
                    let (a, b, cos, sin) = (first[i], second[i], cos[i], sign * sin[i]);
                    turned_first[i] = a * cos - b * sin;
                    turned_second[i] = b * cos + a * sin;
                }
                rest.copy_from_slice(&x[2 * pairs..]);
            }
        }
    }
}
