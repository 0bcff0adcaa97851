//! Files that are written: what goes in comes out, and what a file cannot say is refused.

use std::fs;
use std::path::Path;

use rlhf_gguf::{Error, Export, Gguf, Result, TensorType, Written};
use safetensors::SafeTensors;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::golden::{golden, numbers, object, sound};

/// A file with its bytes.
pub(crate) struct Loaded {
    bytes: Vec<u8>,
    pub(crate) file: Gguf,
}

impl Loaded {
    pub(crate) fn new(path: &Path) -> Self {
        let bytes = fs::read(path).expect("readable");
        let file = Gguf::parse(&bytes, path).expect("a sound file");
        Self { bytes, file }
    }

    /// The numbers of a tensor by transformers' name.
    pub(crate) fn tensor(&self, name: &str) -> Vec<f32> {
        let tensors = self.file.tensors().expect("sound tensors");
        let tensor = tensors
            .iter()
            .find(|tensor| tensor.name == name)
            .expect("there is such a tensor");
        numbers(&self.file, &self.bytes, tensor).1
    }

    /// Writes the file again.
    pub(crate) fn export(&self, to: &Path, tensor_type: TensorType) -> Result<Written> {
        let (config, generation) = (self.file.config()?, self.file.generation_config()?);
        let tokenizer = self.file.tokenizer()?;
        let export = Export {
            config: &config,
            generation: Some(&generation),
            tokenizer: tokenizer.as_ref(),
            name: "again",
            tensor_type,
        };
        export.write(to, |name, _| Ok::<_, Error>(self.tensor(name)))
    }
}

#[test]
fn what_was_read_and_written_is_read_the_same() {
    let folder = TempDir::new().expect("a folder");
    for (path, _) in sound() {
        let before = Loaded::new(&path);
        let to = folder.path().join("again.gguf");
        before.export(&to, TensorType::F32).expect("writes");
        let after = Loaded::new(&to);
        let name = path.display();
        let config = |loaded: &Loaded| {
            let mut config = loaded.file.config().expect("sound");
            config.shift_remove("torch_dtype");
            config
        };
        assert_eq!(config(&before), config(&after), "{name}");
        assert_eq!(
            before.file.tokenizer().expect("sound"),
            after.file.tokenizer().expect("sound"),
            "{name}"
        );
        assert_eq!(
            before.file.generation_config().expect("sound"),
            after.file.generation_config().expect("sound"),
            "{name}"
        );
        for tensor in before.file.tensors().expect("sound") {
            assert_eq!(
                before.tensor(&tensor.name),
                after.tensor(&tensor.name),
                "{name} {}",
                tensor.name
            );
        }
    }
}

#[test]
fn bytes_of_tensors_are_those_of_llama_cpp() {
    let folder = TempDir::new().expect("a folder");
    let to = folder.path().join("again.gguf");
    for (family, name) in [
        ("llama", "f16"),
        ("llama", "bf16"),
        ("llama", "q8_0"),
        ("llama", "q4_0"),
        ("llama", "q4_1"),
        ("llama", "q5_0"),
        ("llama", "q5_1"),
        ("qwen2", "q8_0"),
        ("qwen3", "q8_0"),
        ("gpt2", "q8_0"),
    ] {
        let full = Loaded::new(&golden(&format!("gguf/{family}-f32.gguf")));
        let tensor_type = TensorType::from_name(name).expect("a type");
        let written = full.export(&to, tensor_type).expect("writes");
        assert_eq!(written.bytes, fs::metadata(&to).expect("there").len());
        assert!(written.fallbacks.is_empty() && written.notes.is_empty());
        let (ours, theirs) = (
            Loaded::new(&to),
            Loaded::new(&golden(&format!("gguf/{family}-{name}.gguf"))),
        );
        let of = |loaded: &Loaded| {
            let mut tensors: Vec<(String, Vec<u64>, TensorType, Vec<u8>)> = Vec::new();
            // With few bits, our heads have eight.
            let with_head = !name.starts_with("q4") && !name.starts_with("q5");
            let infos = loaded.file.tensor_infos().iter();
            for tensor in infos.filter(|tensor| with_head || tensor.name != "output.weight") {
                let range = tensor.range.start as usize..tensor.range.end as usize;
                let bytes = loaded.bytes[range].to_vec();
                tensors.push((tensor.name.clone(), tensor.dims.clone(), tensor.tensor_type, bytes));
            }
            tensors.sort_by(|a, b| a.0.cmp(&b.0));
            tensors
        };
        assert!(of(&ours) == of(&theirs), "{family} {name}");
    }
}

