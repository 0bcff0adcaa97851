//! Why models could not be compared.

use std::path::PathBuf;

/// A fault of a comparison of checkpoints.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreferenceFault {
    /// There is nobody to be compared with.
    #[error("{found} models, expected at least two: --model NAME=DIR or --answers NAME=FILE.jsonl for each")]
    TooFew {
        /// Models named.
        found: usize,
    },
    /// A name that cannot be told from another, or cannot name a file.
    #[error(
        "a model is called {name:?}: expected another name for each, of letters, digits and marks other than / and \\"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The configured data have no judge.
    #[error(
        "data.source has no judge: expected a configuration of the world, stories or constraints, or another --judge"
    )]
    NoJudge,
    /// A file of prompts without a row.
    #[error("{}: no prompts", path.display())]
    NoPrompts {
        /// The file.
        path: PathBuf,
    },
    /// Answers that lie in the folder were made in another way.
    #[error(
        "{}: these answers were made otherwise ({field}: now {expected}, then {found}); give another --out, or remove them",
        path.display()
    )]
    OtherAnswers {
        /// The file of answers.
        path: PathBuf,
        /// What differs.
        field: String,
        /// Its value now.
        expected: String,
        /// Its value then.
        found: String,
    },
    /// A file of answers lacks one.
    #[error("{}: no answer to prompt {id}, expected one to each of {prompts} prompts, under its id or beside the prompt itself", path.display())]
    NoAnswer {
        /// The file.
        path: PathBuf,
        /// The prompt.
        id: String,
        /// Prompts that are asked.
        prompts: usize,
    },
    /// Too few verdicts for a rate.
    #[error(
        "{judge}: {missing} of {all} comparisons have no verdict, more than the {share} that may be missing: a rate of the others would be \
         one of those that are easily judged; see to the judge, or say --max-missing"
    )]
    Missing {
        /// Who judged.
        judge: String,
        /// Comparisons without a verdict.
        missing: usize,
        /// All comparisons.
        all: usize,
        /// The share that may be missing.
        share: f64,
    },
}
