//! The whole loop on a few rows that it can learn by heart.

use burn::tensor::Device;
use rlhf_core::stage::{Quiet, StageContext};
use rlhf_core::{LrSchedule, permutation, rng};
use rlhf_data::TokenSequence;
use rlhf_model::{CausalLm, Gpt2Config, sequence_logprobs};
use rlhf_sft::{Error, Evaluation, Observer, Selection, SftConfig, SftData, SftOutcome, evaluate, train};

const VOCAB: usize = 16;
/// Tokens of a prompt, which are not learnt.
const PROMPT: usize = 2;

fn model() -> CausalLm {
    let config = Gpt2Config {
        vocab_size: VOCAB,
        n_positions: VOCAB,
        n_embd: 32,
        n_layer: 2,
        n_head: 2,
        ..Default::default()
    };
    CausalLm::init(&config.into(), 1, &Device::flex())
}

/// Eight rows, each in an order of its own; what follows the first two tokens is learnt.
fn rows() -> Vec<TokenSequence> {
    (0..8)
        .map(|i| {
            let ids = permutation(VOCAB, &mut rng(5, "rows", &[i]));
            TokenSequence {
                input_ids: ids.into_iter().map(|id| id as u32).collect(),
                loss_mask: (0..VOCAB).map(|t| t >= PROMPT).collect(),
            }
        })
        .collect()
}

fn settings() -> SftConfig {
    SftConfig {
        epochs: 60,
        batch_size: 3,
        lr: LrSchedule {
            peak_lr: 5e-3,
            ..Default::default()
        },
        ..Default::default()
    }
}

fn run(settings: &SftConfig) -> SftOutcome {
    let rows = rows();
    let data = SftData {
        train: &rows,
        validation: &rows,
    };
    let context = StageContext::scratch(Device::flex(), 1);
    train(model(), data, settings, &context, &mut Quiet).expect("it learns")
}

#[test]
fn eight_rows_are_learnt_by_heart_and_their_prompts_are_not() {
    let SftOutcome { model, report } = run(&settings());
    assert!(report.initial.loss > 2.0, "{report:?}");
    assert!(report.selected.loss < 0.1, "{report:?}");
    assert_eq!(
        report.steps,
        60 * 3,
        "eight rows are two batches of three and one of two"
    );
    assert_eq!(report.tokens, 60 * 8 * VOCAB as u64);
    assert_eq!(report.selected.tokens, 8 * (VOCAB - PROMPT));
    let ids: Vec<Vec<u32>> = rows().into_iter().map(|row| row.input_ids).collect();
    let found = sequence_logprobs(&model, &ids, &[1; 8], 1.0, 1024);
    // The second token of a row could be any; it is learnt neither to be likely nor to be unlikely.
    let second: f32 = found.logprobs.iter().map(|row| row[0]).sum::<f32>() / 8.0;
    assert!(second < -1.0, "{second}");
}

/// Says how good the model is after each evaluation, from a list.
struct Judge {
    scores: Vec<f64>,
    steps: Vec<u64>,
}

impl Observer for Judge {
    type Error = Error;

    fn evaluated(&mut self, step: u64, _: &CausalLm, _: &Evaluation) -> Result<Option<f64>, Error> {
        self.steps.push(step);
        Ok(self.scores.get(self.steps.len() - 1).copied())
    }
}

#[test]
fn the_weights_with_the_highest_score_the_lowest_loss_or_the_last_are_kept() {
    let rows = rows();
    let data = SftData {
        train: &rows,
        validation: &rows[..4],
    };
    let run = |select, eval_every| {
        let settings = SftConfig {
            epochs: 4,
            select,
            eval_every,
            ..settings()
        };
        let context = StageContext::scratch(Device::flex(), 1);
        let mut judge = Judge {
            scores: vec![0.1, 0.7, 0.3, 0.2],
            steps: Vec::new(),
        };
        let outcome = train(model(), data, &settings, &context, &mut judge).expect("it learns");
        (outcome, judge.steps)
    };
    // Three steps an epoch.
    let (outcome, steps) = run(Selection::RewardScore, 0);
    assert_eq!(steps, [3, 6, 9, 12]);
    assert_eq!(outcome.report.selected_step, 6);
    // The weights are those whose loss is reported.
    let loss = evaluate(&outcome.model, &rows[..4], 1024).loss;
    assert!((loss - outcome.report.selected.loss).abs() < 1e-6);
    let (outcome, steps) = run(Selection::Last, 5);
    assert_eq!((outcome.report.selected_step, steps), (12, vec![5, 10, 12]));
    let (outcome, _) = run(Selection::ValidationLoss, 0);
    assert_eq!(outcome.report.selected_step, 12, "the loss falls all the way");
}

#[test]
fn without_data_or_a_score_to_select_by_a_run_says_so() {
    let rows = rows();
    let said = |train_rows: &[TokenSequence], validation: &[TokenSequence], settings: &SftConfig| {
        let data = SftData {
            train: train_rows,
            validation,
        };
        let context = StageContext::scratch(Device::flex(), 1);
        let found = train(model(), data, settings, &context, &mut Quiet);
        found
            .map(|outcome| outcome.report)
            .expect_err("nothing to learn")
            .to_string()
    };
    assert!(said(&[], &rows, &settings()).starts_with("no training sequences"));
    assert!(said(&rows, &[], &settings()).starts_with("no validation sequences"));
    let by_score = SftConfig {
        select: Selection::RewardScore,
        ..settings()
    };
    assert!(said(&rows, &rows, &by_score).contains("needs a reward model"));
}
