//! Evaluations on held-out prompts while a policy learns: which policy is kept, and when a run stops.

use burn::tensor::Device;
use rlhf_core::stage::StageContext;
use rlhf_core::{LrSchedule, ScheduleKind, named_parameters};
use rlhf_model::{CausalLm, Gpt2Config};
use rlhf_ppo::{
    Answer, Episode, Error, EvaluateConfig, KlConfig, MissingEos, Observer, PpoConfig, PpoData, PpoModels, PpoOutcome,
    PpoPrompt, PtxConfig, Scorer, ScorerError, Select, StopConfig, ValueInit, train,
};

const VOCAB: usize = 8;
const EOS: u32 = 3;
const LIKED: u32 = 5;
/// Prompts begin with this token where they are held out.
const HELD_OUT: u32 = 7;

/// Scores the share of liked tokens as `of` says.
#[derive(Debug)]
struct Share(fn(f64) -> f64);

impl Scorer for Share {
    fn score(&self, answers: &[Answer<'_>]) -> Result<Vec<Option<f64>>, ScorerError> {
        let share = |answer: &Answer<'_>| {
            let tokens = answer.response.tokens();
            (self.0)(tokens.iter().filter(|&&token| token == LIKED).count() as f64 / tokens.len() as f64)
        };
        Ok(answers.iter().map(|answer| Some(share(answer))).collect())
    }
}

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

fn constant(peak_lr: f64) -> LrSchedule {
    LrSchedule {
        peak_lr,
        kind: ScheduleKind::Constant,
        ..Default::default()
    }
}

fn settings() -> PpoConfig {
    PpoConfig {
        episodes: 24 * 32,
        batch_size: 32,
        n_minibatches: 2,
        ppo_epochs: 2,
        max_new_tokens: 4,
        lr: constant(3e-3),
        value_lr: constant(3e-3),
        missing_eos: MissingEos::None,
        value_init: ValueInit::ZeroHead,
        kl: KlConfig {
            coef: 0.0,
            ..Default::default()
        },
        ptx: PtxConfig {
            coef: 0.0,
            ..Default::default()
        },
        evaluate: EvaluateConfig {
            every: 2,
            prompts: 60,
            answers: 1,
        },
        sample_every: 1,
        samples: 32,
        keep_every: 2,
        ..Default::default()
    }
}

fn run(settings: &PpoConfig) -> (PpoOutcome, Keeper) {
    let config = Gpt2Config {
        vocab_size: VOCAB,
        n_positions: 32,
        n_embd: 16,
        n_layer: 1,
        n_head: 2,
        ..Default::default()
    };
    let models = PpoModels {
        sft: CausalLm::init(&config.into(), 1, &Device::flex()),
        scorer: Box::new(Share(|share| share)),
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
