//! Text that a tokenizer does not give back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::tokenizer::Tokenizer;

/// Rows with text that does not come back from its tokens, as [`Tokenizer::lost`] finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LostText {
    /// How many rows there are.
    pub rows: usize,
    /// The characters, as `U+0004` or, where several are changed together, with spaces between; and how many rows hold each.
    pub characters: BTreeMap<String, usize>,
}

impl LostText {
    /// Characters that are told one by one.
    const TOLD: usize = 8;

    /// Counts a row with these texts.
    pub(super) fn row<'a>(&mut self, tokenizer: &Tokenizer, texts: impl IntoIterator<Item = &'a str>) {
        let parts: BTreeSet<String> = texts
            .into_iter()
            .flat_map(|text| tokenizer.lost(text))
            .map(|part| named(&part))
            .collect();
        self.rows += usize::from(!parts.is_empty());
        for part in parts {
            *self.characters.entry(part).or_default() += 1;
        }
    }
}

/// Characters by their numbers; long runs are cut.
fn named(part: &str) -> String {
    const SHOWN: usize = 8;
    let mut names: Vec<String> = part
        .chars()
        .take(SHOWN)
        .map(|c| format!("U+{:04X}", u32::from(c)))
        .collect();
    if part.chars().nth(SHOWN).is_some() {
        names.push("…".to_owned());
    }
    names.join(" ")
}

impl fmt::Display for LostText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows == 0 {
            return Ok(());
        }
        let told = self.characters.iter().take(Self::TOLD);
        let told: Vec<String> = told.map(|(part, rows)| format!("{part} in {rows}")).collect();
        let more = if self.characters.len() > Self::TOLD {
            ", …"
        } else {
            ""
        };
        writeln!(
            f,
            "lost            {} rows hold text that the tokenizer leaves out or changes: {}{more}",
            self.rows,
            told.join(", ")
        )
    }
}
