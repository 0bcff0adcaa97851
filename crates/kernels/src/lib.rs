//! Fused transformer operations with hand-written backward passes for Burn's Flex backend, and composed fallbacks for
//! every other.
//!
//! | Function | Instead of |
//! | --- | --- |
//! | [`linear`] | matrix product, then a pass for the bias |
//! | [`activated_linear`] | the result of the activation, kept for the backward pass |
//! | [`gelu_tanh`], [`gelu_erf`], [`layer_norm`], [`rms_norm`], [`swiglu`], [`rotary`] | up to half a dozen passes over memory forward, and as many backward |
//! | [`causal_attention`] | scores and masks of whole rows; keys that no query of a block sees are skipped |
//! | [`token_logprobs`] | a matrix of logits `[selected, vocab]`, kept for the backward pass |
//! | [`adamw_step`] | a new tensor per term; here parameter and running means change in place |
//! | [`PackedWeight`] | a weight whose rows lie pages apart, read at every step of decoding |
//! | [`decode_attention`] | joining the key/value cache anew at every step; here a [`KvLayer`] is written in place |
//! | [`grouped_attention`], [`grouped_decode_attention`] | the same for query heads that share keys and values |
//!
//! Each function looks at the device of its tensors: `f32` on Flex, tracked by autodiff or not, takes the fused way;
//! everything else takes the function of the same name in [`composed`], which consists of Burn's own operations and is
//! what the tests compare the fused way with. Callers need not know which one runs.
//!
//! On Flex the results have the same bits in every run and for every number of threads: work is divided by shape alone
//! and sums are taken in a fixed order. Different instruction sets may differ in matrix products, nowhere else.
//!
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use rlhf_kernels::token_logprobs;
//!
//! let device = Device::default().autodiff();
//! let hidden = Tensor::<2>::zeros([2, 8], &device).require_grad();
//! let head = Tensor::<2>::ones([16, 8], &device);
//! let targets = Tensor::<1, Int>::from_ints([3, 5], &device);
//!
//! let output = token_logprobs(hidden.clone(), head, targets, 1.0);
//! let entropy: f32 = output.entropy.mean().into_scalar(); // all 16 words are equally likely
//! assert!((entropy - 16.0_f32.ln()).abs() < 1e-6);
//!
//! let gradients = (-output.logprobs.mean()).backward();
//! assert_eq!(hidden.grad(&gradients).expect("hidden is tracked").dims(), [2, 8]);
//! ```

#[cfg(feature = "allocator")]
pub mod allocator;
pub mod composed;

mod activation;
mod adamw;
mod attention;
mod decode;
mod exponentials;
#[cfg(feature = "flex")]
mod flex;
mod gelu;
mod grouped;
mod layer_norm;
mod linear;
mod logprobs;
mod packed;
mod rms_norm;
mod rotary;
mod swiglu;

pub use activation::{Activation, activated_linear};
pub use adamw::{AdamWStep, EpsMode, adamw_step};
pub use attention::{causal_attention, visible_from};
pub use decode::{KvLayer, decode_attention};
pub use exponentials::exponentials;
pub use gelu::{gelu_erf, gelu_tanh};
pub use grouped::{DecodeView, grouped_attention, grouped_decode_attention};
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use logprobs::{TokenLogprobs, logprob_sum, logprob_sum_workspace, token_logprobs, token_logprobs_workspace};
pub use packed::PackedWeight;
pub use rms_norm::rms_norm;
pub use rotary::rotary;
pub use swiglu::swiglu;

#[cfg(all(test, feature = "flex"))]
mod tests;
