//! Rankings that people made, read from a file of comparisons.

use std::collections::BTreeMap;

use rlhf_data::{Comparison, Prompt};

use crate::error::{Error, Result};
use crate::labeler::{Labeler, Ranking, check_comparable};

/// One person's rankings.
#[derive(Clone, Debug)]
pub struct RankingFile {
    id: String,
    comparisons: Vec<Comparison>,
    by_id: BTreeMap<String, usize>,
}

impl RankingFile {
    /// Takes the rankings of one labeler; each must rank as many completions as it has, two at least.
    pub fn new(id: impl Into<String>, comparisons: Vec<Comparison>) -> Result<Self> {
        let mut by_id = BTreeMap::new();
        for (i, row) in comparisons.iter().enumerate() {
            let (expected, found) = (row.completions.len(), row.ranking.len());
            if expected < 2 {
                return Err(Error::TooFew {
                    id: row.id.clone(),
                    found: expected,
                });
            }
            if expected != found {
                return Err(Error::RankingLength {
                    id: row.id.clone(),
                    expected,
                    found,
                });
            }
            by_id.insert(row.id.clone(), i);
        }
        Ok(Self {
            id: id.into(),
            comparisons,
            by_id,
        })
    }

    /// Sorts rankings by the labeler that each names; those without a name are filed under `unnamed`.
    pub fn by_labeler(comparisons: Vec<Comparison>, unnamed: &str) -> Result<Vec<Self>> {
        let mut groups: BTreeMap<String, Vec<Comparison>> = BTreeMap::new();
        for row in comparisons {
            let labeler = row.labeler.clone().unwrap_or_else(|| unnamed.to_owned());
            groups.entry(labeler).or_default().push(row);
        }
        groups.into_iter().map(|(id, rows)| Self::new(id, rows)).collect()
    }

    /// The ranking of a prompt: by its messages, or by its id where the messages agree with nothing.
    fn find(&self, prompt: &Prompt) -> Option<&Comparison> {
        let of_id = self.by_id.get(&prompt.id).map(|i| &self.comparisons[*i]);
        match of_id {
            Some(row) if row.messages == prompt.messages => Some(row),
            _ => self
                .comparisons
                .iter()
                .find(|row| row.messages == prompt.messages)
                .or(of_id),
        }
    }
}

impl Labeler for RankingFile {
    fn id(&self) -> &str {
        &self.id
    }

    /// Looks the ranking up; completions are matched by their text and may be fewer or in another order than in the file.
    fn rank(&self, prompt: &Prompt, completions: &[String]) -> Result<Ranking> {
        check_comparable(prompt, completions)?;
        let row = self.find(prompt).ok_or_else(|| Error::NoRanking {
            id: prompt.id.clone(),
            available: self.comparisons.len(),
        })?;
        let ranks = completions
            .iter()
            .enumerate()
            .map(|(index, text)| {
                let at = row.completions.iter().position(|c| c.trim() == text.trim());
                at.map(|i| row.ranking[i]).ok_or_else(|| Error::NotRanked {
                    id: prompt.id.clone(),
                    index,
                    completion: text.clone(),
                })
            })
            .collect::<Result<Vec<u32>>>()?;
        Ok(Ranking {
            ranks,
            confidence: row.confidence.unwrap_or(1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlhf_data::Message;

    fn row(ranking: &[u32]) -> Comparison {
        Comparison {
            id: "a".into(),
            messages: vec![Message::user("Why?")],
            completions: vec!["So.".into(), "Because.".into(), "No.".into()],
            ranking: ranking.to_vec(),
            labeler: Some("maud".into()),
            confidence: None,
            margin: None,
            task: None,
            source: None,
            origin: Default::default(),
        }
    }

    fn prompt(text: &str) -> Prompt {
        Prompt {
            id: "x".into(),
            messages: vec![Message::user(text)],
            task: None,
            origin: Default::default(),
        }
    }

    #[test]
    fn completions_are_found_in_any_order() {
        let file = RankingFile::by_labeler(vec![row(&[1, 0, 2])], "nobody")
            .unwrap()
            .remove(0);
        assert_eq!(file.id(), "maud");
        let ranking = file.rank(&prompt("Why?"), &["No.".into(), "Because.".into()]).unwrap();
        assert_eq!(ranking.ranks, [2, 0]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let file = RankingFile::new("maud", vec![row(&[1, 0, 2])]).unwrap();
        let texts = ["So.".to_owned(), "Perhaps.".to_owned()];
        let message = file.rank(&prompt("Why?"), &texts).unwrap_err().to_string();
        assert_eq!(
            message,
            "prompt x: completion 1 is not among those that were ranked: \"Perhaps.\""
        );
        let message = file.rank(&prompt("When?"), &texts).unwrap_err().to_string();
        assert_eq!(message, "no ranking for prompt x among 1 rankings");
        let message = RankingFile::new("maud", vec![row(&[1, 0])]).unwrap_err().to_string();
        assert_eq!(message, "ranking a: 2 ranks for 3 completions");
    }
}
