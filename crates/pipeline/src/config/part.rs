//! A part of a list of rows.

use std::fmt::{self, Display, Formatter};

use rlhf_data::part_by_hash;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One of several parts of about the same size, written `1/2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Part {
    /// From 0.
    index: usize,
    of: usize,
}

impl Part {
    /// The whole.
    pub const ALL: Self = Self { index: 0, of: 1 };

    /// True if a row with this text is in the part.
    pub fn has(self, key: &str) -> bool {
        part_by_hash(key, self.of) == self.index
    }
}

impl Display for Part {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.of)
    }
}

impl From<Part> for String {
    fn from(part: Part) -> Self {
        part.to_string()
    }
}

impl TryFrom<String> for Part {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let numbers = text
            .split_once('/')
            .map(|(part, of)| (part.trim().parse(), of.trim().parse()));
        match numbers {
            Some((Ok(part @ 1..), Ok(of))) if part <= of => Ok(Self { index: part - 1, of }),
            _ => Err(format!(
                "{text:?} is no part, expected one such as \"1/2\", the first of two"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_written_as_fractions_and_others_refused() {
        let read = |text: &str| Part::try_from(text.to_owned());
        assert_eq!(read("2/3").map(|part| part.to_string()).as_deref(), Ok("2/3"));
        for wrong in ["0/2", "3/2", "half", "1", "-1/2", "1/0"] {
            let said = read(wrong).expect_err("it is none");
            assert!(said.contains("expected one such as"), "{said}");
        }
    }

    #[test]
    fn each_row_is_in_one_part() {
        let parts = [1, 2, 3].map(|n| Part::try_from(format!("{n}/3")).expect("it is one"));
        for row in (0..100).map(|n| n.to_string()) {
            assert_eq!(parts.iter().filter(|part| part.has(&row)).count(), 1);
            assert!(Part::ALL.has(&row));
        }
    }
}
