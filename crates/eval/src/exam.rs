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
    /// KL divergence from the reference, in nats per answer.
    pub kl: f64,
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
        self.assess(completions, best_of_n_kl(n), own.perplexity).map(Some)
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

    fn assess(&self, completions: Vec<Completion>, kl: f64, perplexity: Option<f64>) -> Result<Answers> {
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
            let mut value = json!({ "id": prompt.id, "messages": prompt.messages });
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
mod tests {
    use super::*;
    use burn::tensor::Device;
    use rlhf_data::{Message, TokenizerConfig, pack_documents};
    use rlhf_model::{Gpt2Config, ModelConfig};

    use crate::second::OpinionError;

    /// Likes what is long.
    #[derive(Debug)]
    struct Length;

    impl GoldJudge for Length {
        fn assess(&self, _: &Prompt, completion: &str) -> rlhf_tasks::Result<Verdict> {
            Ok(Verdict {
                gold: completion.len() as f64 / 100.0,
                ..Verdict::NOTHING
            })
        }
    }

    /// Two small models, a reward model and six prompts.
    struct Hall {
        tokenizer: Tokenizer,
        prompts: Vec<Prompt>,
        prompt_ids: Vec<Vec<u32>>,
        text: Vec<TokenSequence>,
        models: [CausalLm; 2],
        reward: ScalarModel,
        sampling: Sampling,
    }

    impl Hall {
        fn new() -> Self {
            let config = TokenizerConfig {
                vocab_size: 270,
                min_frequency: 2,
            };
            let tokenizer = Tokenizer::train(["the sea, the sea, the shore"], &config).unwrap();
            let prompts: Vec<Prompt> = (0..6)
                .map(|n| Prompt {
                    id: n.to_string(),
                    messages: vec![Message::user(format!("the sea {n}?"))],
                    task: None,
                    origin: Default::default(),
                })
                .collect();
            let prompt_ids = prompts
                .iter()
                .map(|prompt| tokenizer.encode_prompt(&prompt.messages).unwrap());
            let config: ModelConfig = Gpt2Config {
                vocab_size: tokenizer.vocab_size(),
                n_positions: 48,
                n_embd: 16,
                n_layer: 1,
                n_head: 2,
                initializer_range: 0.3,
                ..Gpt2Config::default()
            }
            .into();
            let device = Device::flex();
            let models = [1, 2].map(|seed| CausalLm::init(&config, seed, &device));
            let trunk = CausalLm::init(&config, 3, &device).transformer;
            Self {
                prompt_ids: prompt_ids.collect(),
                text: pack_documents(&tokenizer, ["the shore of the sea"], 16),
                reward: ScalarModel::from_decoder(trunk, 3, &device),
                sampling: Sampling::default(),
                tokenizer,
                prompts,
                models,
            }
        }

        fn exam(&self) -> Exam<'_> {
            Exam {
                tokenizer: &self.tokenizer,
                prompts: &self.prompts,
                prompt_ids: &self.prompt_ids,
                text: &self.text,
                reference: &self.models[0],
                reward: Some(&self.reward),
                judge: Some(&Length),
                second: &[],
                max_new_tokens: 8,
                sampling: &self.sampling,
                batch_size: 64,
                seed: 1,
                stop: StopFlag::new(),
                told: &|_| (),
            }
        }
    }

    #[test]
    fn the_reference_is_no_distance_from_itself_and_wins_half() {
        let hall = Hall::new();
        let exam = hall.exam();
        let own = exam.sit(exam.reference).unwrap();
        assert_eq!(own.kl, 0.0);
        let figures = exam.summarise(&own, &own);
        let rate = figures.win_rate_vs_sft.expect("there is a judge");
        assert_eq!((rate.value, rate.n), (0.5, 6));
        let other = exam.sit(&hall.models[1]).unwrap();
        assert!(other.kl > 0.1, "{}", other.kl);
        assert_ne!(other.perplexity, own.perplexity);
    }

    #[test]
    fn the_same_answer_is_a_draw_whatever_rounding_makes_of_its_scores() {
        let hall = Hall::new();
        let exam = Exam {
            judge: None,
            ..hall.exam()
        };
        let own = exam.sit(exam.reference).unwrap();
        let rate = |figures: crate::ModelSummary| figures.win_rate_vs_sft.expect("there is a reward model").value;
        let mut other = own.clone();
        other.scores.iter_mut().flatten().for_each(|score| *score += 1e-6);
        assert_eq!(rate(exam.summarise(&other, &own)), 0.5);
        // One of six answers is another one, and better: 5 halves and 1 of 6.
        other.texts[2].push('!');
        let rate = rate(exam.summarise(&other, &own));
        assert!((rate - 3.5 / 6.0).abs() < 1e-12, "{rate}");
    }

    #[test]
    fn no_text_has_no_perplexity_and_no_prompts_are_refused() {
        let hall = Hall::new();
        let without_text = Exam {
            text: &[],
            ..hall.exam()
        };
        let answers = without_text.sit(without_text.reference).unwrap();
        assert_eq!(answers.perplexity, None);
        let figures = without_text.summarise(&answers, &answers);
        let written = serde_json::to_string(&figures).unwrap();
        let read: crate::ModelSummary = serde_json::from_str(&written).unwrap();
        assert_eq!(read.pretrain_perplexity, None);
        let without_prompts = Exam {
            prompts: &[],
            prompt_ids: &[],
            ..hall.exam()
        };
        let found = without_prompts.sit(without_prompts.reference);
        assert!(matches!(found, Err(Error::NoPrompts)));
    }

    /// Were the reference's own answer among the candidates, it would lose to none of them and win at most 1 in 2n.
    #[test]
    fn the_best_of_n_is_chosen_among_answers_of_which_none_is_the_references_own() {
        let hall = Hall::new();
        let exam = hall.exam();
        let own = exam.sit(exam.reference).unwrap();
        let of = |n| exam.best_of_n(n, &own).unwrap().expect("there is a reward model");
        let (one, best) = (of(1), of(5));
        assert_ne!(one.texts, own.texts);
        let scores = |answers: &Answers| answers.scores.clone().expect("there is a reward model");
        assert!(scores(&best).iter().zip(scores(&one)).all(|(best, one)| *best >= one));
        assert!(scores(&best).iter().sum::<f64>() > scores(&one).iter().sum::<f64>());
        assert_eq!((best.kl, best.perplexity), (best_of_n_kl(5), own.perplexity));
        // The best of one is another answer of the same model: neither is better.
        let many: Vec<Vec<u32>> = hall.prompt_ids.iter().cycle().take(240).cloned().collect();
        let prompts: Vec<Prompt> = hall.prompts.iter().cycle().take(240).cloned().collect();
        let exam = Exam {
            prompts: &prompts,
            prompt_ids: &many,
            judge: None,
            ..hall.exam()
        };
        let own = exam.sit(exam.reference).unwrap();
        let one = exam.best_of_n(1, &own).unwrap().expect("there is a reward model");
        let rate = exam.summarise(&one, &own).win_rate_vs_sft.expect("scores");
        assert!(rate.low < 0.5 && rate.high > 0.5, "{rate:?}");
    }

    #[test]
    fn without_a_reward_model_there_is_no_score_and_no_best_by_it() {
        let hall = Hall::new();
        let exam = Exam {
            reward: None,
            ..hall.exam()
        };
        let own = exam.sit(exam.reference).unwrap();
        assert!(own.scores.is_none() && exam.best_of_n(4, &own).unwrap().is_none());
        let figures = exam.summarise(&own, &own);
        assert!(figures.mean_score.is_none() && figures.win_rate_vs_sft.is_some());
        let without_judge = Exam { judge: None, ..exam };
        let own = without_judge.sit(without_judge.reference).unwrap();
        assert!(without_judge.summarise(&own, &own).win_rate_vs_sft.is_none());
    }

    /// Each prompt is compared with itself, so that what is difficult for both costs no certainty.
    #[test]
    fn gains_are_over_the_other_model_on_the_same_prompts_by_group() {
        let hall = Hall::new();
        let group = |row: usize| if row < 4 { "many" } else { "few" };
        let prompts: Vec<Prompt> = hall
            .prompts
            .iter()
            .enumerate()
            .map(|(row, prompt)| Prompt {
                task: Some(json!({ "group": group(row) })),
                ..prompt.clone()
            })
            .collect();
        let exam = Exam {
            prompts: &prompts,
            ..hall.exam()
        };
        let own = exam.sit(exam.reference).unwrap();
        let mut better = own.clone();
        for (row, verdict) in better.verdicts.iter_mut().flatten().enumerate() {
            verdict.gold += if row < 4 { 0.25 } else { 0.0 };
        }
        let gains = exam.gains(&better, &own);
        let of = |group: &str| {
            let gain = &gains[group];
            let gold = gain.gold_gain.expect("there is a judge");
            (gain.prompts, gold.value, gold.low, gold.high)
        };
        assert_eq!((of("many"), of("few")), ((4, 0.25, 0.25, 0.25), (2, 0.0, 0.0, 0.0)));
        let (count, value, low, high) = of(crate::ALL_PROMPTS);
        assert!(count == 6 && (value - 1.0 / 6.0).abs() < 1e-12 && low < value && value < high);
        assert_eq!(gains["few"].score_gain.map(|gain| gain.value), Some(0.0));
    }

    #[test]
    fn rows_hold_what_each_model_said_beside_the_prompt() {
        let hall = Hall::new();
        let exam = hall.exam();
        let answers = exam.sit(exam.reference).unwrap();
        let rows = exam.side_by_side(&[("a", &answers), ("b", &answers)]);
        assert_eq!(rows.len(), 6);
        assert_eq!(rows[3]["id"], "3");
        assert_eq!(rows[3]["a"], rows[3]["b"]);
        assert_eq!(rows[3]["a"]["completion"], answers.texts[3].as_str());
        assert_eq!(rows[3]["a"]["gold"], answers.texts[3].len() as f64 / 100.0);
    }

    /// Has an opinion on every other prompt: the number of letters.
    struct Letters;

    impl SecondJudge for Letters {
        fn scores(&self, _: &[Prompt], answers: &[String]) -> std::result::Result<Vec<Option<f64>>, OpinionError> {
            if answers.iter().any(|answer| answer == "refused") {
                return Err("a word that is refused".into());
            }
            let score = |(row, answer): (usize, &String)| (row % 2 == 0).then_some(answer.len() as f64);
            Ok(answers.iter().enumerate().map(score).collect())
        }
    }

    #[test]
    fn a_second_judge_compares_the_answers_that_it_has_an_opinion_on() {
        let hall = Hall::new();
        let second: [(String, Box<dyn SecondJudge>); 1] = [("letters".to_owned(), Box::new(Letters))];
        let exam = Exam {
            second: &second,
            ..hall.exam()
        };
        let own = exam.sit(exam.reference).unwrap();
        let scores = |answers: &Answers| answers.second["letters"].clone();
        assert_eq!(scores(&own)[1], None);
        assert_eq!(scores(&own)[2], Some(own.texts[2].len() as f64));
        let mut better = own.clone();
        better.second.get_mut("letters").unwrap()[0] = scores(&own)[0].map(|score| score + 3.0);
        better.texts[0].push_str("!!!");
        let found = exam.opinions(&better, &own, &own);
        let found = &found["letters"];
        assert_eq!((found.over_base.value, found.over_base.n), (1.0, 3));
        assert_eq!(
            (found.win_rate_vs_sft.value, found.over_sft),
            (2.0 / 3.0, found.over_base)
        );
        let row = &exam.side_by_side(&[("a", &own)])[2]["a"]["second"]["letters"];
        assert_eq!(row.as_f64(), scores(&own)[2]);
        let refused = exam.second_scores(&vec!["refused".to_owned(); 6]).unwrap_err();
        assert_eq!(refused.to_string(), "the second judge letters: a word that is refused");
    }

    #[test]
    fn an_exam_ends_when_it_is_told_to() {
        let hall = Hall::new();
        let exam = hall.exam();
        exam.stop.request();
        assert!(matches!(exam.sit(exam.reference), Err(Error::Interrupted)));
    }
}
