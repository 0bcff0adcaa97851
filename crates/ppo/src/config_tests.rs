use super::*;

/// The paths that `validate` complains about after one change to the defaults.
fn faults(change: impl FnOnce(&mut PpoConfig)) -> Vec<String> {
    let mut config = PpoConfig::default();
    change(&mut config);
    config.validate().iter().map(|error| error.path.clone()).collect()
}

#[test]
fn the_defaults_are_valid_and_survive_a_round_trip() {
    let config = PpoConfig::default();
    assert!(config.validate().is_empty(), "{}", config.validate());
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<PpoConfig>(&text).unwrap(), config);
    assert_eq!(serde_json::from_str::<PpoConfig>("{}").unwrap(), config);
}

#[test]
fn derived_numbers_follow_instructgpt() {
    let config = PpoConfig::default();
    assert_eq!(config.minibatch_size(), 64);
    assert_eq!(config.updates(), 500);
    assert_eq!(config.steps(), 4000);
    assert_eq!(config.ptx_examples_per_minibatch(), 512);
}

#[test]
fn each_range_is_checked_under_its_own_path() {
    let check = |expected: &str, change: fn(&mut PpoConfig)| assert_eq!(faults(change), [expected], "{expected}");
    check("n_minibatches", |c| c.n_minibatches = 3);
    check("n_minibatches", |c| c.n_minibatches = 0);
    check("microbatch_tokens", |c| c.microbatch_tokens = 0);
    check("ppo_epochs", |c| c.ppo_epochs = 0);
    check("max_new_tokens", |c| c.max_new_tokens = 0);
    check("log_every", |c| c.log_every = 0);
    check("abort_negative_kl_iterations", |c| c.abort_negative_kl_iterations = 0);
    check("episodes", |c| c.episodes = 511);
    check("temperature", |c| c.temperature = 0.0);
    check("gamma", |c| c.gamma = 1.01);
    check("gae_lambda", |c| c.gae_lambda = f64::NAN);
    check("cliprange", |c| c.cliprange = 1.0);
    check("cliprange_value", |c| c.cliprange_value = ValueClip::Range(0.0));
    check("max_grad_norm", |c| c.max_grad_norm = 0.0);
    check("target_kl", |c| c.target_kl = Some(-1.0));
    check("ema.decay", |c| c.ema.decay = 1.0);
    check("kl.coef", |c| c.kl.coef = -0.1);
    check("score_clip", |c| c.score_clip = Some(0.0));
    check("missing_eos.subtract.penalty", |c| {
        c.missing_eos = MissingEos::Subtract { penalty: -1.0 };
    });
    check("missing_eos.replace.score", |c| {
        c.missing_eos = MissingEos::Replace { score: f64::INFINITY };
    });
    check("ptx.coef", |c| c.ptx.coef = f64::INFINITY);
    check("ptx.target_grad_ratio", |c| c.ptx.target_grad_ratio = Some(0.0));
    check("ptx.examples_per_episode", |c| c.ptx.examples_per_episode = 0.001);
    check("lr.peak_lr", |c| c.lr.peak_lr = -1.0);
    check("value_lr.final_fraction", |c| c.value_lr.final_fraction = 2.0);
    check("adamw.eps", |c| c.adamw.eps = 0.0);
    // Once a run ended as a broken invariant: the ratio of two passes is not one where rounding counts for everything.
    check("temperature", |c| c.temperature = 1e-308);
    check("temperature", |c| c.temperature = 1e-3);
}

#[test]
fn rules_that_depend_on_each_other_are_checked_too() {
    let adaptive = |target, horizon| ControllerConfig::Adaptive { target, horizon };
    let mut config = PpoConfig::default();
    config.kl.controller = adaptive(6.0, 10_000.0);
    assert!(config.validate().is_empty());
    assert_eq!(
        faults(|c| c.kl.controller = adaptive(0.0, 511.0)),
        ["kl.controller.adaptive.target", "kl.controller.adaptive.horizon"]
    );
    assert_eq!(
        faults(|c| {
            c.whiten_rewards = RewardWhitening::Rollout;
            (c.batch_size, c.n_minibatches) = (4, 2);
        }),
        ["whiten_rewards"]
    );
    assert!(faults(|c| (c.ptx.coef, c.ptx.examples_per_episode) = (0.0, 0.0)).is_empty());
}

#[test]
fn a_message_names_both_numbers() {
    let config = PpoConfig {
        batch_size: 64,
        n_minibatches: 3,
        ..PpoConfig::default()
    };
    assert_eq!(
        config.validate().to_string(),
        "n_minibatches: 3 does not divide batch_size 64"
    );
}

#[test]
fn modes_are_written_as_words_or_as_a_table_of_one_entry() {
    let text = r#"{
        "cliprange_value": "off",
        "missing_eos": {"subtract": {"penalty": 1.0}},
        "kl": {"estimator": "k3", "controller": {"adaptive": {"target": 6.0, "horizon": 10000.0}}},
        "whiten_advantages": "minibatch",
        "terminal": "first_pad",
        "ptx": {"unit": "sequence_sum"},
        "ema": {"per": "step"},
        "value_init": "zero_head"
    }"#;
    let config: PpoConfig = serde_json::from_str(text).unwrap();
    assert_eq!(config.cliprange_value.range(), None);
    assert_eq!(config.missing_eos, MissingEos::Subtract { penalty: 1.0 });
    assert_eq!(config.kl.controller().coef(), 0.05);
    assert!(matches!(config.kl.controller(), KlController::Adaptive { .. }));
    assert_eq!(config.ptx.unit, PtxUnit::SequenceSum);
    assert_eq!(config.value_init, ValueInit::ZeroHead);
    for unknown in [
        r#"{"kl_coef": 0.1}"#,
        r#"{"missing_eos": {"replace": {"score": 0, "penalty": 1}}}"#,
        r#"{"kl": {"target": 6}}"#,
    ] {
        assert!(serde_json::from_str::<PpoConfig>(unknown).is_err(), "{unknown}");
    }
}
