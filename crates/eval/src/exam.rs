//! Models on the same held-out prompts.

use std::collections::BTreeMap;

use rlhf_core::StopFlag;
use rlhf_data::{Prompt, TokenSequence, Tokenizer};
use rlhf_inference::{Completion, GenerateOptions, Generator, Sampling};
use rlhf_model::{CausalLm, ScalarModel};
use rlhf_tasks::{GoldJudge, Verdict};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::kl::{best_of_n_kl, kl_to_reference};
use crate::scores::{TOKENS_AT_ONCE, answer_scores};
use crate::second::SecondJudge;

/// Everything that is the same for all models that are compared.
pub struct Exam<'a> {
    /// The tokenizer of all models.
    pub tokenizer: &'a Tokenizer,
    /// The prompts.
    pub prompts: &'a [Prompt],
    /// Their token ids, the assistant's turn opened.
    pub prompt_ids: &'a [Vec<u32>],
    /// Held-out pretraining text.
    pub text: &'a [TokenSequence],
    /// The model that others are compared with: the SFT model.
    pub reference: &'a CausalLm,
    /// The model that scores answers, if there is one.
    pub reward: Option<&'a ScalarModel>,
    /// The judge of the task, if it has one.
    pub judge: Option<&'a dyn GoldJudge>,
    /// Others who score the answers as text, by name.
    pub second: &'a [(String, Box<dyn SecondJudge>)],
    /// Tokens of an answer at most.
    pub max_new_tokens: usize,
    /// Way of choosing tokens.
    pub sampling: &'a Sampling,
    /// Answers that are sampled together, at most.
    pub batch_size: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Looked at between models.
    pub stop: StopFlag,
    /// Told now and then what is being done.
    pub told: &'a dyn Fn(&str),
}

/// Tokens between two words about how far an exam has come.
const TOKENS_BETWEEN_WORDS: usize = 256;

/// Answers of one model.
#[derive(Debug, Clone)]
pub struct Answers {
    /// One to each prompt.
    pub completions: Vec<Completion>,
    /// Their texts.
    pub texts: Vec<String>,
    /// Score of each by the reward model.
    pub scores: Option<Vec<f64>>,
    /// Verdict of the judge on each.
    pub verdicts: Option<Vec<Verdict>>,
    /// Scores of each by the second judges, by their names.
    pub second: BTreeMap<String, Vec<Option<f64>>>,
    /// KL divergence from the reference, in nats per answer, where the answers are samples of the model ([`kl_to_reference`]).
    pub kl: Option<f64>,
    /// Perplexity of the held-out pretraining text, if there is any.
    pub perplexity: Option<f64>,
}

impl Answers {
    /// The judge's gold score of each.
    pub fn gold(&self) -> Option<Vec<f64>> {
        let verdicts = self.verdicts.as_ref()?;
        Some(verdicts.iter().map(|verdict| verdict.gold).collect())
    }
}

