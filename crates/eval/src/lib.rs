//! Comparison of models.
//!
//! An [`Exam`] holds what is the same for all: held-out prompts, the reference model, the reward model, the judge. Each model
//! [sits](Exam::sit) it and leaves [`Answers`]; [`Exam::best_of_n`] takes the best of n answers of the reference, with the n
//! that lies as far from it as a trained policy ([`n_of_equal_kl`]). A [`Summary`] puts the figures together and prints the
//! table at the end of a run. [`SecondJudge`]s, a reward model that nobody optimised or [`RougeJudge`], watch. [`LabelReport`] says how far those agree who ranked.
//!
//! ```
//! use rlhf_eval::{best_of_n_kl, n_of_equal_kl};
//!
//! // A policy 1.1 nats from its reference is compared with the best of as many answers as lie as far from it.
//! let n = n_of_equal_kl(1.1, 32);
//! assert_eq!(n, 8);
//! assert!(best_of_n_kl(n) >= 1.1 && best_of_n_kl(n - 1) < 1.1);
//! ```

mod error;
mod exam;
mod kl;
mod labels;
mod likelihood;
mod overopt;
mod preference;
mod rouge;
mod scores;
mod second;
mod summaries;
mod summary;
mod table;

pub use error::{Error, Result};
pub use exam::{Answers, Exam};
pub use kl::{best_of_n_kl, kl_to_reference, n_of_equal_kl};
pub use labels::{Ballots, LABELS_SCHEMA, LabelReport, LabelsSummary, gold_accuracy, merged};
pub use likelihood::{
    LikelihoodScorer, LikelihoodSettings, LikelihoodSummary, ModelLikelihoods, SCHEMA as LIKELIHOOD_SCHEMA, TaskReport,
    TextReport, paired as paired_likelihoods,
};
pub use overopt::{
    BestOfN, Fit, Form, OVEROPT_SCHEMA, Overopt, OveroptFit, OveroptPeak, PolicyPoint, ProxyAndGold, SampledPrompt,
    best_of_n_weights,
};
pub use preference::{
    JudgeCost, ModelRating, Outcomes, PREFERENCE_SCHEMA, PairPreference, PositionBias, PreferenceMatrix,
    PreferenceModel, PreferenceSettings, PreferenceSummary,
};
pub use rlhf_rouge::Rouge;
pub use rouge::RougeJudge;
pub use scores::answer_scores;
pub use second::{OpinionError, SecondJudge, SecondOpinion};
pub use summaries::{
    SCHEMA as SUMMARIES_SCHEMA, SummariesSettings, SummariesSummary, SummarisedArticle, SummaryInput, SummaryOptions,
    SummaryPair, SummarySystem, WrittenSummary, evaluate_summaries, summary_figures,
};
pub use summary::{
    ALL_PROMPTS, BASE, BEST_OF_N, Gain, ModelSummary, PPO, PPO_EMA, SFT, Summary, gold_by_kind, untrue_share,
};
