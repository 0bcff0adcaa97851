//! Iterations of PPO: 64 episodes of 32 + 64 tokens, four passes in minibatches of 16, four networks of one size.

use rlhf_core::stage::Quiet;
use rlhf_core::{AdamWConfig, LrSchedule, ScheduleKind};
use rlhf_ppo::{EmaConfig, EmaPer, KlConfig, PpoConfig, PpoData, PpoModels, PpoPrompt, PtxConfig, ValueClip, train};

use super::{Line, Setting, median, shares};
use crate::error::Result;

const EPISODES: usize = 64;
const PROMPT: usize = 32;
const RESPONSE: usize = 64;

fn config(iterations: usize) -> PpoConfig {
    let constant = LrSchedule {
        peak_lr: 1e-5,
        kind: ScheduleKind::Constant,
        ..LrSchedule::default()
    };
    PpoConfig {
        episodes: iterations * EPISODES,
        batch_size: EPISODES,
        n_minibatches: 4,
        ppo_epochs: 4,
        max_new_tokens: RESPONSE,
        lr: constant.clone(),
        value_lr: constant,
        adamw: AdamWConfig {
            eps: 1e-8,
            ..AdamWConfig::default()
        },
        kl: KlConfig {
            coef: 0.05,
            ..KlConfig::default()
        },
        cliprange: 0.2,
        cliprange_value: ValueClip::Range(0.2),
        ptx: PtxConfig {
            coef: 0.0,
            ..PtxConfig::default()
        },
        ema: EmaConfig {
            per: EmaPer::Off,
            ..EmaConfig::default()
        },
        checkpoint_every: 0,
        ..PpoConfig::default()
    }
}

pub(super) fn measure(setting: &Setting) -> Result<Line> {
    let shape = &setting.shape;
    let prompts: Vec<PpoPrompt> = (shape.sequences(1, &[PROMPT; EPISODES]).into_iter())
        .map(PpoPrompt::from)
        .collect();
    let config = config(setting.warmup + setting.steps);
    let names = ["time/rollout_s", "time/update_s", "time/gflops"];
    let measured = setting.steps_of(&names, |context| {
        let (sft, reward) = (
            shape.language_model(1, &setting.device),
            shape.scalar_model(2, &setting.device),
        );
        let models = PpoModels::with_reward_model(sft, reward, &config);
        let data = PpoData {
            prompts: &prompts,
            held_out: 0,
            pretraining: &[],
            // No token of the vocabulary: every response is as long as it may be.
            eos_token_id: shape.vocab as u32,
            stop_token_ids: &[],
        };
        Ok(train(models, data, &config, context, &mut Quiet)?)
    })?;
    let whole = |row: &[f64]| row[0] + row[1];
    let seconds: Vec<f64> = measured.iter().map(|row| whole(row)).collect();
    let seconds = rlhf_core::stats::median(&seconds);
    Ok(Line {
        episodes_per_s: Some(EPISODES as f64 / seconds),
        step_ms_median: 1e3 * seconds,
        parts: shares(&measured, whole, &[("rollout", 0), ("update", 1)]),
        gflops: Some(median(&measured, 2)),
        ..setting.line("ppo", EPISODES)
    })
}
