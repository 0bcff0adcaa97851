//! Rows of comparisons, and the answers of each as a model reads them.

use std::collections::{BTreeMap, HashMap};

use rlhf_data::{
    Comparison, Fitted, Row, TokenizedComparison, all_comparison_tokens, read_comparisons_from, read_objects, trimmed,
};
use rlhf_pipeline::Locations;
use rlhf_reward::ScoredComparison;
use serde_json::Value;

use super::Args;
use crate::commands::eval::findings::columns;
use crate::commands::model::ModelFolder;
use crate::error::{Error, Result};

const EXPECTED: &str =
    "comparisons: rows of {\"prompt\",\"chosen\",\"rejected\"} or {\"prompt\",\"completions\",\"ranking\"}";

/// A row, and what a stage would not read of it.
pub(super) struct ComparedRow {
    pub(super) comparison: Comparison,
    /// Number of its prompt among those of all files.
    prompt: usize,
    subset: Option<String>,
    gold: Option<Vec<f64>>,
}

/// What stages do not read of a row.
struct Extras {
    subset: Option<String>,
    gold: Option<Vec<f64>>,
}

/// Reads every file, up to the limit.
pub(super) fn read(args: &Args, locations: &Locations) -> Result<Vec<ComparedRow>> {
    let columns = columns(&args.column)?;
    let mut rows = Vec::new();
    let mut prompts: BTreeMap<String, usize> = BTreeMap::new();
    for location in &args.comparisons {
        for file in locations.data(location)? {
            let comparisons = read_comparisons_from(&file, &columns)?.rows;
            let mut extras: HashMap<usize, Extras> = read_objects(&file, EXPECTED)?
                .iter()
                .map(|row| Ok((row.line(), extras(row, &args.gold)?)))
                .collect::<Result<_>>()?;
            for mut comparison in comparisons {
                let key = serde_json::to_string(&comparison.messages).unwrap_or_default();
                let next = prompts.len();
                let extras = comparison.origin.line().and_then(|line| extras.remove(&line));
                let Extras { subset, gold } = extras.unwrap_or(Extras {
                    subset: None,
                    gold: None,
                });
                if let Some(gold) = gold.as_ref().filter(|gold| gold.len() != comparison.completions.len()) {
                    return Err(Error::Row {
                        path: file.clone(),
                        line: comparison.origin.line().unwrap_or(0),
                        message: format!(
                            "field `{}`: {} numbers, expected one for each of {} completions",
                            args.gold,
                            gold.len(),
                            comparison.completions.len()
                        ),
                    });
                }
                if args.comparisons.len() > 1 && comparison.source.is_none() {
                    comparison.source = file.file_stem().map(|name| name.display().to_string());
                }
                rows.push(ComparedRow {
                    comparison,
                    prompt: *prompts.entry(key).or_insert(next),
                    subset,
                    gold,
                });
            }
        }
    }
    rows.truncate(args.limit.map_or(usize::MAX, |limit| limit as usize));
    Ok(rows)
}

fn extras(row: &Row, gold: &str) -> Result<Extras> {
    let subset = match row.get("subset") {
        Some(Value::String(name)) => Some(name.clone()),
        _ => None,
    };
    let expected = "an array of numbers, one for each completion";
    let gold = match row.get(gold) {
        None => None,
        Some(Value::Array(items)) => {
            let numbers: Option<Vec<f64>> = items.iter().map(Value::as_f64).collect();
            Some(numbers.ok_or_else(|| row.wrong(gold, expected, row.get(gold)))?)
        }
        other => return Err(row.wrong(gold, expected, other).into()),
    };
    Ok(Extras { subset, gold })
}

/// The answers of all rows, each to be scored once, as one model reads them.
pub(super) struct Encoded {
    /// Prompt by prompt its answers, each with the prompt before it.
    pub(super) answers: Vec<Vec<Vec<u32>>>,
    /// For each row its pairs and the places of its answers; nothing of one that does not fit.
    rows: Vec<Option<EncodedRow>>,
}

struct EncodedRow {
    group: usize,
    /// Places of the answers in the group.
    places: Vec<usize>,
    tokens: TokenizedComparison,
}

impl Encoded {
    /// Encodes rows.
    ///
    /// # Errors
    /// A model without a tokenizer, a template that refuses a conversation, or rows none of which fits.
    pub(super) fn new(rows: &[ComparedRow], folder: &ModelFolder, max_prompt_tokens: Option<usize>) -> Result<Self> {
        let tokenizer = folder.tokenizer()?;
        tokenizer.check_conversations()?;
        let max_tokens = max_prompt_tokens.unwrap_or(usize::MAX);
        let comparisons = rows
            .iter()
            .map(|row| Ok(trimmed(tokenizer, &row.comparison, max_tokens)?.into_owned()))
            .collect::<Result<Vec<Comparison>>>()?;
        let tokens = all_comparison_tokens(tokenizer, &comparisons, folder.context())?;
        let mut found = Self {
            answers: Vec::new(),
            rows: Vec::with_capacity(rows.len()),
        };
        let mut groups: HashMap<Vec<u32>, usize> = HashMap::new();
        for fitted in tokens {
            let row = fitted.map(|Fitted { value: tokens, .. }| {
                let group = *groups.entry(tokens.prompt.clone()).or_insert_with(|| {
                    found.answers.push(Vec::new());
                    found.answers.len() - 1
                });
                let answers = &mut found.answers[group];
                let place = |completion: &Vec<u32>| {
                    let whole = [tokens.prompt.as_slice(), completion].concat();
                    answers.iter().position(|known| *known == whole).unwrap_or_else(|| {
                        answers.push(whole);
                        answers.len() - 1
                    })
                };
                EncodedRow {
                    group,
                    places: tokens.completions.iter().map(place).collect(),
                    tokens,
                }
            });
            found.rows.push(row);
        }
        if found.answers.is_empty() {
            return Err(Error::Usage(format!(
                "{}: of {} rows none has two answers, one of them better, that fit the context of {} tokens",
                folder.path().display(),
                rows.len(),
                folder.context()
            )));
        }
        Ok(found)
    }

    /// The rows with their scores, in their order.
    pub(super) fn scored(&self, rows: &[ComparedRow], scores: &[Vec<f32>]) -> Vec<Option<ScoredComparison>> {
        let scored = |(row, encoded): (&ComparedRow, &Option<EncodedRow>)| {
            let EncodedRow { group, places, tokens } = encoded.as_ref()?;
            Some(ScoredComparison {
                prompt: row.prompt,
                scores: places.iter().map(|&place| f64::from(scores[*group][place])).collect(),
                lens: tokens.completions.iter().map(Vec::len).collect(),
                pairs: tokens.pairs.clone(),
                labeler: tokens.labeler.clone(),
                confidence: tokens.confidence,
                margin: tokens.margin,
                source: tokens.source.clone(),
                subset: row.subset.clone(),
                // Of answers some of which do not fit, nobody knows which is whose.
                gold: row.gold.clone().filter(|_| tokens.dropped == 0),
            })
        };
        rows.iter().zip(&self.rows).map(scored).collect()
    }

    /// The first prompts' answers, so many or a few more.
    pub(super) fn first_answers(&self, least: usize) -> &[Vec<Vec<u32>>] {
        let mut seen = 0;
        let groups = self.answers.iter().take_while(|group| {
            let is_wanted = seen < least;
            seen += group.len();
            is_wanted
        });
        let count = groups.count();
        &self.answers[..count]
    }
}
