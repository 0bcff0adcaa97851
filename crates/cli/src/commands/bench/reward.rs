//! Steps of reward-model training on pairs.

use rlhf_core::LrSchedule;
use rlhf_reward::{Annotation, RankedPrompt, RewardConfig, RewardData, train};

use super::{Line, STEP_PARTS, Setting, median, shares};
use crate::error::Result;

/// Pairs of full sequences that have nothing in common, the first of each the better.
fn pairs(setting: &Setting, seed: u64, count: usize, len: usize) -> Vec<RankedPrompt> {
    let sequences = setting.shape.sequences(seed, 2 * count, len);
    let pair = |pair: &[Vec<u32>]| RankedPrompt {
        sequences: pair.to_vec(),
        prompt_len: 1,
        annotations: vec![Annotation {
            labeler: None,
            pairs: vec![(0, 1)],
            margin: 0.0,
            confidence: None,
        }],
    };
    sequences.chunks(2).map(pair).collect()
}

pub(super) fn measure(setting: &Setting) -> Result<Line> {
    let shape = &setting.shape;
    let batch = (shape.batch / 2).max(1);
    let steps = setting.warmup + setting.steps;
    let (rows, watched) = (pairs(setting, 1, steps * batch, shape.context), pairs(setting, 2, 1, 8));
    let config = RewardConfig {
        batch_prompts: batch,
        lr: LrSchedule {
            peak_lr: 1e-5,
            ..LrSchedule::default()
        },
        checkpoint_every: 0,
        eval_every: 0,
        ..RewardConfig::default()
    };
    let names = [
        "time/pairs_per_s",
        "time/forward_s",
        "time/backward_s",
        "time/optimizer_s",
    ];
    let measured = setting.steps_of(&names, |context| {
        let data = RewardData {
            train: &rows,
            validation: &watched,
            held_out_labelers: &[],
            demonstrations: &[],
        };
        let trunk = shape.language_model(1, &setting.device).transformer;
        Ok(train(&trunk, data, &config, context)?)
    })?;
    let rate = median(&measured, 0);
    let seconds = batch as f64 / rate;
    let tokens_per_s = 2.0 * shape.context as f64 * rate;
    Ok(Line {
        pairs_per_s: Some(rate),
        tokens_per_s: Some(tokens_per_s),
        step_ms_median: 1e3 * seconds,
        parts: shares(&measured, |row| batch as f64 / row[0], &STEP_PARTS),
        gflops: Some(3.0 * shape.forward_flops(shape.context, false) * tokens_per_s / 1e9),
        ..setting.line("reward_model", batch)
    })
}
