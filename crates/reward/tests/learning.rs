//! The whole loop on rankings that a reward model can express.

use burn::tensor::Device;
use rand::Rng;
use rlhf_core::hash::fingerprint;
use rlhf_core::stage::{Quiet, StageContext};
use rlhf_core::{CheckpointStore, LrSchedule, read_metrics, rng};
use rlhf_model::{CausalLm, Decoder, Gpt2Config, sequence_scores};
use rlhf_reward::{
    Annotation, Normalisation, RankedPrompt, RewardConfig, RewardData, RewardOutcome, pairs_from_ranking, train,
};

/// More of these make a completion better.
const LIKED: u32 = 7;

fn trunk() -> Decoder {
    let config = Gpt2Config {
        vocab_size: 10,
        n_positions: 16,
        n_embd: 32,
        n_layer: 1,
        n_head: 2,
        ..Default::default()
    };
    CausalLm::init(&config.into(), 1, &Device::flex()).transformer
}

/// Three completions of a prompt in the order of their liked tokens.
fn ranked(index: u64) -> RankedPrompt {
    let mut rng = rng(1, "ranked", &[index]);
    let mut tokens = |n: usize| (0..n).map(|_| rng.random_range(0..10)).collect::<Vec<u32>>();
    let prompt = tokens(2);
    let completions: Vec<Vec<u32>> = (0..3).map(|_| tokens(6)).collect();
    let liked = |c: &Vec<u32>| c.iter().filter(|&&t| t == LIKED).count();
    let rank = |c| completions.iter().filter(|other| liked(other) > liked(c)).count() as u32;
    let ranking: Vec<u32> = completions.iter().map(rank).collect();
    RankedPrompt {
        sequences: completions.iter().map(|c| [prompt.as_slice(), c].concat()).collect(),
        prompt_len: prompt.len(),
        annotations: vec![Annotation {
            labeler: Some("anna".to_owned()),
            pairs: pairs_from_ranking(&ranking),
            margin: 0.0,
            confidence: None,
        }],
        source: None,
    }
}

fn prompts(indices: std::ops::Range<u64>) -> Vec<RankedPrompt> {
    let prompts = indices.map(ranked);
    prompts.filter(|p| !p.annotations[0].pairs.is_empty()).collect()
}

fn settings() -> RewardConfig {
    RewardConfig {
        batch_prompts: 8,
        lr: LrSchedule {
            peak_lr: 5e-3,
            ..Default::default()
        },
        ..Default::default()
    }
}

fn run(settings: &RewardConfig) -> RewardOutcome {
    let (learnt, held_out) = (prompts(0..400), prompts(1000..1100));
    let demonstrations: Vec<Vec<u32>> = held_out.iter().map(|p| p.sequences[0].clone()).collect();
    let data = RewardData {
        train: &learnt,
        validation: &held_out,
        test: &held_out,
        held_out_labelers: &held_out[..10],
        demonstrations: &demonstrations,
    };
    train(trunk(), data, settings, &StageContext::scratch(Device::flex(), 1)).expect("it learns")
}

#[test]
fn an_order_that_can_be_expressed_is_learnt_the_right_way_round() {
    let RewardOutcome { model, report } = run(&settings());
    assert!(report.pair_accuracy.value > 0.95, "{report:?}");
    assert!(report.by_labeler["anna"].value > 0.95);
    assert!(report.seed_losses[0] < 0.3, "{report:?}");
    let with = |liked: usize| [vec![1, 2], vec![LIKED; liked], vec![3; 6 - liked]].concat();
    let scores = sequence_scores(&model, &[with(0), with(1), with(3), with(6)], 1024);
    assert!(scores.windows(2).all(|pair| pair[0] < pair[1]), "{scores:?}");
    // Calibrated on demonstrations.
    assert!(report.demonstration_mean.abs() < 1e-5 && report.demonstration_std > 0.1);
}

