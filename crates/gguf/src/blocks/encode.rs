//! Bytes from `f32`, equal to those of llama.cpp's reference quantizers.

use half::{bf16, f16};

use crate::tensor_type::TensorType;

/// Numbers in the blocks that are written.
const BLOCK: usize = 32;

impl TensorType {
    /// Numbers as bytes of this type, equal to those of llama.cpp's reference.
    ///
    /// A number beyond the range of the type becomes infinite; [`Self::overflows`] tells.
    ///
    /// # Panics
    /// If [`Self::can_encode`] is false, or the numbers are no whole blocks.
    pub fn encode(self, numbers: &[f32]) -> Vec<u8> {
        assert!(
            numbers.len().is_multiple_of(self.block_len()),
            "{} numbers are no whole blocks of {self}",
            numbers.len()
        );
        let mut bytes = Vec::with_capacity(numbers.len() / self.block_len() * self.block_bytes());
        let blocks = numbers.chunks_exact(BLOCK);
        match self {
            Self::F32 => bytes.extend(numbers.iter().flat_map(|x| x.to_le_bytes())),
            Self::F16 => bytes.extend(numbers.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes())),
            Self::BF16 => bytes.extend(numbers.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes())),
            Self::Q4_0 => blocks.for_each(|block| symmetric(block, 4, &mut bytes)),
            Self::Q5_0 => blocks.for_each(|block| symmetric(block, 5, &mut bytes)),
            Self::Q4_1 => blocks.for_each(|block| with_minimum(block, 4, &mut bytes)),
            Self::Q5_1 => blocks.for_each(|block| with_minimum(block, 5, &mut bytes)),
            Self::Q8_0 => blocks.for_each(|block| q8_0(block, &mut bytes)),
            _ => panic!("{self} is read, not written"),
        }
        bytes
    }

    /// True if some number of these bytes, which [`Self::encode`] wrote of finite numbers, or the scale of some block, is
    /// infinite.
    pub fn overflows(self, bytes: &[u8]) -> bool {
        let halves: &[usize] = match self {
            Self::F16 | Self::Q4_0 | Self::Q5_0 | Self::Q8_0 => &[0],
            Self::Q4_1 | Self::Q5_1 => &[0, 2],
            Self::BF16 => {
                return bytes
                    .chunks_exact(2)
                    .any(|two| !bf16::from_le_bytes([two[0], two[1]]).is_finite());
            }
            _ => &[],
        };
        bytes.chunks_exact(self.block_bytes()).any(|block| {
            let mut scales = halves.iter().map(|&at| f16::from_le_bytes([block[at], block[at + 1]]));
            scales.any(|scale| !scale.is_finite())
        })
    }
}

fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

fn push_scale(scale: f32, bytes: &mut Vec<u8>) {
    bytes.extend(f16::from_f32(scale).to_le_bytes());
}

/// Low nibbles are the first half of the block, high ones the second; fifth bits stand before them.
fn push_numbers(q: &[u8; BLOCK], bits: u32, bytes: &mut Vec<u8>) {
    if bits == 5 {
        let fifth = q.iter().enumerate().fold(0, |all, (i, q)| all | u32::from(q >> 4) << i);
        bytes.extend(fifth.to_le_bytes());
    }
    bytes.extend((0..BLOCK / 2).map(|i| q[i] & 15 | (q[i + BLOCK / 2] & 15) << 4));
}

/// The number farthest from 0 becomes the lowest value there is, so its sign decides that of the scale.
fn symmetric(block: &[f32], bits: u32, bytes: &mut Vec<u8>) {
    let farthest = block
        .iter()
        .fold(0.0, |max: f32, &x| if max.abs() < x.abs() { x } else { max });
    let (half, top) = ((1 << (bits - 1)) as f32, (1 << bits) - 1);
    let d = farthest / -half;
    let id = inverse(d);
    // A cast of a float to `i8` cuts its fraction off.
    let q = std::array::from_fn(|i| ((block[i] * id + (half + 0.5)) as i8).min(top) as u8);
    push_scale(d, bytes);
    push_numbers(&q, bits, bytes);
}

fn with_minimum(block: &[f32], bits: u32, bytes: &mut Vec<u8>) {
    let min = block.iter().fold(f32::MAX, |min, &x| if x < min { x } else { min });
    let max = block.iter().fold(f32::MIN, |max, &x| if x > max { x } else { max });
    let top = (1 << bits) - 1;
    let d = (max - min) / top as f32;
    let id = inverse(d);
    let q = std::array::from_fn(|i| (((block[i] - min) * id + 0.5) as i8).min(top) as u8);
    push_scale(d, bytes);
    push_scale(min, bytes);
    push_numbers(&q, bits, bytes);
}

fn q8_0(block: &[f32], bytes: &mut Vec<u8>) {
    let farthest = block.iter().fold(0.0, |max: f32, x| max.max(x.abs()));
    let d = farthest / 127.0;
    let id = inverse(d);
    push_scale(d, bytes);
    // Half away from zero, as C's `roundf`.
    bytes.extend(block.iter().map(|x| (x * id).round() as i8 as u8));
}