impl Exam<'_> {
    fn check_stop(&self) -> Result<()> {
        if self.stop.requested() {
            return Err(Error::Interrupted);
        }
        Ok(())
    }

    fn options(&self, first_stream: u64) -> GenerateOptions {
        GenerateOptions {
            max_new_tokens: self.max_new_tokens,
            eos_token_id: self.tokenizer.eos_token_id(),
            stop_token_ids: self.tokenizer.other_eos_token_ids().to_vec(),
            batch_size: self.batch_size,
            sampling: self.sampling.clone(),
            seed: self.seed,
            purpose: "eval.answers",
            first_stream,
        }
    }

    /// Answers of a model, scored and judged.
    ///
    /// # Errors
    /// No prompts, a prompt that does not fit, a row that cannot be judged, or an interruption.
    pub fn sit(&self, model: &CausalLm) -> Result<Answers> {
        self.check_stop()?;
        if self.prompts.is_empty() {
            return Err(Error::NoPrompts);
        }
        let completions = self.answers(&Generator::new(model), 0)?;
        (self.told)("log-probabilities of the answers");
        let kl = kl_to_reference(model, self.reference, self.prompt_ids, &completions, self.sampling);
        let of_text = rlhf_sft::evaluate_told(model, self.text, TOKENS_AT_ONCE, &mut |done| {
            (self.told)(&format!("perplexity of text: {done} of {} windows", self.text.len()));
        });
        let perplexity = (of_text.tokens > 0).then(|| of_text.perplexity());
        self.assess(completions, kl, perplexity)
    }

    /// The best of `n` answers of the reference by score; nothing where nobody scores. None of them is the reference's `own`, which they
    /// may so be compared with: the best of n that are scored by the same model beats one of its own candidates in 1 - 1 / 2n of all
    /// cases, whatever the scores are worth.
    ///
    /// # Errors
    /// As [`Exam::sit`].
    pub fn best_of_n(&self, n: usize, own: &Answers) -> Result<Option<Answers>> {
        let Some(reward) = self.reward else {
            return Ok(None);
        };
        let generator = Generator::new(self.reference);
        let mut best: Vec<(Completion, f64)> = Vec::new();
        // Round 0 are the reference's own.
        for round in 1..=n.max(1) {
            self.check_stop()?;
            let first_stream = (round * self.prompt_ids.len()) as u64;
            let completions = self.answers(&generator, first_stream)?;
            let scores = answer_scores(reward, self.prompt_ids, &completions);
            let scored: Vec<(Completion, f64)> = completions.into_iter().zip(scores).collect();
            if best.is_empty() {
                best = scored;
                continue;
            }
            for (slot, candidate) in best.iter_mut().zip(scored) {
                if candidate.1 > slot.1 {
                    *slot = candidate;
                }
            }
        }
        let completions = best.into_iter().map(|(completion, _)| completion).collect();
        let kl = self.sampling.draws_as_the_model().then(|| best_of_n_kl(n));
        self.assess(completions, kl, own.perplexity).map(Some)
    }

    fn answers(&self, generator: &Generator, first_stream: u64) -> Result<Vec<Completion>> {
        let mut next = TOKENS_BETWEEN_WORDS;
        let mut told = |tokens: usize| {
            if tokens >= next {
                (self.told)(&format!("{tokens} tokens of answers"));
                next = tokens + TOKENS_BETWEEN_WORDS;
            }
        };
        Ok(generator.generate_told(self.prompt_ids, &self.options(first_stream), &mut told)?)
    }

    fn assess(&self, completions: Vec<Completion>, kl: Option<f64>, perplexity: Option<f64>) -> Result<Answers> {
        let texts: Vec<String> = completions
            .iter()
            .map(|completion| self.tokenizer.decode(&completion.tokens, true))
            .collect();
        Ok(Answers {
            second: self.second_scores(&texts)?,
            scores: (self.reward).map(|reward| answer_scores(reward, self.prompt_ids, &completions)),
            verdicts: (self.judge)
                .map(|judge| judge.assess_answers(self.prompts, &texts))
                .transpose()?,
            completions,
            texts,
            kl,
            perplexity,
        })
    }

    fn second_scores(&self, texts: &[String]) -> Result<BTreeMap<String, Vec<Option<f64>>>> {
        let mut found = BTreeMap::new();
        for (name, judge) in self.second {
            (self.told)(&format!("scores by {name}"));
            let scores = judge.scores(self.prompts, texts).map_err(|source| Error::SecondJudge {
                judge: name.clone(),
                source,
            })?;
            found.insert(name.clone(), scores);
        }
        Ok(found)
    }

    /// A row for each prompt, with what each of the named models answered.
    pub fn side_by_side(&self, models: &[(&str, &Answers)]) -> Vec<Value> {
        let rows = self.prompts.iter().enumerate();
        rows.map(|(row, prompt)| {
            let kind = prompt.task.as_ref().map(|task| &task["kind"]);
            let mut value = json!({ "id": prompt.id, "kind": kind, "messages": prompt.messages });
            for (name, answers) in models {
                let verdict = answers.verdicts.as_ref().map(|verdicts| &verdicts[row]);
                value[*name] = json!({
                    "completion": answers.texts[row],
                    "score": answers.scores.as_ref().map(|scores| scores[row]),
                    "gold": verdict.map(|verdict| verdict.gold),
                    "untrue": verdict.map(|verdict| verdict.untrue),
                });
                for (judge, scores) in &answers.second {
                    value[*name]["second"][judge] = json!(scores[row]);
                }
            }
            value
        })
        .collect()
    }
}

#[cfg(test)]
#[path = "exam_tests.rs"]
mod tests;
