//! Ten seconds of work on the machine, for an estimate of hours.

use std::path::Path;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::Device;
use rand::Rng;
use rlhf_core::rng;
use rlhf_inference::{GenerateOptions, Generator};
use rlhf_model::{CausalLm, LoraConfig, PassLimits, load_causal_lm, logprob_gradients, sequence_logprobs};

use crate::error::Result;

/// Seconds for each of the three kinds of work.
const EACH: Duration = Duration::from_secs(3);
/// Tokens of a sequence of the trial.
const LEN: usize = 128;
/// Sequences of a pass.
const SEQUENCES: usize = 4;

/// Tokens per second of a model on this machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    /// Forward and backward.
    pub(super) training: f64,
    /// Forward alone.
    pub(super) scoring: f64,
    /// New tokens of sixteen answers at once.
    pub(super) sampling: f64,
}

impl Rates {
    /// Measures the model in a folder, with adapters if it is to be trained by them.
    pub(super) fn measure(folder: &Path, lora: Option<&LoraConfig>, device: &Device) -> Result<Self> {
        let (model, config) = load_causal_lm(folder, device)?;
        let len = LEN.min(config.max_seq_len() / 2);
        let sequences = random_sequences(config.vocab_size(), len);
        Ok(Self {
            scoring: rate(SEQUENCES * len, || {
                sequence_logprobs(&model, &sequences, &[1; SEQUENCES], 1.0, SEQUENCES * len);
            }),
            sampling: sampling(&model, &sequences)?,
            training: training(model, lora, &sequences)?,
        })
    }
}

fn random_sequences(vocab: usize, len: usize) -> Vec<Vec<u32>> {
    let mut rng = rng(1, "suggest.trial", &[]);
    let mut sequence = || (0..len).map(|_| rng.random_range(0..vocab as u32)).collect();
    (0..SEQUENCES).map(|_| sequence()).collect()
}

/// Tokens per second of work that goes through `tokens` each time, without the first time, which takes memory.
fn rate(tokens: usize, mut work: impl FnMut()) -> f64 {
    work();
    let (started, mut times) = (Instant::now(), 0);
    while times == 0 || started.elapsed() < EACH {
        work();
        times += 1;
    }
    (times * tokens) as f64 / started.elapsed().as_secs_f64()
}

fn sampling(model: &CausalLm, sequences: &[Vec<u32>]) -> Result<f64> {
    const ROWS: usize = 16;
    const NEW: usize = 16;
    let generator = Generator::new(model);
    let prompts: Vec<&[u32]> = (0..ROWS).map(|row| &sequences[row % SEQUENCES][..8]).collect();
    let options = GenerateOptions {
        max_new_tokens: NEW,
        eos_token_id: u32::MAX,
        batch_size: ROWS,
        ..GenerateOptions::default()
    };
    // Known to be possible before it is timed.
    generator.generate(&prompts, &options)?;
    Ok(rate(ROWS * NEW, || drop(generator.generate(&prompts, &options))))
}

fn training(model: CausalLm, lora: Option<&LoraConfig>, sequences: &[Vec<u32>]) -> Result<f64> {
    let model = match lora {
        Some(lora) => model.with_lora(lora, 1)?,
        None => model,
    };
    let model = model.train();
    let masks: Vec<Vec<bool>> = sequences.iter().map(|s| vec![true; s.len()]).collect();
    let tokens: usize = sequences.iter().map(Vec::len).sum();
    let weights = vec![1.0 / tokens as f64; tokens - sequences.len()];
    let limits = PassLimits::new(tokens, false);
    Ok(rate(tokens, || {
        logprob_gradients(&model, sequences, &masks, &weights, limits);
    }))
}
