//! Rows of articles, references and summaries.

use std::collections::HashMap;
use std::path::PathBuf;

use rlhf_data::{Message, Role, Row};
use rlhf_eval::{SummarisedArticle, SummaryInput, WrittenSummary};
use serde_json::Value;

use super::Args;
use crate::commands::eval::named::NamedModel;
use crate::commands::input::{fault, read_rows};
use crate::error::{Error, Result};

const EXPECTED_ANSWERS: &str = "rows of {\"article\" or \"prompt\", \"summary\" or \"completion\"}";
const EXPECTED_PROMPTS: &str = "rows of {\"article\" or \"prompt\"}, perhaps with a reference";
/// Fields that hold the text that is summed up, where it is not asked for in a prompt.
const ARTICLE: [&str; 2] = ["article", "document"];
/// Fields that hold a summary.
const SUMMARY: [&str; 2] = ["summary", "completion"];

/// Articles, and what is known of them.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) articles: Vec<SummarisedArticle>,
    /// What a model is asked, by article.
    pub(super) prompts: Vec<Vec<Message>>,
    /// Articles that models sum up.
    pub(super) to_write: Vec<usize>,
    pub(super) systems: Vec<SummaryInput>,
    pub(super) warnings: Vec<String>,
    places: HashMap<String, usize>,
}

impl Asked {
    /// Reads all files.
    pub(super) fn read(args: &Args) -> Result<Self> {
        let mut asked = Self::default();
        let mut left = args.limit.unwrap_or(u64::MAX);
        for path in &args.prompts {
            for row in read_rows(path, EXPECTED_PROMPTS)? {
                // Rows of an article that is there already add their references.
                let is_known = asked.places.contains_key(key(&asked_of(&row)?));
                if !is_known && left == 0 {
                    continue;
                }
                left -= u64::from(!is_known);
                asked.take_prompt(&row)?;
            }
        }
        let knows = !asked.articles.is_empty();
        for answers in &args.answers {
            asked.take_answers(answers, knows)?;
        }
        if !args.models.is_empty() && asked.to_write.is_empty() {
            return Err(Error::Usage(
                "--model: there is nothing to sum up: name articles with --prompts FILE".to_owned(),
            ));
        }
        if args.models.is_empty() && asked.systems.iter().all(|system| system.summaries.is_empty()) {
            return Err(Error::Usage(
                "nothing to evaluate: name summaries with --answers NAME=FILE, or --model NAME=DIR and --prompts FILE"
                    .to_owned(),
            ));
        }
        Ok(asked)
    }

    fn take_prompt(&mut self, row: &Row) -> Result<()> {
        let known = self.articles.len();
        let place = self.article(row)?;
        if place == known {
            self.to_write.push(place);
        }
        let references = match SUMMARY.into_iter().find(|field| row.has(field)) {
            Some(field) => vec![row.string(field)?],
            None => Vec::new(),
        };
        self.add_references(place, references);
        Ok(())
    }

    /// Summaries of a file; with `only_known` those of articles that --prompts has.
    fn take_answers(&mut self, answers: &NamedModel, only_known: bool) -> Result<()> {
        let mut left_out = 0;
        for row in read_rows(&answers.path, EXPECTED_ANSWERS)? {
            if only_known && !self.places.contains_key(key(&asked_of(&row)?)) {
                left_out += 1;
                continue;
            }
            let place = self.article(&row)?;
            for (name, text) in summaries(&row, &answers.name)? {
                let summary = WrittenSummary {
                    article: place,
                    text,
                    finished: None,
                };
                self.system(&name, &answers.path).summaries.push(summary);
            }
        }
        if left_out > 0 {
            self.warnings.push(format!(
                "{left_out} rows of {} are of articles that --prompts does not have and were left out",
                answers.path.display()
            ));
        }
        Ok(())
    }

    fn system(&mut self, name: &str, path: &PathBuf) -> &mut SummaryInput {
        let place = self.systems.iter().position(|system| system.name == name);
        let place = place.unwrap_or_else(|| {
            self.systems.push(SummaryInput {
                name: name.to_owned(),
                source: path.display().to_string(),
                summaries: Vec::new(),
            });
            self.systems.len() - 1
        });
        &mut self.systems[place]
    }

    /// The place of a row's article, a new one if it has not been seen, with the references that the row names as such.
    fn article(&mut self, row: &Row) -> Result<usize> {
        let prompt = asked_of(row)?;
        let text = key(&prompt).to_owned();
        let place = *self.places.entry(text.clone()).or_insert(self.articles.len());
        if place == self.articles.len() {
            self.articles.push(SummarisedArticle {
                text,
                references: Vec::new(),
            });
            self.prompts.push(prompt);
        }
        self.add_references(place, references(row)?);
        Ok(place)
    }

    fn add_references(&mut self, place: usize, references: Vec<String>) {
        let known = &mut self.articles[place].references;
        for reference in references {
            if !known.contains(&reference) {
                known.push(reference);
            }
        }
    }
}

/// What a model is asked: the prompt, or the article alone.
fn asked_of(row: &Row) -> Result<Vec<Message>> {
    match ARTICLE.into_iter().find(|field| row.has(field)) {
        Some(field) => Ok(vec![Message::user(row.string(field)?)]),
        None => Ok(row.prompt()?.0),
    }
}

/// The text that is summed up, and by which rows of several files find each other: the last thing that the user says.
fn key(prompt: &[Message]) -> &str {
    let said = prompt.iter().rev().find(|message| message.role == Role::User);
    said.map_or("", |message| message.content.trim())
}

fn references(row: &Row) -> Result<Vec<String>> {
    let mut found = Vec::new();
    if row.has("reference") {
        found.push(row.string("reference")?);
    }
    match row.get("references") {
        None => {}
        Some(Value::Array(items)) => {
            for (i, item) in items.iter().enumerate() {
                let text = item.as_str();
                let wrong = || row.wrong(format!("references[{i}]"), "a text", Some(item));
                found.push(text.ok_or_else(wrong)?.to_owned());
            }
        }
        other => return Err(row.wrong("references", "an array of texts", other).into()),
    }
    Ok(found)
}

/// The summaries of a row, by system.
fn summaries(row: &Row, name: &str) -> Result<Vec<(String, String)>> {
    match row.get("summaries") {
        None => {
            let Some(field) = SUMMARY.into_iter().find(|field| row.has(field)) else {
                return Err(row
                    .wrong(SUMMARY[0], "a text, in this field or in `completion`", None)
                    .into());
            };
            Ok(vec![(name.to_owned(), row.string(field)?)])
        }
        Some(Value::Object(by_name)) => {
            let summary = |(name, text): (&String, &Value)| match text.as_str() {
                Some(text) => Ok((name.clone(), text.to_owned())),
                None => Err(fault(
                    row,
                    format!("field `summaries.{name}`: expected a text, found {text}"),
                )),
            };
            by_name.iter().map(summary).collect()
        }
        other => Err(row.wrong("summaries", "an object of texts by name", other).into()),
    }
}
