//! Fused transformer operations with hand-written backward passes for Burn's Flex backend, and composed fallbacks for every other.

pub mod composed;

mod adamw;
mod attention;
mod decode;
#[cfg(feature = "flex")]
mod flex;
mod gelu;
mod layer_norm;
mod linear;
mod logprobs;

pub use adamw::{AdamWStep, EpsMode, adamw_step};
pub use attention::causal_attention;
pub use decode::{KvLayer, decode_attention};
pub use gelu::gelu_tanh;
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use logprobs::{TokenLogprobs, token_logprobs};

#[cfg(all(test, feature = "flex"))]
mod tests;
