//! Adapters put on a model, taken off, and merged into its weights.

use burn::module::Module;
use rlhf_config::ConfigErrors;
use rlhf_core::rng;

use super::adapter::{Adapter, AdapterSlot, Sizes};
use super::config::LoraConfig;
use crate::decoder::Decoder;
use crate::families::{StoredParameter, linear_weights};
use crate::heads::{CausalLm, ScalarModel};

impl Decoder {
    /// The same trunk, frozen, with fresh adapters that change nothing yet; their random numbers are drawn from `seed`.
    ///
    /// Weights are shared with the trunk that this one was cloned from. Adapters it has already are merged first.
    ///
    /// # Errors
    /// Faults of `lora` by its fields, a name in `target_modules` that no linear layer of the family has among them.
    pub fn with_lora(self, lora: &LoraConfig, seed: u64) -> Result<Self, ConfigErrors> {
        lora.validate().into_result()?;
        lora.validate_targets(self.family()).into_result()?;
        let mut adapted = lora.base_weights.hold(self.merged()).no_grad();
        let device = adapted.wte.weight.val().device();
        for (index, weight) in adapted.linear_weights().into_iter().enumerate() {
            for part in 0..weight.parts.len() {
                if !lora.targets(module_name(&weight, part)) {
                    continue;
                }
                let (first, width) = weight.columns(part);
                let slot = AdapterSlot {
                    part,
                    first,
                    scale: lora.scale(),
                };
                let sizes = Sizes {
                    input: weight.shape[0],
                    rank: lora.rank,
                    width,
                };
                let mut rng = rng(seed, "lora.a", &[index as u64, part as u64]);
                let adapter = Adapter::init(slot, sizes, &mut rng, &device);
                adapted.linear_mut(&weight.name).adapters.push(adapter);
            }
        }
        adapted.set_lora(Some(lora.clone()));
        Ok(adapted)
    }

    /// The same trunk without adapters, as it was before, and no longer frozen.
    pub fn without_lora(mut self) -> Self {
        if self.lora().is_none() {
            return self;
        }
        for weight in self.linear_weights() {
            self.linear_mut(&weight.name).adapters.clear();
        }
        self.set_lora(None);
        self.set_require_grad(true)
    }

    /// The same function without adapters: their updates are added to the weights. No longer frozen.
    pub fn merged(mut self) -> Self {
        if self.lora().is_none() {
            return self;
        }
        for weight in self.linear_weights() {
            self.linear_mut(&weight.name).merge();
        }
        self.without_lora()
    }

    /// Weights of linear layers, block after block.
    pub(super) fn linear_weights(&self) -> Vec<StoredParameter> {
        linear_weights(self.family(), self.architecture())
    }
}

impl CausalLm {
    /// As [`Decoder::with_lora`]; the head is frozen too.
    ///
    /// # Errors
    /// As [`Decoder::with_lora`].
    pub fn with_lora(mut self, lora: &LoraConfig, seed: u64) -> Result<Self, ConfigErrors> {
        self.transformer = self.transformer.with_lora(lora, seed)?;
        Ok(lora.base_weights.hold(self.with_frozen_head()))
    }

    /// As [`Decoder::without_lora`].
    pub fn without_lora(mut self) -> Self {
        if self.transformer.lora().is_none() {
            return self;
        }
        self.transformer = self.transformer.without_lora();
        self.set_require_grad(true)
    }

    /// As [`Decoder::merged`].
    pub fn merged(mut self) -> Self {
        if self.transformer.lora().is_none() {
            return self;
        }
        self.transformer = self.transformer.merged();
        self.set_require_grad(true)
    }
}

impl ScalarModel {
    /// As [`Decoder::with_lora`]; the head is trained in full, as PEFT's `modules_to_save`.
    ///
    /// # Errors
    /// As [`Decoder::with_lora`].
    pub fn with_lora(mut self, lora: &LoraConfig, seed: u64) -> Result<Self, ConfigErrors> {
        self.transformer = self.transformer.with_lora(lora, seed)?;
        Ok(self)
    }

    /// As [`Decoder::without_lora`]; the head stays.
    pub fn without_lora(mut self) -> Self {
        self.transformer = self.transformer.without_lora();
        self
    }

    /// As [`Decoder::merged`].
    pub fn merged(mut self) -> Self {
        self.transformer = self.transformer.merged();
        self
    }
}

/// Name in a checkpoint of the layer that part `part` of a weight belongs to.
pub(super) fn module_name(weight: &StoredParameter, part: usize) -> &str {
    let name = weight.parts[part].name.as_str();
    name.strip_suffix(".weight").unwrap_or(name)
}
