//! Trains a small model on one sentence until it knows it: `cargo run -p rlhf-sft --example train_sft`.
#![expect(clippy::print_stdout, reason = "an example says what it did")]

use burn::tensor::Device;
use rlhf_core::LrSchedule;
use rlhf_core::stage::StageContext;
use rlhf_data::{TokenSequence, Tokenizer, TokenizerConfig, pack_documents};
use rlhf_model::{CausalLm, Gpt2Config};
use rlhf_sft::{Error, Evaluation, Observer, SftConfig, SftData, train};

struct Print;

impl Observer for Print {
    type Error = Error;

    fn evaluated(&mut self, step: u64, _: &CausalLm, evaluation: &Evaluation) -> Result<Option<f64>, Error> {
        println!("step {step:3}: perplexity {:.2}", evaluation.perplexity());
        Ok(None)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = "the miller of the valley grinds barley in the morning and oats in the evening";
    let tokenizer = Tokenizer::train(
        [text],
        &TokenizerConfig {
            vocab_size: 300,
            min_frequency: 2,
        },
    )?;
    let rows: Vec<TokenSequence> = pack_documents(&tokenizer, vec![text; 64], 64);

    let config = Gpt2Config {
        vocab_size: tokenizer.vocab_size(),
        n_positions: 64,
        n_embd: 64,
        n_layer: 2,
        n_head: 4,
        ..Gpt2Config::default()
    }
    .into();
    let device = Device::flex();
    let settings = SftConfig {
        epochs: 16,
        batch_size: 8,
        eval_every: 24,
        lr: LrSchedule {
            peak_lr: 3e-3,
            ..LrSchedule::default()
        },
        ..SftConfig::pretraining()
    };
    let context = StageContext::scratch(device.clone(), 1);
    let data = SftData {
        train: &rows,
        validation: &rows[..4],
    };
    let outcome = train(
        CausalLm::init(&config, 1, &device),
        data,
        &settings,
        &context,
        &mut Print,
    )?;
    println!(
        "perplexity {:.1} -> {:.2} in {} steps",
        outcome.report.initial.perplexity(),
        outcome.report.selected.perplexity(),
        outcome.report.steps
    );
    Ok(())
}
