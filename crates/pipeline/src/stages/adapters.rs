//! Adapters of a stage: whether they fit the model, and where they go.

use std::path::Path;

use burn::tensor::Device;
use rlhf_config::ConfigErrors;
use rlhf_model::{
    CausalLm, LoraConfig, ModelConfig, Placement, ScalarModel, WeightPrecision, save_causal_adapter,
    save_scalar_adapter,
};

use crate::error::Result;
use crate::stage::Stage;
use crate::workspace::Workspace;

/// The folder of the adapters, beside the model into which they are merged.
pub(super) const ADAPTER: &str = "adapter";

/// Refuses layers that the model has not, before a stage works; says which get adapters.
pub(super) fn check(
    work: &Workspace<'_>,
    stage: &dyn Stage,
    lora: Option<&LoraConfig>,
    model: &ModelConfig,
) -> Result<()> {
    let Some(lora) = lora else { return Ok(()) };
    let mut errors = ConfigErrors::new();
    errors.nest(&format!("{}.lora", stage.name()), lora.validate_targets(model.family()));
    errors.into_result()?;
    let targets = lora.target_modules.join(", ");
    work.note(&format!("trains adapters of rank {} on {targets}", lora.rank));
    Ok(())
}

/// Device and storage type of the base of a stage: less than f32 only if its weights are frozen.
pub(super) fn placement<'a>(device: &'a Device, lora: Option<&LoraConfig>) -> Placement<'a> {
    Placement {
        device,
        weights: lora.map_or(WeightPrecision::F32, |lora| lora.base_weights),
    }
}

/// Writes the adapters of a language model, if it has some, into the folder of the model; they belong to `base`.
pub(super) fn save_causal(dir: &Path, model: &CausalLm, base: &Path) -> Result<()> {
    if model.transformer.lora().is_some() {
        save_causal_adapter(&dir.join(ADAPTER), model, &base.display().to_string())?;
    }
    Ok(())
}

/// As [`save_causal`] for a reward or value model.
pub(super) fn save_scalar(dir: &Path, model: &ScalarModel, base: &Path) -> Result<()> {
    if model.transformer.lora().is_some() {
        save_scalar_adapter(&dir.join(ADAPTER), model, &base.display().to_string())?;
    }
    Ok(())
}
