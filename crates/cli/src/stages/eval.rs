//! Base, SFT, best-of-n, PPO and its average on the same held-out prompts.

use std::collections::BTreeMap;
use std::sync::Arc;

use rlhf_core::stage::Progress;
use rlhf_core::stats::{Interval, bootstrap_mean, mean, wilson, win_rate};
use rlhf_data::{Prompt, TokenSequence, Tokenizer};
use rlhf_inference::{Completion, GenerateOptions, Generator};
use rlhf_model::{CausalLm, ScalarModel, load_causal_lm, load_scalar_model, sequence_logprobs, sequence_scores};
use rlhf_ppo::best_of_n_kl;
use rlhf_tasks::{GoldJudge, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::dataset::text_windows;
use super::judge::gold_judge;
use super::ppo::EMA_MODEL;
use crate::error::Result;
use crate::run::Workspace;
use crate::stages::Stage;

/// `eval/summary.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Held-out prompts.
    pub(crate) prompts: usize,
    /// Figures by model: `base`, `sft`, `best_of_n`, `ppo`, and `ppo_ema` where there is one.
    #[serde(flatten)]
    pub(crate) models: BTreeMap<String, ModelSummary>,
    /// The n of best-of-n.
    pub(crate) best_of_n_samples: usize,
    /// What is known of the reward model.
    pub(crate) reward: Value,
    /// What is known of the labelers.
    pub(crate) labeler_agreement: Value,
}

/// How one model did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ModelSummary {
    /// Mean verdict of the noise-free judge, with a bootstrap interval.
    pub(crate) mean_gold: Option<Interval>,
    /// Mean score of the reward model.
    pub(crate) mean_score: f64,
    /// Share of prompts on which its answer beats the SFT model's: by the judge, or by score where there is none.
    pub(crate) win_rate_vs_sft: Interval,
    /// Mean summed log-ratio to the SFT model, in nats; for best-of-n the formula ln n - (n-1)/n.
    pub(crate) kl_to_sft: f64,
    /// Share of answers that end with EOS.
    pub(crate) eos_fraction: f64,
    /// Mean tokens of an answer.
    pub(crate) mean_length: f64,
    /// e to the mean negative log-probability of held-out pretraining text.
    pub(crate) pretrain_perplexity: f64,
    /// Share of answers with something untrue, among those that can be checked.
    pub(crate) untrue: Option<Interval>,
    /// Mean gold by kind of task.
    pub(crate) gold_by_kind: BTreeMap<String, f64>,
}

/// What is the same for every model.
struct Exam<'a> {
    work: &'a Workspace,
    tokenizer: Tokenizer,
    prompts: Vec<Prompt>,
    ids: Vec<Vec<u32>>,
    text: Vec<TokenSequence>,
    sft: CausalLm,
    reward: ScalarModel,
    judge: Option<Arc<dyn GoldJudge>>,
}

/// What one model answered.
struct Answers {
    completions: Vec<Completion>,
    texts: Vec<String>,
    scores: Vec<f64>,
    verdicts: Option<Vec<Verdict>>,
    kl: f64,
    perplexity: f64,
}

pub(crate) fn run(work: &Workspace) -> Result<()> {
    let exam = Exam::prepare(work)?;
    let steps = 5;
    let report = |done: u64, what: &str| work.bar.report(done, steps, what);
    let load = |dir: &str| Ok::<_, crate::error::Error>(load_causal_lm(&work.path(dir), &work.device)?.0);
    report(0, "base");
    let base = exam.sit(&load("pretrain")?)?;
    report(1, "sft");
    let sft = exam.sit(&exam.sft)?;
    report(2, "ppo");
    let ppo = exam.sit(&load("ppo")?)?;
    report(3, "ppo_ema");
    let ema = match work.path("ppo").join(EMA_MODEL).exists() {
        true => Some(exam.sit(&load(&format!("ppo/{EMA_MODEL}"))?)?),
        false => None,
    };
    let n = n_of_equal_kl(ppo.kl, work.config.eval.best_of_n_max);
    report(4, &format!("best of {n}"));
    let best = exam.best_of_n(n, &sft)?;

    let mut all = vec![("base", &base), ("sft", &sft), ("best_of_n", &best), ("ppo", &ppo)];
    all.extend(ema.as_ref().map(|ema| ("ppo_ema", ema)));
    let summary = Summary {
        prompts: exam.prompts.len(),
        models: all
            .iter()
            .map(|(name, answers)| ((*name).to_owned(), exam.summarise(answers, &sft)))
            .collect(),
        best_of_n_samples: n,
        reward: read_json(work, "reward/report.json")?,
        labeler_agreement: read_json(work, "label/report.json")?,
    };
    work.write_rows(&work.dir.path().join("samples.jsonl"), &exam.side_by_side(&all))?;
    work.write_json(&work.dir.path().join("summary.json"), &summary)
}

