//! Summaries of articles: ROUGE beside references, lengths, what is copied; of any number of systems on the same articles.

mod figures;
mod report;
mod show;

pub use figures::{SummarisedArticle, SummaryOptions, WrittenSummary, summary_figures};
pub use report::{
    SCHEMA, SummariesSettings, SummariesSummary, SummaryInput, SummaryPair, SummarySystem, evaluate_summaries,
};
