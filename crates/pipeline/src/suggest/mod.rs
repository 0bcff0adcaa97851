//! Settings that suit a model, data and a machine: for a user who has none yet (`rlhf init`).

mod look;
mod plan;
mod rules;
mod text;
mod trial;

use std::path::Path;

use burn::tensor::Device;
use rlhf_core::{count_parameters, parse_device};
use rlhf_hub::Want;
use rlhf_model::{CausalLm, load_config};

pub use rules::{Rule, rules, suits_adapters};

use crate::error::Result;
use crate::locations::Locations;
use crate::memory::available_memory;
use look::{DataSeen, ModelSeen};
use plan::{LengthPlan, PassPlan, TimePlan, lora_for};
use text::{Plan, Seen};
use trial::Rates;

/// Parameters of the model in a folder, or in a GGUF file, as its configuration says; no weight is read.
///
/// # Errors
/// A folder without a configuration that this program understands.
pub fn parameters_of(folder: &Path) -> Result<usize> {
    let config = load_config(folder)?;
    Ok(count_parameters(&CausalLm::outline(&config, &Device::flex())))
}

/// What a configuration is to be written for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The model to start from, as the user names it.
    pub base: Option<&'a Path>,
    /// The folder of the data.
    pub data: Option<&'a Path>,
    /// Ten seconds are spent on measuring the machine.
    pub trial: bool,
}

/// Share of the free memory that a run is planned for: forecasts are within 15 %, and the user has other programs.
const SHARE_OF_MEMORY: f64 = 0.6;
/// Memory where the system does not say how much is free.
const USUAL_MEMORY: u64 = 8_000_000_000;

/// A commented configuration in TOML.
///
/// # Errors
/// A model or a folder that is not there or cannot be read, or adapters that do not fit the model.
pub fn suggest(asked: Asked<'_>, locations: &Locations) -> Result<String> {
    let folder = asked.base.map(|base| locations.model(base, Want::Model)).transpose()?;
    let model = folder.as_deref().map(ModelSeen::look).transpose()?;
    let data = match (asked.data, &model) {
        (Some(root), Some(model)) => DataSeen::look(root, &model.tokenizer)?,
        _ => DataSeen::default(),
    };
    let plan = match (&folder, &model) {
        (Some(folder), Some(model)) => Some(plan(model, folder, &data, asked.trial)?),
        _ => None,
    };
    let seen = Seen {
        base: asked.base,
        model: model.as_ref(),
        root: asked.data,
        data: &data,
        plan,
    };
    Ok(seen.text())
}

fn plan(model: &ModelSeen, folder: &Path, data: &DataSeen, trial: bool) -> Result<Plan> {
    let lora = lora_for(model.parameters);
    let lengths = LengthPlan::of(model, data);
    let memory = available_memory().unwrap_or(USUAL_MEMORY);
    let pass = PassPlan::of(model, lengths, lora.as_ref(), (SHARE_OF_MEMORY * memory as f64) as u64)?;
    let time = if trial {
        let rates = Rates::measure(folder, lora.as_ref(), &parse_device("flex")?)?;
        Some(TimePlan::of(data, lengths, rates))
    } else {
        None
    };
    Ok(Plan {
        lengths,
        pass,
        memory,
        time,
    })
}
