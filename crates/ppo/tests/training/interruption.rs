//! A run that is stopped wherever it can be, between rollout and steps too, ends with the bytes of an undisturbed one.

use std::path::Path;

use burn::tensor::Device;
use rlhf_core::hash::fingerprint;
use rlhf_core::stage::{Quiet, StageContext};
use rlhf_core::{CheckpointStore, MetricRow, StopFlag, named_parameters, permutation, read_metrics, rng};
use rlhf_data::TokenSequence;
use rlhf_model::{CausalLm, LoraConfig, ModelConfig, ScalarModel};
use rlhf_ppo::{
    ControllerConfig, EmaConfig, Error, EvaluateConfig, KlConfig, PpoConfig, PpoData, PpoModels, PpoOutcome, PpoPrompt,
    PtxConfig, Select, train,
};

use super::bandit::{constant, network};

fn settings() -> PpoConfig {
    PpoConfig {
        episodes: 24,
        batch_size: 8,
        n_minibatches: 2,
        ppo_epochs: 2,
        max_new_tokens: 5,
        lr: constant(1e-3),
        value_lr: constant(1e-3),
        checkpoint_every: 2,
        kl: KlConfig {
            controller: ControllerConfig::Adaptive {
                target: 0.01,
                horizon: 50.0,
            },
            ..Default::default()
        },
        ema: EmaConfig::default(),
        ptx: PtxConfig {
            coef: 0.5,
            examples_per_episode: 0.25,
            ..Default::default()
        },
        ..Default::default()
    }
}

fn config() -> ModelConfig {
    network(12, 12)
}

/// Starts, or goes on; with `stop` raised the loop stops wherever it looks at the flag.
fn run(dir: &Path, settings: &PpoConfig, stop: bool) -> Result<PpoOutcome, Error> {
    let (device, config) = (Device::flex(), config());
    let sft = CausalLm::init(&config, 1, &device);
    let reward = ScalarModel::from_decoder(CausalLm::init(&config, 2, &device).transformer, 3, &device);
    let prompts: Vec<PpoPrompt> = (0..6).map(|i| vec![i, (i + 1) % 12].into()).collect();
    let text: Vec<TokenSequence> = (0..4)
        .map(|i| {
            let ids = permutation(12, &mut rng(7, "text", &[i]));
            TokenSequence {
                input_ids: ids.into_iter().map(|id| id as u32).collect(),
                loss_mask: (0..12).map(|t| t > 0).collect(),
            }
        })
        .collect();
    let checkpoints = CheckpointStore::open(dir.join("checkpoints"), 2)?;
    let mut context = StageContext::new(device, 1, dir, checkpoints, fingerprint(&settings.identity())?, &Quiet);
    context.stop = StopFlag::new();
    if stop {
        context.stop.request();
    }
    let data = PpoData {
        prompts: &prompts,
        // As many as are learnt from, where they are evaluated.
        held_out: if settings.evaluate.every > 0 { 2 } else { 0 },
        pretraining: &text,
        eos_token_id: 0,
        stop_token_ids: &[],
    };
    let models = PpoModels::with_reward_model(sft, reward, settings);
    train(models, data, settings, &context, &mut Quiet)
}

fn curves(dir: &Path) -> Vec<MetricRow> {
    let rows = read_metrics(dir.join("metrics.jsonl")).expect("metrics are whole");
    rows.into_iter().map(MetricRow::without_times).collect()
}

#[test]
fn a_run_stopped_after_the_rollout_and_after_every_step_ends_with_the_same_bytes() {
    interrupted_everywhere(&settings());
}

#[test]
fn a_run_with_adapters_stopped_after_the_rollout_and_after_every_step_ends_with_the_same_bytes() {
    let lora = LoraConfig {
        rank: 2,
        ..Default::default()
    };
    let settings = PpoConfig {
        lora: Some(lora),
        ..settings()
    };
    let outcome = interrupted_everywhere(&settings);
    // The policy after training, its adapters off, is the SFT model: reference and policy have one backbone.
    let reference = named_parameters(&CausalLm::init(&config(), 1, &Device::flex()));
    assert!(named_parameters(&outcome.policy.without_lora()) == reference);
    assert!(named_parameters(&outcome.ema.expect("the defaults average").without_lora()) == reference);
}

