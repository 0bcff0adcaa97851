//! Blocks of 256, whose groups of 16 or 32 have scales of their own, which are numbers of a few bits times one `f16`.

use super::decode::{IQ4, scale};

/// 16 groups of 16: four bits of scale and four of minimum, two bits a number.
pub(super) fn q2_k(block: &[u8], out: &mut [f32]) {
    let (scales, qs, d, dmin) = (&block[..16], &block[16..80], scale(&block[80..]), scale(&block[82..]));
    for (group, out) in out.chunks_exact_mut(16).enumerate() {
        let (factor, minimum) = (d * f32::from(scales[group] & 15), dmin * f32::from(scales[group] >> 4));
        // 128 numbers share 32 bytes: the groups 0, 1 of 8 are the lowest bits of its halves, then 2, 3, and so on.
        let (half, shift, first) = (group / 8, group % 8 / 2 * 2, group % 2 * 16);
        let qs = &qs[half * 32 + first..][..16];
        for (out, q) in out.iter_mut().zip(qs) {
            *out = factor * f32::from(q >> shift & 3) - minimum;
        }
    }
}

/// 16 groups of 16: six bits of scale, three bits a number, the highest of them apart.
pub(super) fn q3_k(block: &[u8], out: &mut [f32]) {
    let (high, qs, packed, d) = (&block[..32], &block[32..96], &block[96..108], scale(&block[108..]));
    for (group, out) in out.chunks_exact_mut(16).enumerate() {
        let low = packed[group % 8] >> (group / 8 * 4) & 15;
        let top = packed[8 + group % 4] >> (group / 4 * 2) & 3;
        let factor = d * (f32::from(low | top << 4) - 32.0);
        let (half, shift, first) = (group / 8, group % 8 / 2 * 2, group % 2 * 16);
        let qs = &qs[half * 32 + first..][..16];
        let high = &high[first..][..16];
        let bit = group / 2;
        for ((out, q), high) in out.iter_mut().zip(qs).zip(high) {
            let q = f32::from(q >> shift & 3) - if high >> bit & 1 == 1 { 0.0 } else { 4.0 };
            *out = factor * q;
        }
    }
}

/// Scale and minimum, six bits each, of group `j` of 8.
fn scale_and_minimum(packed: &[u8], j: usize) -> (f32, f32) {
    let (scale, minimum) = if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        (
            packed[j + 4] & 15 | packed[j - 4] >> 6 << 4,
            packed[j + 4] >> 4 | packed[j] >> 6 << 4,
        )
    };
    (f32::from(scale), f32::from(minimum))
}

/// 8 groups of 32 with scale and minimum, four bits a number.
pub(super) fn q4_k(block: &[u8], out: &mut [f32]) {
    let (d, dmin, packed, qs) = (scale(block), scale(&block[2..]), &block[4..16], &block[16..144]);
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let (factor, minimum) = scale_and_minimum(packed, group);
        let (factor, minimum) = (d * factor, dmin * minimum);
        let (qs, shift) = (&qs[group / 2 * 32..][..32], group % 2 * 4);
        for (out, q) in out.iter_mut().zip(qs) {
            *out = factor * f32::from(q >> shift & 15) - minimum;
        }
    }
}

/// As [`q4_k`], with a fifth bit apart.
pub(super) fn q5_k(block: &[u8], out: &mut [f32]) {
    let (d, dmin, packed) = (scale(block), scale(&block[2..]), &block[4..16]);
    let (high, qs) = (&block[16..48], &block[48..176]);
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let (factor, minimum) = scale_and_minimum(packed, group);
        let (factor, minimum) = (d * factor, dmin * minimum);
        let (qs, shift) = (&qs[group / 2 * 32..][..32], group % 2 * 4);
        for ((out, q), high) in out.iter_mut().zip(qs).zip(high) {
            let q = q >> shift & 15 | (high >> group & 1) << 4;
            *out = factor * f32::from(q) - minimum;
        }
    }
}

/// 16 groups of 16 with scales of eight bits, six bits a number, the two highest apart.
pub(super) fn q6_k(block: &[u8], out: &mut [f32]) {
    let (low, high, scales, d) = (&block[..128], &block[128..192], &block[192..208], scale(&block[208..]));
    for (group, out) in out.chunks_exact_mut(16).enumerate() {
        let factor = d * f32::from(scales[group] as i8);
        // 128 numbers share 64 low bytes and 32 high ones; a quarter is 32 of them.
        let (half, quarter, first) = (group / 8, group % 8 / 2, group % 2 * 16);
        let low = &low[half * 64 + quarter % 2 * 32 + first..][..16];
        let high = &high[half * 32 + first..][..16];
        for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
            let q = low >> (quarter / 2 * 4) & 15 | (high >> (quarter * 2) & 3) << 4;
            *out = factor * (f32::from(q) - 32.0);
        }
    }
}

/// 8 groups of 32 with scales of six bits, nibbles that stand for the values of a table.
pub(super) fn iq4_xs(block: &[u8], out: &mut [f32]) {
    let (d, scales_high) = (scale(block), u16::from_le_bytes([block[2], block[3]]));
    let (scales_low, qs) = (&block[4..8], &block[8..136]);
    for (group, out) in out.chunks_exact_mut(32).enumerate() {
        let low = scales_low[group / 2] >> (group % 2 * 4) & 15;
        let top = (scales_high >> (2 * group) & 3) as u8;
        let factor = d * (f32::from(low | top << 4) - 32.0);
        for (i, q) in qs[group * 16..][..16].iter().enumerate() {
            out[i] = factor * IQ4[usize::from(q & 15)];
            out[i + 16] = factor * IQ4[usize::from(q >> 4)];
        }
    }
}
