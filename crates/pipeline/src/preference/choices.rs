//! Choices that people made, from a file.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rlhf_data::{Prompt, prompt_key, read_objects};
use rlhf_eval::Outcomes;

use crate::error::Result;

const EXPECTED: &str =
    "rows of {\"id\" or \"prompt\" or \"messages\", \"a\", \"b\", \"winner\": \"a\", \"b\" or \"tie\"}";

/// The outcomes in a file of choices between the models of these names. Where several people chose between the same two, the majority decides, and as
/// many for the one as for the other are a tie. Rows of other models or prompts are left out.
pub(super) fn by_choices(path: &Path, names: &[&str], prompts: &[Prompt]) -> Result<Outcomes> {
    let by_id: HashMap<&str, usize> = prompts
        .iter()
        .enumerate()
        .map(|(row, prompt)| (prompt.id.as_str(), row))
        .collect();
    let by_text: HashMap<&str, usize> = prompts
        .iter()
        .enumerate()
        .map(|(row, prompt)| (prompt.key(), row))
        .collect();
    let mut votes: BTreeMap<(usize, usize, usize), i64> = BTreeMap::new();
    for row in read_objects(path, EXPECTED)? {
        let place = if row.has("id") {
            by_id.get(row.string("id")?.as_str()).copied()
        } else {
            by_text.get(prompt_key(&row.prompt()?.0)).copied()
        };
        let [a, b] = ["a", "b"].map(|field| row.string(field));
        let [a, b] = [a?, b?].map(|name| names.iter().position(|other| *other == name));
        let vote = match row.string("winner")?.as_str() {
            "a" => 1,
            "b" => -1,
            "tie" => 0,
            _ => return Err(row.wrong("winner", "\"a\", \"b\" or \"tie\"", row.get("winner")).into()),
        };
        let (Some(prompt), Some(a), Some(b)) = (place, a, b) else {
            continue;
        };
        let (key, vote) = if a < b {
            ((prompt, a, b), vote)
        } else {
            ((prompt, b, a), -vote)
        };
        *votes.entry(key).or_default() += vote;
    }
    let mut outcomes = Outcomes::new(names.len(), prompts.len());
    for ((prompt, a, b), votes) in votes {
        if a != b {
            outcomes.set(prompt, a, b, Some(votes.cmp(&0)));
        }
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;
    use rlhf_data::Message;

    #[test]
    fn the_majority_decides_and_what_nobody_saw_is_missing() {
        let prompt = |id: &str, text: &str| Prompt {
            id: id.to_owned(),
            messages: vec![Message::user(text)],
            task: None,
            origin: Default::default(),
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("choices.jsonl");
        let rows = [
            r#"{"id":"p","a":"new","b":"old","winner":"a"}"#,
            r#"{"id":"p","a":"old","b":"new","winner":"b"}"#,
            r#"{"id":"p","a":"old","b":"new","winner":"a"}"#,
            r#"{"prompt":"How?","a":"old","b":"new","winner":"tie"}"#,
            r#"{"id":"p","a":"old","b":"another","winner":"a"}"#,
        ];
        std::fs::write(&path, rows.join("\n")).unwrap();
        let prompts = [prompt("p", "Why?"), prompt("q", "How?"), prompt("r", "Who?")];
        let found = by_choices(&path, &["old", "new"], &prompts).unwrap();
        let seen: Vec<_> = (0..3).map(|row| found.get(row, 1, 0)).collect();
        assert_eq!(seen, [Some(Ordering::Greater), Some(Ordering::Equal), None]);
        std::fs::write(&path, r#"{"id":"p","a":"old","b":"new","winner":"new"}"#).unwrap();
        let error = by_choices(&path, &["old", "new"], &prompts).unwrap_err().to_string();
        assert!(error.contains("winner") && error.contains("choices.jsonl:1"), "{error}");
    }
}
