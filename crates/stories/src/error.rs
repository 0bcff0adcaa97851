//! Errors of the story-telling task.

/// Why stories are of no use for the task.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No story qualifies as a demonstration.
    #[error(
        "none of the {stories} stories begins with a paragraph of at most {max_chars} characters that has two of the task's words; expected stories for children, one a document"
    )]
    NoDemonstrations {
        /// Number of stories.
        stories: usize,
        /// The configured limit.
        max_chars: usize,
    },
}

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
