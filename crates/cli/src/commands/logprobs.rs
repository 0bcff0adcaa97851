//! `rlhf logprobs`.

use std::path::PathBuf;

use rlhf_data::Row;
use rlhf_model::sequence_logprobs;
use rlhf_pipeline::Locations;
use serde::Serialize;

use super::input::{check_tokens, read_rows, sequence};
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
    /// Divides the logits
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    temperature: f64,
}

const EXPECTED: &str = "JSON lines of {\"input_ids\"}, {\"text\"} or {\"prompt\",\"completion\"}";

/// Numbers as short as f32 allows: a JSON value would turn them into f64.
#[derive(Serialize)]
struct Answer<'a> {
    logprobs: &'a [f32],
}

pub(super) fn run(args: &Args, locations: &Locations) -> Result<()> {
    if !(args.temperature > 0.0 && args.temperature.is_finite()) {
        return Err(crate::error::Error::Usage(format!(
            "--temperature: {} is not above 0",
            args.temperature
        )));
    }
    let folder = ModelFolder::open(&args.model, locations)?;
    // Every row is checked before the first is answered: a fault in line 1000 costs no minutes.
    let sequences = read_rows(&args.input, EXPECTED)?
        .iter()
        .map(|row| checked(row, &folder))
        .collect::<Result<Vec<_>>>()?;
    let model = folder.causal_lm()?;
    let mut output = Output::open();
    for sequences in sequences.chunks(ROWS_AT_ONCE) {
        check_stop()?;
        let from = vec![1; sequences.len()];
        let found = sequence_logprobs(&model, sequences, &from, args.temperature, TOKENS_AT_ONCE);
        for logprobs in &found.logprobs {
            output.row(&Answer { logprobs })?;
        }
        output.flush()?;
    }
    Ok(())
}

fn checked(row: &Row, folder: &ModelFolder) -> Result<Vec<u32>> {
    let ids = sequence(row, folder)?;
    check_tokens(row, &ids, 2, folder)?;
    Ok(ids)
}