fn read_json(work: &Workspace, file: &str) -> Result<Value> {
    let path = work.path(file);
    let text = std::fs::read_to_string(&path).map_err(|source| crate::error::Error::Io {
        path: path.clone(),
        source,
    })?;
    serde_json::from_str(&text).map_err(|e| crate::error::Error::Row {
        path,
        line: e.line(),
        message: e.to_string(),
    })
}

/// The smallest n whose best-of-n is at least as far from the SFT model as `kl`, at most `max`.
fn n_of_equal_kl(kl: f64, max: usize) -> usize {
    (1..max.max(1)).find(|&n| best_of_n_kl(n) >= kl).unwrap_or(max.max(1))
}

impl<'a> Exam<'a> {
    fn prepare(work: &'a Workspace) -> Result<Self> {
        let tokenizer = work.tokenizer(Stage::Sft)?;
        let (sft, config) = load_causal_lm(&work.path("sft"), &work.device)?;
        let (reward, _) = load_scalar_model(&work.path("reward"), &work.device)?;
        let mut prompts = work.ppo_prompts()?.validation;
        prompts.truncate(work.config.eval.prompts);
        let tokens = work.config.eval.max_new_tokens;
        let (ids, kept) = work.prompt_ids(&tokenizer, &prompts, tokens, config.max_seq_len())?;
        Ok(Self {
            prompts: kept.into_iter().map(|row| prompts[row].clone()).collect(),
            ids,
            text: text_windows(&tokenizer, &work.documents()?.validation, config.max_seq_len()),
            judge: gold_judge(work)?,
            tokenizer,
            sft,
            reward,
            work,
        })
    }

    fn options(&self, first_stream: u64) -> GenerateOptions {
        GenerateOptions {
            max_new_tokens: self.work.config.eval.max_new_tokens,
            eos_token_id: self.tokenizer.eos_token_id(),
            sampling: self.work.config.eval.sampling.clone(),
            seed: self.work.config.seed ^ 0x6576_616c,
            first_stream,
            ..GenerateOptions::default()
        }
    }

    /// Answers of a model, scored and judged.
    fn sit(&self, model: &CausalLm) -> Result<Answers> {
        self.work.check_stop()?;
        let completions = Generator::new(model).generate(&self.ids, &self.options(0))?;
        let kl = self.kl(model, &completions);
        let perplexity = rlhf_sft::evaluate(model, &self.text, TOKENS_AT_ONCE).perplexity();
        self.assess(completions, kl, perplexity)
    }

    /// The best of `n` answers of the SFT model by score (ALGORITHM, section 7). Its first is the SFT model's own.
    fn best_of_n(&self, n: usize, sft: &Answers) -> Result<Answers> {
        let generator = Generator::new(&self.sft);
        let mut best: Vec<(Completion, f64)> = sft
            .completions
            .iter()
            .cloned()
            .zip(sft.scores.iter().copied())
            .collect();
        for round in 1..n {
            self.work.check_stop()?;
            let completions = generator.generate(&self.ids, &self.options((round * self.ids.len()) as u64))?;
            let scores = self.scores(&completions);
            for ((slot, completion), score) in best.iter_mut().zip(completions).zip(scores) {
                if score > slot.1 {
                    *slot = (completion, score);
                }
            }
        }
        let completions = best.into_iter().map(|(completion, _)| completion).collect();
        self.assess(completions, best_of_n_kl(n), sft.perplexity)
    }

    fn assess(&self, completions: Vec<Completion>, kl: f64, perplexity: f64) -> Result<Answers> {
        let texts: Vec<String> = completions
            .iter()
            .map(|c| self.tokenizer.decode(&c.tokens, true))
            .collect();
        Ok(Answers {
            scores: self.scores(&completions),
            verdicts: match &self.judge {
                Some(judge) => Some(judge.assess_answers(&self.prompts, &texts)?),
                None => None,
            },
            completions,
            texts,
            kl,
            perplexity,
        })
    }

