//! GGUF files against reference values: `tests/golden/gguf` and, where it is there, a real model.
//!
//! - `blocks`: numbers of blocks, and blocks of numbers, to the last bit
//! - `models`: configuration, tensors and tokenizer of every sound file
//! - `damage`: what broken files are refused for
//! - `writing`: files that are written
//! - `tokenizers`: tokenizers that are written
//! - `smollm2`: a real model, where its file is

mod blocks;
mod damage;
mod golden;
mod models;
mod smollm2;
mod tokenizers;
mod writing;
