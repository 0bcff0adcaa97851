//! Errors of checkable instructions.

use rlhf_config::ConfigErrors;
use rlhf_tasks::PromptSet;

/// Why no task could be made, or an answer not be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Faults of the configuration; all of them are listed.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// No demonstration keeps any of the constraints.
    #[error(
        "none of the {rows} demonstrations can be made to keep a constraint; expected conversations that end with a request of at most {max_prompt_words} words and its answer"
    )]
    NoDemonstrations {
        /// Number of demonstrations.
        rows: usize,
        /// The configured limit.
        max_prompt_words: usize,
    },
    /// No prompt takes a constraint.
    #[error("none of the {rows} prompts of the set {} ends with a request of 1 to {max_prompt_words} words", set.as_str())]
    NoPrompts {
        /// The set.
        set: PromptSet,
        /// Number of its prompts.
        rows: usize,
        /// The configured limit.
        max_prompt_words: usize,
    },
    /// A task that is none of this crate's.
    #[error("the task cannot be read: {source}")]
    BadTask {
        /// Serde's words.
        #[source]
        source: serde_json::Error,
    },
}

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
