//! `rlhf score`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rlhf_core::stats::Interval;
use rlhf_data::{Candidates, Row, decided_pairs};
use rlhf_model::{ScalarModel, sequence_scores};
use rlhf_pipeline::Locations;
use rlhf_reward::{ScoredPair, pair_accuracy};
use serde::Serialize;
use serde_json::json;

use super::input::{answered, check_tokens, read_rows, sequence};
use super::model::{ModelArgs, ModelFolder};
use super::output::Output;
use super::{ROWS_AT_ONCE, TOKENS_AT_ONCE, check_stop};
use crate::error::Result;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// .jsonl or .json, or one of these and .gz, or .parquet; - is standard input
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
}

const EXPECTED: &str = "JSON lines of {\"input_ids\"}, {\"text\"}, {\"prompt\",\"completion\"}, \
    {\"prompt\",\"chosen\",\"rejected\"} or {\"prompt\",\"completions\"}";

/// The request of one row.
enum Request {
    One {
        sequence: Vec<u32>,
        thumb: Option<Thumb>,
    },
    Several {
        prompt: Vec<u32>,
        sequences: Vec<Vec<u32>>,
        /// Pairs `(winner, loser)` of indices into `sequences`; nothing where nobody compared them.
        pairs: Option<Vec<(usize, usize)>>,
    },
}

/// A prompt and whoever saw answers to it: their thumbs are compared.
type Viewed = (Vec<u32>, Option<String>);

/// Somebody liked the answer to a prompt, or did not.
struct Thumb {
    key: Viewed,
    liked: bool,
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
            Self::One { sequence, .. } => std::slice::from_ref(sequence),
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
    let mut compared = Compared::default();
    for requests in requests.chunks(ROWS_AT_ONCE) {
        check_stop()?;
        answer(requests, &model, &mut compared, &mut output)?;
        output.flush()?;
    }
    let is_compared = |request: &Request| {
        matches!(
            request,
            Request::Several { pairs: Some(_), .. } | Request::One { thumb: Some(_), .. }
        )
    };
    if requests.iter().any(is_compared) {
        let Interval { value, low, high, n } = pair_accuracy(&compared.pairs());
        output.row(&json!({ "pair_accuracy": value, "n": n, "low": low, "high": high }))?;
    }
    output.flush()
}

/// An answer with its score.
#[derive(Clone)]
struct Scored {
    sequence: Vec<u32>,
    score: f32,
}

/// Answers that were compared.
#[derive(Default)]
struct Compared {
    pairs: Vec<ScoredPair>,
    /// The prompts of the pairs, by number.
    prompts: BTreeMap<Vec<u32>, usize>,
    /// The answers that were liked, and those that were not.
    thumbs: BTreeMap<Viewed, [Vec<Scored>; 2]>,
}

impl Compared {
    /// A pair of answers to a prompt.
    fn add(&mut self, prompt: &[u32], winner: &Scored, loser: &Scored) {
        let next = self.prompts.len();
        self.pairs.push(ScoredPair {
            prompt: *self.prompts.entry(prompt.to_vec()).or_insert(next),
            gap: f64::from(winner.score) - f64::from(loser.score),
            chosen_len: winner.sequence.len(),
            rejected_len: loser.sequence.len(),
            labeler: None,
            confidence: None,
        });
    }

    /// All pairs, those of thumbs too: what was liked is better than what was not, if it is not the same.
    fn pairs(mut self) -> Vec<ScoredPair> {
        for ((prompt, _), [liked, others]) in std::mem::take(&mut self.thumbs) {
            for (winner, loser) in liked
                .iter()
                .flat_map(|winner| others.iter().map(move |loser| (winner, loser)))
            {
                if winner.sequence != loser.sequence {
                    self.add(&prompt, winner, loser);
                }
            }
        }
        self.pairs
    }
}

fn answer(requests: &[Request], model: &ScalarModel, compared: &mut Compared, output: &mut Output) -> Result<()> {
    let sequences: Vec<&[u32]> = requests
        .iter()
        .flat_map(|request| request.sequences().iter().map(Vec::as_slice))
        .collect();
    let scores = sequence_scores(model, &sequences, TOKENS_AT_ONCE);
    super::check_finite(&scores, "scores")?;
    let mut scores = scores.into_iter();
    for request in requests {
        let scores: Vec<f32> = scores.by_ref().take(request.sequences().len()).collect();
        let scored = |index: usize| Scored {
            sequence: request.sequences()[index].clone(),
            score: scores[index],
        };
        match request {
            Request::One { thumb, .. } => {
                if let Some(Thumb { key, liked }) = thumb {
                    let sides = compared.thumbs.entry(key.clone()).or_default();
                    sides[usize::from(!liked)].push(scored(0));
                }
                output.row(&Answer::Score(scores[0]))?;
            }
            Request::Several { prompt, pairs, .. } => {
                for &(winner, loser) in pairs.iter().flatten() {
                    compared.add(prompt, &scored(winner), &scored(loser));
                }
                output.row(&Answer::Scores(scores))?;
            }
        }
    }
    Ok(())
}

/// Tells the kind of a row by its fields.
fn request(row: &Row, folder: &ModelFolder) -> Result<Request> {
    let request = match compared_request(row, folder)? {
        Some(request) => request,
        None => Request::One {
            sequence: sequence(row, folder)?,
            thumb: None,
        },
    };
    for sequence in request.sequences() {
        check_tokens(row, sequence, 1, folder)?;
    }
    Ok(request)
}

/// A row with several answers, or with one that was liked or not; nothing if it is neither.
fn compared_request(row: &Row, folder: &ModelFolder) -> Result<Option<Request>> {
    if let Some(liked) = row.thumb()? {
        row.refuse_tools()?;
        let mut messages = row.conversation()?;
        let answer = row.answer_text("completion", messages.pop())?;
        let sequence = answered(row, &messages, &answer, folder)?;
        let prompt = super::input::located(row, folder.tokenizer()?.encode_prompt(&messages))?;
        let key = (prompt, row.labeler()?);
        let thumb = Some(Thumb { key, liked });
        return Ok(Some(Request::One { sequence, thumb }));
    }
    let Some(Candidates { answers, ranking }) = row.candidates()? else {
        return Ok(None);
    };
    row.refuse_tools()?;
    let sequences = answers
        .iter()
        .map(|(messages, answer)| answered(row, messages, answer, folder))
        .collect::<Result<Vec<_>>>()?;
    let prompt = match answers.first() {
        Some((messages, _)) => super::input::located(row, folder.tokenizer()?.encode_prompt(messages))?,
        None => Vec::new(),
    };
    Ok(Some(Request::Several {
        prompt,
        pairs: ranking.map(|ranking| decided_pairs(&ranking, &sequences)),
        sequences,
    }))
}
