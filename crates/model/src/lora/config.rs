//! The layers that get adapters, and the size of those.

use rlhf_config::{ConfigErrors, nearest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::families::Family;
use crate::precision::WeightPrecision;

/// Stands for every linear layer of every block.
const ALL_LINEAR: &str = "all-linear";

/// Low-rank adapters: a stage that has them trains `A` and `B` in `W + scale · A B` and leaves `W` alone.
///
/// Hu et al., arXiv 2106.09685; names as in PEFT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// Columns of A and rows of B. Hu et al.: 1 to 64, with little gain above 8; usual: 8 to 64.
    pub rank: usize,
    /// The update is multiplied by alpha / rank, so that another rank needs no other learning rate. Usual: rank or twice it.
    pub alpha: f64,
    /// Layers that get adapters, by the names of the model's family: `q_proj`, `attn.c_attn`, …; `all-linear` is every
    /// linear layer of every block.
    pub target_modules: Vec<String>,
    /// Multiplies by alpha / √rank instead, for high ranks (Kalajdzievski, arXiv 2312.03732).
    pub rslora: bool,
    /// Precision of the frozen weights in memory, `f32` or `bf16`; everything is computed in f32.
    pub base_weights: WeightPrecision,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.0,
            target_modules: vec![ALL_LINEAR.to_owned()],
            rslora: false,
            base_weights: WeightPrecision::F32,
        }
    }
}

impl LoraConfig {
    /// Factor of `A B`.
    pub fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.rslora { rank.sqrt() } else { rank }
    }

    /// Faults that show without a model, by path relative to this section.
    pub fn validate(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        errors.check(self.rank > 0, "rank", || "0, expected at least 1".into());
        errors.check(self.alpha.is_finite() && self.alpha > 0.0, "alpha", || {
            format!("{}, expected a finite number above 0", self.alpha)
        });
        errors.check(!self.target_modules.is_empty(), "target_modules", || {
            format!("empty, expected `{ALL_LINEAR}` or names of linear layers")
        });
        errors
    }

    /// Names in `target_modules` that no linear layer of a model of `family` has.
    pub fn validate_targets(&self, family: Family) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        let known = family.linear_names();
        for (index, target) in self.target_modules.iter().enumerate() {
            let is_known = target == ALL_LINEAR || known.iter().any(|name| names(target, name));
            errors.check(is_known, format!("target_modules[{index}]"), || {
                let short: Vec<&str> = known.iter().map(|name| last_part(name)).collect();
                let choices = known.iter().chain(&short).copied();
                let hint = nearest(target, choices.chain([ALL_LINEAR])).map(|near| format!(", did you mean `{near}`?"));
                format!(
                    "`{target}` is no linear layer of a {} model, expected `{ALL_LINEAR}` or some of {}{}",
                    family.model_type(),
                    known.join(", "),
                    hint.unwrap_or_default()
                )
            });
        }
        errors
    }

    /// True if the layer that a checkpoint calls `module` gets an adapter.
    pub(crate) fn targets(&self, module: &str) -> bool {
        let mut targets = self.target_modules.iter();
        targets.any(|target| target == ALL_LINEAR || names(target, module))
    }
}

/// True if a target means the layer `module`, as PEFT decides it: by the whole name or by its last parts.
fn names(target: &str, module: &str) -> bool {
    let before = module.strip_suffix(target);
    before.is_some_and(|before| !target.is_empty() && (before.is_empty() || before.ends_with('.')))
}

/// The name of a layer within the part of the block that it belongs to.
pub(super) fn last_part(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, last)| last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_targets(targets: &[&str]) -> LoraConfig {
        LoraConfig {
            target_modules: targets.iter().map(|&target| target.to_owned()).collect(),
            ..LoraConfig::default()
        }
    }

    #[test]
    fn a_layer_is_meant_by_its_last_parts_and_by_no_part_of_a_word() {
        for (target, meant) in [
            ("c_proj", true),
            ("attn.c_proj", true),
            ("all-linear", true),
            ("mlp.c_proj", false),
            ("proj", false),
            ("", false),
        ] {
            let config = with_targets(&[target]);
            assert_eq!(config.targets("transformer.h.0.attn.c_proj"), meant, "{target}");
        }
    }

    #[test]
    fn the_scale_is_alpha_over_rank_or_over_its_root() {
        let mut config = LoraConfig {
            rank: 16,
            alpha: 8.0,
            ..LoraConfig::default()
        };
        assert_eq!(config.scale(), 0.5);
        config.rslora = true;
        assert_eq!(config.scale(), 2.0);
    }

    #[test]
    fn faults_name_the_field_what_was_found_and_what_was_expected() {
        let faulty = LoraConfig {
            rank: 0,
            alpha: -1.0,
            target_modules: Vec::new(),
            rslora: false,
            base_weights: WeightPrecision::F32,
        };
        assert_eq!(
            faulty.validate().to_string(),
            "rank: 0, expected at least 1\nalpha: -1, expected a finite number above 0\n\
             target_modules: empty, expected `all-linear` or names of linear layers"
        );
    }

    #[test]
    fn a_name_that_no_layer_has_is_refused_with_the_nearest_that_one_has() {
        let said = |targets: &[&str], family| with_targets(targets).validate_targets(family).to_string();
        assert_eq!(
            said(&["v_proj", "q_prj"], Family::Llama),
            "target_modules[1]: `q_prj` is no linear layer of a llama model, expected `all-linear` or some of \
             self_attn.q_proj, self_attn.k_proj, self_attn.v_proj, self_attn.o_proj, mlp.gate_proj, mlp.up_proj, \
             mlp.down_proj, did you mean `q_proj`?"
        );
        // What another family calls its layers is near to nothing.
        let message = said(&["q_proj"], Family::GptNeox);
        assert!(
            message.contains("attention.query_key_value") && !message.contains("did you mean"),
            "{message}"
        );
        assert!(
            with_targets(&["c_attn", "mlp.c_proj"])
                .validate_targets(Family::Gpt2)
                .is_empty()
        );
    }
}
