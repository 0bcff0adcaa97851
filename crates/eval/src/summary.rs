//! Figures of the comparison of models.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use rlhf_core::stats::{Interval, bootstrap_mean, mean, wilson, win_rate};
use rlhf_data::Prompt;
use rlhf_tasks::Verdict;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exam::{Answers, Exam};
use crate::preference::{Outcomes, PreferenceMatrix};
use crate::second::SecondOpinion;

/// The model that the others were trained from, in a [`Summary`].
pub const BASE: &str = "base";
/// The SFT model, with which the others are compared.
pub const SFT: &str = "sft";
/// The best of n answers of the SFT model.
pub const BEST_OF_N: &str = "best_of_n";
/// The policy that PPO ends with.
pub const PPO: &str = "ppo";
/// The average of its weights.
pub const PPO_EMA: &str = "ppo_ema";

/// Figures of all models, written as `summary.json`. Displayed, it is a table in Markdown and what is known of the reward model
/// and the labelers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// Held-out prompts.
    pub prompts: usize,
    /// Figures by model: [`BASE`], [`SFT`], [`BEST_OF_N`], [`PPO`], and [`PPO_EMA`] where there is one.
    #[serde(flatten)]
    pub models: BTreeMap<String, ModelSummary>,
    /// Every two of the models and their ratings, by the judge of the task and by the reward model, as far as they are there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matrices: Vec<PreferenceMatrix>,
    /// The n of best-of-n; 0 where nothing was chosen.
    pub best_of_n_samples: usize,
    /// Report of the reward model; null where there is none.
    pub reward: Value,
    /// Report of the labelers; null where nobody ranked.
    pub labeler_agreement: Value,
}

/// Figures of one model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelSummary {
    /// Mean verdict of the noise-free judge, with a bootstrap interval.
    pub mean_gold: Option<Interval>,
    /// Mean score of the reward model, if there is one.
    pub mean_score: Option<f64>,
    /// Share of prompts on which its answer beats the SFT model's: by the judge, or by score where there is none. The same answer
    /// is a draw.
    pub win_rate_vs_sft: Option<Interval>,
    /// The same by score, where there is a judge too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub win_rate_by_score: Option<Interval>,
    /// Mean summed log-ratio to the SFT model, in nats; for best-of-n at most ln n - (n-1)/n, which stands here. Nothing where the answers
    /// were drawn through filters, with a penalty or greedily.
    pub kl_to_sft: Option<f64>,
    /// Share of answers that end with EOS.
    pub eos_fraction: f64,
    /// Mean tokens of an answer.
    pub mean_length: f64,
    /// e to the mean negative log-probability of held-out pretraining text, if there is any.
    pub pretrain_perplexity: Option<f64>,
    /// Share of answers with something untrue, among those that can be checked.
    pub untrue: Option<Interval>,
    /// Mean gold by kind of task.
    pub gold_by_kind: BTreeMap<String, f64>,
    /// Gold, and score, beside those of the base model on the same prompts, by group: [`ALL_PROMPTS`], and the groups that tasks
    /// name.
    #[serde(default)]
    pub gains: BTreeMap<String, Gain>,
    /// What second judges say, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub second: BTreeMap<String, SecondOpinion>,
}

/// The group of all prompts in [`ModelSummary::gains`].
pub const ALL_PROMPTS: &str = "all prompts";

/// The figures of two models on the same prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// Prompts.
    pub prompts: usize,
    /// Mean gold of the model, if there is a judge.
    pub gold: Option<f64>,
    /// Mean of the differences in gold, with the interval of a bootstrap over prompts.
    pub gold_gain: Option<Interval>,
    /// Mean of the differences in score, with the interval of a bootstrap over prompts.
    pub score_gain: Option<Interval>,
}

