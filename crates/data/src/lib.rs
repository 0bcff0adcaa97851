//! Tokenizer, demonstrations, comparisons, prompts, splits and packing for the rlhf workspace.

mod types;

pub use types::{Comparison, Demonstration, Message, Prompt, Role, prompt_key};
