//! Small models sit an exam.

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
    assert_eq!(own.kl, Some(0.0));
    let figures = exam.summarise(&own, &own);
    let rate = figures.win_rate_vs_sft.expect("there is a judge");
    assert_eq!((rate.value, rate.n), (0.5, 6));
    let other = exam.sit(&hall.models[1]).unwrap();
    assert!(other.kl.is_some_and(|kl| kl > 0.1), "{:?}", other.kl);
    assert_ne!(other.perplexity, own.perplexity);
}

#[test]
fn answers_that_are_no_samples_of_the_model_have_no_kl() {
    let hall = Hall::new();
    let filtered = Sampling {
        top_p: 0.9,
        ..Sampling::default()
    };
    for sampling in [filtered, Sampling::greedy()] {
        let exam = Exam {
            sampling: &sampling,
            ..hall.exam()
        };
        let other = exam.sit(&hall.models[1]).unwrap();
        assert_eq!(other.kl, None);
        assert_eq!(exam.best_of_n(2, &other).unwrap().expect("a reward model").kl, None);
        let figures = exam.summarise(&other, &other);
        let read: crate::ModelSummary = serde_json::from_value(json!(figures)).unwrap();
        assert_eq!(read.kl_to_sft, None);
    }
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
    assert_eq!((best.kl, best.perplexity), (Some(best_of_n_kl(5)), own.perplexity));
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
    let near = |(prompts, value, low, high): (usize, f64, f64, f64), expected: (usize, f64)| {
        let is_near = |found: f64| (found - expected.1).abs() < 1e-12;
        assert!(
            prompts == expected.0 && is_near(value) && is_near(low) && is_near(high),
            "{low} {value} {high}"
        );
    };
    near(of("many"), (4, 0.25));
    near(of("few"), (2, 0.0));
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
    let mut silent = own.clone();
    silent.second.insert("letters".to_owned(), vec![None; 6]);
    assert!(exam.opinions(&silent, &silent, &silent).is_empty());
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
