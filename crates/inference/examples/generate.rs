//! Completes prompts of token ids, printing each token as it comes.
//!
//! ```text
//! cargo run -p rlhf-inference --example generate                          # a random tiny model
//! cargo run -p rlhf-inference --example generate -- MODEL_DIR 5,17 3      # a Hugging Face directory, two prompts
//! ```

use std::{error::Error, ops::ControlFlow, path::Path};

use burn::tensor::Device;
use rlhf_inference::{GenerateOptions, Generator, Sampling};
use rlhf_model::{CausalLm, Gpt2Config, load_causal_lm};

#[expect(clippy::print_stdout, reason = "an example shows its result")]
fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    let mut arguments = std::env::args().skip(1);
    let (model, config) = match arguments.next() {
        Some(dir) => load_causal_lm(Path::new(&dir), &device)?,
        None => {
            let config = Gpt2Config {
                vocab_size: 50,
                n_positions: 32,
                n_embd: 16,
                n_layer: 2,
                n_head: 4,
                ..Default::default()
            }
            .into();
            (CausalLm::init(&config, 1, &device), config)
        }
    };
    let prompt = |text: String| text.split(',').map(str::parse).collect::<Result<Vec<u32>, _>>();
    let mut prompts = arguments.map(prompt).collect::<Result<Vec<_>, _>>()?;
    if prompts.is_empty() {
        prompts = vec![vec![3, 1, 4], vec![1, 5]];
    }

    let options = GenerateOptions {
        max_new_tokens: 8,
        // A model without an EOS goes on to the limit.
        eos_token_id: config.eos_token_id().unwrap_or(u32::MAX),
        sampling: Sampling {
            top_p: 0.9,
            ..Sampling::at_temperature(0.8)
        },
        seed: 7,
        ..Default::default()
    };
    let mut print = |prompt: usize, token: u32| {
        println!("prompt {prompt}: {token}");
        ControlFlow::Continue(())
    };
    let completions = Generator::new(&model).generate_streaming(&prompts, &options, &mut print)?;
    for (prompt, completion) in prompts.iter().zip(&completions) {
        let end = if completion.finished {
            "ended"
        } else {
            "cut at the limit"
        };
        let logprob: f32 = completion.logprobs.iter().sum();
        println!(
            "{prompt:?} → {:?} ({end}, log-probability {logprob:.2})",
            completion.tokens
        );
    }
    Ok(())
}
