//! Tests that span crates, one module per subject.
//!
//! `PROPTEST_CASES=500` runs the laws with random seeds, `RLHF_TESTS_SHOW_ERRORS=1 … --nocapture` shows how much of each
//! tolerance is used.
//!
//! Support: `fixtures` reads `tests/golden/`, `tiny` makes small random models and compares numbers.
//! Parity with PyTorch: `model_parity` (logits, log-probs, greedy decoding, scores), `training_parity` (loss, gradients,
//! AdamW, clipping), `family_goldens` (families that came later), `likelihood` (evaluations by log-likelihood), `sampling_parity` (the next-token distribution).
//! Laws: `layout` (padding, packing, order, micro-batches), `decoding` (the cache), `generation` (streams, frequencies,
//! limits, refusals), `families` (parts that no fixture covers), `gradients` (finite differences, accumulation), `weights` (averages, optimiser state),
//! `checkpoints` (files written and read), `broken_checkpoints` (files refused), `strange_checkpoints` (files as others leave them), `half_weights` (weights held as bf16), `lora` (adapters put on, trained,
//! merged and taken off), `adapters` (their files), `damage` (files with a few bytes or numbers changed).
//! Where `RLHF_PYTHON` names a Python that has them, `python` asks others: `transformers` what it makes of files that we wrote,
//! `peft` PEFT what our adapters mean, `tensorboard` TensorBoard what curves we drew.
//! `gguf` reads the files of other programs and writes them; `smollm2` does so with a real chat model where `RLHF_SMOLLM2_GGUF` names it.
//! `stories` reproduces a pretrained model's reference where `RLHF_STORIES260K` names its folder.

mod adapters;
mod broken_checkpoints;
mod checkpoints;
mod damage;
mod decoding;
mod families;
mod family_goldens;
mod fixtures;
mod generation;
mod gguf;
mod gradients;
mod half_weights;
mod layout;
mod likelihood;
mod lora;
mod model_parity;
mod peft;
mod python;
mod sampling_parity;
mod smollm2;
mod stories;
mod strange_checkpoints;
mod tensorboard;
mod tiny;
mod training_parity;
mod transformers;
mod weights;
