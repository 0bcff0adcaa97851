//! Lines of a program as answers to rows.

use std::collections::BTreeMap;

use rlhf_tasks::Ranking;
use serde_json::{Map, Value};

use super::child::Line;
use crate::error::{Error, Result, excerpt};

/// A line that is a JSON object.
#[derive(Debug)]
pub(super) struct Answer {
    program: String,
    line: usize,
    fields: Map<String, Value>,
}

impl Answer {
    fn parse(line: &Line, program: &str) -> Result<Self> {
        let answer = |fields| Self {
            program: program.to_owned(),
            line: line.number,
            fields,
        };
        let shown = || excerpt(&String::from_utf8_lossy(&line.bytes));
        match rlhf_files::parse_json(&line.bytes) {
            Ok(Value::Object(fields)) => Ok(answer(fields)),
            Ok(_) => Err(answer(Map::new()).wrong("a JSON object", shown())),
            Err(error) => Err(answer(Map::new()).wrong("a JSON object", format!("{} ({error})", shown()))),
        }
    }

    fn wrong(&self, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::Line {
            program: self.program.clone(),
            line: self.line,
            expected: expected.into(),
            found: found.into(),
        }
    }

    fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    /// The whole line, shortened.
    fn shown(&self) -> String {
        excerpt(&Value::Object(self.fields.clone()).to_string())
    }

    fn id(&self) -> Result<Option<String>> {
        match self.get("id") {
            None => Ok(None),
            Some(Value::String(id)) => Ok(Some(id.clone())),
            Some(Value::Number(id)) => Ok(Some(id.to_string())),
            Some(_) => Err(self.wrong("the id of a row", self.shown())),
        }
    }

    /// The ranks of `completions` completions.
    pub(super) fn ranking(&self, completions: usize) -> Result<Ranking> {
        let rank = |value: &Value| value.as_u64().and_then(|rank| u32::try_from(rank).ok());
        let ranks: Option<Vec<u32>> = match self.get("ranking") {
            Some(Value::Array(items)) => items.iter().map(rank).collect(),
            _ => None,
        };
        let ranks = ranks.ok_or_else(|| {
            self.wrong(
                format!("`ranking`, {completions} whole numbers, 0 for the best"),
                self.shown(),
            )
        })?;
        if ranks.len() != completions {
            return Err(self.wrong(
                format!("`ranking`, {completions} ranks, one for each completion"),
                format!("{} ranks", ranks.len()),
            ));
        }
        let confidence = match self.get("confidence") {
            None => 1.0,
            Some(value) => {
                let share = value.as_f64().filter(|share| (0.0..=1.0).contains(share));
                share.ok_or_else(|| self.wrong("`confidence`, a number from 0 to 1", value.to_string()))?
            }
        };
        Ok(Ranking { ranks, confidence })
    }

    /// The score.
    pub(super) fn score(&self) -> Result<f64> {
        let score = self.get("score").and_then(Value::as_f64).filter(|x| x.is_finite());
        score.ok_or_else(|| self.wrong("`score`, a finite number", self.shown()))
    }
}

/// Answers in the order of the rows: by their ids, or as they came if none has one.
pub(super) fn sorted(ids: &[&str], lines: Vec<Line>, program: &str) -> Result<Vec<Answer>> {
    let parsed = lines.iter().map(|line| Answer::parse(line, program));
    let answers = parsed.collect::<Result<Vec<Answer>>>()?;
    let named = answers.iter().map(Answer::id).collect::<Result<Vec<_>>>()?;
    if named.iter().all(Option::is_none) {
        return Ok(answers);
    }
    let rows: BTreeMap<&str, usize> = ids.iter().enumerate().map(|(row, id)| (*id, row)).collect();
    let mut places: Vec<Option<Answer>> = ids.iter().map(|_| None).collect();
    for (answer, id) in answers.into_iter().zip(named) {
        let Some(id) = id else {
            return Err(answer.wrong("an `id`, since other answers of the batch have one", answer.shown()));
        };
        let Some(row) = rows.get(id.as_str()) else {
            return Err(answer.wrong("the id of a row of the batch", format!("the id {id:?}")));
        };
        if let Some(earlier) = &places[*row] {
            let expected = "one answer for each row";
            let found = format!("a second one for the id {id:?}, after that of line {}", earlier.line);
            return Err(answer.wrong(expected, found));
        }
        places[*row] = Some(answer);
    }
    // As many answers as rows, and no row has two.
    Ok(places.into_iter().flatten().collect())
}
