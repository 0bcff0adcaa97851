//! Sampling at temperature 1: 128 new tokens after 32.

use std::time::Instant;

use rlhf_inference::{GenerateOptions, Generator};
use rlhf_model::PassSize;

use super::{Line, Setting, median};
use crate::error::Result;

const PROMPT: usize = 32;
const NEW: usize = 128;

pub(super) fn measure(setting: &Setting) -> Result<Vec<Line>> {
    let generator = Generator::new(&setting.shape.language_model(1, &setting.device));
    [1, 16, 64]
        .into_iter()
        .map(|batch| of_batch(setting, &generator, batch))
        .collect()
}

fn of_batch(setting: &Setting, generator: &Generator, batch: usize) -> Result<Line> {
    let shape = &setting.shape;
    let prompts = shape.sequences(1, &vec![PROMPT; batch]);
    let options = GenerateOptions {
        max_new_tokens: NEW,
        // No token of the vocabulary: every answer is as long as it may be.
        eos_token_id: shape.vocab as u32,
        batch_size: batch,
        ..GenerateOptions::default()
    };
    let mut measured = Vec::new();
    for round in 0..setting.warmup + setting.steps {
        let started = Instant::now();
        let answers = generator.generate(&prompts, &options)?;
        let seconds = started.elapsed().as_secs_f64();
        assert!(
            answers.iter().all(|answer| answer.tokens.len() == NEW),
            "no token ends an answer"
        );
        if round >= setting.warmup {
            measured.push(vec![seconds]);
        }
    }
    let seconds = median(&measured, 0);
    let rate = (batch * NEW) as f64 / seconds;
    let answer = PassSize::sequence(PROMPT, NEW, NEW).predicting();
    let flops = shape.architecture().forward_flops(&answer) / NEW as f64;
    Ok(Line {
        tokens_per_s: Some(rate),
        step_ms_median: 1e3 * seconds,
        gflops: Some(flops * rate / 1e9),
        ..setting.line("generate", batch)
    })
}
