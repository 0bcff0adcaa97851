//! Evaluations on held-out prompts while a policy learns: which policy is kept, and when a run stops.

use burn::tensor::Device;
use rlhf_core::named_parameters;
use rlhf_core::stage::StageContext;
use rlhf_model::CausalLm;
use rlhf_ppo::{
    Episode, Error, EvaluateConfig, Observer, PpoConfig, PpoData, PpoModels, PpoOutcome, PpoPrompt, Select, StopConfig,
    train,
};

use super::bandit::{self, BANDIT, EOS, Share, VOCAB, policy};

/// Prompts begin with this token where they are held out.
const HELD_OUT: u32 = 7;

/// Likes some of what is optimised, and less of it the more there is beyond.
fn judge() -> Share {
    Share(|share| share.min(0.5) - (share - 0.5).max(0.0))
}

/// Keeps the weights of the policies it is shown.
#[derive(Default)]
struct Keeper(Vec<(u64, Vec<Vec<f32>>)>);

impl Observer for Keeper {
    type Error = Error;

    fn sampled(&mut self, _: u64, episodes: &[Episode]) -> Result<(), Error> {
        let of_held_out = |episode: &Episode| episode.response.sequence[0] == HELD_OUT;
        assert!(!episodes.iter().any(of_held_out), "learnt from what is held out");
        Ok(())
    }

    fn kept(&mut self, updates: u64, policy: &CausalLm) -> Result<(), Error> {
        self.0.push((updates, weights(policy)));
        Ok(())
    }
}

fn weights(policy: &CausalLm) -> Vec<Vec<f32>> {
    named_parameters(policy)
        .into_iter()
        .map(|tensor| tensor.values)
        .collect()
}

/// Evaluated after every second update, by 60 prompts that nothing is learnt from.
fn settings() -> PpoConfig {
    PpoConfig {
        evaluate: EvaluateConfig {
            every: 2,
            prompts: 60,
            answers: 1,
        },
        sample_every: 1,
        samples: 32,
        keep_every: 2,
        ..bandit::settings()
    }
}

fn run(settings: &PpoConfig) -> (PpoOutcome, Keeper) {
    let models = PpoModels {
        sft: policy(),
        scorer: Box::new(BANDIT),
        judge: Some(Box::new(judge())),
    };
    let learnt = (1..VOCAB as u32 - 1).map(|token| vec![token]);
    let held_out = (0..60).map(|n: u32| vec![HELD_OUT, n % 7]);
    let prompts: Vec<PpoPrompt> = learnt.chain(held_out).map(PpoPrompt::from).collect();
    let data = PpoData {
        prompts: &prompts,
        held_out: 60,
        pretraining: &[],
        eos_token_id: EOS,
        stop_token_ids: &[],
    };
    let mut keeper = Keeper::default();
    let context = StageContext::scratch(Device::flex(), 1);
    let outcome = train(models, data, settings, &context, &mut keeper).expect("it learns");
    (outcome, keeper)
}

#[test]
fn evaluations_change_nothing_and_show_the_score_of_held_out_prompts_rise() {
    let (watched, keeper) = run(&settings());
    let (alone, _) = run(&PpoConfig {
        evaluate: EvaluateConfig::default(),
        ..settings()
    });
    assert!(weights(&watched.policy) == weights(&alone.policy));
    let report = watched.report;
    let updates: Vec<u64> = report.evaluations.iter().map(|e| e.update).collect();
    assert_eq!(updates, (0..=24).step_by(2).collect::<Vec<u64>>());
    let (first, last) = (report.evaluations[0], report.evaluations[12]);
    assert!(first.kl.abs() < 1e-6, "the policy is the reference: {first:?}");
    assert!(first.score < 0.25 && last.score > 0.8 && last.kl > 1.0, "{report:?}");
    // Without a penalty the reward is the score.
    assert!((last.reward - last.score).abs() < 1e-9);
    assert_eq!((report.selected, report.stopped), (24, None));
    let kept: Vec<u64> = keeper.0.iter().map(|(update, _)| *update).collect();
    assert_eq!(kept, (2..=24).step_by(2).collect::<Vec<u64>>());
    assert!(keeper.0[11].1 == weights(&watched.policy));
}

#[test]
fn the_policy_that_the_judge_likes_best_is_kept_and_it_is_not_the_last() {
    let (outcome, keeper) = run(&PpoConfig {
        select: Select::Judge,
        ..settings()
    });
    let report = outcome.report;
    let judged: Vec<f64> = report.evaluations.iter().map(|e| e.judge.expect("it judges")).collect();
    let best = judged.iter().copied().fold(f64::MIN, f64::max);
    assert!(
        judged[12] < best - 0.1,
        "what is optimised is over-optimised: {judged:?}"
    );
    let selected = report.evaluations.iter().find(|e| e.update == report.selected);
    assert_eq!(selected.expect("it was evaluated").judge, Some(best));
    let kept = keeper.0.iter().find(|(update, _)| *update == report.selected);
    assert!(kept.expect("kept as well").1 == weights(&outcome.policy));
    assert_eq!(report.updates, 24);
}

#[test]
fn patience_and_a_limit_of_kl_end_a_run_early() {
    let stopped = |stop: StopConfig| {
        run(&PpoConfig {
            select: Select::Judge,
            stop,
            ..settings()
        })
        .0
        .report
    };
    let patient = stopped(StopConfig {
        patience: 2,
        max_kl: None,
    });
    assert!(patient.updates < 24, "{patient:?}");
    assert_eq!(patient.updates, patient.selected + 4, "two evaluations behind the best");
    assert!(
        patient
            .stopped
            .expect("it says why")
            .starts_with("2 evaluations in a row")
    );
    let near = stopped(StopConfig {
        patience: 0,
        max_kl: Some(1.0),
    });
    let (last, before) = (
        near.evaluations.last().expect("some"),
        &near.evaluations[near.evaluations.len() - 2],
    );
    assert!(last.kl > 1.0 && before.kl <= 1.0 && near.updates < 24, "{near:?}");
}
