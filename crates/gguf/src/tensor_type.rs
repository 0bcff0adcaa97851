//! The number types of tensors: their names, ids and sizes.

use std::fmt;

/// How the numbers of a tensor are written: one by one, or in blocks that share a scale.
///
/// All can be [decoded](Self::decode); [`Self::can_encode`] says which can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are the format's own")]
#[expect(non_camel_case_types, reason = "the names are the format's own")]
pub enum TensorType {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
    IQ4_NL,
    IQ4_XS,
}

/// Type, name, id in the file, numbers in a block, bytes of a block.
const TABLE: [(TensorType, &str, u32, usize, usize); 15] = [
    (TensorType::F32, "F32", 0, 1, 4),
    (TensorType::F16, "F16", 1, 1, 2),
    (TensorType::BF16, "BF16", 30, 1, 2),
    (TensorType::Q4_0, "Q4_0", 2, 32, 18),
    (TensorType::Q4_1, "Q4_1", 3, 32, 20),
    (TensorType::Q5_0, "Q5_0", 6, 32, 22),
    (TensorType::Q5_1, "Q5_1", 7, 32, 24),
    (TensorType::Q8_0, "Q8_0", 8, 32, 34),
    (TensorType::Q2_K, "Q2_K", 10, 256, 84),
    (TensorType::Q3_K, "Q3_K", 11, 256, 110),
    (TensorType::Q4_K, "Q4_K", 12, 256, 144),
    (TensorType::Q5_K, "Q5_K", 13, 256, 176),
    (TensorType::Q6_K, "Q6_K", 14, 256, 210),
    (TensorType::IQ4_NL, "IQ4_NL", 20, 32, 18),
    (TensorType::IQ4_XS, "IQ4_XS", 23, 256, 136),
];

/// Types that the format has and this crate has not.
const OTHERS: [(u32, &str); 26] = [
    (4, "Q4_2, which is gone from the format"),
    (5, "Q4_3, which is gone from the format"),
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (31, "Q4_0_4_4, which is gone from the format"),
    (32, "Q4_0_4_8, which is gone from the format"),
    (33, "Q4_0_8_8, which is gone from the format"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (36, "IQ4_NL_4_4, which is gone from the format"),
    (37, "IQ4_NL_4_8, which is gone from the format"),
    (38, "IQ4_NL_8_8, which is gone from the format"),
    (39, "MXFP4"),
    (40, "NVFP4"),
];

impl TensorType {
    /// Every type that is read.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    fn row(self) -> &'static (Self, &'static str, u32, usize, usize) {
        // The table is in the order of the enum, which a test holds it to.
        &TABLE[self as usize]
    }

    /// The type with this id in a file, or what is known of an id that is not read.
    pub(crate) fn from_id(id: u32) -> Result<Self, String> {
        if let Some(row) = TABLE.iter().find(|row| row.2 == id) {
            return Ok(row.0);
        }
        let found = OTHERS.iter().find(|(other, _)| *other == id);
        let found = found.map_or_else(|| "unknown".to_owned(), |(_, name)| (*name).to_owned());
        let read: Vec<&str> = TABLE.iter().map(|row| row.1).collect();
        Err(format!(
            "type {id} ({found}) is not read, expected one of {}",
            read.join(", ")
        ))
    }

    /// The type of this name, in any case: `q8_0`, `F16`.
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| row.1.eq_ignore_ascii_case(name))
            .map(|row| row.0)
    }

    /// The name, as the format writes it.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The id in a file.
    pub(crate) fn id(self) -> u32 {
        self.row().2
    }

    /// Numbers in a block; a row consists of whole blocks.
    pub fn block_len(self) -> usize {
        self.row().3
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        self.row().4
    }

    /// Bytes of `numbers` numbers, whole blocks of them; `None` if they are not, or too many.
    pub fn bytes_of(self, numbers: u64) -> Option<u64> {
        let block = self.block_len() as u64;
        if !numbers.is_multiple_of(block) {
            return None;
        }
        (numbers / block).checked_mul(self.block_bytes() as u64)
    }

    /// True for the types that this crate writes.
    pub fn can_encode(self) -> bool {
        matches!(
            self,
            Self::F32 | Self::F16 | Self::BF16 | Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0
        )
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_is_found_by_its_id_and_its_name() {
        for kind in TensorType::all() {
            assert_eq!(TensorType::from_id(kind.id()), Ok(kind));
            assert_eq!(TensorType::from_name(&kind.name().to_lowercase()), Some(kind));
        }
    }

    #[test]
    fn a_type_that_is_not_read_is_refused_by_its_name() {
        for (id, name) in OTHERS {
            assert!(TensorType::from_id(id).expect_err("not read").contains(name));
        }
        assert!(
            TensorType::from_id(200)
                .expect_err("unknown")
                .contains("type 200 (unknown)")
        );
    }

    #[test]
    fn only_whole_blocks_have_a_size() {
        assert_eq!(TensorType::Q4_0.bytes_of(64), Some(36));
        assert_eq!(TensorType::Q4_0.bytes_of(48), None);
        assert_eq!(TensorType::F32.bytes_of(u64::MAX), None);
    }
}
