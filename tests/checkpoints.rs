//! Model directories: what is written is read back, what transformers wrote is written again.

use std::{collections::BTreeMap, fs, path::Path};

use rlhf_core::{TokenBatch, to_host};
use rlhf_model::{
    CausalLm, Gpt2Config, ModelConfig, ScalarModel, load_causal_lm, load_config, load_scalar_model, read_safetensors,
    save_causal_lm, save_scalar_model,
};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};
use tempfile::tempdir;

use crate::fixtures::{CONFIGS, model_dir, path};
use crate::tiny::{causal_lm, config, scalar_model, sequences};

const WEIGHTS: &str = "model.safetensors";

fn logits(model: &CausalLm) -> Vec<f32> {
    let batch = TokenBatch::pack(&sequences(&[5, 3, 8], 9), 16).to_device(&crate::tiny::device());
    to_host(model.logits(model.hidden_states(&batch)))
}

fn bytes(dir: &Path) -> [Vec<u8>; 2] {
    ["config.json", WEIGHTS].map(|file| fs::read(dir.join(file)).expect("a saved model has both files"))
}

#[test]
fn a_saved_language_model_loads_with_the_same_outputs_and_saves_to_the_same_bytes() {
    for tied in [true, false] {
        for device in [crate::tiny::device(), crate::tiny::device().autodiff()] {
            let (first, second) = (tempdir().unwrap(), tempdir().unwrap());
            let model = causal_lm(6, tied, &device);
            save_causal_lm(first.path(), &model, &config(tied)).unwrap();
            let (loaded, found) = load_causal_lm(first.path(), &crate::tiny::device()).unwrap();
            assert_eq!(found.architecture(), config(tied).architecture());
            assert_eq!(logits(&loaded), logits(&causal_lm(6, tied, &crate::tiny::device())));
            save_causal_lm(second.path(), &loaded, &found).unwrap();
            assert_eq!(bytes(second.path()), bytes(first.path()));
        }
    }
}

#[test]
fn a_saved_scalar_model_loads_with_the_same_scores_and_saves_to_the_same_bytes() {
    let (first, second) = (tempdir().unwrap(), tempdir().unwrap());
    let model = scalar_model(6, &crate::tiny::device());
    let batch = TokenBatch::pack(&sequences(&[5, 3, 8], 9), 16).to_device(&crate::tiny::device());
    save_scalar_model(first.path(), &model, &config(true)).unwrap();
    let (loaded, found) = load_scalar_model(first.path(), &crate::tiny::device()).unwrap();
    assert_eq!(
        to_host(loaded.token_scores(&batch)),
        to_host(model.token_scores(&batch))
    );
    save_scalar_model(second.path(), &loaded, &found).unwrap();
    assert_eq!(bytes(second.path()), bytes(first.path()));
}

#[test]
fn a_model_of_transformers_is_written_with_the_tensors_it_came_with() {
    let original = read_safetensors(&path("models/gpt2").join(WEIGHTS)).unwrap();
    for name in ["gpt2", "gpt2_hub_keys"] {
        let (source, copy) = (model_dir(name, CONFIGS[0]), tempdir().unwrap());
        let (model, config) = load_causal_lm(source.path(), &crate::tiny::device()).unwrap();
        save_causal_lm(copy.path(), &model, &config).unwrap();
        assert!(
            read_safetensors(&copy.path().join(WEIGHTS)).unwrap() == original,
            "{name}: tensors differ"
        );
    }
}

#[test]
fn both_spellings_of_a_config_mean_the_same() {
    for name in ["gpt2", "gpt2_hub_keys", "gpt2_reward"] {
        let [new, old] = CONFIGS.map(|config| load_config(model_dir(name, config).path()).unwrap());
        assert_eq!(new.architecture(), old.architecture());
        let wanted: ModelConfig = Gpt2Config {
            vocab_size: 97,
            n_positions: 64,
            n_embd: 32,
            n_layer: 2,
            n_head: 4,
            ..Default::default()
        }
        .into();
        assert_eq!(new.architecture(), wanted.architecture());
        for config in [new, old] {
            let tokens = [config.bos_token_id(), config.eos_token_id(), config.pad_token_id()];
            assert_eq!(tokens, [Some(1), Some(2), Some(0)]);
        }
    }
}

#[test]
fn a_language_model_can_be_read_from_a_reward_model_and_the_other_way_round() {
    let reward = model_dir("gpt2_reward", CONFIGS[0]);
    assert!(load_causal_lm(reward.path(), &crate::tiny::device()).is_ok());
    // A language model has no scalar head, and one made of zeros would pass for a reward model.
    let language = model_dir("gpt2", CONFIGS[0]);
    let message = load_scalar_model(language.path(), &crate::tiny::device())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("score.weight") && message.contains("missing"),
        "{message}"
    );
}

