//! Steps of reward-model training on pairs.

use rlhf_core::LrSchedule;
use rlhf_reward::{Annotation, RankedPrompt, RewardConfig, RewardData, train};

use super::{Line, STEP_METRICS, Setting, step_line};
use crate::error::Result;

/// Pairs of full sequences that have nothing in common, the first of each the better.
fn pairs(setting: &Setting, seed: u64, count: usize, len: usize) -> Vec<RankedPrompt> {
    let sequences = setting.shape.sequences(seed, &vec![len; 2 * count]);
    let pair = |pair: &[Vec<u32>]| RankedPrompt {
        sequences: pair.to_vec(),
        prompt_len: 1,
        annotations: vec![Annotation {
            labeler: None,
            pairs: vec![(0, 1)],
            margin: 0.0,
            confidence: None,
        }],
        source: None,
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
    let measured = setting.steps_of(&STEP_METRICS, |context| {
        let data = RewardData {
            train: &rows,
            validation: &watched,
            test: &watched,
            held_out_labelers: &[],
            demonstrations: &[],
        };
        let trunk = shape.language_model(1, &setting.device).transformer;
        Ok(train(trunk, data, &config, context)?)
    })?;
    let line = step_line(setting, "reward_model", batch, &measured);
    Ok(Line {
        pairs_per_s: line.tokens_per_s.map(|rate| rate / (2 * shape.context) as f64),
        ..line
    })
}
