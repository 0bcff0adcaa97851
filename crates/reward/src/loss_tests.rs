use super::*;
use proptest::prelude::*;
use serde_json::Value;

const PLAIN: KwiseConfig = KwiseConfig {
    margin: Margin::Data,
    label_smoothing: 0.0,
    centering_coef: 0.0,
    l2_coef: 0.0,
    pair_divisor: PairDivisor::KeptPairs,
};

fn golden() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/golden/ppo/reward_model_loss.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * b.abs().max(1.0),
            "entry {i}: {a} against {b}"
        );
    }
}

#[test]
fn kwise_loss_and_gradient_match_pytorch() {
    for case in golden()["kwise"].as_array().unwrap() {
        let prompts = case["scores"].as_array().unwrap();
        let n = prompts.len() as f64;
        let mut total = 0.0;
        for (row, scores) in prompts.iter().enumerate() {
            let ranks: Vec<u32> = numbers(&case["ranks"][row]).iter().map(|&rank| rank as u32).collect();
            let found = kwise_loss(&numbers(scores), &pairs_from_ranking(&ranks), 0.0, &PLAIN);
            assert_close(&[found.loss], &[numbers(&case["loss_per_prompt"])[row]], 1e-12);
            let grad: Vec<f64> = found.grad.iter().map(|grad| grad / n).collect();
            assert_close(&grad, &numbers(&case["grad_scores"][row]), 1e-12);
            total += found.loss / n;
        }
        assert_close(&[total], &[case["loss"].as_f64().unwrap()], 1e-12);
    }
}

#[test]
fn pairwise_loss_with_margins_matches_pytorch() {
    for case in golden()["pairwise"].as_array().unwrap() {
        let (chosen, rejected) = (numbers(&case["chosen"]), numbers(&case["rejected"]));
        let n = chosen.len() as f64;
        let mut total = 0.0;
        for row in 0..chosen.len() {
            let margin = case["margin"].as_array().map_or(0.0, |m| m[row].as_f64().unwrap());
            let found = kwise_loss(&[chosen[row], rejected[row]], &[(0, 1)], margin, &PLAIN);
            total += found.loss / n;
            let expected = [&case["grad_chosen"], &case["grad_rejected"]].map(|grads| numbers(grads)[row] * n);
            assert_close(&found.grad, &expected, 1e-12);
        }
        assert_close(&[total], &[case["loss"].as_f64().unwrap()], 1e-12);
    }
}

#[test]
fn the_worked_example_comes_out_to_every_printed_digit() {
    // `docs/algorithm.md`, worked example.
    let scores = [1.2, 0.7, -0.1, 0.4];
    let pairs = pairs_from_ranking(&[1, 2, 4, 3]);
    assert_eq!(pairs.len(), 6);
    let found = kwise_loss(&scores, &pairs, 0.0, &PLAIN);
    assert_close(&[found.loss], &[0.4142864997595479], 1e-15);
    assert_close(&found.grad, &[-0.150289, -0.059674, 0.150289, 0.059674], 5e-7);

    let tied = pairs_from_ranking(&[1, 2, 3, 2]);
    assert_eq!(tied.len(), 5);
    let kept = kwise_loss(&scores, &tied, 0.0, &PLAIN);
    assert_close(&[kept.loss], &[0.3862727508], 5e-11);
    let all = KwiseConfig {
        pair_divisor: PairDivisor::AllPairs,
        ..PLAIN
    };
    assert_close(&[kwise_loss(&scores, &tied, 0.0, &all).loss], &[0.3218939590], 5e-11);
}

#[test]
fn equal_scores_cost_ln_2() {
    let pairs = pairs_from_ranking(&[0, 1, 2]);
    let found = kwise_loss(&[0.4; 3], &pairs, 0.0, &PLAIN);
    assert_close(&[found.loss], &[2f64.ln()], 1e-15);
    let smoothed = KwiseConfig {
        label_smoothing: 0.3,
        ..PLAIN
    };
    assert_close(
        &[kwise_loss(&[0.4; 3], &pairs, 0.0, &smoothed).loss],
        &[2f64.ln()],
        1e-15,
    );
}

#[test]
fn a_ranking_of_ties_alone_costs_nothing() {
    let options = KwiseConfig {
        centering_coef: 1.0,
        l2_coef: 1.0,
        ..PLAIN
    };
    let found = kwise_loss(&[3.0, 5.0], &pairs_from_ranking(&[7, 7]), 0.0, &options);
    assert_eq!((found.loss, found.grad), (0.0, vec![0.0, 0.0]));
}

