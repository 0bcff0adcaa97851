//! A run: a folder, a configuration, and the stages that are complete in it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use burn::tensor::Device;
use rlhf_core::hash::Fingerprint;
use rlhf_core::{Completion, RunDir, StageLock, parse_device};
use rlhf_eval::Summary;
use rlhf_report::REPORT;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::listener::{Listener, Silent};
use crate::locations::{Locations, RunLocations};
use crate::pace::pace;
use crate::settings::fingerprint_of;
use crate::stage::{Extent, Stage};
use crate::stages::{Eval, Overopt};
use crate::workspace::Workspace;

/// Options of a run; none changes a result.
#[derive(Clone)]
pub struct Options {
    /// Do a stage again from its start, whatever it began or finished earlier.
    pub overwrite: bool,
    /// Start a stage even if the memory forecast says that it cannot fit.
    pub ignore_memory: bool,
    /// Take what is named `hf://…` from the cache alone.
    pub offline: bool,
    /// The configuration as `RUN/config.toml` keeps it, if it is known where each value came from.
    pub resolved: Option<String>,
    /// Whom to tell.
    pub listener: Rc<dyn Listener>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            overwrite: false,
            ignore_memory: false,
            offline: false,
            resolved: None,
            listener: Rc::new(Silent),
        }
    }
}

/// End of a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// The stage was complete already, and nothing was done.
    pub was_complete: bool,
    /// Its findings, for people.
    pub findings: Option<String>,
}

/// A run of the recipe.
pub struct Run {
    dir: RunDir,
    config: Config,
    device: Device,
    options: Options,
    locations: RunLocations,
}

impl Run {
    /// Opens the folder of a run, made if missing.
    ///
    /// # Errors
    /// A configuration that cannot be, a device that this build has not, or a folder that cannot be made.
    pub fn open(dir: impl Into<PathBuf>, config: Config, options: Options) -> Result<Self> {
        config.validate().into_result()?;
        let device = parse_device(&config.device)?;
        let dir = RunDir::open(dir)?;
        let locations = Locations::new(options.offline, Rc::clone(&options.listener));
        let locations = RunLocations::open(locations, dir.path())?;
        Ok(Self {
            dir,
            config,
            device,
            options,
            locations,
        })
    }

