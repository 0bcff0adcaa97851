//! The stages in their order, each a file: what its result depends on, what it runs, what it writes.

mod adapters;
mod base_logprob;
mod eval;
mod label;
mod opinions;
mod overopt;
mod ppo;
mod pretrain;
mod rankings;
mod reward;
mod sample;
mod samples;
mod sft;
mod task;
mod tokenizer;

use crate::stage::Stage;

pub(crate) use opinions::OutsideModel;
pub(crate) use task::judge_of;

pub use eval::Eval;
pub use label::Label;
pub use overopt::Overopt;
pub use ppo::Ppo;
pub use pretrain::Pretrain;
pub use reward::Reward;
pub use sample::Sample;
pub use sft::Sft;
pub use tokenizer::Tokenizer;

/// The recipe: every stage, in order.
pub const STAGES: [&dyn Stage; 8] = [&Tokenizer, &Pretrain, &Sft, &Sample, &Label, &Reward, &Ppo, &Eval];

/// The weights in a model's folder.
pub(crate) const WEIGHTS: &str = "model.safetensors";
/// Report of a stage at its end.
const REPORT: &str = "report.json";
