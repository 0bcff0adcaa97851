//! `rlhf export`.

use std::path::{Path, PathBuf};

use rlhf_core::{available_devices, parse_device};
use rlhf_data::Tokenizer;
use rlhf_hub::Want;
use rlhf_model::{
    CausalLm, GgufOptions, GgufTokenizer, ModelConfig, TensorType, Written, load_causal_adapter, load_causal_lm,
    save_gguf,
};
use rlhf_pipeline::Locations;

use super::model::is_reward_model;
use crate::error::{Error, Result};
use crate::progress::note;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of a language model, such as that of a stage, a GGUF file, or `hf://org/name[@revision][/path]`
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Folder of adapters to merge into it, as PEFT saves them, or `hf://org/name[@revision]`
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// The file to write, which must not be there yet
    #[arg(long, value_name = "FILE")]
    gguf: PathBuf,
    /// Type of the numbers of matrices: f32, f16, bf16, q8_0, q5_1, q5_0, q4_1 or q4_0; gains and biases stay f32
    #[arg(long = "type", value_name = "TYPE", default_value = "f16", value_parser = tensor_type)]
    tensor_type: TensorType,
    /// A name for people, which llama.cpp shows; without it that of the folder
    #[arg(long)]
    name: Option<String>,
}

fn tensor_type(name: &str) -> Result<TensorType, String> {
    let writable = || TensorType::all().filter(|kind| kind.can_encode());
    TensorType::from_name(name)
        .filter(|kind| kind.can_encode())
        .ok_or_else(|| {
            let names: Vec<String> = writable().map(|kind| kind.name().to_lowercase()).collect();
            format!("expected one of {}", names.join(", "))
        })
}

pub(super) fn run(args: &Args, locations: &Locations) -> Result<()> {
    if args.gguf.exists() {
        return Err(Error::Usage(format!(
            "--gguf: {} is there already, expected the name of a new file",
            args.gguf.display()
        )));
    }
    let source = locations.model(&args.model, Want::Model)?;
    if is_reward_model(&source) {
        return Err(Error::Usage(format!(
            "--model: {} is a reward model, expected a language model: a GGUF file has no place for its head",
            source.display()
        )));
    }
    let adapter = args.adapter.as_deref();
    let adapter = adapter
        .map(|adapter| locations.model(adapter, Want::Adapter))
        .transpose()?;
    let tokenizer = match &adapter {
        Some(adapter) => Tokenizer::load_over(adapter, &source)?,
        None => Tokenizer::load_optional(&source)?,
    };
    let Some(tokenizer) = tokenizer else {
        return Err(Error::Usage(format!(
            "--model: {} has no tokenizer, without which llama.cpp does nothing with a model",
            source.display()
        )));
    };
    let (model, config) = loaded(&source, adapter.as_deref())?;
    tokenizer.check_vocab_size(config.vocab_size())?;
    let tokenizer = tokenizer.to_gguf()?;
    let name = args.name.clone().unwrap_or_else(|| name_of(&args.model));
    let written = save_gguf(&args.gguf, &model, &config, &options(args, &tokenizer, &name))?;
    tell(&args.gguf, args.tensor_type, &written);
    Ok(())
}

fn options<'a>(args: &Args, tokenizer: &'a GgufTokenizer, name: &'a str) -> GgufOptions<'a> {
    GgufOptions {
        tensor_type: args.tensor_type,
        tokenizer: Some(tokenizer),
        name,
    }
}

fn loaded(source: &Path, adapter: Option<&Path>) -> Result<(CausalLm, ModelConfig)> {
    let device = parse_device(available_devices().first().unwrap_or(&"flex"))?;
    let (model, config) = load_causal_lm(source, &device)?;
    match adapter {
        Some(adapter) => Ok((load_causal_adapter(adapter, model)?, config)),
        None => Ok((model, config)),
    }
}

/// The last part of a location, without the ending of a file.
fn name_of(location: &Path) -> String {
    let name = location.file_stem().or(location.file_name());
    name.map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn tell(path: &Path, tensor_type: TensorType, written: &Written) {
    for message in &written.notes {
        note(message);
    }
    if let [(name, kind), ..] = &written.fallbacks[..] {
        note(&format!(
            "{} matrices are {} instead, as their rows are no whole blocks of {}: `{name}` is the first",
            written.fallbacks.len(),
            kind.name(),
            tensor_type.name(),
        ));
    }
    note(&format!(
        "{} tensors, {:.1} MB, in {}",
        written.tensors,
        written.bytes as f64 / 1e6,
        path.display()
    ));
}