    /// The folder.
    pub fn dir(&self) -> &RunDir {
        &self.dir
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn locations(&self) -> &RunLocations {
        &self.locations
    }

    pub(crate) fn listener(&self) -> &dyn Listener {
        self.options.listener.as_ref()
    }

    /// Runs a stage, goes on with it where it stopped, or finds that it is complete.
    ///
    /// # Errors
    /// An earlier stage that is missing, a stage that was finished with another configuration or is worked on by another
    /// process, or whatever ended this one.
    pub fn stage(&self, stage: &dyn Stage) -> Result<Finished> {
        let lock = self.dir.stage(stage.name()).lock()?;
        let work = Workspace::new(self, stage);
        let inputs = stage.inputs(&work)?.read()?;
        let fingerprint = fingerprint_of(stage, &self.config, &inputs)?;
        let extent = stage.extent(&self.config);
        let was_complete = self.is_complete(&work, &fingerprint, extent.as_ref(), &lock)?;
        if was_complete {
            work.note("complete already");
        } else {
            work.settle(inputs.clone(), fingerprint.clone());
            self.dir.write_config(&self.config_text()?)?;
            let started = Instant::now();
            work.start_meter();
            stage.run(&work)?;
            work.finish();
            let seconds = started.elapsed().as_secs_f64();
            work.dir().mark_complete(&Completion {
                fingerprint,
                seed: self.config.seed,
                inputs,
                versions: versions(),
                seconds: work.stop_meter().seconds,
                extent: extent.map(|extent| extent.asked),
            })?;
            // Before the ceiling is measured, which takes memory of its own.
            let memory = work.memory_taken();
            let pace = pace(&work.dir().metrics_path(), &self.device)?;
            let pace = pace.map_or_else(String::new, |pace| format!(": {pace}"));
            work.note(&format!("done in {seconds:.0} s{pace}{memory}"));
        }
        let ends_in_page = [Eval.name(), Overopt.name()].contains(&stage.name());
        if ends_in_page && !(was_complete && self.dir.path().join(REPORT).exists()) {
            self.write_report(&work);
        }
        Ok(Finished {
            was_complete,
            findings: stage.findings(&work)?,
        })
    }

    /// Comparison of the models of the finished run.
    ///
    /// # Errors
    /// [`Error::MissingStage`] before the last stage has ended.
    pub fn summary(&self) -> Result<Summary> {
        Eval.summary(&Workspace::new(self, &Eval))
    }

    /// Writes the run as one page. A run is not worse for having none.
    fn write_report(&self, work: &Workspace<'_>) {
        let page = self.dir.path().join(REPORT);
        match rlhf_report::write(&[self.dir.path()], &page) {
            Ok(_) => work.note(&format!("the run as a page: {}", page.display())),
            Err(error) => work.note(&format!("warning: the run has no page: {error}")),
        }
    }

    fn config_text(&self) -> Result<String> {
        Ok(match &self.options.resolved {
            Some(text) => text.clone(),
            None => toml::to_string(&self.config)?,
        })
    }

    /// The stage has ended, for these settings and inputs, as far from its start as it is asked to go. What it did before is
    /// removed if the user said so; otherwise what another configuration finished is left alone.
    fn is_complete(
        &self,
        work: &Workspace<'_>,
        fingerprint: &Fingerprint,
        extent: Option<&Extent>,
        lock: &StageLock,
    ) -> Result<bool> {
        let dir = work.dir();
        if self.options.overwrite {
            dir.clear(lock)?;
            return Ok(false);
        }
        let completion = dir.completion()?;
        if let Some(completion) = &completion
            && let Some(difference) = fingerprint.difference(&completion.fingerprint)
        {
            return Err(refusal(dir.path().to_owned(), difference, extent));
        }
        let Some(extent) = extent else {
            return Ok(completion.is_some());
        };
        let last_checkpoint =
            || Ok::<_, Error>(dir.checkpoints(self.config.checkpoints.keep)?.steps()?.last().copied());
        let done = match completion.as_ref().and_then(|completion| completion.extent) {
            Some(done) => Some(done),
            None => last_checkpoint()?,
        };
        match done {
            Some(done) if done > extent.asked => Err(Error::CannotShrink {
                path: dir.path().to_owned(),
                key: extent.key,
                unit: extent.unit,
                asked: extent.asked,
                done,
            }),
            Some(done) if done < extent.asked && completion.is_some() => {
                work.note(&format!("goes on from {done} to {} {}", extent.asked, extent.unit));
                // Half of what is coming must not look finished.
                dir.unmark(lock)?;
                Ok(false)
            }
            _ => Ok(completion.is_some()),
        }
    }
}

/// Why what was finished is not gone on with.
fn refusal(path: PathBuf, difference: rlhf_core::hash::Difference, extent: Option<&Extent>) -> Error {
    let rlhf_core::hash::Difference { field, expected, found } = difference;
    match extent {
        Some(Extent {
            key,
            obstacle: Some(obstacle),
            ..
        }) if field == *key => Error::CannotGrow {
            path,
            key,
            expected,
            found,
            obstacle,
        },
        _ => Error::OtherRun {
            path,
            field,
            expected,
            found,
        },
    }
}

/// Versions of this program and of what its numbers depend on.
pub(crate) fn versions() -> BTreeMap<String, String> {
    [
        ("rlhf", env!("CARGO_PKG_VERSION")),
        ("burn", "0.22.1"),
        ("tokenizers", "0.22"),
    ]
    .into_iter()
    .map(|(name, version)| (name.to_owned(), version.to_owned()))
    .collect()
}

#[cfg(test)]
mod tests {
    use crate::stages::STAGES;

    #[test]
    fn a_report_knows_every_stage() {
        assert_eq!(STAGES.map(crate::stage::Stage::name), rlhf_report::STAGES);
    }
}
