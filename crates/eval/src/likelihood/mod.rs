//! Evaluations by log-likelihood, on a model: `rlhf_likelihood` reads the files and says what is asked, [`LikelihoodScorer`] asks.

mod report;
mod score;
mod show;
mod text;

pub use report::{LikelihoodSettings, LikelihoodSummary, ModelLikelihoods, SCHEMA, TaskReport, paired};
pub use score::LikelihoodScorer;
pub use text::TextReport;
