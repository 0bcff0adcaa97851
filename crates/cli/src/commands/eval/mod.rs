//! `rlhf eval NAME`: evaluations of any checkpoints, without a run.

mod findings;
mod labels;
mod likelihood;
mod named;
mod preference;
mod reward;
mod summaries;

use clap::Subcommand;
pub(crate) use named::{NamedModel, check_names};
use rlhf_pipeline::Locations;

use crate::error::Result;

/// An evaluation of checkpoints.
#[derive(Debug, Subcommand)]
pub(crate) enum Evaluation {
    /// Perplexity and multiple choice by log-likelihood: LAMBADA, TruthfulQA, Winogender, CrowS-Pairs and files of their kinds
    Likelihood(likelihood::Args),
    /// Win rates among models on a file of prompts, by a judge
    Preference(preference::Args),
    /// People's comparisons: how far they agree, whom they agree with, what they prefer for its length; one ranking of many
    Labels(labels::Args),
    /// Summaries beside references: ROUGE, length, what is copied
    Summaries(summaries::Args),
    /// A reward model on comparisons: accuracy by slices, what length explains, calibration
    Reward(reward::Args),
}

impl Evaluation {
    /// Evaluates and prints what was found.
    pub(crate) fn run(&self, locations: &Locations) -> Result<()> {
        match self {
            Self::Likelihood(args) => likelihood::run(args, locations),
            Self::Preference(args) => preference::run(args, locations),
            Self::Summaries(args) => summaries::run(args, locations),
            Self::Labels(args) => labels::run(args, locations),
            Self::Reward(args) => reward::run(args, locations),
        }
    }
}
