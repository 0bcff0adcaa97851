//! PPO with a KL penalty and a pretraining mix (PPO-ptx), as InstructGPT describes it.
//!
//! The arithmetic is a set of pure functions on flat lists of real tokens; see `docs/architecture.md` for the layout.
//!
//! ```
//! use rlhf_ppo::{Gae, KlEstimator, returns, token_kl, token_rewards, whiten_advantages};
//!
//! // One response of four tokens: the score arrives at the end, each token pays for leaving the reference.
//! let kl = token_kl(KlEstimator::K1, &[-1.0, -2.0, -0.5, -1.5], &[-1.2, -1.7, -0.6, -1.5]);
//! let rewards = token_rewards(&kl, 0.8, 0.05, 4);
//! let values = [0.1, 0.2, 0.3, 0.5];
//! let gae = Gae { gamma: 1.0, gae_lambda: 0.95 };
//! let advantages = gae.advantages(&rewards, &values, 0.0);
//! let targets = returns(&advantages, &values);
//! assert!((targets[3] - 0.8).abs() < 1e-12);
//! assert!(whiten_advantages(&advantages).iter().sum::<f64>().abs() < 1e-12);
//! ```

mod advantage;
mod config;
mod cursor;
mod episode;
mod error;
mod evaluate;
mod faults;
mod flops;
#[cfg(test)]
mod golden;
mod invariants;
mod kl;
mod loss;
mod memory;
mod models;
mod ptx;
mod report;
mod reward;
mod rollout;
mod scorer;
mod step;
mod summary;
mod train;

pub use advantage::{Gae, explained_variance, returns, whiten_advantages};
pub use config::{
    AdvantageWhitening, ControllerConfig, EmaConfig, EmaPer, KlConfig, PpoConfig, PtxConfig, RewardWhitening,
    ScoreBaseline, ValueClip, ValueInit,
};
pub use episode::{Episode, Response, Scored, Steps};
pub use error::{Error, Result};
pub use evaluate::{EvaluateConfig, Evaluation, Select, StopConfig};
pub use kl::{KlController, KlEstimator, token_kl};
pub use loss::{
    PolicyLoss, PolicyStats, PolicyTerms, Reduction, ValueLoss, ValueStats, ValueTerms, policy_loss, token_weights,
    value_loss,
};
pub use memory::memory_forecast;
pub use models::PpoModels;
pub use ptx::{GradientPair, PtxUnit, ptx_weights};
pub use report::{PpoOutcome, PpoReport};
pub use reward::{MissingEos, Terminal, effective_score, token_rewards, whiten_rewards};
pub use rollout::{PpoPrompt, RolloutModels, RolloutRequest, collect_rollout};
pub use scorer::{Answer, RewardModel, Scorer, ScorerError};
pub use summary::{KL_COEF, OBJECTIVE_KL, OBJECTIVE_SCORES};
pub use train::{Observer, PpoData, train};
