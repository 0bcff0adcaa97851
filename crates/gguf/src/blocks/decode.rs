//! Types of single numbers and of blocks of 32: `f32` from bytes.
//!
//! Every product and sum is rounded by itself, as ggml's reference does it: no fused multiply-add.

use half::{bf16, f16};

use super::super_blocks;
use crate::tensor_type::TensorType;

/// Values that the nibbles of `IQ4_NL` and `IQ4_XS` stand for.
pub(super) const IQ4: [f32; 16] = [
    -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0,
];

/// The `f16` in the first two of `bytes`.
pub(super) fn scale(bytes: &[u8]) -> f32 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

impl TensorType {
    /// Numbers of this type as `f32`, exactly as ggml's reference has them.
    ///
    /// # Shapes
    /// - `bytes`: whole blocks
    /// - `out`: [`Self::block_len`] numbers for each block
    ///
    /// # Panics
    /// If the two do not fit.
    pub fn decode(self, bytes: &[u8], out: &mut [f32]) {
        let (block_len, block_bytes) = (self.block_len(), self.block_bytes());
        assert!(
            bytes.len().is_multiple_of(block_bytes) && bytes.len() / block_bytes * block_len == out.len(),
            "{} bytes of {self} are not {} numbers",
            bytes.len(),
            out.len()
        );
        let decode: fn(&[u8], &mut [f32]) = match self {
            Self::F32 => |bytes, out| out[0] = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            Self::F16 => |bytes, out| out[0] = scale(bytes),
            Self::BF16 => |bytes, out| out[0] = bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
            Self::Q4_0 => q4_0,
            Self::Q4_1 => q4_1,
            Self::Q5_0 => q5_0,
            Self::Q5_1 => q5_1,
            Self::Q8_0 => q8_0,
            Self::IQ4_NL => iq4_nl,
            Self::Q2_K => super_blocks::q2_k,
            Self::Q3_K => super_blocks::q3_k,
            Self::Q4_K => super_blocks::q4_k,
            Self::Q5_K => super_blocks::q5_k,
            Self::Q6_K => super_blocks::q6_k,
            Self::IQ4_XS => super_blocks::iq4_xs,
        };
        for (block, out) in bytes.chunks_exact(block_bytes).zip(out.chunks_exact_mut(block_len)) {
            decode(block, out);
        }
    }
}

/// The first half of a block from low nibbles, the second from high ones.
fn nibbles(bytes: &[u8], out: &mut [f32], value: impl Fn(usize, u8) -> f32) {
    for (i, byte) in bytes[..16].iter().enumerate() {
        out[i] = value(i, byte & 15);
        out[i + 16] = value(i + 16, byte >> 4);
    }
}

fn q4_0(block: &[u8], out: &mut [f32]) {
    let d = scale(block);
    nibbles(&block[2..], out, |_, q| d * (f32::from(q) - 8.0));
}

fn q4_1(block: &[u8], out: &mut [f32]) {
    let (d, m) = (scale(block), scale(&block[2..]));
    nibbles(&block[4..], out, |_, q| d * f32::from(q) + m);
}

/// The nibble `q` of number `i` with its fifth bit.
fn five(bits: u32, i: usize, q: u8) -> f32 {
    f32::from(q | ((bits >> i & 1) as u8) << 4)
}

fn fifth_bits(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn q5_0(block: &[u8], out: &mut [f32]) {
    let (d, bits) = (scale(block), fifth_bits(&block[2..]));
    nibbles(&block[6..], out, |i, q| d * (five(bits, i, q) - 16.0));
}

fn q5_1(block: &[u8], out: &mut [f32]) {
    let (d, m, bits) = (scale(block), scale(&block[2..]), fifth_bits(&block[4..]));
    nibbles(&block[8..], out, |i, q| d * five(bits, i, q) + m);
}

fn q8_0(block: &[u8], out: &mut [f32]) {
    let d = scale(block);
    for (out, &q) in out.iter_mut().zip(&block[2..]) {
        *out = d * f32::from(q as i8);
    }
}

fn iq4_nl(block: &[u8], out: &mut [f32]) {
    let d = scale(block);
    nibbles(&block[2..], out, |_, q| d * IQ4[usize::from(q)]);
}
