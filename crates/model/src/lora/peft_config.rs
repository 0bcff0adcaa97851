//! `adapter_config.json`, PEFT's description of adapters.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::config::{LoraConfig, last_part};
use crate::config::FieldFault;
use crate::config::fields::Fields;
use crate::error::{Error, Result};

pub(super) const CONFIG_FILE: &str = "adapter_config.json";
/// The head that PEFT saves beside the adapters of a sequence classifier.
pub(super) const HEAD: &str = "score";

/// Fields that, unless empty, ask for something else than `W + scale · B A` with one rank and one alpha for all layers.
const OTHER_ARITHMETIC: [&str; 8] = [
    "rank_pattern",
    "alpha_pattern",
    "layer_replication",
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
    "velora_config",
];
/// Ways to start from which leave the base as it is.
const STARTS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// Purpose of a model with adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdapterTask {
    /// A language model: `CAUSAL_LM`.
    Language,
    /// A reward or value model: `SEQ_CLS`, with its head beside the adapters.
    Scalar,
}

impl AdapterTask {
    fn name(self) -> &'static str {
        match self {
            Self::Language => "CAUSAL_LM",
            Self::Scalar => "SEQ_CLS",
        }
    }
}

/// Content of an `adapter_config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterConfig {
    /// Purpose of the model; a file that does not say means a language model.
    pub task: AdapterTask,
    /// Size of the adapters.
    pub lora: LoraConfig,
    /// The model that the adapters belong to, as a folder or a name on the Hub, if the file says so.
    pub base: Option<String>,
}

/// Reads and checks `dir/adapter_config.json`.
///
/// # Errors
/// A missing or malformed file, or a field that asks for something else than plain LoRA, named.
pub fn load_adapter_config(dir: &Path) -> Result<AdapterConfig> {
    let path = dir.join(CONFIG_FILE);
    let object = rlhf_files::read_object(&path)?;
    read(&Fields::new(&object)).map_err(|error| Error::Config {
        path,
        message: error.to_string(),
    })
}

/// A fault of `task_type` unless it is `task`.
pub(super) fn check_task(dir: &Path, config: &AdapterConfig, task: AdapterTask) -> Result<()> {
    if config.task == task {
        return Ok(());
    }
    Err(Error::Config {
        path: dir.join(CONFIG_FILE),
        message: format!("field `task_type`: {}, expected {}", config.task.name(), task.name()),
    })
}

fn read(fields: &Fields<'_>) -> Result<AdapterConfig, FieldFault> {
    let one_of = |name: &str, default: &'static str, expected: &[&str]| {
        let found = fields.text_or(name, default)?.to_owned();
        if expected.contains(&found.as_str()) {
            Ok(found)
        } else {
            Err(fields.fault(name, format!("`{found}`, expected {}", expected.join(" or "))))
        }
    };
    one_of("peft_type", "", &["LORA"])?;
    one_of("bias", "none", &["none"])?;
    for name in ["use_dora", "use_qalora", "use_bdlora", "lora_bias"] {
        fields.fixed(name, false)?;
    }
    for name in OTHER_ARITHMETIC {
        fields.nothing(name)?;
    }
    if let Some(method) = fields.word("init_lora_weights")
        && !STARTS.contains(&method)
    {
        // These start from a part of the base's weights, which they take out of it.
        let expected = STARTS.join(", ");
        return Err(fields.fault(
            "init_lora_weights",
            format!("`{method}`, expected true, false or one of {expected}"),
        ));
    }
    let tasks = [AdapterTask::Language, AdapterTask::Scalar];
    let task = one_of("task_type", tasks[0].name(), &tasks.map(AdapterTask::name))?;
    // A list, or one expression; which layers there are is what the weights say.
    let targets = fields.texts("target_modules").ok().flatten().unwrap_or_default();
    Ok(AdapterConfig {
        task: tasks.into_iter().find(|known| known.name() == task).unwrap_or(tasks[0]),
        lora: LoraConfig {
            rank: fields.size("r")?,
            alpha: fields.number("lora_alpha")?,
            target_modules: targets.into_iter().map(str::to_owned).collect(),
            rslora: fields.flag_or("use_rslora", false)?,
            ..LoraConfig::default()
        },
        base: fields.optional_text("base_model_name_or_path")?.map(str::to_owned),
    })
}