#[test]
fn each_option_adds_what_its_formula_says() {
    let (scores, pairs) = ([2.0, -1.0], [(0, 1)]);
    let loss = |config: KwiseConfig, margin| kwise_loss(&scores, &pairs, margin, &config).loss;
    let base = (-3f64).exp().ln_1p();
    let centred = KwiseConfig {
        centering_coef: 0.5,
        ..PLAIN
    };
    assert_close(&[loss(centred, 0.0)], &[base + 0.5], 1e-15); // 0.5 · (2 - 1)²
    let decayed = KwiseConfig { l2_coef: 0.1, ..PLAIN };
    assert_close(&[loss(decayed, 0.0)], &[base + 0.125], 1e-15); // 0.1 · (4 + 1) / 2 / 2
    let smoothed = KwiseConfig {
        label_smoothing: 0.1,
        ..PLAIN
    };
    // softplus(3) = softplus(-3) + 3
    assert_close(&[loss(smoothed, 0.0)], &[base + 0.3], 1e-15);
    assert_close(&[loss(PLAIN, 3.0)], &[2f64.ln()], 1e-15);
}

#[test]
fn labelers_who_disagree_are_averaged() {
    let scores = [1.0, 0.0];
    let losses = [(0, 1), (1, 0)].map(|pair| kwise_loss(&scores, &[pair], 0.0, &PLAIN));
    let mean = mean_loss(&losses, 2);
    // Half and half is a smoothing of one half: 1/2 softplus(-1) + 1/2 softplus(1), slope sigmoid(1) - 1/2.
    let even = KwiseConfig {
        label_smoothing: 0.5,
        ..PLAIN
    };
    let expected = kwise_loss(&scores, &[(0, 1)], 0.0, &even);
    assert_close(&[mean.loss], &[expected.loss], 1e-15);
    assert_close(&mean.grad, &expected.grad, 1e-15);
    assert_eq!(mean_loss(&[], 2).grad, [0.0, 0.0]);
}

#[test]
fn huge_gaps_stay_finite() {
    let found = kwise_loss(&[-1e4, 1e4], &[(0, 1)], 0.0, &PLAIN);
    assert_eq!((found.loss, found.grad), (2e4, vec![-1.0, 1.0]));
    assert_eq!((sigmoid(1e4), sigmoid(-1e4), sigmoid(0.0)), (1.0, 0.0, 0.5));
}

#[derive(Debug, Clone)]
struct Case {
    scores: Vec<f64>,
    pairs: Vec<(usize, usize)>,
    margin: f64,
    config: KwiseConfig,
}

/// Random scores, rankings with ties, and options.
fn case() -> impl Strategy<Value = Case> {
    let rows = prop::collection::vec((-4.0f64..4.0, 0u32..5), 2..10);
    let terms = (0.0f64..0.5, 0.0f64..0.1, 0.0f64..0.1, any::<bool>());
    (rows, -1.0f64..1.0, terms).prop_map(|(rows, margin, (label_smoothing, centering_coef, l2_coef, all))| {
        let (scores, ranking): (Vec<f64>, Vec<u32>) = rows.into_iter().unzip();
        Case {
            scores,
            pairs: pairs_from_ranking(&ranking),
            margin,
            config: KwiseConfig {
                margin: Margin::Data,
                label_smoothing,
                centering_coef,
                l2_coef,
                pair_divisor: if all {
                    PairDivisor::AllPairs
                } else {
                    PairDivisor::KeptPairs
                },
            },
        }
    })
}

proptest! {
    #[test]
    fn the_gradient_is_that_of_finite_differences(case in case()) {
        let loss = |scores: &[f64]| kwise_loss(scores, &case.pairs, case.margin, &case.config).loss;
        let found = kwise_loss(&case.scores, &case.pairs, case.margin, &case.config).grad;
        let step = 1e-5;
        for i in 0..case.scores.len() {
            let (mut up, mut down) = (case.scores.clone(), case.scores.clone());
            up[i] += step;
            down[i] -= step;
            let expected = (loss(&up) - loss(&down)) / (2.0 * step);
            prop_assert!((found[i] - expected).abs() < 1e-7, "{} against {expected}", found[i]);
        }
    }

    #[test]
    fn a_constant_added_to_all_scores_changes_nothing(mut case in case(), shift in -10.0f64..10.0) {
        (case.config.centering_coef, case.config.l2_coef) = (0.0, 0.0);
        let shifted: Vec<f64> = case.scores.iter().map(|score| score + shift).collect();
        let before = kwise_loss(&case.scores, &case.pairs, case.margin, &case.config);
        let after = kwise_loss(&shifted, &case.pairs, case.margin, &case.config);
        prop_assert!((before.loss - after.loss).abs() < 1e-12);
        prop_assert!(before.grad.iter().zip(&after.grad).all(|(a, b)| (a - b).abs() < 1e-12));
        prop_assert!(before.grad.iter().sum::<f64>().abs() < 1e-12);
    }

    #[test]
    fn the_order_of_completions_does_not_matter(case in case()) {
        let n = case.scores.len();
        let reversed: Vec<f64> = case.scores.iter().rev().copied().collect();
        let pairs: Vec<(usize, usize)> = case.pairs.iter().map(|&(w, l)| (n - 1 - w, n - 1 - l)).collect();
        let found = kwise_loss(&reversed, &pairs, case.margin, &case.config);
        let expected = kwise_loss(&case.scores, &case.pairs, case.margin, &case.config);
        prop_assert!((found.loss - expected.loss).abs() < 1e-12);
        prop_assert!(found.grad.iter().rev().zip(&expected.grad).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}