#[test]
fn what_is_reported_is_of_the_test_and_not_of_what_chose() {
    let (learnt, validation) = (prompts(0..400), prompts(1000..1100));
    let mut test = prompts(2000..2060);
    for prompt in &mut test {
        let pairs = &mut prompt.annotations[0].pairs;
        *pairs = pairs.iter().map(|&(better, worse)| (worse, better)).collect();
    }
    let data = RewardData {
        train: &learnt,
        validation: &validation,
        test: &test,
        held_out_labelers: &[],
        demonstrations: &[],
    };
    let report = train(trunk(), data, &settings(), &StageContext::scratch(Device::flex(), 1))
        .expect("it learns")
        .report;
    assert!(
        report.seed_losses[0] < 0.3,
        "chosen by the validation prompts: {report:?}"
    );
    assert!(report.pair_accuracy.value < 0.05, "{report:?}");
    let pairs: usize = test.iter().map(|p| p.annotations[0].pairs.len()).sum();
    assert_eq!(report.pair_accuracy.n, pairs);
}

#[test]
fn completions_of_a_prompt_that_do_not_fit_together_are_learnt_from_as_well() {
    let report = run(&RewardConfig {
        // Fewer than the tokens of three completions.
        microbatch_tokens: 10,
        ..settings()
    })
    .report;
    assert!(report.pair_accuracy.value > 0.95, "{report:?}");
}

#[test]
fn the_best_of_several_seeds_is_kept() {
    let settings = RewardConfig {
        n_seeds: 3,
        normalise: Normalisation::Off,
        lr: LrSchedule {
            peak_lr: 5e-4,
            ..Default::default()
        },
        ..settings()
    };
    let RewardOutcome { model, report } = run(&settings);
    let steps = prompts(0..400).len().div_ceil(8) as u64;
    assert_eq!((report.steps, report.seed_losses.len()), (3 * steps, 3));
    let best = report.seed_losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(
        report.seed_losses.iter().any(|&loss| loss > best),
        "seeds differ: {report:?}"
    );
    // Its scores have the loss of the best.
    let held_out = prompts(1000..1100);
    let losses: Vec<f64> = held_out
        .iter()
        .map(|prompt| {
            let scores = sequence_scores(&model, &prompt.sequences, 1024);
            let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
            rlhf_reward::kwise_loss(&scores, &prompt.annotations[0].pairs, 0.0, &settings.loss).loss
        })
        .collect();
    assert!((rlhf_core::stats::mean(&losses) - best).abs() < 1e-5, "{best}");
}

#[test]
fn the_learning_rate_starts_anew_with_each_seed() {
    let learnt = prompts(0..40);
    let data = RewardData {
        train: &learnt,
        validation: &learnt[..4],
        test: &learnt[..4],
        held_out_labelers: &[],
        demonstrations: &[],
    };
    let settings = RewardConfig {
        n_seeds: 2,
        ..settings()
    };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let checkpoints = CheckpointStore::open(dir.path().join("checkpoints"), 1).expect("a folder");
    let of = fingerprint(&settings).expect("plain data");
    let context = StageContext::new(Device::flex(), 1, dir.path(), checkpoints, of, &Quiet);
    train(trunk(), data, &settings, &context).expect("it learns");
    let rows = read_metrics(dir.path().join("metrics.jsonl")).expect("metrics are whole");
    let rates: Vec<f64> = rows
        .iter()
        .filter_map(|row| row.values.get("lr").copied().flatten())
        .collect();
    let (first, second) = rates.split_at(rates.len() / 2);
    assert_eq!(first, second);
    assert!(first.len() > 2 && first.is_sorted_by(|a, b| a > b), "{first:?}");
}

#[test]
fn without_rankings_a_run_says_so() {
    let held_out = prompts(0..4);
    let said = |train_rows: &[RankedPrompt], validation: &[RankedPrompt]| {
        let data = RewardData {
            train: train_rows,
            validation,
            test: validation,
            held_out_labelers: &[],
            demonstrations: &[],
        };
        let found = train(trunk(), data, &settings(), &StageContext::scratch(Device::flex(), 1));
        found
            .map(|outcome| outcome.report)
            .expect_err("nothing to learn")
            .to_string()
    };
    assert!(said(&[], &held_out).starts_with("no training comparisons"));
    assert!(said(&held_out, &[]).starts_with("no validation comparisons"));
}
