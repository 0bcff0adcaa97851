//! Loss on held-out sequences.

use rlhf_core::lanes::{in_lanes, lanes};
use rlhf_core::{ROW_LEN, Targets, TokenBatch, to_host};
use rlhf_data::TokenSequence;
use rlhf_model::CausalLm;
use serde::{Deserialize, Serialize};

/// The loss of a model on supervised tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean negative log-probability, in nats per token.
    pub loss: f64,
    /// Tokens it is the mean of.
    pub tokens: usize,
}

impl Evaluation {
    /// e to the loss.
    pub fn perplexity(&self) -> f64 {
        self.loss.exp()
    }
}

/// Mean negative log-probability of the supervised tokens of `sequences`, without gradients.
pub fn evaluate(model: &CausalLm, sequences: &[TokenSequence], microbatch_tokens: usize) -> Evaluation {
    let device = model.transformer.device();
    let lens: Vec<usize> = sequences.iter().map(|s| s.input_ids.len()).collect();
    let parts = in_lanes(model, &device, lanes(&lens, microbatch_tokens), |range| {
        let (ids, masks) = ids_and_masks(&sequences[range]);
        let batch = TokenBatch::pack(&ids, ROW_LEN);
        let targets = Targets::from_masks(&batch, &ids, &masks);
        let device = model.transformer.device();
        let hidden = model.hidden_states_at(&batch.to_device(&device), targets.places());
        let logprobs = to_host(model.token_logprobs(hidden, targets.ids(&device), 1.0).logprobs);
        (logprobs.iter().map(|&p| -f64::from(p)).sum::<f64>(), targets.len())
    });
    let (losses, tokens): (Vec<f64>, Vec<usize>) = parts.into_iter().unzip();
    let tokens = tokens.into_iter().sum();
    Evaluation {
        loss: losses.into_iter().sum::<f64>() / usize::max(tokens, 1) as f64,
        tokens,
    }
}

fn ids_and_masks(sequences: &[TokenSequence]) -> (Vec<&[u32]>, Vec<&[bool]>) {
    sequences
        .iter()
        .map(|s| (s.input_ids.as_slice(), s.loss_mask.as_slice()))
        .unzip()
}
