//! PPO on a random policy against a random reward model: `cargo run -p rlhf-ppo --example train_ppo`. The score rises because
//! the policy learns what that reward model happens to like.
#![expect(clippy::print_stdout, reason = "an example says what it did")]

use burn::tensor::Device;
use rlhf_core::hash::fingerprint;
use rlhf_core::stage::{Quiet, StageContext};
use rlhf_core::{CheckpointStore, LrSchedule, ScheduleKind};
use rlhf_model::{CausalLm, Gpt2Config, ScalarModel};
use rlhf_ppo::{Episode, Observer, PpoConfig, PpoData, PpoModels, PtxConfig, train};

struct Print;

impl Observer for Print {
    fn sampled(&mut self, update: u64, episodes: &[Episode]) -> Result<(), String> {
        println!(
            "update {update:2}: {:?} scores {:+.2}",
            episodes[0].response(),
            episodes[0].score
        );
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex();
    let config = Gpt2Config {
        vocab_size: 16,
        n_positions: 16,
        n_embd: 32,
        n_layer: 2,
        n_head: 2,
        ..Default::default()
    }
    .into();
    let sft = CausalLm::init(&config, 1, &device);
    let reward = ScalarModel::from_decoder(CausalLm::init(&config, 2, &device).transformer, 3, &device);
    let prompts: Vec<Vec<u32>> = (0..16).map(|i| vec![i, (i + 1) % 16]).collect();
    let constant = |peak_lr| LrSchedule {
        peak_lr,
        kind: ScheduleKind::Constant,
        ..Default::default()
    };
    let settings = PpoConfig {
        episodes: 30 * 64,
        batch_size: 64,
        n_minibatches: 4,
        max_new_tokens: 8,
        lr: constant(1e-3),
        value_lr: constant(1e-3),
        ptx: PtxConfig {
            coef: 0.0,
            ..Default::default()
        },
        ..Default::default()
    };
    let dir = std::env::temp_dir().join(format!("rlhf-ppo-example-{}", std::process::id()));
    let checkpoints = CheckpointStore::open(dir.join("checkpoints"), 1)?;
    let context = StageContext::new(device, 1, &dir, checkpoints, fingerprint(&settings)?, &Quiet);
    let data = PpoData {
        prompts: &prompts,
        pretraining: &[],
        eos_token_id: 0,
    };
    let outcome = train(PpoModels { sft, reward }, data, &settings, &context, &mut Print)?;
    let report = outcome.report;
    println!(
        "score {:+.2} -> {:+.2} at {:.2} nats",
        report.first_score, report.last_score, report.last_kl
    );
    std::fs::remove_dir_all(dir)?;
    Ok(())
}
