//! The number types that weights are stored in. Arithmetic is in `f32` whatever the storage.

use half::{bf16, f16};
use safetensors::Dtype;

/// A number type of stored weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StorageType {
    /// IEEE single precision.
    #[default]
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of a single-precision number.
    Bf16,
}

impl StorageType {
    /// Its name in a `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::F32, Self::F16, Self::Bf16]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    pub(crate) fn from_dtype(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::F32 => Some(Self::F32),
            Dtype::F16 => Some(Self::F16),
            Dtype::BF16 => Some(Self::Bf16),
            _ => None,
        }
    }

    pub(crate) fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::Bf16 => Dtype::BF16,
        }
    }

    /// Bytes of a number.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Reads little-endian numbers, as many as `out` has room for.
    pub(crate) fn decode(self, bytes: &[u8], out: &mut [f32]) {
        match self {
            Self::F32 => {
                let numbers = bytes.as_chunks::<4>().0;
                (out.iter_mut().zip(numbers)).for_each(|(out, b)| *out = f32::from_le_bytes(*b));
            }
            Self::F16 => {
                let numbers = bytes.as_chunks::<2>().0;
                (out.iter_mut().zip(numbers)).for_each(|(out, b)| *out = f16::from_le_bytes(*b).to_f32());
            }
            Self::Bf16 => {
                let numbers = bytes.as_chunks::<2>().0;
                (out.iter_mut().zip(numbers)).for_each(|(out, b)| *out = bf16::from_le_bytes(*b).to_f32());
            }
        }
    }

    /// Writes numbers in little-endian order, rounded to the nearest that the type has.
    pub(crate) fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::F16 => values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
            Self::Bf16 => values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect(),
        }
    }
}

/// The numbers of a tensor, in the order and the shape in which transformers stores them.
pub(crate) enum StoredNumbers<'a> {
    /// As they lie in a file.
    Encoded { storage: StorageType, bytes: &'a [u8] },
    /// Read from blocks of quantised numbers, or put in order.
    Decoded(Vec<f32>),
}

impl StoredNumbers<'_> {
    /// The numbers from `first` on, as many as `out` has room for.
    pub(crate) fn decode(&self, first: usize, out: &mut [f32]) {
        match self {
            Self::Encoded { storage, bytes } => {
                let width = storage.bytes();
                storage.decode(&bytes[first * width..(first + out.len()) * width], out);
            }
            Self::Decoded(values) => out.copy_from_slice(&values[first..first + out.len()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: StorageType, bytes: &[u8], expected: &[f32]) {
        let mut found = vec![0.0; expected.len()];
        kind.decode(bytes, &mut found);
        assert_eq!(found, expected);
        assert_eq!(kind.encode(&found), bytes);
    }

    #[test]
    fn numbers_of_every_type_are_read_and_written_back() {
        // 1.5 is 0x3FC00000; as f16 0x3E00, as bf16 0x3FC0. -2 is 0xC0000000, 0xC000, 0xC000.
        check(StorageType::F32, &[0x00, 0x00, 0xC0, 0x3F, 0, 0, 0, 0xC0], &[1.5, -2.0]);
        check(StorageType::F16, &[0x00, 0x3E, 0x00, 0xC0], &[1.5, -2.0]);
        check(StorageType::Bf16, &[0xC0, 0x3F, 0x00, 0xC0], &[1.5, -2.0]);
        // The smallest subnormal of f16, 2^-24.
        check(StorageType::F16, &[0x01, 0x00], &[5.960_464_5e-8]);
    }

    #[test]
    fn every_half_survives_a_round_trip() {
        for kind in [StorageType::F16, StorageType::Bf16] {
            let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
            let mut values = vec![0.0; 1 << 16];
            kind.decode(&bytes, &mut values);
            let back = kind.encode(&values);
            for (i, value) in values.iter().enumerate() {
                assert!(
                    value.is_nan() || back[2 * i..2 * i + 2] == bytes[2 * i..2 * i + 2],
                    "{kind:?} {i:#06x}"
                );
            }
        }
    }

    #[test]
    fn rounding_is_to_the_nearest_even() {
        // 1 + 2^-9 is a quarter of the way from the bf16 number 1 to the next, 1 + 2^-7: down to 1 (0x3F80).
        assert_eq!(StorageType::Bf16.encode(&[1.0 + 2f32.powi(-9)]), [0x80, 0x3F]);
        // 1 + 3 * 2^-9 is three quarters of the way: up to 0x3F81.
        assert_eq!(StorageType::Bf16.encode(&[1.0 + 3.0 * 2f32.powi(-9)]), [0x81, 0x3F]);
        // 1 + 2^-8 is midway: to the even 0x3F80.
        assert_eq!(StorageType::Bf16.encode(&[1.0 + 2f32.powi(-8)]), [0x80, 0x3F]);
    }
}
