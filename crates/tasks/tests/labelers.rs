//! Labelers of any judge: verdicts, calibration, equal answers.

use std::sync::Arc;

use rlhf_data::{Message, Prompt};
use rlhf_tasks::{GoldJudge, LabelerConfig, LabelerPool, Result, Verdict};

/// Takes the first word of an answer for its worth, in hundredths.
#[derive(Debug)]
struct Percent;

impl GoldJudge for Percent {
    fn assess(&self, _: &Prompt, completion: &str) -> Result<Verdict> {
        let word = completion.split_whitespace().next().unwrap_or_default();
        let gold = word.parse::<f64>().unwrap_or_default() / 100.0;
        Ok(Verdict {
            helpful: gold,
            honest: gold,
            harmless: gold,
            style: gold,
            gold,
            ..Verdict::NOTHING
        })
    }
}

fn prompt(id: usize) -> Prompt {
    Prompt {
        id: format!("p{id}"),
        messages: vec![Message::user("How much?")],
        task: None,
        origin: Default::default(),
    }
}

fn texts<const N: usize>(answers: [&str; N]) -> Vec<String> {
    answers.map(str::to_owned).into()
}

#[test]
fn each_completion_and_each_answer_has_its_verdict() {
    let golds = |verdicts: Vec<Verdict>| verdicts.iter().map(|v| v.gold).collect::<Vec<_>>();
    let answers = texts(["50 of them", "0", "100"]);
    let of_one = Percent.assess_completions(&prompt(0), &answers).unwrap();
    assert_eq!(golds(of_one), [0.5, 0.0, 1.0]);
    let prompts = [prompt(0), prompt(1), prompt(2)];
    let of_each = Percent.assess_answers(&prompts, &answers).unwrap();
    assert_eq!(golds(of_each), [0.5, 0.0, 1.0]);
}

#[test]
fn noise_is_set_so_that_labelers_agree_as_wanted() {
    let samples: Vec<_> = (0..200)
        .map(|i| {
            let worths = [i * 37 % 101, i * 53 % 97, i * 11 % 89];
            (prompt(i), worths.map(|worth| worth.to_string()).into())
        })
        .collect();
    let mut pool = LabelerPool::new(3, Arc::new(Percent), &LabelerConfig::default());
    for wanted in [0.65, 0.73, 0.9] {
        let reached = pool.calibrate(&samples, wanted).unwrap();
        assert!((reached - wanted).abs() < 0.01, "{reached} for {wanted}");
    }
    let calm = pool.noise();
    pool.calibrate(&samples, 0.65).unwrap();
    assert!(pool.noise() > calm, "{} and {calm}", pool.noise());
}

#[test]
fn without_labelers_or_differences_there_is_no_agreement() {
    let samples = vec![(prompt(0), texts(["50", "50"]))];
    let config = LabelerConfig::default();
    let mut pool = LabelerPool::new(3, Arc::new(Percent), &config);
    let message = pool.calibrate(&samples, 0.73).unwrap_err().to_string();
    assert!(message.starts_with("no two labelers order a pair"), "{message}");
    let nobody = LabelerConfig {
        training: 0,
        held_out: 0,
        ..config
    };
    let mut pool = LabelerPool::new(3, Arc::new(Percent), &nobody);
    let message = pool.calibrate(&samples, 0.73).unwrap_err().to_string();
    assert!(message.starts_with("agreement 0.73 cannot be reached"), "{message}");
}
