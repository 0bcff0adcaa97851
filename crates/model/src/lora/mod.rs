//! Low-rank adapters (LoRA, Hu et al., arXiv 2106.09685): what is trained is not a weight `W` but `A` and `B` in
//! `W + scale · A B`.
//!
//! The model keeps its weights, frozen and shared with every other model that was cloned from it. An adapter belongs to
//! one tensor of a checkpoint, such as `q_proj`, and so to some columns of our fused weights.

mod adapter;
mod attach;
mod config;
mod peft;
mod peft_config;

pub(crate) use adapter::{Adapter, Update};
pub use config::LoraConfig;
pub use peft::{load_causal_adapter, load_scalar_adapter, save_causal_adapter, save_scalar_adapter};
pub use peft_config::{AdapterConfig, AdapterTask, load_adapter_config};
