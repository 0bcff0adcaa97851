//! Loss on held-out sequences.

use std::ops::Range;

use rlhf_core::lanes::{in_lanes, lanes, side_by_side};
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
    evaluate_told(model, sequences, microbatch_tokens, &mut |_| ())
}

/// [`evaluate`], telling `done` how many sequences are done each time that some are. Of a small model they are done side by side, and
/// all at once.
pub fn evaluate_told(
    model: &CausalLm,
    sequences: &[TokenSequence],
    microbatch_tokens: usize,
    done: &mut dyn FnMut(usize),
) -> Evaluation {
    let device = model.transformer.device();
    let lens: Vec<usize> = sequences.iter().map(|s| s.input_ids.len()).collect();
    let parts = lanes(&lens, microbatch_tokens);
    let parts: Vec<(f64, usize)> = if side_by_side(model, &device) {
        let losses = in_lanes(model, &device, parts, |range| loss_of(model, &sequences[range]));
        done(sequences.len());
        losses
    } else {
        let one = |range: Range<usize>| {
            let loss = loss_of(model, &sequences[range.clone()]);
            done(range.end);
            loss
        };
        parts.into_iter().map(one).collect()
    };
    let (losses, tokens): (Vec<f64>, Vec<usize>) = parts.into_iter().unzip();
    let tokens = tokens.into_iter().sum();
    Evaluation {
        loss: losses.into_iter().sum::<f64>() / usize::max(tokens, 1) as f64,
        tokens,
    }
}

/// The summed loss of sequences that go through the network together, and the tokens that it is of.
fn loss_of(model: &CausalLm, sequences: &[TokenSequence]) -> (f64, usize) {
    let (ids, masks) = ids_and_masks(sequences);
    let batch = TokenBatch::pack(&ids, ROW_LEN);
    let targets = Targets::from_masks(&batch, &ids, &masks);
    let device = model.transformer.device();
    let hidden = model.hidden_states_at(&batch.to_device(&device), targets.places());
    let logprobs = to_host(model.token_logprobs(hidden, targets.ids(&device), 1.0).logprobs);
    (logprobs.iter().map(|&p| -f64::from(p)).sum(), targets.len())
}

fn ids_and_masks(sequences: &[TokenSequence]) -> (Vec<&[u32]>, Vec<&[bool]>) {
    sequences
        .iter()
        .map(|s| (s.input_ids.as_slice(), s.loss_mask.as_slice()))
        .unzip()
}
