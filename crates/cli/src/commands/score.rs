//! `rlhf score`.

use std::path::PathBuf;

use rlhf_core::stats::Interval;
use rlhf_data::Message;
use rlhf_model::{ScalarModel, sequence_scores};
use rlhf_pipeline::Locations;
use rlhf_reward::{ScoredPair, pair_accuracy, pairs_from_ranking};
use serde::Serialize;
use serde_json::json;

use super::input::{Row, read_rows};
use super::model::{ModelArgs, ModelFolder};
use super::output::Output;
use super::{ROWS_AT_ONCE, TOKENS_AT_ONCE, check_stop};
use crate::error::Result;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// JSON lines; - is standard input
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
}

const EXPECTED: &str = "JSON lines of {\"input_ids\"}, {\"text\"}, {\"prompt\",\"completion\"}, \
    {\"prompt\",\"chosen\",\"rejected\"} or {\"prompt\",\"completions\"}";

/// The request of one row.
enum Request {
    One(Vec<u32>),
    Several {
        sequences: Vec<Vec<u32>>,
        /// Pairs `(winner, loser)` of indices into `sequences`; nothing where nobody compared them.
        pairs: Option<Vec<(usize, usize)>>,
    },
}

/// Numbers as short as f32 allows: a JSON value would turn them into f64.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Score(f32),
    Scores(Vec<f32>),
}

impl Request {
    fn sequences(&self) -> &[Vec<u32>] {
        match self {
            Self::One(sequence) => std::slice::from_ref(sequence),
            Self::Several { sequences, .. } => sequences,
        }
    }
}

pub(super) fn run(args: &Args, locations: &Locations) -> Result<()> {
    let folder = ModelFolder::open(&args.model, locations)?;
    let requests = read_rows(&args.input, EXPECTED)?
        .iter()
        .map(|row| request(row, &folder))
        .collect::<Result<Vec<_>>>()?;
    let model = folder.scalar_model()?;
    let mut output = Output::open();
    let mut compared = Vec::new();
    for requests in requests.chunks(ROWS_AT_ONCE) {
        check_stop()?;
        answer(requests, &model, &mut compared, &mut output)?;
        output.flush()?;
    }
    let has_comparisons = |request: &Request| matches!(request, Request::Several { pairs: Some(_), .. });
    if requests.iter().any(has_comparisons) {
        let Interval { value, low, high, n } = pair_accuracy(&compared);
        output.row(&json!({ "pair_accuracy": value, "n": n, "low": low, "high": high }))?;
    }
    output.flush()
}

fn answer(
    requests: &[Request],
    model: &ScalarModel,
    compared: &mut Vec<ScoredPair>,
    output: &mut Output,
) -> Result<()> {
    let sequences: Vec<&[u32]> = requests
        .iter()
        .flat_map(|request| request.sequences().iter().map(Vec::as_slice))
        .collect();
    let scores = sequence_scores(model, &sequences, TOKENS_AT_ONCE);
    super::check_finite(&scores, "scores")?;
    let mut scores = scores.into_iter();
    for request in requests {
        let scores: Vec<f32> = scores.by_ref().take(request.sequences().len()).collect();
        match request {
            Request::One(_) => output.row(&Answer::Score(scores[0]))?,
            Request::Several { sequences, pairs } => {
                compared.extend(pairs.iter().flatten().map(|&(winner, loser)| ScoredPair {
                    gap: f64::from(scores[winner]) - f64::from(scores[loser]),
                    chosen_len: sequences[winner].len(),
                    rejected_len: sequences[loser].len(),
                    labeler: None,
                    confidence: None,
                }));
                output.row(&Answer::Scores(scores))?;
            }
        }
    }
    Ok(())
}

/// Tells the kind of a row by its fields.
fn request(row: &Row, folder: &ModelFolder) -> Result<Request> {
    let request = if row.has("completions") {
        let (prompt, is_text) = row.prompt()?;
        let completions = row.completions("completions", is_text)?;
        let pairs = if row.has("ranking") {
            Some(pairs_from_ranking(&row.ranking(completions.len())?))
        } else {
            None
        };
        Request::Several {
            sequences: answers(row, folder, &prompt, &completions)?,
            pairs,
        }
    } else if row.has("chosen") || row.has("rejected") {
        Request::Several {
            sequences: pair(row, folder)?,
            pairs: Some(vec![(0, 1)]),
        }
    } else {
        Request::One(row.sequence(folder)?)
    };
    for sequence in request.sequences() {
        row.check_tokens(sequence, 1, folder)?;
    }
    Ok(request)
}

/// The chosen and the rejected answer, each with the prompt; without a prompt they are whole conversations.
fn pair(row: &Row, folder: &ModelFolder) -> Result<Vec<Vec<u32>>> {
    let sides = ["chosen", "rejected"];
    if row.has("prompt")
        || row.has("messages")
        || !sides
            .into_iter()
            .all(|side| row.get(side).is_some_and(|v| v.is_array()))
    {
        let (prompt, is_text) = row.prompt()?;
        let completions = sides.map(|side| row.completion(side, is_text));
        return answers(
            row,
            folder,
            &prompt,
            &completions.into_iter().collect::<Result<Vec<_>>>()?,
        );
    }
    let tokenizer = folder.tokenizer()?;
    let whole = |side| {
        let messages = row.messages(side)?;
        Ok(row.located(tokenizer.encode_conversation(&messages))?.input_ids)
    };
    sides.into_iter().map(whole).collect()
}

fn answers(row: &Row, folder: &ModelFolder, prompt: &[Message], completions: &[String]) -> Result<Vec<Vec<u32>>> {
    let tokenizer = folder.tokenizer()?;
    let asked = row.located(tokenizer.encode_prompt(prompt))?;
    let whole = |completion: &String| {
        let answer = row.located(tokenizer.encode_completion(prompt, completion))?;
        Ok([asked.as_slice(), &answer].concat())
    };
    completions.iter().map(whole).collect()
}
