//! Rankings that people wrote for exported tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rlhf_data::{Comparison, Message, Prompt, Row, read_objects};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::export::TASKS;
use crate::task::check_distinct;

/// The beginning of the names of files of rankings.
const RANKINGS: &str = "rankings";
const ENDING: &str = ".jsonl";

/// What people have ranked so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// A row for each ranking, in the order of the files and their lines, the completions in the order in which they were exported
    /// from. A task that several people ranked has several, with one id. They make [`rlhf_tasks::RankingFile`]s, each a
    /// [`rlhf_tasks::Labeler`].
    pub comparisons: Vec<Comparison>,
    /// Ids of the prompts that nobody has ranked.
    pub missing: Vec<String>,
}

/// Reads `rankings.jsonl` and every other `rankings*.jsonl` of a folder to which `rows` were exported.
///
/// A ranking belongs to a task by its id; the texts beside it, and those of `tasks.jsonl`, have to be those of the row. The labeler is
/// the row's `labeler`, else the name of a file `rankings-NAME.jsonl`. Without any such file everything is missing.
///
/// # Errors
/// [`Error::Data`] with file and line for an id that was not exported, other texts, and a `ranking` that does not give a whole
/// number for each completion; [`Error::TwoRankings`] if one labeler ranks a task twice in different ways.
pub fn import(dir: &Path, rows: &[(Prompt, Vec<String>)]) -> Result<Imported> {
    check_distinct(rows.iter().map(|(prompt, _)| prompt.id.as_str()))?;
    let files = ranking_files(dir)?;
    let mut reader = Reader::new(rows);
    if !files.is_empty() {
        reader.read_tasks(&dir.join(TASKS))?;
    }
    for file in &files {
        reader.read_rankings(file)?;
    }
    let ranked: BTreeSet<&str> = reader.comparisons.iter().map(|row| row.id.as_str()).collect();
    let ids = rows.iter().map(|(prompt, _)| &prompt.id);
    let missing = ids.filter(|id| !ranked.contains(id.as_str())).cloned().collect();
    Ok(Imported {
        missing,
        comparisons: reader.comparisons,
    })
}

/// The files of rankings, by name; empty ones are not begun yet.
///
/// # Errors
/// [`Error::Io`] for a folder that cannot be read.
pub fn ranking_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io(dir))? {
        let path = entry.map_err(Error::io(dir))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(RANKINGS) && name.ends_with(ENDING) {
            let length = fs::metadata(&path).map_err(Error::io(&path))?.len();
            files.extend((length > 0).then_some(path));
        }
    }
    files.sort();
    Ok(files)
}

/// The name in `rankings-NAME.jsonl`.
fn labeler_of(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?.strip_suffix(ENDING)?;
    let name = name.strip_prefix(RANKINGS)?.strip_prefix('-')?;
    (!name.is_empty()).then(|| name.to_owned())
}

struct Reader<'a> {
    by_id: BTreeMap<&'a str, &'a (Prompt, Vec<String>)>,
    /// For each exported task the index of each completion shown, by its place in the file.
    shown: BTreeMap<String, Vec<usize>>,
    comparisons: Vec<Comparison>,
    /// The ranking of a task by a labeler, by its place among `comparisons`.
    given: BTreeMap<(String, Option<String>), usize>,
}

impl<'a> Reader<'a> {
    fn new(rows: &'a [(Prompt, Vec<String>)]) -> Self {
        Self {
            by_id: rows.iter().map(|row| (row.0.id.as_str(), row)).collect(),
            shown: BTreeMap::new(),
            comparisons: Vec::new(),
            given: BTreeMap::new(),
        }
    }

    /// The orders in which the tasks were shown. Tasks of which there is no row any more are passed over.
    fn read_tasks(&mut self, path: &Path) -> Result<()> {
        for line in read_objects(path, "the tasks that were exported")? {
            let id = id_of(&line)?;
            if let Some(row) = self.by_id.get(id.as_str()) {
                check_messages(&line, &row.0)?;
                let order = order_of(&line, &row.1)?;
                self.shown.insert(id, order);
            }
        }
        Ok(())
    }

