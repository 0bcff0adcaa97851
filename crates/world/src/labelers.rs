//! Simulated labelers: the judge's verdict seen through leanings and noise.

use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rlhf_data::Prompt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agreement::{Ballot, agreement};
use crate::error::{Error, Result};
use crate::judge::{GoldJudge, Verdict, weights};
use crate::phrases::WARM;
use crate::seed::{hash, normal, stream};

/// An order of completions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// The rank of each completion: 0 is best, equal ranks are ties.
    pub ranks: Vec<u32>,
    /// How sure the labeler is, in 0..=1.
    pub confidence: f64,
}

/// Somebody who puts completions in order.
pub trait Labeler {
    /// The name under which rankings are filed.
    fn id(&self) -> &str;

    /// Ranks the completions of a prompt.
    fn rank(&self, prompt: &Prompt, completions: &[String]) -> Result<Ranking>;
}

/// How many labelers there are and how far they agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LabelerConfig {
    /// Labelers whose rankings train the reward model.
    pub training: usize,
    /// Labelers whose rankings only measure it (InstructGPT, section 5).
    pub held_out: usize,
    /// Share of pairs in which two training labelers agree, ties left out (InstructGPT, section 3.4: 72.6 %).
    pub agreement: f64,
    /// How far labelers differ in what they value, as a share of the judge's weights.
    pub spread: f64,
    /// Grades that labelers give; answers of nearly the same grade are ties (InstructGPT, section 3.4: overall quality from 1
    /// to 7).
    pub grades: usize,
}

impl Default for LabelerConfig {
    fn default() -> Self {
        Self {
            training: 10,
            held_out: 4,
            agreement: 0.73,
            spread: 0.35,
            grades: 7,
        }
    }
}

impl LabelerConfig {
    /// Reports every value out of range, by path.
    pub fn validate(&self) -> Result<()> {
        let mut faults = Vec::new();
        if self.training == 0 {
            faults.push("labelers.training: at least one labeler is needed".to_owned());
        }
        if self.training + self.held_out < 2 {
            faults.push("labelers.held_out: agreement needs at least two labelers in all".to_owned());
        }
        if !(0.55..=0.95).contains(&self.agreement) {
            faults.push(format!(
                "labelers.agreement: {} is not between 0.55 and 0.95",
                self.agreement
            ));
        }
        if self.grades < 2 {
            faults.push(format!("labelers.grades: {} is not at least 2", self.grades));
        }
        if !(0.0..=1.0).contains(&self.spread) {
            faults.push(format!("labelers.spread: {} is not between 0 and 1", self.spread));
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Error::Config { faults })
        }
    }
}

/// What a labeler likes beyond the guidelines, in gold per full effect.
#[derive(Clone, Copy, Debug)]
struct Leanings {
    /// Towards longer answers.
    length: f64,
    /// Towards friendly words.
    politeness: f64,
    /// Towards exclamation marks.
    liveliness: f64,
}

/// A labeler with weights, leanings and mistakes of its own.
///
/// Labelers err about what an answer is worth, not about whether two answers say the same: answers to a prompt that
/// deserve the same grade for being helpful and honest are misjudged together, so that equals are told apart by how
/// they are written, or not at all, and become ties. A mistake depends on nothing but the seed, the labeler, the prompt
/// and the grade, so a labeler asked twice says the same.
#[derive(Clone, Debug)]
pub struct SimulatedLabeler {
    id: String,
    seed: u64,
    judge: Arc<dyn GoldJudge>,
    /// Weights of helpful, honest, harmless and style.
    weights: [f64; 4],
    leanings: Leanings,
    /// How far this labeler errs among the others; mean 1.
    unrest: f64,
    /// Standard deviation of the mistakes of a labeler of unrest 1, in gold.
    noise: f64,
    /// From one grade to the next, in gold.
    grade: f64,
    /// Answers closer than this, half a grade to a grade, are ties.
    tie: f64,
}

/// Standard deviation of mistakes before calibration; near what calibration finds.
const NOISE: f64 = 0.4;
/// Standard deviation of a labeler's mood, which differs from answer to answer, in gold.
const MOOD: f64 = 0.02;