/// Every folder of the fixtures, and whether it is a reward model.
const FOLDERS: [(&str, bool); 11] = [
    ("gpt2", false),
    ("gpt2_hub_keys", false),
    ("gpt2_reward", true),
    ("gpt_neox", false),
    ("llama_reward", true),
    ("llama_sharded", false),
    ("llama_tied", false),
    ("llama_tied_bf16", false),
    ("llama_untied", false),
    ("qwen2", false),
    ("qwen3", false),
];

/// The stored bytes of every tensor of a folder, with type and shape.
fn stored_bytes(dir: &Path) -> BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> {
    let files = fs::read_dir(dir)
        .expect("a folder")
        .map(|entry| entry.expect("readable").path());
    let weights = files.filter(|path| path.extension().is_some_and(|e| e == "safetensors"));
    let mut all = BTreeMap::new();
    for path in weights {
        let bytes = fs::read(path).expect("readable");
        for (name, view) in SafeTensors::deserialize(&bytes).expect("whole").iter() {
            let tensor = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
            all.insert(name.to_owned(), tensor);
        }
    }
    all
}

#[test]
fn a_folder_of_transformers_is_written_with_the_bytes_of_its_weights_and_the_fields_of_its_config() {
    for (name, reward) in FOLDERS {
        for config_file in CONFIGS {
            let (source, copy) = (model_dir(name, config_file), tempdir().unwrap());
            if reward {
                let (model, config) = load_scalar_model(source.path(), &crate::tiny::device()).unwrap();
                save_scalar_model(copy.path(), &model, &config).unwrap();
            } else {
                let (model, config) = load_causal_lm(source.path(), &crate::tiny::device()).unwrap();
                save_causal_lm(copy.path(), &model, &config).unwrap();
            }
            // The older names are written as today's; our bias is the one tensor that others lack.
            let same = if name == "gpt2_hub_keys" { "gpt2" } else { name };
            let original = stored_bytes(model_dir(same, config_file).path());
            let mut written = stored_bytes(copy.path());
            assert_eq!(written.remove("score.bias").is_some(), reward, "{name}");
            assert!(written == original, "{name}/{config_file}: tensors differ");

            let fields = |dir: &Path| -> Map<String, Value> {
                serde_json::from_slice(&fs::read(dir.join("config.json")).unwrap()).unwrap()
            };
            let written = fields(copy.path());
            for (field, value) in fields(source.path()) {
                let ours = ["id2label", "label2id"].contains(&field.as_str());
                assert!(
                    ours || written[&field] == value,
                    "{name}/{config_file}: `{field}` differs"
                );
            }
            assert!(load_config(copy.path()).is_ok());
        }
    }
}

#[test]
fn a_generation_config_is_kept_or_made_from_the_special_tokens() {
    let read = |dir: &Path| -> Value {
        serde_json::from_slice(&fs::read(dir.join("generation_config.json")).unwrap()).unwrap()
    };
    let (source, copy) = (model_dir("llama_tied", CONFIGS[0]), tempdir().unwrap());
    let save = || {
        let (model, config) = load_causal_lm(source.path(), &crate::tiny::device()).unwrap();
        save_causal_lm(copy.path(), &model, &config).unwrap();
    };
    save();
    let made = json!({"_from_model_config": true, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0});
    assert_eq!(read(copy.path()), made);
    let own = json!({"eos_token_id": [2, 5], "temperature": 0.6});
    fs::write(source.path().join("generation_config.json"), own.to_string()).unwrap();
    save();
    assert_eq!(read(copy.path()), own);
}

#[test]
fn a_language_model_becomes_a_reward_model_of_its_family() {
    let (source, copy) = (model_dir("qwen2", CONFIGS[0]), tempdir().unwrap());
    let (model, config) = load_causal_lm(source.path(), &crate::tiny::device()).unwrap();
    let reward = ScalarModel::from_decoder(model.transformer, 3, &crate::tiny::device()).rescaled(2.0, -0.5);
    save_scalar_model(copy.path(), &reward, &config).unwrap();
    let fields: Value = serde_json::from_slice(&fs::read(copy.path().join("config.json")).unwrap()).unwrap();
    assert_eq!(fields["architectures"], json!(["Qwen2ForSequenceClassification"]));
    assert_eq!(fields["num_labels"], json!(1));
    let (loaded, _) = load_scalar_model(copy.path(), &crate::tiny::device()).unwrap();
    let batch = TokenBatch::pack(&sequences(&[5, 3], 9), 16).to_device(&crate::tiny::device());
    assert_eq!(
        to_host(loaded.token_scores(&batch)),
        to_host(reward.token_scores(&batch))
    );
}
