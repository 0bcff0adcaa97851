//! The whole loop on tasks whose solution is known: a bandit, and a text to remember.

use burn::tensor::Device;
use rlhf_core::stage::{Quiet, StageContext};
use rlhf_core::{permutation, rng, stats};
use rlhf_data::TokenSequence;
use rlhf_model::{CausalLm, sequence_logprobs};
use rlhf_ppo::{
    AdvantageWhitening, Answer, EmaConfig, EmaPer, Error, PpoConfig, PpoData, PpoModels, PpoOutcome, PpoPrompt,
    PtxConfig, RewardWhitening, ScoreBaseline, Scorer, ScorerError, Terminal, ValueInit, train,
};

use super::bandit::{BANDIT, EOS, VOCAB, policy, settings};

/// Has the same opinion of everything, or none.
#[derive(Debug)]
struct Indifferent(Option<f64>);

impl Scorer for Indifferent {
    fn score(&self, answers: &[Answer<'_>]) -> Result<Vec<Option<f64>>, ScorerError> {
        Ok(vec![self.0; answers.len()])
    }
}

fn run(scorer: impl Scorer + 'static, text: &[TokenSequence], settings: &PpoConfig) -> Result<PpoOutcome, Error> {
    run_seeded(1, scorer, text, settings)
}

fn run_seeded(
    seed: u64,
    scorer: impl Scorer + 'static,
    text: &[TokenSequence],
    settings: &PpoConfig,
) -> Result<PpoOutcome, Error> {
    let prompts: Vec<PpoPrompt> = (1..VOCAB as u32).map(|token| vec![token].into()).collect();
    run_on(&prompts, seed, scorer, text, settings)
}

fn run_on(
    prompts: &[PpoPrompt],
    seed: u64,
    scorer: impl Scorer + 'static,
    text: &[TokenSequence],
    settings: &PpoConfig,
) -> Result<PpoOutcome, Error> {
    let models = PpoModels {
        sft: policy(),
        scorer: Box::new(scorer),
        judge: None,
    };
    let data = PpoData {
        prompts,
        held_out: 0,
        pretraining: text,
        eos_token_id: EOS,
        stop_token_ids: &[],
    };
    let context = StageContext::scratch(Device::flex(), seed);
    train(models, data, settings, &context, &mut Quiet)
}

fn bandit(settings: &PpoConfig) -> PpoOutcome {
    run(BANDIT, &[], settings).expect("it learns")
}

#[test]
fn the_score_of_a_bandit_rises() {
    let report = bandit(&settings()).report;
    assert!(report.first_score < 0.25, "one token in eight at first: {report:?}");
    assert!(report.last_score > 0.8, "{report:?}");
}

#[test]
fn it_rises_in_every_way_of_crediting_tokens() {
    let check = |name: &str, change: fn(&mut PpoConfig)| {
        let mut settings = settings();
        change(&mut settings);
        let report = bandit(&settings).report;
        assert!(report.last_score > 0.6, "{name}: {report:?}");
    };
    check("whitened by minibatch", |c| {
        c.whiten_advantages = AdvantageWhitening::Minibatch;
    });
    check("scores at the first pad", |c| c.terminal = Terminal::FirstPad);
    check("whitened rewards", |c| c.whiten_rewards = RewardWhitening::Rollout);
    check("a micro-batch per response", |c| c.microbatch_tokens = 4);
    check("scores less those of other answers", |c| {
        c.samples_per_prompt = 4;
        c.score_baseline = ScoreBaseline::OtherAnswers;
        c.gae_lambda = 1.0;
    });
}

/// The answers of a prompt that is long enough go through the networks with it.
#[test]
fn it_rises_when_a_prompt_goes_through_once_for_its_answers() {
    let settings = PpoConfig {
        samples_per_prompt: 4,
        score_baseline: ScoreBaseline::OtherAnswers,
        gae_lambda: 1.0,
        ..settings()
    };
    let prompts: Vec<PpoPrompt> = (1..VOCAB as u32).map(|token| vec![token; 20].into()).collect();
    let report = run_on(&prompts, 1, BANDIT, &[], &settings).expect("it learns").report;
    assert!(report.first_score < 0.25 && report.last_score > 0.6, "{report:?}");
}

#[test]
fn responses_are_drawn_at_the_temperature_and_by_the_seed_of_the_run() {
    let first_scores = |seed: u64, temperature: f64| {
        let settings = PpoConfig {
            episodes: 32,
            temperature,
            ..settings()
        };
        let outcome = run_seeded(seed, BANDIT, &[], &settings);
        outcome.expect("sampler and training pass agree").report.first_score
    };
    let found = first_scores(1, 1.0);
    assert_eq!(found, first_scores(1, 1.0));
    assert_ne!(found, first_scores(2, 1.0));
    assert_ne!(found, first_scores(1, 0.3));
}

#[test]
fn a_response_ends_where_the_policy_says_so() {
    #[derive(Debug)]
    struct Endings;

    impl Scorer for Endings {
        fn score(&self, answers: &[Answer<'_>]) -> Result<Vec<Option<f64>>, ScorerError> {
            for answer in answers {
                let (tokens, finished) = (answer.response.tokens(), answer.response.finished);
                let end = tokens.iter().position(|&token| token == EOS);
                assert_eq!(end, finished.then(|| tokens.len() - 1), "{tokens:?}");
                assert_eq!(answer.response.prompt_tokens().len(), 1);
            }
            Ok(answers
                .iter()
                .map(|a| Some(f64::from(u8::from(a.response.finished))))
                .collect())
        }
    }
    let report = run(Endings, &[], &settings()).expect("it learns").report;
    // Whoever is paid for ending learns to end.
    assert!(report.first_score < 0.7 && report.last_score > 0.9, "{report:?}");
}

#[test]
fn the_divergence_falls_as_its_price_rises() {
    let kls = [0.0, 0.1, 1.0].map(|coef| {
        let mut settings = settings();
        settings.kl.coef = coef;
        bandit(&settings).report.last_kl
    });
    assert!(kls[0] > kls[1] && kls[1] > kls[2], "{kls:?}");
    // Worth less than a nat, a response may not cost one.
    assert!(kls[0] > 2.0 && kls[2] < 0.2, "{kls:?}");
}

#[test]
fn the_average_follows_the_policy_at_its_pace() {
    let distance_to_start = |per: EmaPer, decay: f64| {
        let outcome = bandit(&PpoConfig {
            ema: EmaConfig { decay, per },
            ..settings()
        });
        let average = outcome.ema.expect("it is on");
        let weights = |model: &CausalLm| -> Vec<f32> {
            let tensors = rlhf_core::named_parameters(model).into_iter();
            tensors.flat_map(|tensor| tensor.values).collect()
        };
        let (start, end, average) = (weights(&policy()), weights(&outcome.policy), weights(&average));
        let distance = |a: &[f32], b: &[f32]| -> f64 {
            let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
            squares.sum::<f64>().sqrt()
        };
        distance(&average, &start) / distance(&end, &start)
    };
    // 24 updates of 4 steps each: the slow average is still near the start.
    let (slow, by_step, none) = (
        distance_to_start(EmaPer::Iteration, 0.99),
        distance_to_start(EmaPer::Step, 0.99),
        distance_to_start(EmaPer::Iteration, 0.0),
    );
    assert!(slow > 0.02 && slow < by_step && by_step < 0.9, "{slow} {by_step}");
    assert!((none - 1.0).abs() < 1e-6, "without memory it is the policy: {none}");
}

/// Mean negative log-probability of a token of the text.
fn loss(model: &CausalLm, text: &[TokenSequence]) -> f64 {
    let ids: Vec<&[u32]> = text.iter().map(|s| s.input_ids.as_slice()).collect();
    let found = sequence_logprobs(model, &ids, &vec![1; ids.len()], 1.0, 1024);
    let losses: Vec<f64> = found.logprobs.iter().flatten().map(|&p| -f64::from(p)).collect();
    stats::mean(&losses)
}

fn text() -> Vec<TokenSequence> {
    (0..4)
        .map(|i| {
            let ids = permutation(VOCAB, &mut rng(7, "text", &[i]));
            TokenSequence {
                input_ids: ids.into_iter().map(|id| id as u32).collect(),
                loss_mask: (0..VOCAB).map(|t| t > 0).collect(),
            }
        })
        .collect()
}

#[test]
fn with_nothing_to_gain_the_pretraining_term_alone_learns_its_text() {
    let check = |ptx: PtxConfig, most: f64| {
        let settings = PpoConfig { ptx, ..settings() };
        let outcome = run(Indifferent(Some(0.0)), &text(), &settings).expect("it learns");
        let (before, after) = (loss(&policy(), &text()), loss(&outcome.policy, &text()));
        assert!(after < most * before, "{before} -> {after}");
    };
    let ptx = PtxConfig {
        coef: 1.0,
        examples_per_episode: 0.25,
        ..Default::default()
    };
    check(ptx.clone(), 0.5);
    // Without advantages there is no PPO gradient whose norm could be matched.
    let matched = PtxConfig {
        target_grad_ratio: Some(1.0),
        ..ptx
    };
    let settings = PpoConfig {
        ptx: matched,
        ..settings()
    };
    let outcome = run(Indifferent(Some(0.0)), &text(), &settings).expect("it learns");
    assert!((loss(&outcome.policy, &text()) - loss(&policy(), &text())).abs() < 1e-6);
}

#[test]
fn a_wandering_policy_ends_the_passes_of_its_update() {
    let steps = |target_kl| {
        let settings = PpoConfig {
            ppo_epochs: 4,
            target_kl,
            ..settings()
        };
        bandit(&settings).report.steps
    };
    assert_eq!(steps(None), 24 * 4 * 2);
    assert_eq!(steps(Some(1e-12)), 24 * 2, "one epoch each");
}

#[test]
fn without_scores_data_or_a_reward_model_a_run_says_so() {
    let said = |result: Result<PpoOutcome, Error>| result.expect_err("nothing to learn").to_string();
    let settings = settings();
    let message = said(run(Indifferent(None), &[], &settings));
    assert!(message.ends_with("is missing, expected a finite number"), "{message}");
    let message = said(run(Indifferent(Some(f64::NAN)), &[], &settings));
    assert!(
        message.starts_with("scoring responses") && message.contains("is NaN"),
        "{message}"
    );
    let from_reward_model = PpoConfig {
        value_init: ValueInit::RewardModel,
        ..settings.clone()
    };
    assert!(said(run(BANDIT, &[], &from_reward_model)).contains("expected `zero_head`"));
    let with_text = PpoConfig {
        ptx: PtxConfig::default(),
        ..settings
    };
    assert!(said(run(BANDIT, &[], &with_text)).starts_with("no pretraining sequences"));
}
