//! The passes of a training step, with every activation kept or most of them computed again.
//!
//! With gradient checkpointing (Chen et al., arXiv 1604.06174) the forward pass keeps the input of each block and nothing
//! else. The backward pass goes through the blocks from the last to the first, runs each forward once more and back at once,
//! so that the activations of one block exist at a time. The arithmetic is the same in the same order, and so are the bytes
//! of the gradients; a step costs one forward pass more.

use burn::module::Module;
use burn::tensor::Tensor;
use rlhf_core::{BatchTensors, GradientBuffer};

use crate::decoder::{Decoder, Surroundings};

/// What the forward pass of a training step keeps for the backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activations {
    /// Everything.
    Kept,
    /// The input of each block: gradient checkpointing.
    Recomputed,
}

impl From<bool> for Activations {
    /// Whether gradient checkpointing is on.
    fn from(gradient_checkpointing: bool) -> Self {
        match gradient_checkpointing {
            true => Self::Recomputed,
            false => Self::Kept,
        }
    }
}

/// A forward pass through a decoder in training, waiting for the loss that is computed from its hidden states.
#[derive(Debug)]
pub struct TrainingPass<'a> {
    decoder: &'a Decoder,
    /// What is left of the pass, unless the graph holds it all.
    checkpoints: Option<Checkpoints>,
}

#[derive(Debug)]
struct Checkpoints {
    batch: BatchTensors,
    surroundings: Surroundings,
    /// For each block what goes in, `[tokens, d_model]`, off the graph.
    inputs: Vec<Tensor<2>>,
    /// What comes out of the last block, where the graph of the loss begins.
    last: Tensor<2>,
}

impl Decoder {
    /// Hidden states as of [`Decoder::hidden_states_at`], for a decoder in training, and what it takes to go back from a loss
    /// on them.
    pub fn training_pass(
        &self,
        batch: &BatchTensors,
        places: &[usize],
        activations: Activations,
    ) -> (Tensor<2>, TrainingPass<'_>) {
        let checkpoints = match activations {
            Activations::Kept => None,
            Activations::Recomputed => Some(self.checkpoints(batch, places)),
        };
        let hidden = match &checkpoints {
            None => self.hidden_states_at(batch, places),
            Some(checkpoints) => self.normalise(checkpoints.last.clone()),
        };
        let decoder = self;
        (hidden, TrainingPass { decoder, checkpoints })
    }

    fn checkpoints(&self, batch: &BatchTensors, places: &[usize]) -> Checkpoints {
        let plain = self.valid();
        let surroundings = plain.surroundings(batch, plain.wanted(batch, places));
        let mut x = plain.embed(batch.input_ids.clone(), batch.position_ids.clone());
        let mut inputs = Vec::new();
        for layer in 0..plain.architecture().n_layers {
            inputs.push(x.clone());
            x = plain.block(layer, x, &surroundings);
        }
        Checkpoints {
            batch: batch.clone(),
            surroundings,
            inputs,
            last: leaf(x),
        }
    }
}

impl TrainingPass<'_> {
    /// Adds the gradient of `loss`, a function of the hidden states, to `gradients`, which are those of `module`: the
    /// decoder's own model with its head.
    pub fn backward<M: Module>(self, loss: Tensor<1>, module: &M, gradients: &mut GradientBuffer) {
        let mut found = loss.backward();
        let Some(checkpoints) = self.checkpoints else {
            return gradients.add(module, found);
        };
        let Checkpoints {
            batch,
            surroundings,
            mut inputs,
            last,
        } = checkpoints;
        let mut upstream = last.grad_remove(&mut found);
        drop(last);
        gradients.add(module, found);
        while let Some(input) = inputs.pop() {
            let Some(gradient) = upstream.take() else { return };
            let input = leaf(input);
            let output = self.decoder.block(inputs.len(), input.clone(), &surroundings);
            let mut found = product(output, gradient).backward();
            upstream = input.grad_remove(&mut found);
            gradients.add(module, found);
        }
        if let Some(gradient) = upstream.filter(|_| self.decoder.trains_embeddings()) {
            let embedded = self.decoder.embed(batch.input_ids, batch.position_ids);
            gradients.add(module, product(embedded, gradient).backward());
        }
    }
}

/// A tensor that a graph begins with.
fn leaf(x: Tensor<2>) -> Tensor<2> {
    Tensor::from_inner(x).require_grad()
}

/// A number whose gradient in `output` is `gradient`.
fn product(output: Tensor<2>, gradient: Tensor<2>) -> Tensor<1> {
    (output * Tensor::from_inner(gradient)).sum()
}
