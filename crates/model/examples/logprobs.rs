//! Prints what a language model thinks of a text, token by token.
//!
//! ```text
//! cargo run -p rlhf-model --example logprobs                        # a random tiny model
//! cargo run -p rlhf-model --example logprobs -- MODEL_DIR 5 17 3    # a Hugging Face directory, token ids
//! ```

use std::{error::Error, path::Path};

use burn::tensor::Device;
use rlhf_model::{CausalLm, Gpt2Config, load_causal_lm, sequence_logprobs};

#[expect(clippy::print_stdout, reason = "an example shows its result")]
fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    let mut arguments = std::env::args().skip(1);
    let (model, config) = match arguments.next() {
        Some(dir) => load_causal_lm(Path::new(&dir), &device)?,
        None => {
            let config = Gpt2Config {
                vocab_size: 50,
                n_positions: 16,
                n_embd: 16,
                n_layer: 2,
                n_head: 4,
                ..Default::default()
            }
            .into();
            (CausalLm::init(&config, 1, &device), config)
        }
    };
    let mut ids = arguments.map(|id| id.parse()).collect::<Result<Vec<u32>, _>>()?;
    if ids.is_empty() {
        ids = vec![3, 1, 4, 1, 5, 9, 2, 6];
    }
    // Passes expect sequences that fit the model; whoever reads input checks it.
    if !(2..=config.max_seq_len()).contains(&ids.len()) || ids.iter().any(|&id| id as usize >= config.vocab_size()) {
        return Err(format!(
            "expected 2 to {} ids below {}",
            config.max_seq_len(),
            config.vocab_size()
        )
        .into());
    }

    let result = sequence_logprobs(&model, &[&ids], &[1], 1.0, 4096);
    println!("token  logprob  entropy (nats)");
    for (id, (logprob, entropy)) in ids[1..].iter().zip(result.logprobs[0].iter().zip(&result.entropy[0])) {
        println!("{id:5}  {logprob:7.3}  {entropy:7.3}");
    }
    let mean = result.logprobs[0].iter().sum::<f32>() / (ids.len() - 1) as f32;
    println!("perplexity {:.2} of {} words", (-mean).exp(), config.vocab_size());
    Ok(())
}
