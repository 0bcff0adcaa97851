//! Models on the same held-out prompts.

use rlhf_core::StopFlag;
use rlhf_data::{Prompt, TokenSequence, Tokenizer};
use rlhf_inference::{Completion, GenerateOptions, Generator, Sampling};
use rlhf_model::{CausalLm, ScalarModel};
use rlhf_tasks::{GoldJudge, Verdict};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::kl::{best_of_n_kl, kl_to_reference};
use crate::scores::{TOKENS_AT_ONCE, answer_scores};

/// What is the same for every model that is compared.
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
    /// The model that scores answers.
    pub reward: &'a ScalarModel,
    /// The judge of the task, if it has one.
    pub judge: Option<&'a dyn GoldJudge>,
    /// Tokens of an answer at most.
    pub max_new_tokens: usize,
    /// How tokens are chosen.
    pub sampling: &'a Sampling,
    /// Seed of the run.
    pub seed: u64,
    /// Looked at between models.
    pub stop: StopFlag,
}

/// What one model answered.
#[derive(Debug, Clone)]
pub struct Answers {
    /// One to each prompt.
    pub completions: Vec<Completion>,
    /// Their texts.
    pub texts: Vec<String>,
    /// What the reward model says of each.
    pub scores: Vec<f64>,
    /// What the judge says of each.
    pub verdicts: Option<Vec<Verdict>>,
    /// KL divergence from the reference, in nats per answer.
    pub kl: f64,
    /// Perplexity of the held-out pretraining text.
    pub perplexity: f64,
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
            sampling: self.sampling.clone(),
            seed: self.seed,
            purpose: "eval.answers",
            first_stream,
            ..GenerateOptions::default()
        }
    }

    /// Answers of a model, scored and judged.
    ///
    /// # Errors
    /// A prompt that does not fit, a row that cannot be judged, or an interruption.
    pub fn sit(&self, model: &CausalLm) -> Result<Answers> {
        self.check_stop()?;
        let completions = Generator::new(model).generate(self.prompt_ids, &self.options(0))?;
        let kl = kl_to_reference(model, self.reference, self.prompt_ids, &completions, self.sampling);
        let perplexity = rlhf_sft::evaluate(model, self.text, TOKENS_AT_ONCE).perplexity();
        self.assess(completions, kl, perplexity)
    }

    /// The best of `n` answers of the reference by score. The first of them are its `own`.
    ///
    /// # Errors
    /// As [`Exam::sit`].
    pub fn best_of_n(&self, n: usize, own: &Answers) -> Result<Answers> {
        let generator = Generator::new(self.reference);
        let mut best: Vec<(Completion, f64)> = own
            .completions
            .iter()
            .cloned()
            .zip(own.scores.iter().copied())
            .collect();
        for round in 1..n {
            self.check_stop()?;
            let first_stream = (round * self.prompt_ids.len()) as u64;
            let completions = generator.generate(self.prompt_ids, &self.options(first_stream))?;
            let scores = answer_scores(self.reward, self.prompt_ids, &completions);
            for ((slot, completion), score) in best.iter_mut().zip(completions).zip(scores) {
                if score > slot.1 {
                    *slot = (completion, score);
                }
            }
        }
        let completions = best.into_iter().map(|(completion, _)| completion).collect();
        self.assess(completions, best_of_n_kl(n), own.perplexity)
    }

    fn assess(&self, completions: Vec<Completion>, kl: f64, perplexity: f64) -> Result<Answers> {
        let texts: Vec<String> = completions
            .iter()
            .map(|completion| self.tokenizer.decode(&completion.tokens, true))
            .collect();
        Ok(Answers {
            scores: answer_scores(self.reward, self.prompt_ids, &completions),
            verdicts: (self.judge)
                .map(|judge| judge.assess_answers(self.prompts, &texts))
                .transpose()?,
            completions,
            texts,
            kl,
            perplexity,
        })
    }

    /// A row for each prompt, with what each of the named models answered.
    pub fn side_by_side(&self, models: &[(&str, &Answers)]) -> Vec<Value> {
        let rows = self.prompts.iter().enumerate();
        rows.map(|(row, prompt)| {
            let mut value = json!({ "id": prompt.id, "messages": prompt.messages });
            for (name, answers) in models {
                let verdict = answers.verdicts.as_ref().map(|verdicts| &verdicts[row]);
                value[*name] = json!({
                    "completion": answers.texts[row],
                    "score": answers.scores[row],
                    "gold": verdict.map(|verdict| verdict.gold),
                    "untrue": verdict.map(|verdict| verdict.untrue),
                });
            }
            value
        })
        .collect()
    }
}
