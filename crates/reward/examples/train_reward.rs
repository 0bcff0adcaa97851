//! Teaches a reward model that more sevens are better: `cargo run -p rlhf-reward --example train_reward`.
#![expect(clippy::print_stdout, reason = "an example says what it did")]

use burn::tensor::Device;
use rand::Rng;
use rlhf_core::stage::StageContext;
use rlhf_core::{LrSchedule, rng};
use rlhf_data::TokenizedComparison;
use rlhf_model::{CausalLm, Gpt2Config};
use rlhf_reward::{Error, RewardConfig, RewardData, group_comparisons, pairs_from_ranking, train};

/// Four random answers to a random prompt, ranked by how many sevens they hold.
fn comparison(index: u64) -> TokenizedComparison {
    let mut rng = rng(1, "example", &[index]);
    let mut tokens = |n: usize| (0..n).map(|_| rng.random_range(0..10)).collect::<Vec<u32>>();
    let (prompt, completions) = (tokens(3), (0..4).map(|_| tokens(8)).collect::<Vec<_>>());
    let sevens = |c: &Vec<u32>| c.iter().filter(|&&t| t == 7).count();
    let ranking: Vec<u32> = completions
        .iter()
        .map(|c| completions.iter().filter(|other| sevens(other) > sevens(c)).count() as u32)
        .collect();
    TokenizedComparison {
        prompt,
        completions,
        pairs: pairs_from_ranking(&ranking),
        labeler: None,
        confidence: None,
        margin: None,
        source: None,
        dropped: 0,
    }
}

fn main() -> Result<(), Error> {
    let config = Gpt2Config {
        vocab_size: 10,
        n_positions: 16,
        n_embd: 32,
        n_layer: 2,
        n_head: 2,
        ..Default::default()
    }
    .into();
    let device = Device::flex();
    let trunk = CausalLm::init(&config, 1, &device).transformer;
    let train_rows: Vec<_> = (0..1024).map(comparison).collect();
    let validation: Vec<_> = (5000..5128).map(comparison).collect();
    let settings = RewardConfig {
        batch_prompts: 16,
        lr: LrSchedule {
            peak_lr: 2e-3,
            ..Default::default()
        },
        ..Default::default()
    };
    let (train_prompts, held_out) = (group_comparisons(&train_rows), group_comparisons(&validation));
    let data = RewardData {
        train: &train_prompts,
        validation: &held_out,
        test: &held_out,
        held_out_labelers: &[],
        demonstrations: &[],
    };
    let context = StageContext::scratch(device, 1);
    let report = train(trunk, data, &settings, &context)?.report;
    println!(
        "{:.1} % of held-out pairs in the right order",
        100.0 * report.pair_accuracy.value
    );
    Ok(())
}
