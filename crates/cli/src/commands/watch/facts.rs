//! What a run's folder says beside its rows: which stages are done, when a row last came, how many updates there will be.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use rlhf_curves::{Curves, METRICS_FILE, StageCurves};
use rlhf_pipeline::STAGES;

/// Rows whose times say how fast a stage goes now.
const RECENT: usize = 20;
/// What a stage's rows name the seconds of a step: those of training in one, those of PPO in two.
const SECONDS: [&str; 3] = ["time/step_s", "time/rollout_s", "time/update_s"];

/// What is known of each stage that has rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) stages: BTreeMap<String, StageFacts>,
}

/// What is known of a stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StageFacts {
    /// True if it is finished.
    pub(super) is_done: bool,
    /// Seconds since its rows last grew.
    pub(super) silent_s: Option<f64>,
    /// Steps that it will have made at its end, where the configuration says it.
    pub(super) total: Option<u64>,
    /// Seconds of a step, of late.
    pub(super) step_s: Option<f64>,
}

impl Facts {
    pub(super) fn read(run: &Path, curves: &Curves) -> Self {
        let config = std::fs::read_to_string(run.join("config.toml")).ok();
        let config = config
            .and_then(|text| text.parse::<toml::Table>().ok())
            .unwrap_or_default();
        let stage = |(name, stage): (&String, &StageCurves)| {
            let dir = run.join(name);
            let facts = StageFacts {
                is_done: dir.join("complete.json").is_file(),
                silent_s: silent_for(&dir.join(METRICS_FILE)),
                total: (name == "ppo").then(|| updates(&config)).flatten(),
                step_s: seconds_of_a_step(stage),
            };
            (name.clone(), facts)
        };
        Self {
            stages: curves.stages.iter().map(stage).collect(),
        }
    }
}

impl StageFacts {
    /// Seconds until it is done, of a stage that has made so many steps.
    pub(super) fn left_s(&self, step: u64) -> Option<f64> {
        Some(self.total?.saturating_sub(step) as f64 * self.step_s?)
    }
}

fn silent_for(path: &Path) -> Option<f64> {
    let written = path.metadata().ok()?.modified().ok()?;
    let silent = SystemTime::now().duration_since(written).unwrap_or_default();
    Some(silent.as_secs_f64())
}

/// Updates of PPO by the run's own configuration.
fn updates(config: &toml::Table) -> Option<u64> {
    let ppo = config.get("ppo")?;
    let number = |name: &str| ppo.get(name)?.as_integer().filter(|&number| number > 0);
    Some((number("episodes")? / number("batch_size")?) as u64)
}

fn seconds_of_a_step(stage: &StageCurves) -> Option<f64> {
    let recent = |metric: &&str| {
        let values: Vec<f64> = stage
            .series
            .get(*metric)?
            .finite()
            .rev()
            .take(RECENT)
            .map(|point| point.1)
            .collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    SECONDS.iter().filter_map(recent).reduce(|sum, seconds| sum + seconds)
}

/// Stages in the order of the recipe, others behind them by name.
pub(super) fn in_order(curves: &Curves) -> Vec<String> {
    let place = |name: &String| STAGES.iter().position(|stage| stage.name() == name);
    let mut names: Vec<String> = curves.stages.keys().cloned().collect();
    names.sort_by_key(|name| (place(name).unwrap_or(STAGES.len()), name.clone()));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn run() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (stage, rows) in [
            (
                "sft",
                "{\"step\":1,\"time/step_s\":2}\n{\"step\":2,\"time/step_s\":4}\n",
            ),
            ("ppo", "{\"step\":4,\"time/rollout_s\":6,\"time/update_s\":4}\n"),
            ("another", "{\"step\":4,\"x\":6}\n"),
        ] {
            fs::create_dir(dir.path().join(stage)).unwrap();
            fs::write(dir.path().join(stage).join(METRICS_FILE), rows).unwrap();
        }
        fs::write(dir.path().join("sft/complete.json"), "{}").unwrap();
        dir
    }

    #[test]
    fn progress_and_pace_come_from_the_folder() {
        let dir = run();
        fs::write(
            dir.path().join("config.toml"),
            "[ppo]\nepisodes = 100\nbatch_size = 16\n",
        )
        .unwrap();
        let curves = Curves::read(dir.path()).unwrap();
        let facts = Facts::read(dir.path(), &curves);
        let (sft, ppo, other) = (&facts.stages["sft"], &facts.stages["ppo"], &facts.stages["another"]);
        assert_eq!((sft.is_done, sft.step_s, sft.total), (true, Some(3.0), None));
        // Six updates of sixteen episodes; two are left, of ten seconds each.
        assert_eq!((ppo.is_done, ppo.step_s, ppo.total), (false, Some(10.0), Some(6)));
        assert_eq!((ppo.left_s(4), ppo.left_s(9)), (Some(20.0), Some(0.0)));
        assert_eq!((other.step_s, other.left_s(1)), (None, None));
        assert!(ppo.silent_s.unwrap() < 600.0);
        assert_eq!(in_order(&curves), ["sft", "ppo", "another"]);
    }

    #[test]
    fn a_configuration_that_says_nothing_is_no_fault() {
        let dir = run();
        for config in ["", "[ppo]\nepisodes = 0\nbatch_size = 0\n", "no toml", "ppo = 3"] {
            fs::write(dir.path().join("config.toml"), config).unwrap();
            let curves = Curves::read(dir.path()).unwrap();
            assert_eq!(Facts::read(dir.path(), &curves).stages["ppo"].total, None, "{config}");
        }
    }
}
