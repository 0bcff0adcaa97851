//! A simulated labeler: the judge's verdict seen through leanings and noise.

use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rlhf_data::Prompt;

use crate::config::LabelerConfig;
use crate::error::{Error, Result};
use crate::judge::{GoldJudge, Verdict, weights};
use crate::labeler::{Labeler, Ranking, check_comparable};
use crate::seed::{normal, stable_hash};

/// Word sequences by which a friendly answer is known, in small letters.
pub const FRIENDLY_PHRASES: &[&str] = &[
    "of course",
    "gladly",
    "happy to",
    "good question",
    "pleasure",
    "certainly",
    "glad",
    "can tell you",
    "know that one",
    "thank you",
    "easy to answer",
    "help you",
    "i hope",
    "ask me",
    "lovely",
    "let me know",
    "any time",
    "wish you",
    "anything else",
    "would you like",
    "feel free",
    "good luck",
    "shall i",
    "enjoy",
    "you will like",
    "welcome",
    "have fun",
    "safe journey",
    "take care",
    "be kind",
    "i am sure",
    "all the best",
    "good day",
    "i am sorry",
];

/// A labeler's likings beyond the guidelines, in gold per full effect.
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
    /// This labeler's mistakes relative to the others'; mean 1.
    unrest: f64,
    /// Standard deviation of the mistakes of a labeler of unrest 1, in gold.
    noise: f64,
    /// Step from one grade to the next, in gold.
    grade: f64,
    /// Answers closer than this, half a grade to a grade, are ties.
    tie: f64,
}

/// Standard deviation of mistakes before calibration; near what calibration finds.
pub(crate) const NOISE: f64 = 0.4;
/// Standard deviation of a labeler's mood, which differs from answer to answer, in gold.
const MOOD: f64 = 0.02;

impl SimulatedLabeler {
    pub(crate) fn new(
        rng: &mut ChaCha8Rng,
        id: String,
        seed: u64,
        judge: Arc<dyn GoldJudge>,
        config: &LabelerConfig,
    ) -> Self {
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

    /// The judge whose verdicts this labeler sees.
    pub(crate) fn judge(&self) -> &Arc<dyn GoldJudge> {
        &self.judge
    }

    /// Standard deviation of the mistakes of a labeler of unrest 1, in gold.
    pub(crate) fn noise(&self) -> f64 {
        self.noise
    }

    /// Sets the standard deviation of the mistakes of a labeler of unrest 1, in gold.
    pub(crate) fn set_noise(&mut self, noise: f64) {
        self.noise = noise;
    }

    /// The worth of the answer to this labeler on a quiet day.
    fn opinion(&self, verdict: &Verdict, completion: &str) -> f64 {
        let standard = [weights::HELPFUL, weights::HONEST, weights::HARMLESS, weights::STYLE];
        let seen = [verdict.helpful, verdict.honest, verdict.harmless, verdict.style];
        let own: f64 = (0..4).map(|i| (self.weights[i] - standard[i]) * seen[i]).sum();
        let words = completion.split_whitespace().count() as f64;
        let lower = completion.to_lowercase();
        let polite = FRIENDLY_PHRASES.iter().any(|phrase| lower.contains(phrase));
        let lively = completion.contains('!');
        verdict.gold
            + own
            + self.leanings.length * ((words - 18.0) / 18.0).tanh()
            + self.leanings.politeness * f64::from(u8::from(polite))
            + self.leanings.liveliness * f64::from(u8::from(lively))
    }

    /// The labeler's misjudgement of what this answer says, with standard deviation 1.
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
        let answer = stable_hash(&[completion]).to_string();
        normal(&[&self.seed.to_string(), &self.id, &prompt.id, &answer])
    }

    /// Ranks completions that have been judged already; saves judging them once for each labeler.
    ///
    /// # Errors
    /// Fewer than two completions, or another number of verdicts.
    pub fn rank_judged(&self, prompt: &Prompt, completions: &[String], verdicts: &[Verdict]) -> Result<Ranking> {
        check_comparable(prompt, completions)?;
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
        let verdicts = self.judge.assess_completions(prompt, completions)?;
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