#[test]
fn a_run_that_keeps_the_best_policy_of_its_evaluations_ends_with_the_same_bytes() {
    let settings = PpoConfig {
        evaluate: EvaluateConfig {
            every: 1,
            prompts: 2,
            answers: 2,
        },
        select: Select::Score,
        ..settings()
    };
    let report = interrupted_everywhere(&settings).report;
    assert_eq!(report.evaluations.len(), 4, "{report:?}");
}

#[test]
fn a_run_goes_on_for_more_and_for_no_less_than_it_has_learnt_from() {
    let of_updates = |updates| PpoConfig {
        episodes: 8 * updates,
        ..settings()
    };
    let [quiet, grown] = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let expected = run(quiet.path(), &of_updates(3), false).expect("nobody asks it to stop");
    run(grown.path(), &of_updates(2), false).expect("nobody asks it to stop");
    // A rollout of the third update, and so nothing less than three.
    let stopped = run(grown.path(), &of_updates(3), true);
    assert!(matches!(stopped, Err(Error::Interrupted { update: 2 })), "{stopped:?}");
    for asked in [2, 1] {
        let refused = run(grown.path(), &of_updates(asked as usize), false);
        assert!(
            matches!(refused, Err(Error::Beyond { asked: found }) if found == asked),
            "{refused:?}"
        );
    }
    let found = run(grown.path(), &of_updates(3), false).expect("nobody asks it to stop");
    assert!(named_parameters(&found.policy) == named_parameters(&expected.policy));
    assert!(named_parameters(&found.value) == named_parameters(&expected.value));
    assert_eq!(found.report, expected.report);
    assert_eq!(curves(grown.path()), curves(quiet.path()));
    // At its end it is whole, and asked for as much it ends at once.
    let again = run(grown.path(), &of_updates(3), false).expect("nobody asks it to stop");
    assert_eq!(again.report, expected.report);
}

#[test]
fn rollout_and_update_together_are_the_time_of_an_update() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let started = std::time::Instant::now();
    run(dir.path(), &settings(), false).expect("nobody asks it to stop");
    let whole = started.elapsed().as_secs_f64();
    let rows = read_metrics(dir.path().join("metrics.jsonl")).expect("metrics are whole");
    assert_eq!(rows.len(), 3);
    let mut seconds = 0.0;
    for row in &rows {
        let value = |name: &str| row.values[name].expect("a number");
        let (rollout, update) = (value("time/rollout_s"), value("time/update_s"));
        assert!(rollout > 0.0 && update > 0.0 && value("time/gflops") > 0.0);
        // Eight episodes of two tokens and a response.
        let tokens = 8.0 * (2.0 + value("rollout/response_len"));
        assert!(((rollout + update) * value("time/tokens_per_s") - tokens).abs() < 1e-6 * tokens);
        seconds += rollout + update;
    }
    assert!(seconds <= whole);
}

/// Stops a run wherever it can be and compares its end with that of an undisturbed one.
fn interrupted_everywhere(settings: &PpoConfig) -> PpoOutcome {
    let [quiet, disturbed] = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let expected = run(quiet.path(), settings, false).expect("nobody asks it to stop");
    let mut stops = 0;
    let found = loop {
        match run(disturbed.path(), settings, true) {
            Ok(outcome) => break outcome,
            // A run that does not go on from where it was would never end.
            Err(Error::Interrupted { .. }) if stops < 100 => stops += 1,
            Err(error) => panic!("{error}"),
        }
    };
    // 3 updates, each a rollout, 2 epochs of 2 steps and its end; the last end is that of the run.
    assert_eq!(stops, 3 * (1 + 2 * 2 + 1) - 1);
    assert_eq!(found.report, expected.report);
    assert!(
        named_parameters(&found.policy) == named_parameters(&expected.policy),
        "policy"
    );
    assert!(
        named_parameters(&found.value) == named_parameters(&expected.value),
        "value"
    );
    let ema = |outcome: &PpoOutcome| named_parameters(outcome.ema.as_ref().expect("the defaults average"));
    assert!(ema(&found) == ema(&expected), "average");
    assert_eq!(curves(disturbed.path()), curves(quiet.path()));
    found
}