impl SimulatedLabeler {
    fn new(rng: &mut ChaCha8Rng, id: String, seed: u64, judge: Arc<dyn GoldJudge>, config: &LabelerConfig) -> Self {
        let spread = config.spread;
        let standard = [weights::HELPFUL, weights::HONEST, weights::HARMLESS, weights::STYLE];
        let weights = standard.map(|w| w * (1.0 + rng.random_range(-spread..=spread)));
        let leanings = Leanings {
            length: 0.12 * rng.random_range(-spread..=spread),
            politeness: 0.12 * rng.random_range(-spread..=spread),
            liveliness: 0.06 * rng.random_range(-spread..=spread),
        };
        let unrest = rng.random_range(0.7..1.3);
        let grade = 1.0 / (config.grades - 1) as f64;
        let tie = rng.random_range(0.5..1.0) * grade;
        Self {
            id,
            seed,
            judge,
            weights,
            leanings,
            unrest,
            noise: NOISE,
            grade,
            tie,
        }
    }

    /// What the answer is worth to this labeler on a quiet day.
    fn opinion(&self, verdict: &Verdict, completion: &str) -> f64 {
        let standard = [weights::HELPFUL, weights::HONEST, weights::HARMLESS, weights::STYLE];
        let seen = [verdict.helpful, verdict.honest, verdict.harmless, verdict.style];
        let own: f64 = (0..4).map(|i| (self.weights[i] - standard[i]) * seen[i]).sum();
        let words = completion.split_whitespace().count() as f64;
        let lower = completion.to_lowercase();
        let polite = WARM.iter().any(|phrase| lower.contains(phrase));
        let lively = completion.contains('!');
        verdict.gold
            + own
            + self.leanings.length * ((words - 18.0) / 18.0).tanh()
            + self.leanings.politeness * f64::from(u8::from(polite))
            + self.leanings.liveliness * f64::from(u8::from(lively))
    }

    /// How far the labeler misjudges what this answer says, with standard deviation 1.
    fn mistake(&self, prompt: &Prompt, verdict: &Verdict) -> f64 {
        normal(&[
            &self.seed.to_string(),
            &self.id,
            &prompt.id,
            "grade",
            &self.deserved_grade(verdict).to_string(),
        ])
    }

    /// The grade that an answer deserves for being helpful and honest, from 1.
    fn deserved_grade(&self, verdict: &Verdict) -> u32 {
        let content = weights::HELPFUL * verdict.helpful + weights::HONEST * verdict.honest;
        let share = content / (weights::HELPFUL + weights::HONEST);
        1 + (share.clamp(0.0, 1.0) / self.grade).round() as u32
    }

    /// The labeler's mood on reading this answer, with standard deviation 1.
    fn mood(&self, prompt: &Prompt, completion: &str) -> f64 {
        let answer = hash(&[completion]).to_string();
        normal(&[&self.seed.to_string(), &self.id, &prompt.id, &answer])
    }

    /// Ranks completions that have been judged already; saves judging them once for each labeler.
    pub fn rank_judged(&self, prompt: &Prompt, completions: &[String], verdicts: &[Verdict]) -> Result<Ranking> {
        if completions.len() < 2 {
            return Err(Error::TooFew {
                id: prompt.id.clone(),
                found: completions.len(),
            });
        }
        if verdicts.len() != completions.len() {
            let (expected, found) = (completions.len(), verdicts.len());
            return Err(Error::RankingLength {
                id: prompt.id.clone(),
                expected,
                found,
            });
        }
        let worth: Vec<f64> = completions
            .iter()
            .zip(verdicts)
            .map(|(text, verdict)| {
                self.opinion(verdict, text)
                    + self.noise * self.unrest * self.mistake(prompt, verdict)
                    + MOOD * self.mood(prompt, text)
            })
            .collect();
        Ok(Ranking {
            ranks: ranks(&worth, self.tie),
            confidence: confidence(&worth, self.noise * self.unrest),
        })
    }
}

impl Labeler for SimulatedLabeler {
    fn id(&self) -> &str {
        &self.id
    }

    fn rank(&self, prompt: &Prompt, completions: &[String]) -> Result<Ranking> {
        let verdicts: Vec<Verdict> = completions
            .iter()
            .map(|text| self.judge.assess(prompt, text))
            .collect::<Result<_>>()?;
        self.rank_judged(prompt, completions, &verdicts)
    }
}

