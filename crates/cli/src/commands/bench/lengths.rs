//! Cost of the length of sequences and of the size of batches.

use std::time::Instant;

use burn::tensor::{Int, Tensor};
use rand::Rng;
use rlhf_core::to_host;
use rlhf_model::PassSize;

use super::{Line, Setting, median, sft};
use crate::error::Result;

/// Lengths of contexts that are compared.
const CONTEXTS: [usize; 3] = [128, 512, 2048];
/// Tokens of a step in each of them.
const TOKENS: usize = 4096;

/// SFT on lengths drawn evenly up to the context: as many real tokens in a step as full sequences have, on average.
pub(super) fn ragged(setting: &Setting) -> Result<Line> {
    let (context, batch) = (setting.shape.context, 2 * setting.shape.batch);
    let mut rng = rlhf_core::rng(1, "bench.lens", &[]);
    let lens: Vec<usize> = (0..(setting.warmup + setting.steps) * batch)
        .map(|_| rng.random_range(2..=context))
        .collect();
    sft::measure_lens(setting, "sft_ragged", &lens, batch)
}

/// SFT on sequences of one length after another, the tokens of a step being the same.
pub(super) fn contexts(setting: &Setting) -> Result<Vec<Line>> {
    let of_context = |context: usize| {
        let mut setting = setting.clone();
        (setting.shape.context, setting.shape.batch) = (context, TOKENS / context);
        let line = sft::measure(&setting)?;
        Ok(Line {
            bench: "sft_context",
            context: Some(context),
            ..line
        })
    };
    CONTEXTS.into_iter().map(of_context).collect()
}

/// Prompts of half the context through an empty cache, in batches of several sizes.
pub(super) fn prefill(setting: &Setting) -> Vec<Line> {
    [1, 4, 16, 64].map(|batch| prefill_of(setting, batch)).into()
}

fn prefill_of(setting: &Setting, batch: usize) -> Line {
    let (shape, device) = (&setting.shape, &setting.device);
    let len = shape.context / 2;
    let trunk = shape.language_model(1, device).transformer;
    let ids: Vec<i64> = shape.sequences(1, &[batch * len])[0]
        .iter()
        .map(|&id| id.into())
        .collect();
    let positions: Vec<i64> = (0..batch * len).map(|at| (at % len) as i64).collect();
    let ids = Tensor::<1, Int>::from_data(ids.as_slice(), device);
    let positions = Tensor::<1, Int>::from_data(positions.as_slice(), device);
    let last: Vec<usize> = (1..=batch).map(|row| row * len - 1).collect();
    let mut measured = Vec::new();
    for round in 0..setting.warmup + setting.steps {
        let mut cache = trunk.new_cache(&vec![0; batch], len);
        let started = Instant::now();
        let hidden = trunk.decode_at(ids.clone(), positions.clone(), &last, &mut cache);
        // Reading one number waits for all of them.
        let _ = to_host(hidden.slice([0..1, 0..1]));
        if round >= setting.warmup {
            measured.push(vec![started.elapsed().as_secs_f64()]);
        }
    }
    let seconds = median(&measured, 0);
    let flops = shape.architecture().forward_flops(&PassSize::sequence(0, len, 1));
    Line {
        tokens_per_s: Some((batch * len) as f64 / seconds),
        step_ms_median: 1e3 * seconds,
        gflops: Some(flops * batch as f64 / seconds / 1e9),
        context: Some(len),
        ..setting.line("prefill", batch)
    }
}