/// The fields of `adapter_config.json`. `targets` are names as [`target_names`] gives them; `is_conv1d` says whether the
/// family's linear layers are stored `[in, out]`.
pub(super) fn fields(config: &AdapterConfig, targets: &BTreeSet<String>, is_conv1d: bool) -> Map<String, Value> {
    let LoraConfig {
        rank, alpha, rslora, ..
    } = config.lora;
    // PEFT writes whole numbers as such.
    let alpha = if alpha.fract() == 0.0 && alpha < 1e15 {
        json!(alpha as i64)
    } else {
        json!(alpha)
    };
    let saved_whole = match config.task {
        AdapterTask::Language => Value::Null,
        AdapterTask::Scalar => json!([HEAD]),
    };
    let fields = json!({
        "alpha_pattern": {},
        "auto_mapping": null,
        "base_model_name_or_path": config.base,
        "bias": "none",
        "fan_in_fan_out": is_conv1d,
        "inference_mode": true,
        "init_lora_weights": true,
        "layers_pattern": null,
        "layers_to_transform": null,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "modules_to_save": saved_whole,
        "peft_type": "LORA",
        "r": rank,
        "rank_pattern": {},
        "revision": null,
        "target_modules": targets,
        "task_type": config.task.name(),
        "use_dora": false,
        "use_rslora": rslora,
    });
    fields.as_object().cloned().unwrap_or_default()
}

/// Names for `target_modules` of the layers in `adapted`, some of `all`: the last part of a layer's name where every
/// layer so called is among them, the last two elsewhere.
pub(super) fn target_names(adapted: &[&str], all: &[&str]) -> BTreeSet<String> {
    let without: BTreeSet<&str> = (all.iter())
        .filter(|module| !adapted.contains(*module))
        .map(|module| last_part(module))
        .collect();
    let name = |module: &&str| {
        let last = last_part(module);
        if !without.contains(last) {
            return last.to_owned();
        }
        let before = module.strip_suffix(last).unwrap_or_default().trim_end_matches('.');
        format!("{}.{last}", last_part(before))
    };
    adapted.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_named_as_short_as_they_can_be_without_meaning_others() {
        let all = ["h.0.attn.c_attn", "h.0.attn.c_proj", "h.0.mlp.c_fc", "h.0.mlp.c_proj"];
        let names = |adapted: &[&str]| target_names(adapted, &all).into_iter().collect::<Vec<_>>();
        assert_eq!(names(&all), ["c_attn", "c_fc", "c_proj"]);
        assert_eq!(names(&all[..2]), ["attn.c_proj", "c_attn"]);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for task in [AdapterTask::Language, AdapterTask::Scalar] {
            for (alpha, rslora) in [(16.0, false), (0.5, true)] {
                let config = AdapterConfig {
                    task,
                    lora: LoraConfig {
                        rank: 4,
                        alpha,
                        target_modules: vec!["q_proj".into()],
                        rslora,
                        ..LoraConfig::default()
                    },
                    base: Some("a/base".into()),
                };
                let written = fields(&config, &BTreeSet::from(["q_proj".to_owned()]), false);
                assert_eq!(read(&Fields::new(&written)), Ok(config));
            }
        }
    }

    #[test]
    fn what_is_not_plain_lora_is_refused_by_field() {
        for (field, value) in [
            ("peft_type", json!("IA3")),
            ("peft_type", json!(null)),
            ("bias", json!("all")),
            ("use_dora", json!(true)),
            ("lora_bias", json!(true)),
            ("rank_pattern", json!({"q_proj": 2})),
            ("alpha_pattern", json!({"q_proj": 2})),
            ("layer_replication", json!([[0, 1]])),
            ("alora_invocation_tokens", json!([5])),
            ("init_lora_weights", json!("pissa_niter_4")),
            ("task_type", json!("SEQ_2_SEQ_LM")),
            ("r", json!(0)),
            ("r", json!(null)),
            ("lora_alpha", json!(-1)),
            ("use_rslora", json!("yes")),
        ] {
            let config = AdapterConfig {
                task: AdapterTask::Language,
                lora: LoraConfig::default(),
                base: None,
            };
            let mut object = fields(&config, &BTreeSet::new(), false);
            object.insert(field.to_owned(), value);
            let message = read(&Fields::new(&object)).expect_err("a fault").to_string();
            assert!(message.contains(&format!("`{field}`")), "{message}");
        }
    }
}
