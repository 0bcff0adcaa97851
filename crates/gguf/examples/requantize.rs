//! A GGUF file in another number type: `cargo run -p rlhf-gguf --example requantize -- FILE.gguf OUT.gguf q8_0`.
//!
//! The file goes through transformers' words and order and back, one tensor at a time.

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use rlhf_gguf::{Export, Gguf, TensorType};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [from, to, name] = &args[..] else {
        return Err("usage: requantize FILE.gguf OUT.gguf TYPE".into());
    };
    let tensor_type = TensorType::from_name(name).ok_or_else(|| format!("`{name}` is no type of numbers"))?;

    let file = Gguf::open(from)?;
    let (config, generation) = (file.config()?, file.generation_config()?);
    let (tensors, tokenizer) = (file.tensors()?, file.tokenizer()?);
    let mut data = File::open(from)?;

    let export = Export {
        config: &config,
        generation: Some(&generation),
        tokenizer: tokenizer.as_ref(),
        name: file
            .value("general.name")
            .and_then(|name| name.as_text())
            .unwrap_or("model"),
        tensor_type,
    };
    let written = export.write(to, |name, _| -> Result<Vec<f32>, Box<dyn Error>> {
        let tensor = tensors.iter().find(|tensor| tensor.name == name).ok_or(name)?;
        let range = &tensor.stored.range;
        let mut bytes = vec![0; (range.end - range.start) as usize];
        data.seek(SeekFrom::Start(range.start))?;
        data.read_exact(&mut bytes)?;
        let mut numbers = vec![0.0; tensor.numbers()];
        file.read_tensor(tensor, &bytes, &mut numbers)?;
        Ok(numbers)
    })?;
    eprintln!("{to}: {} tensors, {} bytes", written.tensors, written.bytes);
    for (name, tensor_type) in written.fallbacks {
        eprintln!("{name} is {tensor_type}: its rows are no whole blocks");
    }
    written.notes.iter().for_each(|note| eprintln!("{note}"));
    Ok(())
}
