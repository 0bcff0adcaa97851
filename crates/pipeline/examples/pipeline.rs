//! The recipe from text to table through the public API, on a valley of a few pages: `cargo run -p rlhf-pipeline --example pipeline`.
//!
//! The models are so small that their words mean little; what can be seen is how a run is put together.

use std::error::Error;

use rlhf_pipeline::{Config, Options, Run, STAGES};

fn config() -> Config {
    let mut config = Config::default();
    // A valley of a few pages, and a few prompts of each kind.
    config.world.document_bytes = 200_000;
    config.world.validation_document_bytes = 8_000;
    config.world.demonstrations = 600;
    config.world.validation_demonstrations = 40;
    config.world.reward_prompts = 64;
    config.world.validation_reward_prompts = 24;
    config.world.ppo_prompts = 64;
    config.world.held_out_prompts = 40;
    config.tokenizer.vocab_size = 512;
    config.model.n_layers = 2;
    config.model.d_model = 64;

    // Step 1: a language model, fine-tuned on demonstrations.
    config.pretrain.batch_size = 4;
    config.sft.epochs = 2;

    // Step 2: answers, rankings, a reward model. What such a model says deserves one of seven grades; only finer ones leave
    // something to rank.
    config.sample.k_max = 5;
    config.sample.max_new_tokens = 32;
    config.label.rankings_per_prompt = 2;
    config.label.simulated.training = 3;
    config.label.simulated.held_out = 2;
    config.label.simulated.grades = 1000;
    config.reward.epochs = 1;
    config.reward.batch_prompts = 8;

    // Step 3: PPO with a pretraining mix, eight updates of 32 episodes.
    config.ppo.episodes = 256;
    config.ppo.batch_size = 32;
    config.ppo.n_minibatches = 2;
    config.ppo.max_new_tokens = 32;
    config.ppo.ptx.examples_per_episode = 0.25;

    config.eval.max_new_tokens = 32;
    config.eval.best_of_n_max = 4;
    config
}

#[expect(clippy::print_stdout, reason = "an example prints what it found")]
fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let run = Run::open(dir.path(), config(), Options::default())?;
    for stage in STAGES {
        eprintln!("{}: {}", stage.name(), stage.about());
        run.stage(stage)?;
    }
    print!("{}", run.summary()?);
    Ok(())
}
