//! The passes of a training step, with every activation kept or most of them computed again.
//!
//! With gradient checkpointing (Chen et al., arXiv 1604.06174) the forward pass keeps the input of each block and nothing
//! else. The backward pass goes through the blocks from the last to the first, runs each forward once more and back at once,
//! so that the activations of one block exist at a time. The arithmetic is the same in the same order, and so are the bytes
//! of the gradients; a step costs one forward pass more.

use burn::module::Module;
use burn::tensor::{Gradients, Tensor};
use rlhf_core::{BatchTensors, GradientBuffer};

use crate::decoder::{Decoder, Surroundings};

/// Activations that the forward pass of a training step keeps for the backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activations {
    /// Everything.
    Kept,
    /// The input of each block: gradient checkpointing.
    Recomputed,
}

impl From<bool> for Activations {
    /// `Recomputed` if gradient checkpointing is on.
    fn from(gradient_checkpointing: bool) -> Self {
        if gradient_checkpointing {
            Self::Recomputed
        } else {
            Self::Kept
        }
    }
}

/// A forward pass through a decoder in training, waiting for the loss that is computed from its hidden states.
#[derive(Debug)]
pub struct TrainingPass<'a> {
    decoder: &'a Decoder,
    batch: BatchTensors,
    /// Tensors kept of the blocks.
    blocks: Blocks,
}

#[derive(Debug)]
enum Blocks {
    /// Their graph, which begins with the embedded tokens, `[tokens, d_model]`.
    Kept {
        embedded: Box<Tensor<2>>,
    },
    Recomputed(Box<Checkpoints>),
}

#[derive(Debug)]
struct Checkpoints {
    surroundings: Surroundings,
    /// For each block what goes in, `[tokens, d_model]`, off the graph.
    inputs: Vec<Tensor<2>>,
    /// Output of the last block, where the graph of the loss begins.
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
        let wanted = self.wanted(batch, places);
        let plain = self.valid();
        let embedded = plain.embed(batch.input_ids.clone(), batch.position_ids.clone());
        let (hidden, blocks) = match activations {
            Activations::Kept => {
                let embedded = if self.trained_embeddings(batch).is_empty() {
                    Tensor::from_inner(embedded)
                } else {
                    leaf(embedded)
                };
                let last = self.through_blocks(embedded.clone(), &self.surroundings(batch, wanted));
                (
                    last,
                    Blocks::Kept {
                        embedded: Box::new(embedded),
                    },
                )
            }
            Activations::Recomputed => {
                let checkpoints = plain.checkpoints(embedded, plain.surroundings(batch, wanted));
                (checkpoints.last.clone(), Blocks::Recomputed(Box::new(checkpoints)))
            }
        };
        let pass = TrainingPass {
            decoder: self,
            batch: batch.clone(),
            blocks,
        };
        (self.normalise(hidden), pass)
    }

    fn checkpoints(&self, mut x: Tensor<2>, surroundings: Surroundings) -> Checkpoints {
        let mut inputs = Vec::new();
        for layer in 0..self.architecture().n_layers {
            inputs.push(x.clone());
            x = self.block(layer, x, &surroundings);
        }
        Checkpoints {
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
        let upstream = match self.blocks {
            Blocks::Kept { embedded } => {
                let upstream = embedded.grad_remove(&mut found);
                gradients.add(module, found);
                upstream
            }
            Blocks::Recomputed(checkpoints) => checkpoints.backward(self.decoder, found, module, gradients),
        };
        // Row by row: as tensors of the graph these gradients would be as large as the vocabulary, and once more where the
        // embedding is the head.
        let Some(upstream) = upstream else { return };
        for (embedding, ids) in self.decoder.trained_embeddings(&self.batch) {
            gradients.add_rows(module, embedding, ids, upstream.clone());
        }
    }
}

impl Checkpoints {
    /// Runs each block of `decoder` once more and back, from the last to the first; returns the gradient of what went into
    /// the first.
    fn backward<M: Module>(
        self,
        decoder: &Decoder,
        mut found: Gradients,
        module: &M,
        gradients: &mut GradientBuffer,
    ) -> Option<Tensor<2>> {
        let Self {
            surroundings,
            mut inputs,
            last,
        } = self;
        let mut upstream = last.grad_remove(&mut found);
        drop(last);
        gradients.add(module, found);
        while let Some(input) = inputs.pop() {
            let input = leaf(input);
            let output = decoder.block(inputs.len(), input.clone(), &surroundings);
            let mut found = product(output, upstream?).backward();
            upstream = input.grad_remove(&mut found);
            gradients.add(module, found);
        }
        upstream
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
