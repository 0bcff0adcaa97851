//! What is written, tensor by tensor.

use std::path::Path;

use serde_json::{Map, Value};

use super::entries::{Entries, push_text};
use super::file::Pending;
use crate::error::Error;
use crate::model::{Family, Model, Order, Spec, specs};
use crate::read::ROPE_FREQS;
use crate::tensor_type::TensorType;
use crate::tokenizer::{GgufTokenizer, Vocabulary};

const ALIGNMENT: u64 = 32;
const VERSION: u32 = 3;
/// The version of ggml's blocks.
const QUANTIZATION_VERSION: u32 = 2;

/// A model folder that is to become a GGUF file.
#[derive(Debug, Clone, Copy)]
pub struct Export<'a> {
    /// The fields of `config.json`, in the spelling of transformers 4 or 5.
    pub config: &'a Map<String, Value>,
    /// The fields of `generation_config.json`, which may list several tokens that end an answer.
    pub generation: Option<&'a Map<String, Value>>,
    /// The tokenizer; without one, llama.cpp takes and gives token ids alone.
    pub tokenizer: Option<&'a GgufTokenizer>,
    /// A name for people, `general.name`.
    pub name: &'a str,
    /// The type of matrices. Norms, biases and learned positions are F32; with 4 or 5 bits the head is Q8_0, and what has
    /// rows of no whole blocks is F16.
    pub tensor_type: TensorType,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Written {
    /// Bytes of the file.
    pub bytes: u64,
    /// Tensors in it.
    pub tensors: usize,
    /// Matrices, by transformers' names, that are of another type because their rows are no whole blocks.
    pub fallbacks: Vec<(String, TensorType)>,
    /// What the folder says and the file cannot, and that changes little: for people.
    pub notes: Vec<String>,
}

/// A tensor with the type it gets.
struct Planned {
    spec: Spec,
    tensor_type: TensorType,
}

impl Planned {
    fn bytes(&self) -> u64 {
        let numbers = self.spec.dims.iter().map(|&dim| dim as u64).product();
        self.tensor_type
            .bytes_of(numbers)
            .expect("the type was chosen for the length of a row")
    }
}

impl Export<'_> {
    /// Writes the file at `path`, which is there whole or, after an error, as it was.
    ///
    /// `tensor` gives the numbers of one tensor, by transformers' name and shape, row after row; it is asked for one at a
    /// time, so that no two need to be in memory.
    ///
    /// # Errors
    /// If the configuration or the tokenizer says what a GGUF file cannot, if a number is not finite or beyond the type, if the
    /// file cannot be written, or if `tensor` fails.
    pub fn write<E: From<Error>>(
        &self,
        path: impl AsRef<Path>,
        mut tensor: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, E>,
    ) -> Result<Written, E> {
        let path = path.as_ref();
        if !self.tensor_type.can_encode() {
            let message = format!("{} is read, not written", self.tensor_type);
            return Err(Error::tensor(path, "*", message).into());
        }
        let model = Model::from_config(self.config)?;
        let mut written = Written::default();
        let (entries, n_entries) = self.entries(&model, &mut written.notes)?.finish();
        let plan = self.plan(&model, &mut written);
        let mut file = Pending::new(path)?;
        file.write(&header(n_entries, &entries, &plan, model.freq_factors.as_deref()))?;
        file.pad(ALIGNMENT)?;
        for planned in &plan {
            let numbers = tensor(&planned.spec.name, &planned.spec.shape())?;
            file.write(&encoded(path, planned, &numbers)?)?;
            file.pad(ALIGNMENT)?;
        }
        if let Some(factors) = &model.freq_factors {
            file.write(&TensorType::F32.encode(factors))?;
            file.pad(ALIGNMENT)?;
        }
        written.tensors = plan.len() + usize::from(model.freq_factors.is_some());
        written.bytes = file.commit()?;
        Ok(written)
    }

    fn entries(&self, model: &Model, notes: &mut Vec<String>) -> Result<Entries, Error> {
        let mut entries = Entries::default();
        entries.text("general.architecture", model.family.architecture());
        entries.text("general.type", "model");
        entries.text("general.name", self.name);
        entries.u32("general.file_type", file_type(self.tensor_type));
        entries.u32("general.quantization_version", QUANTIZATION_VERSION);
        entries.u32("general.alignment", ALIGNMENT as u32);
        model.to_metadata(&mut entries);
        match self.tokenizer {
            Some(tokenizer) => {
                let vocabulary = Vocabulary::new(tokenizer, model, self.generation, notes)?;
                vocabulary.to_metadata(&mut entries);
            }
            None => entries.text("tokenizer.ggml.model", "no_vocab"),
        }
        Ok(entries)
    }

    /// The tensors with their types.
    fn plan(&self, model: &Model, written: &mut Written) -> Vec<Planned> {
        // llama.cpp wants GPT-NeoX's head even if it is the embedding.
        let repeated = model.tied && model.family == Family::GptNeox;
        let mut model = model.clone();
        model.tied &= !repeated;
        let tokens = specs(&model).next().expect("the embedding comes first").name;
        let planned = |mut spec: Spec| {
            let wanted = self.wanted(&model, &spec);
            let whole = spec.dims[0].is_multiple_of(wanted.block_len());
            let tensor_type = if whole { wanted } else { TensorType::F16 };
            if repeated && spec.stored == "output.weight" {
                spec.name.clone_from(&tokens);
            }
            if !whole {
                written.fallbacks.push((spec.name.clone(), tensor_type));
            }
            Planned { spec, tensor_type }
        };
        specs(&model).map(planned).collect()
    }

    /// The type of a tensor whose rows are whole blocks.
    fn wanted(&self, model: &Model, spec: &Spec) -> TensorType {
        use TensorType::{F32, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
        let head = if model.tied {
            "token_embd.weight"
        } else {
            "output.weight"
        };
        if spec.dims.len() == 1 || spec.stored == "position_embd.weight" {
            F32
        } else if spec.stored == head && matches!(self.tensor_type, Q4_0 | Q4_1 | Q5_0 | Q5_1) {
            Q8_0
        } else {
            self.tensor_type
        }
    }
}

