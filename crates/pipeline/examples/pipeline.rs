//! The recipe from text to table through the public API, on a valley of a few pages: `cargo run -p rlhf-pipeline --example pipeline`.
//!
//! The models are so small that their words mean nothing; what can be seen is how a run is put together.

use std::error::Error;

use rlhf_pipeline::config::{ArchitectureConfig, EvalConfig, LabelConfig, SampleConfig};
use rlhf_pipeline::{Config, Options, Run, STAGES};
use rlhf_ppo::{PpoConfig, PtxConfig};
use rlhf_reward::RewardConfig;
use rlhf_sft::SftConfig;
use rlhf_tasks::LabelerConfig;
use rlhf_world::WorldConfig;

fn config() -> Config {
    let default = Config::default();
    Config {
        world: WorldConfig {
            document_bytes: 200_000,
            validation_document_bytes: 8_000,
            demonstrations: 600,
            validation_demonstrations: 40,
            reward_prompts: 64,
            validation_reward_prompts: 24,
            ppo_prompts: 64,
            held_out_prompts: 40,
            ..default.world
        },
        model: ArchitectureConfig {
            n_layers: 2,
            d_model: 64,
            ..default.model
        },
        pretrain: SftConfig {
            batch_size: 4,
            ..default.pretrain
        },
        sft: SftConfig {
            epochs: 2,
            ..default.sft
        },
        sample: SampleConfig {
            k_max: 5,
            max_new_tokens: 32,
            ..default.sample
        },
        label: LabelConfig {
            rankings_per_prompt: 2,
            simulated: LabelerConfig {
                training: 3,
                held_out: 2,
                // What such a model says deserves one of seven grades; only finer ones leave something to rank.
                grades: 1000,
                ..default.label.simulated
            },
            ..default.label
        },
        reward: RewardConfig {
            epochs: 1,
            batch_prompts: 8,
            ..default.reward
        },
        ppo: PpoConfig {
            episodes: 256,
            batch_size: 32,
            n_minibatches: 2,
            max_new_tokens: 32,
            ptx: PtxConfig {
                examples_per_episode: 0.25,
                ..default.ppo.ptx
            },
            ..default.ppo
        },
        eval: EvalConfig {
            max_new_tokens: 32,
            best_of_n_max: 4,
            ..default.eval
        },
        ..default
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let run = Run::open(dir.path(), config(), Options::default())?;
    for stage in STAGES {
        // Run again, it would find each stage complete.
        run.stage(stage)?;
        eprintln!("{}: {}", stage.name(), stage.about());
    }
    #[expect(clippy::print_stdout, reason = "an example prints what it found")]
    {
        print!("{}", run.summary()?);
    }
    Ok(())
}