    fn read_rankings(&mut self, path: &Path) -> Result<()> {
        let of_file = labeler_of(path);
        for line in read_objects(path, "rankings")? {
            let id = id_of(&line)?;
            let Some((prompt, completions)) = self.by_id.get(id.as_str()) else {
                return Err(line
                    .wrong("id", "the id of a task that was exported", line.get("id"))
                    .into());
            };
            check_messages(&line, prompt)?;
            let order = self.order(&line, &id, completions)?;
            // Null counts as nothing: the line was copied and not filled in.
            if !line.has("ranking") {
                continue;
            }
            let shown = whole_numbers(&line, completions.len())?;
            let mut ranking = vec![0; shown.len()];
            for (rank, index) in shown.iter().zip(order) {
                ranking[index] = *rank;
            }
            let comparison = Comparison {
                id,
                messages: prompt.messages.clone(),
                completions: completions.clone(),
                ranking,
                labeler: line.labeler()?.or_else(|| of_file.clone()),
                confidence: confidence(&line)?,
                margin: None,
                task: prompt.task.clone(),
                source: None,
                origin: line.origin(),
            };
            self.take(comparison)?;
        }
        Ok(())
    }

    /// The index of each completion that the line ranks: of those beside the ranking, else as they were shown.
    fn order(&self, line: &Row, id: &str, completions: &[String]) -> Result<Vec<usize>> {
        if line.has("completions") {
            return order_of(line, completions);
        }
        let shown = self.shown.get(id).cloned();
        shown.ok_or_else(|| {
            let expected = format!("the completions that are ranked, since {TASKS} does not have this task");
            line.wrong("completions", expected, None).into()
        })
    }

    /// Adds a ranking, unless the same person gave the same one already.
    fn take(&mut self, row: Comparison) -> Result<()> {
        let key = (row.id.clone(), row.labeler.clone());
        let Some(first) = self.given.get(&key).map(|index| &self.comparisons[*index]) else {
            self.given.insert(key, self.comparisons.len());
            self.comparisons.push(row);
            return Ok(());
        };
        if first.ranking == row.ranking {
            return Ok(());
        }
        let rankings = Box::new([first.ranking.clone(), row.ranking]);
        Err(Error::TwoRankings {
            id: row.id,
            labeler: row.labeler,
            first: first.origin.clone(),
            second: row.origin,
            rankings,
        })
    }
}

fn id_of(line: &Row) -> Result<String> {
    match line.get("id") {
        Some(Value::String(id)) => Ok(id.clone()),
        Some(Value::Number(id)) => Ok(id.to_string()),
        other => Err(line.wrong("id", "the id of a task", other).into()),
    }
}

/// Refuses a line whose conversation is not the prompt's. A line without one is the prompt's.
fn check_messages(line: &Row, prompt: &Prompt) -> Result<()> {
    if !line.has("messages") {
        return Ok(());
    }
    let said = |messages: &[Message]| -> Vec<_> {
        let texts = messages.iter().map(|message| (message.role, message.content.clone()));
        texts.collect()
    };
    if said(&line.messages("messages")?) == said(&prompt.messages) {
        return Ok(());
    }
    let expected = format!("the conversation of task {}, as it was exported", prompt.id);
    let found = "another one".to_owned();
    Err(line.wrong_with("messages", expected, found).into())
}

/// The index of each of a line's completions, found by its text, among the row's: each once.
fn order_of(line: &Row, completions: &[String]) -> Result<Vec<usize>> {
    let expected = || format!("the {} completions that were exported", completions.len());
    let Some(Value::Array(items)) = line.get("completions") else {
        return Err(line.wrong("completions", expected(), line.get("completions")).into());
    };
    if items.len() != completions.len() {
        return Err(line.wrong("completions", expected(), line.get("completions")).into());
    }
    let mut left: Vec<usize> = (0..completions.len()).collect();
    let mut order = Vec::with_capacity(items.len());
    for (place, item) in items.iter().enumerate() {
        let is_it = |index: &usize| {
            item.as_str()
                .is_some_and(|text| text.trim() == completions[*index].trim())
        };
        let Some(found) = left.iter().position(is_it) else {
            let field = format!("completions[{place}]");
            return Err(line
                .wrong(field, "the text of a completion that was exported", Some(item))
                .into());
        };
        order.push(left.remove(found));
    }
    Ok(order)
}

fn whole_numbers(line: &Row, completions: usize) -> Result<Vec<u32>> {
    let all = format!("{completions} ranks, one for each completion");
    let ranks = line.whole_numbers("ranking", "a whole number, 0 for the best", &all)?;
    if ranks.len() != completions {
        let found = format!("{} ranks", ranks.len());
        return Err(line.wrong_with("ranking", all, found).into());
    }
    Ok(ranks)
}

fn confidence(line: &Row) -> Result<Option<f64>> {
    let share = |value: &Value| {
        let share = value.as_f64().filter(|share| (0.0..=1.0).contains(share));
        share.ok_or_else(|| line.wrong("confidence", "a number from 0 to 1", Some(value)))
    };
    Ok(line.get("confidence").map(share).transpose()?)
}

#[cfg(test)]
mod tests;
