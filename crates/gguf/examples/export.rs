//! A model folder as a GGUF file: `cargo run -p rlhf-gguf --example export -- FOLDER OUT.gguf f16`.
//!
//! The folder has `config.json`, one `model.safetensors` of F32, and `tokenizer.json` unless token ids are enough.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

use rlhf_gguf::{Export, GgufTokenizer, TensorType};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};

type Failure = Box<dyn Error>;

fn object(path: &Path) -> Result<Map<String, Value>, Failure> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [folder, to, name] = &args[..] else {
        return Err("usage: export FOLDER OUT.gguf TYPE".into());
    };
    let folder = Path::new(folder);
    let config = object(&folder.join("config.json"))?;
    let tokenizer = match fs::read(folder.join("tokenizer.json")) {
        Ok(json) => {
            let settings = object(&folder.join("tokenizer_config.json")).unwrap_or_default();
            Some(GgufTokenizer::from_json(serde_json::from_slice(&json)?, settings)?)
        }
        Err(_) => None,
    };
    let weights = fs::read(folder.join("model.safetensors"))?;
    let weights = SafeTensors::deserialize(&weights)?;

    let export = Export {
        config: &config,
        generation: None,
        tokenizer: tokenizer.as_ref(),
        name: "example",
        tensor_type: TensorType::from_name(name).ok_or("no such type of numbers")?,
    };
    let written = export.write(to, |name, _| -> Result<Vec<f32>, Failure> {
        let tensor = weights.tensor(name)?;
        if tensor.dtype() != Dtype::F32 {
            return Err(format!("{name} is {:?}, expected F32", tensor.dtype()).into());
        }
        let mut numbers = vec![0.0; tensor.shape().iter().product()];
        TensorType::F32.decode(tensor.data(), &mut numbers);
        Ok(numbers)
    })?;
    eprintln!("{to}: {} tensors, {} bytes", written.tensors, written.bytes);
    Ok(())
}
