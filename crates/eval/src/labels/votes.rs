//! Comparisons as votes: which of them are of one prompt, by one person, of one answer.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rlhf_data::{Comparison, Message};
use rlhf_preference::Vote;

/// Votes, with what their numbers stand for.
#[derive(Clone, Debug, Default)]
pub struct Ballots {
    /// The votes, row by row.
    pub votes: Vec<Vote>,
    /// The conversation of each prompt.
    pub prompts: Vec<Vec<Message>>,
    /// The answers of each prompt, in order of their text: a number says nothing of who was better.
    pub answers: Vec<Vec<String>>,
    /// The name of each labeler. Rows without a name are each somebody's of their own, with the number of the row for a name.
    pub labelers: Vec<String>,
    /// Rows without a labeler.
    pub unnamed: usize,
}

impl Ballots {
    /// Groups rows by their conversations, their answers by what they say.
    pub fn new(rows: &[Comparison]) -> Self {
        let mut found = Self::default();
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let of_row: Vec<usize> = rows
            .iter()
            .map(|row| {
                let key = serde_json::to_string(&row.messages).unwrap_or_default();
                *numbers.entry(key).or_insert_with(|| {
                    found.prompts.push(row.messages.clone());
                    found.prompts.len() - 1
                })
            })
            .collect();
        let mut texts: Vec<BTreeSet<&str>> = vec![BTreeSet::new(); found.prompts.len()];
        for (row, &prompt) in rows.iter().zip(&of_row) {
            texts[prompt].extend(row.completions.iter().map(String::as_str));
        }
        let mut labelers: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, (row, &prompt)) in rows.iter().zip(&of_row).enumerate() {
            let place = |text: &String| texts[prompt].iter().position(|other| other == text).unwrap_or(0);
            let labeler = match row.labeler.as_deref() {
                Some(name) => *labelers.entry(name).or_insert_with(|| {
                    found.labelers.push(name.to_owned());
                    found.labelers.len() - 1
                }),
                None => {
                    found.unnamed += 1;
                    found.labelers.push(format!("row {}", index + 1));
                    found.labelers.len() - 1
                }
            };
            found.votes.push(Vote {
                prompt,
                labeler,
                ranks: row
                    .completions
                    .iter()
                    .map(place)
                    .zip(row.ranking.iter().copied())
                    .collect(),
            });
        }
        found.answers = texts
            .into_iter()
            .map(|texts| texts.into_iter().map(str::to_owned).collect())
            .collect();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::ranking;
    use super::*;

    #[test]
    fn answers_are_known_by_their_text_and_people_by_their_names() {
        let mut rows = [
            ranking("1", &["b", "a"], &[0, 1]),
            ranking("2", &["a", "c", "b"], &[0, 1, 2]),
            ranking("3", &["a", "b"], &[0, 0]),
        ];
        rows[0].labeler = Some("Ann".to_owned());
        rows[1].labeler = Some("Ann".to_owned());
        let found = Ballots::new(&rows);
        assert_eq!(found.answers, [["a", "b", "c"]]);
        assert_eq!(found.votes[0].ranks, [(1, 0), (0, 1)]);
        assert_eq!(found.votes[1].ranks, [(0, 0), (2, 1), (1, 2)]);
        let labelers: Vec<usize> = found.votes.iter().map(|vote| vote.labeler).collect();
        assert_eq!((labelers, found.unnamed), (vec![0, 0, 1], 1));
        assert_eq!(found.labelers, ["Ann", "row 3"]);
    }
}