impl Exam<'_> {
    /// The figures of one model beside those of the reference.
    pub fn summarise(&self, answers: &Answers, of_reference: &Answers) -> ModelSummary {
        let by_judge = answers.gold().zip(of_reference.gold());
        let by_score = answers.scores.as_ref().zip(of_reference.scores.as_ref());
        let rate = |own: &[f64], theirs: &[f64]| {
            let outcome = |row: usize| {
                if answers.texts[row] == of_reference.texts[row] {
                    Ordering::Equal
                } else {
                    own[row].total_cmp(&theirs[row])
                }
            };
            win_rate(&(0..own.len()).map(outcome).collect::<Vec<_>>())
        };
        let by_judge = by_judge.map(|(own, theirs)| rate(&own, &theirs));
        let by_score = by_score.map(|(own, theirs)| rate(own, theirs));
        let completions = &answers.completions;
        let count = completions.len().max(1) as f64;
        ModelSummary {
            mean_gold: answers.gold().map(|gold| bootstrap_mean(&gold, self.seed)),
            mean_score: answers.scores.as_deref().map(mean),
            win_rate_by_score: by_score.filter(|_| by_judge.is_some()),
            win_rate_vs_sft: by_judge.or(by_score),
            kl_to_sft: answers.kl,
            eos_fraction: completions.iter().filter(|c| c.finished).count() as f64 / count,
            mean_length: completions.iter().map(|c| c.tokens.len()).sum::<usize>() as f64 / count,
            pretrain_perplexity: answers.perplexity,
            untrue: answers.verdicts.as_deref().and_then(untrue_share),
            gold_by_kind: gold_by_kind(self.prompts, answers.verdicts.as_deref().unwrap_or_default()),
            gains: BTreeMap::new(),
            second: BTreeMap::new(),
        }
    }

    /// Every two of the named models by the judge of the task, and by the reward model, if they are there.
    pub fn matrices(&self, models: &[(&str, &Answers)]) -> Vec<PreferenceMatrix> {
        let names: Vec<String> = models.iter().map(|(name, _)| (*name).to_owned()).collect();
        let texts: Vec<Vec<String>> = models.iter().map(|(_, answers)| answers.texts.clone()).collect();
        let lengths = |texts: &Vec<String>| texts.iter().map(|text| text.chars().count()).collect();
        let lengths: Vec<Vec<usize>> = texts.iter().map(lengths).collect();
        let by = |judge: &str, scores: &dyn Fn(&Answers) -> Option<Vec<f64>>| {
            let of_all = models
                .iter()
                .map(|(_, answers)| Some(scores(answers)?.into_iter().map(Some).collect()));
            let outcomes = Outcomes::of_scores(&of_all.collect::<Option<Vec<_>>>()?, &texts);
            Some(PreferenceMatrix::new(
                judge,
                &names,
                &outcomes,
                Some(&lengths),
                self.seed,
            ))
        };
        let found = [
            by("the judge of the task", &Answers::gold),
            by("the reward model of the run", &|answers| answers.scores.clone()),
        ];
        found.into_iter().flatten().collect()
    }

    /// What the second judges say of a model's answers beside those of the base and of the SFT model.
    pub fn opinions(&self, answers: &Answers, base: &Answers, sft: &Answers) -> BTreeMap<String, SecondOpinion> {
        let opinion = |(name, _): &(String, _)| {
            let found = SecondOpinion::new(name, answers, base, sft, self.seed)?;
            Some((name.clone(), found))
        };
        self.second.iter().filter_map(opinion).collect()
    }

    /// Gold and score of a model beside those of `others` on the same prompts, by group.
    pub fn gains(&self, answers: &Answers, others: &Answers) -> BTreeMap<String, Gain> {
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (row, prompt) in self.prompts.iter().enumerate() {
            groups.entry(ALL_PROMPTS.to_owned()).or_default().push(row);
            if let Some(group) = prompt.task.as_ref().and_then(|task| task["group"].as_str()) {
                groups.entry(group.to_owned()).or_default().push(row);
            }
        }
        let of = |rows: &[usize], own: Option<Vec<f64>>, theirs: Option<Vec<f64>>| {
            let (own, theirs) = own.zip(theirs)?;
            let differences: Vec<f64> = rows.iter().map(|&row| own[row] - theirs[row]).collect();
            Some(bootstrap_mean(&differences, self.seed))
        };
        let gain = |rows: &[usize]| Gain {
            prompts: rows.len(),
            gold: answers
                .gold()
                .map(|gold| mean(&rows.iter().map(|&row| gold[row]).collect::<Vec<f64>>())),
            gold_gain: of(rows, answers.gold(), others.gold()),
            score_gain: of(rows, answers.scores.clone(), others.scores.clone()),
        };
        groups.into_iter().map(|(group, rows)| (group, gain(&rows))).collect()
    }
}

/// Share of answers with something untrue among those that can be checked, if any can.
pub fn untrue_share(verdicts: &[Verdict]) -> Option<Interval> {
    let checkable = verdicts.iter().filter(|v| v.checkable).count();
    let untrue = verdicts.iter().filter(|v| v.checkable && v.untrue).count();
    (checkable > 0).then(|| wilson(untrue as f64, checkable))
}

/// Mean gold score of the answers to the prompts of each kind; `other` where a prompt names none.
pub fn gold_by_kind(prompts: &[Prompt], verdicts: &[Verdict]) -> BTreeMap<String, f64> {
    let mut kinds: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (prompt, verdict) in prompts.iter().zip(verdicts) {
        let kind = prompt.task.as_ref().and_then(|task| task["kind"].as_str());
        let kind = kind.unwrap_or("other").to_owned();
        kinds.entry(kind).or_default().push(verdict.gold);
    }
    kinds.into_iter().map(|(kind, gold)| (kind, mean(&gold))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdict(gold: f64, checkable: bool, untrue: bool) -> Verdict {
        Verdict {
            gold,
            checkable,
            untrue,
            ..Verdict::NOTHING
        }
    }

    #[test]
    fn untrue_is_a_share_of_what_can_be_checked() {
        let verdicts = [
            verdict(0.0, true, true),
            verdict(0.0, true, false),
            // Nobody can check it, so nobody counts it.
            verdict(0.0, false, true),
        ];
        let share = untrue_share(&verdicts).unwrap();
        assert_eq!((share.value, share.n), (0.5, 2));
        assert!(untrue_share(&verdicts[2..]).is_none());
    }

    #[test]
    fn gold_is_a_mean_over_the_prompts_of_each_kind() {
        let prompt = |kind: Option<&str>| Prompt {
            id: String::new(),
            messages: Vec::new(),
            task: kind.map(|kind| json!({ "kind": kind })),
            origin: Default::default(),
        };
        let prompts = [prompt(Some("list")), prompt(None), prompt(Some("list"))];
        let verdicts = [0.25, 0.5, 0.75].map(|gold| verdict(gold, false, false));
        let found = gold_by_kind(&prompts, &verdicts);
        assert_eq!(found, [("list".to_owned(), 0.5), ("other".to_owned(), 0.5)].into());
    }
}
