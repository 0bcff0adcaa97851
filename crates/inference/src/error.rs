//! Errors of generation.

use rlhf_config::ConfigErrors;

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A fault in what was asked of the generator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A prompt holds no token.
    #[error("prompt {index} is empty, expected at least one token")]
    EmptyPrompt {
        /// Index in the list of prompts.
        index: usize,
    },
    /// Prompt and completion do not fit into the model's context.
    #[error(
        "prompt {index} has {prompt_len} tokens: with max_new_tokens {max_new_tokens} it does not fit the context of {context}"
    )]
    TooLong {
        /// Index in the list of prompts.
        index: usize,
        /// Tokens of the prompt.
        prompt_len: usize,
        /// Tokens asked for.
        max_new_tokens: usize,
        /// Tokens that the model's position embeddings allow.
        context: usize,
    },
    /// A token id is outside the model's vocabulary.
    #[error(
        "prompt {index} holds token {id}, the model's vocabulary has {vocab_size}: do tokenizer and model belong together?"
    )]
    UnknownToken {
        /// Index in the list of prompts.
        index: usize,
        /// The token.
        id: u32,
        /// Words the model knows.
        vocab_size: usize,
    },
    /// The model's logits are NaN or infinite, so that no token is likelier than another.
    #[error("prompt {index}: the logits of new token {position} are no numbers: do the model's weights overflow f32?")]
    NotFinite {
        /// Index in the list of prompts.
        index: usize,
        /// New tokens before it.
        position: usize,
    },
    /// As many requests wait as may.
    #[error("{waiting} requests wait already, and no more may")]
    Overloaded {
        /// Requests that may wait.
        waiting: usize,
    },
    /// The engine's thread has ended.
    #[error("the engine was stopped")]
    EngineStopped,
    /// Sampling options out of range.
    #[error(transparent)]
    Sampling(#[from] ConfigErrors),
}
