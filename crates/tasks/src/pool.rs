//! All simulated labelers of a run, and the noise at which they agree as people do.

use std::sync::Arc;

use rlhf_data::Prompt;

use crate::agreement::{Ballot, agreement};
use crate::config::LabelerConfig;
use crate::error::{Error, Result};
use crate::judge::{GoldJudge, Verdict};
use crate::seed::stream;
use crate::simulated::{NOISE, SimulatedLabeler};

/// The strongest noise that calibration tries, in gold.
const LOUDEST: f64 = 4.0;
/// Halvings of the range of noise; so many leave nothing to gain.
const HALVINGS: usize = 24;

/// All simulated labelers: those that train, and those held out.
#[derive(Clone, Debug)]
pub struct LabelerPool {
    training: Vec<SimulatedLabeler>,
    held_out: Vec<SimulatedLabeler>,
}

impl LabelerPool {
    /// The labelers of a seed.
    pub fn new(seed: u64, judge: Arc<dyn GoldJudge>, config: &LabelerConfig) -> Self {
        let group = |name: &str, count: usize| -> Vec<SimulatedLabeler> {
            (0..count)
                .map(|i| {
                    let id = format!("{name}-{i:02}");
                    let mut rng = stream(seed, &id, 0);
                    SimulatedLabeler::new(&mut rng, id, seed, Arc::clone(&judge), config)
                })
                .collect()
        };
        Self {
            training: group("labeler", config.training),
            held_out: group("held-out-labeler", config.held_out),
        }
    }

    /// Labelers whose rankings may train.
    pub fn training(&self) -> &[SimulatedLabeler] {
        &self.training
    }

    /// Labelers whose rankings only measure.
    pub fn held_out(&self) -> &[SimulatedLabeler] {
        &self.held_out
    }

    /// Every labeler.
    pub fn all(&self) -> impl Iterator<Item = &SimulatedLabeler> {
        self.training.iter().chain(&self.held_out)
    }

    /// Standard deviation of the noise of an average labeler, in gold.
    pub fn noise(&self) -> f64 {
        self.all().next().map_or(NOISE, SimulatedLabeler::noise)
    }

    fn set_noise(&mut self, noise: f64) {
        for labeler in self.training.iter_mut().chain(&mut self.held_out) {
            labeler.set_noise(noise);
        }
    }

    /// Sets the noise so that two training labelers agree in the wanted share of pairs that neither calls a tie, on these
    /// completions (all labelers, where only one trains); gives the agreement reached. Where that share is out of reach
    /// the noise is left as near as it gets.
    ///
    /// # Errors
    /// [`Error::Unreachable`] where no noise gives that agreement, [`Error::NothingOrdered`] where even labelers without
    /// noise call all answers equal, and what the judge says of samples that it cannot judge.
    pub fn calibrate(&mut self, samples: &[(Prompt, Vec<String>)], target_agreement: f64) -> Result<f64> {
        let Some(judge) = self.all().next().map(|labeler| Arc::clone(labeler.judge())) else {
            return Err(Error::Unreachable {
                target: target_agreement,
                quiet: 0.0,
                loud: 0.0,
            });
        };
        let verdicts: Vec<Vec<Verdict>> = samples
            .iter()
            .map(|(prompt, texts)| judge.assess_completions(prompt, texts))
            .collect::<Result<_>>()?;
        let (mut low, mut high) = (0.0, LOUDEST);
        let quiet = self.agreement_at(low, samples, &verdicts)?;
        let loud = self.agreement_at(high, samples, &verdicts)?;
        if quiet.is_nan() {
            return Err(Error::NothingOrdered { prompts: samples.len() });
        }
        if !(loud..=quiet).contains(&target_agreement) {
            self.set_noise(if target_agreement > quiet { low } else { high });
            return Err(Error::Unreachable {
                target: target_agreement,
                quiet,
                loud,
            });
        }
        let mut best = (f64::INFINITY, 0.0, quiet);
        // Agreement falls as noise grows.
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            let reached = self.agreement_at(middle, samples, &verdicts)?;
            let off = (reached - target_agreement).abs();
            if off < best.0 {
                best = (off, middle, reached);
            }
            if reached > target_agreement {
                low = middle;
            } else {
                high = middle;
            }
        }
        self.set_noise(best.1);
        Ok(best.2)
    }

    /// Agreement between training labelers at this noise (between all, where only one trains).
    fn agreement_at(
        &mut self,
        noise: f64,
        samples: &[(Prompt, Vec<String>)],
        verdicts: &[Vec<Verdict>],
    ) -> Result<f64> {
        self.set_noise(noise);
        // A single labeler agrees with nobody.
        let others = if self.training.len() < 2 {
            self.held_out.as_slice()
        } else {
            &[]
        };
        let mut ballots = Vec::with_capacity(samples.len());
        for ((prompt, texts), verdicts) in samples.iter().zip(verdicts) {
            let labelers = self.training.iter().chain(others);
            let ballot: Ballot = labelers
                .map(|labeler| Ok(labeler.rank_judged(prompt, texts, verdicts)?.ranks))
                .collect::<Result<_>>()?;
            ballots.push(ballot);
        }
        Ok(agreement(&ballots))
    }
}