#[test]
fn with_four_bits_the_head_keeps_eight_and_odd_rows_sixteen() {
    let folder = TempDir::new().expect("a folder");
    let to = folder.path().join("small.gguf");
    // 172 features are no whole blocks of 32.
    let file = Loaded::new(&golden("gguf/spm-stories260k-q4_0.gguf"));
    let written = file.export(&to, TensorType::Q4_1).expect("writes");
    let expected: Vec<(String, TensorType)> = (0..5)
        .map(|layer| (format!("model.layers.{layer}.mlp.down_proj.weight"), TensorType::F16))
        .collect();
    assert_eq!(written.fallbacks, expected);
    let types = |path: &Path, name: &str| {
        let file = Gguf::open(path).expect("sound");
        let found = file
            .tensor_infos()
            .iter()
            .find(|tensor| tensor.name == name)
            .map(|tensor| tensor.tensor_type);
        found.expect("there is such a tensor")
    };
    assert_eq!(types(&to, "token_embd.weight"), TensorType::Q8_0);
    assert_eq!(types(&to, "blk.0.attn_q.weight"), TensorType::Q4_1);
    assert_eq!(types(&to, "blk.0.attn_norm.weight"), TensorType::F32);
    Loaded::new(&golden("gguf/llama-f32.gguf"))
        .export(&to, TensorType::Q4_0)
        .expect("writes");
    assert_eq!(types(&to, "token_embd.weight"), TensorType::Q4_0);
    assert_eq!(types(&to, "output.weight"), TensorType::Q8_0);
}

#[test]
fn a_file_that_cannot_be_finished_leaves_what_was_there() {
    let folder = TempDir::new().expect("a folder");
    let to = folder.path().join("model.gguf");
    fs::write(&to, "before").expect("writes");
    let file = Loaded::new(&golden("gguf/qwen2-f32.gguf"));
    let (config, broken) = (file.file.config().expect("sound"), "model.layers.1.mlp.up_proj.weight");
    let write = |tensor_type: TensorType, number: f32, len: usize| {
        let export = Export {
            config: &config,
            generation: None,
            tokenizer: None,
            name: "broken",
            tensor_type,
        };
        let numbers = |name: &str, _: &[usize]| {
            let mut numbers = file.tensor(name);
            if name == broken {
                numbers[100] = number;
                numbers.truncate(len);
            }
            Ok::<_, Error>(numbers)
        };
        export.write(&to, numbers).expect_err("refused").to_string()
    };
    for (message, expected) in [
        (write(TensorType::F32, f32::NAN, usize::MAX), "number 100 is NaN"),
        (
            write(TensorType::Q8_0, f32::NEG_INFINITY, usize::MAX),
            "number 100 is -inf",
        ),
        (write(TensorType::F16, 1e6, usize::MAX), "too large for F16"),
        (
            write(TensorType::F32, 0.0, 2000),
            "2000 numbers, expected 2048 of shape [64, 32]",
        ),
    ] {
        assert!(message.contains(broken) && message.contains(expected), "{message}");
    }
    assert_eq!(fs::read(&to).expect("still there"), b"before");
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
}

/// Exports a model of `tests/golden/models`, without a tokenizer, and gives what is read of it.
fn exported(case: &str, to: &Path, change: impl Fn(&mut Map<String, Value>)) -> Result<Loaded> {
    let folder = golden("models").join(case);
    let mut config = object(crate::golden::json_at(&folder.join("config.json")));
    change(&mut config);
    let weights = fs::read(folder.join("model.safetensors")).expect("readable");
    let weights = SafeTensors::deserialize(&weights).expect("sound");
    let export = Export {
        config: &config,
        generation: None,
        tokenizer: None,
        name: case,
        tensor_type: TensorType::F32,
    };
    export.write(to, |name, shape| {
        let tensor = weights.tensor(name).unwrap_or_else(|_| panic!("{case} has no {name}"));
        assert_eq!(tensor.shape(), shape, "{name}");
        Ok::<_, Error>(stored(&tensor))
    })?;
    let loaded = Loaded::new(to);
    for tensor in loaded.file.tensors()? {
        let wanted = weights.tensor(&tensor.name).expect("it came from there");
        assert!(loaded.tensor(&tensor.name) == stored(&wanted), "{case} {}", tensor.name);
    }
    Ok(loaded)
}

fn stored(tensor: &safetensors::tensor::TensorView<'_>) -> Vec<f32> {
    assert_eq!(tensor.dtype(), safetensors::Dtype::F32);
    let chunks = tensor.data().chunks_exact(4);
    chunks
        .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
        .collect()
}

#[test]
fn models_of_every_family_go_through_a_file_unchanged() {
    let folder = TempDir::new().expect("a folder");
    let to = folder.path().join("model.gguf");
    for case in ["gpt2", "gpt_neox", "llama_tied", "llama_untied", "qwen2", "qwen3"] {
        let loaded = exported(case, &to, |_| ()).unwrap_or_else(|error| panic!("{case}: {error}"));
        let config = loaded.file.config().expect("sound");
        let wanted = crate::golden::json_at(&golden("models").join(case).join("config.json"));
        for field in [
            "model_type",
            "vocab_size",
            "hidden_size",
            "n_embd",
            "num_key_value_heads",
            "use_parallel_residual",
            "tie_word_embeddings",
        ] {
            if !wanted[field].is_null() {
                assert_eq!(config[field], wanted[field], "{case} {field}");
            }
        }
        assert!(loaded.file.tokenizer().expect("none").is_none());
    }
}