/// Ranks from best to worst; an answer within `tie` of the best of its group shares the group's rank.
fn ranks(worth: &[f64], tie: f64) -> Vec<u32> {
    let mut order: Vec<usize> = (0..worth.len()).collect();
    order.sort_by(|a, b| worth[*b].total_cmp(&worth[*a]).then(a.cmp(b)));
    let mut ranks = vec![0; worth.len()];
    let mut rank = 0;
    let mut leader = order.first().copied();
    for &i in &order {
        if leader.is_some_and(|l| worth[l] - worth[i] > tie) {
            rank += 1;
            leader = Some(i);
        }
        ranks[i] = rank;
    }
    ranks
}

/// Mean chance, over pairs, that the order would be the same on another day.
fn confidence(worth: &[f64], noise: f64) -> f64 {
    let mut sum = 0.0;
    let mut pairs = 0.0;
    for i in 0..worth.len() {
        for j in 0..i {
            // The difference of two noises has sqrt(2) times the deviation; the logistic curve of slope 1.702 is
            // within 0.01 of the normal distribution's.
            let z = (worth[i] - worth[j]).abs() / (noise.max(1e-6) * std::f64::consts::SQRT_2);
            sum += 1.0 / (1.0 + (-1.702 * z).exp());
            pairs += 1.0;
        }
    }
    if pairs > 0.0 { sum / pairs } else { 0.5 }
}

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
        self.all().next().map_or(NOISE, |labeler| labeler.noise)
    }

    fn set_noise(&mut self, noise: f64) {
        for labeler in self.training.iter_mut().chain(&mut self.held_out) {
            labeler.noise = noise;
        }
    }

    /// Sets the noise so that two training labelers agree in the wanted share of pairs that neither calls a tie, on these
    /// completions (all labelers, where only one trains); gives the agreement reached. Where that share is out of reach the noise is left as near as it gets.
    pub fn calibrate(&mut self, samples: &[(Prompt, Vec<String>)], target_agreement: f64) -> Result<f64> {
        let Some(judge) = self.all().next().map(|labeler| Arc::clone(&labeler.judge)) else {
            return Err(Error::Unreachable {
                target: target_agreement,
                quiet: 0.0,
                loud: 0.0,
            });
        };
        let verdicts: Vec<Vec<Verdict>> = samples
            .iter()
            .map(|(prompt, texts)| texts.iter().map(|text| judge.assess(prompt, text)).collect())
            .collect::<Result<_>>()?;
        // A single labeler agrees with nobody.
        fn others(pool: &LabelerPool) -> &[SimulatedLabeler] {
            match pool.training.len() {
                0 | 1 => &pool.held_out,
                _ => &[],
            }
        }
        let measure = |pool: &mut Self, noise: f64| -> Result<f64> {
            pool.set_noise(noise);
            let mut ballots = Vec::with_capacity(samples.len());
            for ((prompt, texts), verdicts) in samples.iter().zip(&verdicts) {
                let ballot: Ballot = pool
                    .training()
                    .iter()
                    .chain(others(pool))
                    .map(|labeler| {
                        labeler
                            .rank_judged(prompt, texts, verdicts)
                            .map(|ranking| ranking.ranks)
                    })
                    .collect::<Result<_>>()?;
                ballots.push(ballot);
            }
            Ok(agreement(&ballots, 0).value)
        };
        let (mut low, mut high) = (0.0, 4.0);
        let (quiet, loud) = (measure(self, low)?, measure(self, high)?);
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
        // Agreement falls as noise grows; 24 halvings of [0, 4] leave nothing to gain.
        for _ in 0..24 {
            let middle = 0.5 * (low + high);
            let reached = measure(self, middle)?;
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_count_groups_and_share_them_within_the_tie() {
        assert_eq!(ranks(&[0.1, 0.9, 0.5, 0.49], 0.02), [2, 0, 1, 1]);
        // 0.50, 0.49 and 0.48: the last is a tie with the second but not with the first, who leads the group.
        assert_eq!(ranks(&[0.50, 0.49, 0.48], 0.015), [0, 0, 1]);
    }

    #[test]
    fn confidence_is_a_half_for_equals_and_nearly_one_for_opposites() {
        assert!((confidence(&[0.4, 0.4], 0.1) - 0.5).abs() < 1e-12);
        assert!(confidence(&[0.0, 1.0], 0.1) > 0.99);
    }
}
