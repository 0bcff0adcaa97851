//! Adapters of a stage: whether they fit the model, and where they go.

use std::path::Path;

use burn::tensor::Device;
use rlhf_config::ConfigErrors;
use rlhf_model::{
    CausalLm, LoraConfig, ModelConfig, Placement, ScalarModel, WeightPrecision, save_causal_adapter,
    save_scalar_adapter,
};

use super::Stage;
use crate::error::Result;
use crate::progress::note;

/// The folder of the adapters, beside the model into which they are merged.
pub(crate) const ADAPTER: &str = "adapter";

/// Refuses layers that the model has not, before a stage works; says which get adapters.
pub(crate) fn check(stage: Stage, lora: Option<&LoraConfig>, model: &ModelConfig) -> Result<()> {
    let Some(lora) = lora else { return Ok(()) };
    let mut errors = ConfigErrors::new();
    errors.nest(&format!("{}.lora", stage.name()), lora.validate_targets(model.family()));
    errors.into_result()?;
    let targets = lora.target_modules.join(", ");
    note(&format!(
        "{:>9} trains adapters of rank {} on {targets}",
        stage.name(),
        lora.rank
    ));
    Ok(())
}

/// Where the base of a stage is loaded, and what its weights are held in: less than f32 only if they are frozen.
pub(crate) fn placement<'a>(device: &'a Device, lora: Option<&LoraConfig>) -> Placement<'a> {
    Placement {
        device,
        weights: lora.map_or(WeightPrecision::F32, |lora| lora.base_weights),
    }
}

/// Writes the adapters of a language model, if it has some, into the folder of the model; they belong to `base`.
pub(crate) fn save_causal(dir: &Path, model: &CausalLm, base: &Path) -> Result<()> {
    match model.transformer.lora() {
        Some(_) => Ok(save_causal_adapter(
            &dir.join(ADAPTER),
            model,
            &base.display().to_string(),
        )?),
        None => Ok(()),
    }
}

/// As [`save_causal`] for a reward or value model.
pub(crate) fn save_scalar(dir: &Path, model: &ScalarModel, base: &Path) -> Result<()> {
    match model.transformer.lora() {
        Some(_) => Ok(save_scalar_adapter(
            &dir.join(ADAPTER),
            model,
            &base.display().to_string(),
        )?),
        None => Ok(()),
    }
}