#[test]
fn a_tied_head_of_gpt_neox_is_written_as_llama_cpp_wants_it() {
    let folder = TempDir::new().expect("a folder");
    let tied = |config: &mut Map<String, Value>| drop(config.insert("tie_word_embeddings".into(), json!(true)));
    let to = folder.path().join("model.gguf");
    let config = object(crate::golden::json_at(&golden("models/gpt_neox/config.json")));
    let mut config = config;
    tied(&mut config);
    let export = Export {
        config: &config,
        generation: None,
        tokenizer: None,
        name: "tied",
        tensor_type: TensorType::F32,
    };
    let numbers = |name: &str, shape: &[usize]| Ok::<_, Error>(vec![name.len() as f32; shape.iter().product()]);
    export.write(&to, numbers).expect("writes");
    let loaded = Loaded::new(&to);
    assert_eq!(
        loaded.tensor("embed_out.weight"),
        loaded.tensor("gpt_neox.embed_in.weight")
    );
}

#[test]
fn scaled_frequencies_go_through_a_file() {
    let folder = TempDir::new().expect("a folder");
    let to = folder.path().join("model.gguf");
    let scaled = |rope: Value| {
        let change = |config: &mut Map<String, Value>| drop(config.insert("rope_parameters".into(), rope.clone()));
        let loaded = exported("llama_untied", &to, change)?;
        Ok::<Value, Error>(loaded.file.config()?["rope_parameters"].clone())
    };
    let linear = json!({"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0});
    assert_eq!(scaled(linear.clone()).expect("writes"), linear);
    let yarn = json!({"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 16,
        "beta_fast": 16.0, "beta_slow": 2.0});
    assert_eq!(scaled(yarn.clone()).expect("writes"), yarn);
    let mut lengthened = yarn;
    lengthened["attention_factor"] = json!(1.5);
    let found = scaled(lengthened).expect("writes")["attention_factor"]
        .as_f64()
        .expect("a number");
    assert!((found - 1.5).abs() < 1e-6, "{found}");
    let llama3 = json!({"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 16});
    let found = scaled(llama3).expect("writes");
    let factors = found["freq_factors"].as_array().expect("a list").clone();
    // The shortest wave, 2 pi, is between 16 / 4 and 16; the longest is stretched by the factor.
    let smooth = (16.0 / (2.0 * std::f64::consts::PI) - 1.0) / 3.0;
    let first = 1.0 / ((1.0 - smooth) / 8.0 + smooth);
    assert!((factors[0].as_f64().expect("a number") - first).abs() < 1e-6);
    assert_eq!(factors.last(), Some(&json!(8.0)));
    // And once more.
    assert_eq!(scaled(found.clone()).expect("writes"), found);
}

#[test]
fn what_no_file_can_say_is_refused_by_its_field() {
    let folder = TempDir::new().expect("a folder");
    let to = folder.path().join("model.gguf");
    for (case, field, value) in [
        ("llama_untied", "hidden_act", json!("gelu")),
        ("llama_untied", "model_type", json!("mamba")),
        (
            "llama_untied",
            "rope_parameters.rope_type",
            json!({"rope_type": "longrope", "factor": 2.0}),
        ),
        (
            "llama_untied",
            "rope_parameters.truncate",
            json!({"rope_type": "yarn", "factor": 2.0, "truncate": false}),
        ),
        ("llama_untied", "num_hidden_layers", json!(0)),
        ("gpt2", "scale_attn_by_inverse_layer_idx", json!(true)),
        ("gpt2", "activation_function", json!("relu")),
        ("gpt_neox", "attention_bias", json!(false)),
    ] {
        let name = field.split('.').next().expect("a part");
        let change = |config: &mut Map<String, Value>| drop(config.insert(name.into(), value.clone()));
        let error = exported(case, &to, change)
            .err()
            .unwrap_or_else(|| panic!("{field} was written"));
        assert!(
            error.to_string().starts_with(&format!("config.json: `{field}`: ")),
            "{error}"
        );
    }
    let window = |config: &mut Map<String, Value>| {
        config.insert("model_type".into(), json!("mistral"));
        config.insert("sliding_window".into(), json!(8));
    };
    let error = exported("llama_untied", &to, window).map(drop).expect_err("refused");
    assert!(
        error.to_string().starts_with("config.json: `sliding_window`: 8"),
        "{error}"
    );
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0);
}
