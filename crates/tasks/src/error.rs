//! Errors of judging and ranking.

/// Why a row could not be judged or ranked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The row has no task beside it, so the judge does not know what was asked.
    #[error("row {id}: no task is stored beside it, so it cannot be judged")]
    NoTask {
        /// The row's id.
        id: String,
    },
    /// The task beside the row cannot be read.
    #[error("row {id}: its task cannot be read: {source}")]
    BadTask {
        /// The row's id.
        id: String,
        /// Serde's words.
        #[source]
        source: serde_json::Error,
    },
    /// The task names something of which its judge knows nothing.
    #[error("row {id}: the world has no {name:?}")]
    UnknownName {
        /// The row's id.
        id: String,
        /// The name.
        name: String,
    },
    /// A file of rankings has nothing for this prompt.
    #[error("no ranking for prompt {id} among {available} rankings")]
    NoRanking {
        /// The prompt's id.
        id: String,
        /// Number of rankings in the file.
        available: usize,
    },
    /// A ranking does not contain this completion.
    #[error("prompt {id}: completion {index} is not among those that were ranked: {completion:?}")]
    NotRanked {
        /// The prompt's id.
        id: String,
        /// The completion's index, from 0.
        index: usize,
        /// Its text.
        completion: String,
    },
    /// A ranking has another number of entries than there are completions.
    #[error("ranking {id}: {found} ranks for {expected} completions")]
    RankingLength {
        /// The row's id.
        id: String,
        /// Number of completions.
        expected: usize,
        /// Number of ranks.
        found: usize,
    },
    /// There is nothing to compare.
    #[error("prompt {id}: {found} completions, at least 2 are needed")]
    TooFew {
        /// The prompt's id.
        id: String,
        /// Number of completions.
        found: usize,
    },
    /// The labelers call all answers equal.
    #[error(
        "no two labelers order a pair of answers to any of {prompts} prompts; expected answers of different worth, or more `grades`"
    )]
    NothingOrdered {
        /// Number of prompts.
        prompts: usize,
    },
    /// The labelers cannot be brought to the wanted agreement.
    #[error(
        "agreement {target} cannot be reached: without noise the labelers agree in {quiet:.3} of pairs, with the strongest in {loud:.3}"
    )]
    Unreachable {
        /// The agreement asked for.
        target: f64,
        /// Agreement without noise.
        quiet: f64,
        /// Agreement with the strongest noise tried.
        loud: f64,
    },
}

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