    fn sequences(&self, completions: &[Completion]) -> Vec<Vec<u32>> {
        self.ids
            .iter()
            .zip(completions)
            .map(|(ids, c)| [ids.as_slice(), &c.tokens].concat())
            .collect()
    }

    fn scores(&self, completions: &[Completion]) -> Vec<f64> {
        sequence_scores(&self.reward, &self.sequences(completions), TOKENS_AT_ONCE)
            .into_iter()
            .map(f64::from)
            .collect()
    }

    /// Mean summed log-ratio to the SFT model, in nats per answer.
    fn kl(&self, model: &CausalLm, completions: &[Completion]) -> f64 {
        let sequences = self.sequences(completions);
        let from: Vec<usize> = self.ids.iter().map(Vec::len).collect();
        let total = |model: &CausalLm| -> f64 {
            let temperature = match self.work.config.eval.sampling.temperature {
                0.0 => 1.0,
                temperature => temperature,
            };
            let found = sequence_logprobs(model, &sequences, &from, temperature, TOKENS_AT_ONCE);
            found.logprobs.iter().flatten().map(|&p| f64::from(p)).sum()
        };
        (total(model) - total(&self.sft)) / sequences.len().max(1) as f64
    }

    fn summarise(&self, answers: &Answers, sft: &Answers) -> ModelSummary {
        let gold = |a: &Answers| {
            a.verdicts
                .as_ref()
                .map(|v| v.iter().map(|v| v.gold).collect::<Vec<_>>())
        };
        let (own, theirs) = match (gold(answers), gold(sft)) {
            (Some(own), Some(theirs)) => (own, theirs),
            _ => (answers.scores.clone(), sft.scores.clone()),
        };
        let outcomes: Vec<_> = own.iter().zip(&theirs).map(|(a, b)| a.total_cmp(b)).collect();
        let count = answers.completions.len().max(1) as f64;
        ModelSummary {
            mean_gold: gold(answers).map(|gold| bootstrap_mean(&gold, self.work.config.seed)),
            mean_score: mean(&answers.scores),
            win_rate_vs_sft: win_rate(&outcomes),
            kl_to_sft: answers.kl,
            eos_fraction: answers.completions.iter().filter(|c| c.finished).count() as f64 / count,
            mean_length: answers.completions.iter().map(|c| c.tokens.len()).sum::<usize>() as f64 / count,
            pretrain_perplexity: answers.perplexity,
            untrue: answers.verdicts.as_deref().and_then(untrue_share),
            gold_by_kind: self.by_kind(answers),
        }
    }

    fn by_kind(&self, answers: &Answers) -> BTreeMap<String, f64> {
        let mut kinds: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (prompt, verdict) in self.prompts.iter().zip(answers.verdicts.iter().flatten()) {
            let kind = prompt.task.as_ref().and_then(|t| t["kind"].as_str()).unwrap_or("other");
            kinds.entry(kind.to_owned()).or_default().push(verdict.gold);
        }
        kinds.into_iter().map(|(kind, gold)| (kind, mean(&gold))).collect()
    }

    fn side_by_side(&self, all: &[(&str, &Answers)]) -> Vec<Value> {
        (0..self.prompts.len())
            .map(|row| {
                let mut value = json!({ "id": self.prompts[row].id, "messages": self.prompts[row].messages });
                for (name, answers) in all {
                    value[*name] = json!({
                        "completion": answers.texts[row],
                        "score": answers.scores[row],
                        "gold": answers.verdicts.as_ref().map(|v| v[row].gold),
                        "untrue": answers.verdicts.as_ref().map(|v| v[row].untrue),
                    });
                }
                value
            })
            .collect()
    }
}

/// Share of answers with something untrue among those that can be checked, if any can.
fn untrue_share(verdicts: &[Verdict]) -> Option<Interval> {
    let checkable = verdicts.iter().filter(|v| v.checkable).count();
    let untrue = verdicts.iter().filter(|v| v.checkable && v.untrue).count();
    (checkable > 0).then(|| wilson(untrue as f64, checkable))
}

/// Tokens in one pass.
const TOKENS_AT_ONCE: usize = 8192;
