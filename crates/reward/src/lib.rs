//! K-wise reward modelling on ranked completions.
//!
//! Each completion of a prompt goes through the network once; the loss compares all pairs of their scores on the host
//! and hands back one derivative per score.
//!
//! ```
//! use rlhf_reward::{KwiseConfig, kwise_loss, pairs_from_ranking};
//!
//! // Four completions, ranked first, second, last and third: six pairs.
//! let pairs = pairs_from_ranking(&[0, 1, 3, 2]);
//! let found = kwise_loss(&[1.2, 0.7, -0.1, 0.4], &pairs, 0.0, &KwiseConfig::default());
//! assert!((found.loss - 0.414286).abs() < 1e-6);
//! assert!(found.grad.iter().sum::<f64>().abs() < 1e-12);
//! ```

mod config;
mod error;
mod evaluation;
mod gradients;
mod groups;
mod length;
mod loss;
mod memory;
mod metrics;
mod normalise;
mod report;
mod train;

pub use config::RewardConfig;
pub use error::{Error, Result};
pub use evaluation::{
    BestOfNPoint, Calibration, Invariance, REWARD_SCHEMA, RewardBench, RewardEvaluation, RewardEvaluationSettings,
    RewardSummary, ScoredComparison, Slice, accuracy_beside, invariance,
};
pub use groups::{Annotation, RankedPrompt, group_comparisons};
pub use length::{LengthBias, LengthReport, pair_share};
pub use loss::{KwiseConfig, KwiseLoss, Margin, PairDivisor, kwise_loss, mean_loss, pairs_from_ranking, sigmoid};
pub use memory::memory_forecast;
pub use metrics::{
    Bucket, CalibrationBin, ScoredPair, accuracy_by_confidence, accuracy_by_labeler, accuracy_by_length,
    calibration_curve, calibration_error, pair_accuracy,
};
pub use normalise::{Normalisation, ScoreMap};
pub use report::RewardReport;
pub use train::{RewardData, RewardOutcome, train};
