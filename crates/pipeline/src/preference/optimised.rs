//! Whether the judge is what one of the models was trained to please.

use std::path::Path;

use rlhf_hub::Want;
use serde_json::Value;

use super::answers::digests;
use super::{AnswersOf, Contestant, PreferenceJudge, PreferenceOptions};
use crate::config::RewardSource;
use crate::error::Result;
use crate::locations::Locations;
use crate::stages::WEIGHTS;

/// What a stage writes when it is complete, with the digests of what it read.
const MARK: &str = "complete.json";

/// A line for each model that was trained to please the judge, as far as its folder tells.
pub(super) fn warnings(options: &PreferenceOptions, locations: &Locations) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    match &options.judge {
        PreferenceJudge::Task(config) if config.ppo_reward.from == RewardSource::Judge => {
            warnings.push(
                "PPO of this configuration optimises the judge itself: its win rate says how far PPO went".to_owned(),
            );
        }
        PreferenceJudge::Reward(location) => {
            let judge = locations.model(location, Want::Model)?;
            let digest = digests(&judge)?.remove(WEIGHTS);
            for Contestant { name, source } in &options.contestants {
                let AnswersOf::Model(location) = source else { continue };
                let model = locations.model(location, Want::Model)?;
                if pleases(&model, &judge, digest.as_deref()) {
                    warnings.push(format!(
                        "{name} was trained to please the reward model that judges: its win rate says how far PPO went, not how good its answers are"
                    ));
                }
            }
        }
        _ => {}
    }
    Ok(warnings)
}

/// True if the folder of a model, or one around it, is that of a stage of PPO which read the judge's weights or lies beside them.
fn pleases(model: &Path, judge: &Path, digest: Option<&str>) -> bool {
    let around = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (model, judge) = (around(model), around(judge));
    let is_of_same_run = judge.parent().is_some_and(|run| model.starts_with(run.join("ppo")));
    let has_read = |folder: &Path| {
        let text = std::fs::read_to_string(folder.join(MARK)).ok()?;
        let inputs = serde_json::from_str::<Value>(&text).ok()?["inputs"].clone();
        let is_judge = |read: &Value| digest.is_some() && read.as_str() == digest;
        Some(inputs.as_object()?.values().any(is_judge))
    };
    // The model itself, an average of its weights, or one kept along the way.
    is_of_same_run
        || model
            .ancestors()
            .take(3)
            .any(|folder| has_read(folder).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_learnt_from_the_judge_is_known_by_its_run_or_by_the_digest() {
        let dir = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let (judge, copy) = (folder("run/reward"), folder("elsewhere/judge"));
        let (ppo, averaged, sft) = (folder("run/ppo"), folder("run/ppo/ema_model"), folder("run/sft"));
        std::fs::write(ppo.join(MARK), r#"{"inputs":{"reward/model.safetensors":"00ff"}}"#).unwrap();
        std::fs::write(sft.join(MARK), r#"{"inputs":{"pretrain/model.safetensors":"0a0a"}}"#).unwrap();
        assert!(pleases(&ppo, &judge, None) && pleases(&averaged, &judge, None));
        assert!(pleases(&ppo, &copy, Some("00ff")) && pleases(&averaged, &copy, Some("00ff")));
        assert!(!pleases(&ppo, &copy, Some("ff00")) && !pleases(&ppo, &copy, None));
        assert!(!pleases(&sft, &judge, Some("00ff")));
    }
}
