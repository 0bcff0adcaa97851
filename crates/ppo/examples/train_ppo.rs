//! PPO on a random policy against a random reward model: `cargo run -p rlhf-ppo --example train_ppo`. The score rises because
//! the policy learns what that reward model happens to like.
#![expect(clippy::print_stdout, reason = "an example says what it did")]

use burn::tensor::Device;
use rlhf_core::stage::StageContext;
use rlhf_core::{LrSchedule, ScheduleKind};
use rlhf_model::{CausalLm, Gpt2Config, ScalarModel};
use rlhf_ppo::{Episode, Error, Observer, PpoConfig, PpoData, PpoModels, PpoPrompt, PtxConfig, train};

struct Print;

impl Observer for Print {
    type Error = Error;

    fn sampled(&mut self, update: u64, episodes: &[Episode]) -> Result<(), Error> {
        let Episode { response, scored, .. } = &episodes[0];
        println!("update {update:2}: {:?} scores {:+.2}", response.tokens(), scored.score);
        Ok(())
    }
}

fn main() -> Result<(), Error> {
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
    let prompts: Vec<PpoPrompt> = (0..16).map(|i| vec![i, (i + 1) % 16].into()).collect();
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
    let context = StageContext::scratch(device, 1);
    let models = PpoModels::with_reward_model(sft, reward, &settings);
    let data = PpoData {
        prompts: &prompts,
        held_out: 0,
        pretraining: &[],
        eos_token_id: 0,
        stop_token_ids: &[],
    };
    let outcome = train(models, data, &settings, &context, &mut Print)?;
    let report = outcome.report;
    println!(
        "score {:+.2} -> {:+.2} at {:.2} nats",
        report.first_score, report.last_score, report.last_kl
    );
    Ok(())
}
