//! The built-in run: minutes on two cores.

use rlhf_constraints::ConstraintsConfig;
use rlhf_core::{AdamWConfig, LrSchedule, ScheduleKind, WeightDecayOn};
use rlhf_data::TokenizerConfig;
use rlhf_inference::Sampling;
use rlhf_ppo::{EmaConfig, EvaluateConfig, KlConfig, PpoConfig, PtxConfig};
use rlhf_reward::RewardConfig;
use rlhf_sft::SftConfig;
use rlhf_stories::StoriesConfig;
use rlhf_world::WorldConfig;

use super::{
    ArchitectureConfig, CheckpointConfig, Config, DataConfig, EvalConfig, LabelConfig, OveroptConfig, PpoJudgeConfig,
    PpoRewardConfig, SampleConfig, SelectionConfig, SftMixConfig,
};

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            device: "flex".into(),
            checkpoints: CheckpointConfig::default(),
            data: DataConfig::default(),
            world: WorldConfig {
                document_bytes: 12_000_000,
                demonstrations: 10_000,
                reward_prompts: 6_000,
                // Half for choices, half for the test.
                validation_reward_prompts: 800,
                held_out_prompts: 1_000,
                ..WorldConfig::default()
            },
            stories: StoriesConfig::default(),
            constraints: ConstraintsConfig::default(),
            tokenizer: TokenizerConfig {
                vocab_size: 2048,
                ..TokenizerConfig::default()
            },
            model: ArchitectureConfig::default(),
            pretrain: pretrain(),
            sft: sft(),
            sft_mix: SftMixConfig { pretrain_fraction: 0.1 },
            sft_selection: SelectionConfig::default(),
            sample: SampleConfig {
                k_max: 8,
                sampling: [1.0, 0.7, 0.3].map(Sampling::at_temperature).into(),
                ..SampleConfig::default()
            },
            label: LabelConfig::default(),
            reward: reward(),
            ppo: ppo(),
            ppo_reward: PpoRewardConfig::default(),
            ppo_judge: PpoJudgeConfig::default(),
            eval: EvalConfig::default(),
            overopt: OveroptConfig::default(),
        }
    }
}

fn cosine(peak_lr: f64, warmup_steps: u64) -> LrSchedule {
    LrSchedule {
        peak_lr,
        warmup_steps,
        ..LrSchedule::default()
    }
}

/// The optimiser of the supervised stages. What is published of the built-in run was measured with decay on all weights.
fn with_decay_on_all(config: SftConfig) -> SftConfig {
    let adamw = AdamWConfig {
        weight_decay_on: WeightDecayOn::All,
        ..config.adamw
    };
    SftConfig { adamw, ..config }
}

fn pretrain() -> SftConfig {
    with_decay_on_all(SftConfig {
        epochs: 1,
        batch_size: 2,
        lr: cosine(4e-3, 100),
        eval_every: 1000,
        checkpoint_every: 200,
        ..SftConfig::pretraining()
    })
}

fn sft() -> SftConfig {
    with_decay_on_all(SftConfig {
        epochs: 3,
        batch_size: 8,
        lr: cosine(1.5e-3, 40),
        checkpoint_every: 200,
        ..SftConfig::default()
    })
}

fn reward() -> RewardConfig {
    RewardConfig {
        epochs: 2,
        batch_prompts: 4,
        lr: cosine(6e-4, 60),
        eval_every: 1000,
        checkpoint_every: 200,
        ..RewardConfig::default()
    }
}

fn ppo() -> PpoConfig {
    let schedule = |kind| LrSchedule {
        peak_lr: 1e-3,
        kind,
        ..LrSchedule::default()
    };
    PpoConfig {
        episodes: 11_264,
        batch_size: 128,
        n_minibatches: 4,
        max_new_tokens: 64,
        lr: schedule(ScheduleKind::Linear),
        value_lr: schedule(ScheduleKind::Constant),
        kl: KlConfig {
            coef: 0.2,
            ..KlConfig::default()
        },
        ptx: PtxConfig {
            coef: 0.1,
            examples_per_episode: 0.0625,
            ..PtxConfig::default()
        },
        ema: EmaConfig {
            decay: 0.9,
            ..EmaConfig::default()
        },
        evaluate: EvaluateConfig {
            every: 8,
            prompts: 128,
            answers: 1,
        },
        checkpoint_every: 8,
        ..PpoConfig::default()
    }
}