/// `general.file_type`: llama.cpp's number for what most matrices are.
fn file_type(tensor_type: TensorType) -> u32 {
    match tensor_type {
        TensorType::F16 => 1,
        TensorType::Q4_0 => 2,
        TensorType::Q4_1 => 3,
        TensorType::Q8_0 => 7,
        TensorType::Q5_0 => 8,
        TensorType::Q5_1 => 9,
        TensorType::BF16 => 32,
        _ => 0,
    }
}

/// Everything before the data, but for the zeros that lead up to it.
fn header(n_entries: u64, entries: &[u8], plan: &[Planned], freq_factors: Option<&[f32]>) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((plan.len() as u64 + u64::from(freq_factors.is_some())).to_le_bytes());
    bytes.extend(n_entries.to_le_bytes());
    bytes.extend(entries);
    let mut offset = 0u64;
    let mut push = |name: &str, dims: &[usize], tensor_type: TensorType, size: u64| {
        push_text(&mut bytes, name);
        bytes.extend((dims.len() as u32).to_le_bytes());
        bytes.extend(dims.iter().flat_map(|&dim| (dim as u64).to_le_bytes()));
        bytes.extend(tensor_type.id().to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        offset += size.next_multiple_of(ALIGNMENT);
    };
    for planned in plan {
        push(
            &planned.spec.stored,
            &planned.spec.dims,
            planned.tensor_type,
            planned.bytes(),
        );
    }
    if let Some(factors) = freq_factors {
        push(ROPE_FREQS, &[factors.len()], TensorType::F32, 4 * factors.len() as u64);
    }
    bytes
}

/// The bytes of a tensor.
fn encoded(path: &Path, planned: &Planned, numbers: &[f32]) -> Result<Vec<u8>, Error> {
    let spec = &planned.spec;
    let fault = |message: String| Error::tensor(path, &spec.name, message);
    let expected: usize = spec.dims.iter().product();
    if numbers.len() != expected {
        return Err(fault(format!(
            "{} numbers, expected {expected} of shape {:?}",
            numbers.len(),
            spec.shape()
        )));
    }
    if let Some(index) = numbers.iter().position(|number| !number.is_finite()) {
        return Err(fault(format!(
            "number {index} is {}, expected finite numbers",
            numbers[index]
        )));
    }
    let bytes = if spec.order == Order::Same {
        planned.tensor_type.encode(numbers)
    } else {
        planned.tensor_type.encode(&spec.order.to_file(numbers, spec.rows()))
    };
    if planned.tensor_type.overflows(&bytes) {
        return Err(fault(format!(
            "holds a number that is too large for {}",
            planned.tensor_type
        )));
    }
    Ok(bytes)
}
