//! Each rule on made-up numbers: one run on which it speaks, and one on which it must not.

use serde_json::{Value, json};

use super::{Finding, Urgency, findings, rules};
use crate::folder::RunFolder;

fn interval(low: f64, value: f64, high: f64) -> Value {
    json!({ "value": value, "low": low, "high": high, "n": 500 })
}

/// A run with one curve of PPO, of twenty points along a line.
fn with_curve(metric: &str, from: f64, to: f64) -> RunFolder {
    let mut run = RunFolder::default();
    add_curve(
        &mut run,
        "ppo",
        metric,
        (0..20).map(|step| from + (to - from) * f64::from(step) / 19.0),
    );
    run
}

fn add_curve(run: &mut RunFolder, stage: &str, metric: &str, values: impl Iterator<Item = f64>) {
    let points = values.enumerate().map(|(step, value)| (step as f64, value)).collect();
    run.curves
        .entry(stage.into())
        .or_default()
        .insert(metric.into(), points);
}

fn with_eval(eval: Value) -> RunFolder {
    RunFolder {
        eval,
        ..RunFolder::default()
    }
}

fn with_reward(reward: Value) -> RunFolder {
    RunFolder {
        reward,
        ..RunFolder::default()
    }
}

#[track_caller]
fn check(rule: fn(&RunFolder) -> Option<Finding>, run: &RunFolder, expected: Option<(Urgency, &str)>) {
    let found = rule(run);
    match (&found, expected) {
        (None, None) => {}
        (Some(finding), Some((urgency, said))) => {
            assert_eq!(finding.urgency, urgency, "{finding:?}");
            assert!(finding.text.contains(said), "{said}: {finding:?}");
        }
        _ => panic!("expected {expected:?}, found {found:?}"),
    }
}

const WARNING: Urgency = Urgency::Warning;
const NOTE: Urgency = Urgency::Note;

#[test]
fn win_rates_by_the_optimised_are_a_warning() {
    let eval = json!({ "ppo": { "mean_gold": null, "win_rate_vs_sft": interval(0.7, 0.8, 0.9) } });
    let mut run = with_eval(eval);
    run.reward = json!({});
    check(
        rules::judged_by_the_optimised,
        &run,
        Some((WARNING, "Nobody else judged")),
    );
    run.eval["ppo"]["second"] = json!({ "people": {} });
    check(
        rules::judged_by_the_optimised,
        &run,
        Some((WARNING, "second judges instead")),
    );
    let mut judged = run.clone();
    judged.eval["ppo"]["mean_gold"] = interval(0.6, 0.7, 0.8);
    check(rules::judged_by_the_optimised, &judged, None);
    run.config = "[ppo_reward]\nfrom = \"command\"\n".parse().expect("TOML");
    check(rules::judged_by_the_optimised, &run, None);
}

#[test]
fn a_judge_who_falls_while_the_score_rises_is_over_optimisation() {
    let mut run = with_curve("objective/scores", 0.0, 8.0);
    // Best in the middle, 0.6, and 0.11 at the end.
    add_curve(&mut run, "ppo", "evaluation/judge", [0.57, 0.6, 0.3, 0.11].into_iter());
    check(
        rules::over_optimised,
        &run,
        Some((WARNING, "0.600 at update 1 to 0.110")),
    );
    add_curve(&mut run, "ppo", "evaluation/judge", [0.57, 0.6, 0.62, 0.61].into_iter());
    check(rules::over_optimised, &run, None);
    let eval = |ppo: Value| {
        json!({
            "sft": { "mean_gold": interval(0.58, 0.6, 0.62), "mean_score": 0.1 },
            "ppo": { "mean_gold": ppo, "mean_score": 3.0 },
        })
    };
    check(
        rules::over_optimised,
        &with_eval(eval(interval(0.3, 0.4, 0.5))),
        Some((WARNING, "0.400 against 0.600")),
    );
    check(rules::over_optimised, &with_eval(eval(interval(0.5, 0.57, 0.6))), None);
}

#[test]
fn ppo_is_worse_than_sft_if_the_whole_interval_says_so() {
    let eval = |rate| with_eval(json!({ "ppo": { "win_rate_vs_sft": rate } }));
    check(
        rules::worse_than_sft,
        &eval(interval(0.3, 0.4, 0.49)),
        Some((WARNING, "40.0 %")),
    );
    check(rules::worse_than_sft, &eval(interval(0.3, 0.4, 0.51)), None);
    check(
        rules::difference_not_shown,
        &eval(interval(0.3, 0.4, 0.51)),
        Some((NOTE, "40.0 %")),
    );
    check(rules::difference_not_shown, &eval(interval(0.51, 0.6, 0.7)), None);
}

#[test]
fn kl_runs_away_when_it_is_far_and_has_not_settled() {
    // Means of the last two points of twenty: 19.5 of 20, and about half of it in the middle.
    check(
        rules::kl_running_away,
        &with_curve("objective/kl", 0.0, 20.0),
        Some((WARNING, "Halfway")),
    );
    check(
        rules::kl_running_away,
        &with_curve("objective/kl", 19.0, 20.0),
        Some((NOTE, "settled")),
    );
    check(rules::kl_running_away, &with_curve("objective/kl", 0.0, 9.0), None);
}

#[test]
fn lengths_may_drift_either_way() {
    let metric = "rollout/response_len";
    check(
        rules::length_drift,
        &with_curve(metric, 20.0, 45.0),
        Some((WARNING, "tokens at the start")),
    );
    assert_eq!(
        rules::length_drift(&with_curve(metric, 45.0, 20.0)).map(|finding| finding.title),
        Some("Answers grew shorter".to_owned())
    );
    check(rules::length_drift, &with_curve(metric, 20.0, 28.0), None);
}

#[test]
fn answers_must_end() {
    let eval = |share: f64| with_eval(json!({ "ppo": { "eos_fraction": share } }));
    check(rules::eos_never_learned, &eval(0.2), Some((WARNING, "20.0 %")));
    check(rules::eos_never_learned, &eval(0.8), Some((NOTE, "80.0 %")));
    check(rules::eos_never_learned, &eval(0.95), None);
    check(
        rules::eos_never_learned,
        &with_curve("rollout/eos_fraction", 0.1, 0.2),
        Some((WARNING, "19.")),
    );
}

#[test]
fn entropy_that_is_nearly_gone_is_a_collapse() {
    check(
        rules::entropy_collapse,
        &with_curve("policy/entropy", 0.6, 0.0),
        Some((WARNING, "nats per token")),
    );
    check(rules::entropy_collapse, &with_curve("policy/entropy", 0.6, 0.2), None);
}

#[test]
fn clipping_and_the_value_function_are_noted() {
    check(
        rules::clipped_too_often,
        &with_curve("policy/clipfrac", 0.1, 0.5),
        Some((NOTE, "48.")),
    );
    check(rules::clipped_too_often, &with_curve("policy/clipfrac", 0.1, 0.2), None);
    check(
        rules::value_function_blind,
        &with_curve("value/explained_variance", 0.1, -0.5),
        Some((NOTE, "−0.4")),
    );
    check(
        rules::value_function_blind,
        &with_curve("value/explained_variance", -0.5, 0.8),
        None,
    );
}

#[test]
fn a_reward_model_whose_interval_holds_one_half_may_be_guessing() {
    let reward = |low| with_reward(json!({ "pair_accuracy": interval(low, 0.56, 0.62) }));
    check(rules::reward_model_at_chance, &reward(0.49), Some((WARNING, "56.0 %")));
    check(rules::reward_model_at_chance, &reward(0.51), None);
}

#[test]
fn over_confidence_is_measured_over_all_pairs_in_either_layout() {
    let bins = |observed: f64| json!([{ "predicted": 0.9, "observed": interval(0.7, observed, 0.95) }]);
    check(
        rules::reward_model_over_confident,
        &with_reward(json!({ "calibration": bins(0.8) })),
        Some((WARNING, "10.0 points above")),
    );
    check(
        rules::reward_model_over_confident,
        &with_reward(json!({ "calibration": { "bins": bins(0.8), "error": 0.1 } })),
        Some((WARNING, "says 90.0 %, they agree on 80.0 %")),
    );
    check(
        rules::reward_model_over_confident,
        &with_reward(json!({ "calibration": bins(0.87) })),
        None,
    );
    check(
        rules::reward_model_over_confident,
        &with_reward(json!({ "calibration": [] })),
        None,
    );
}

#[test]
fn a_reward_model_is_compared_with_the_better_rule_about_length() {
    let length = |low: f64| {
        with_reward(json!({ "length": {
            "accuracy": interval(low, 0.63, 0.66),
            "longer": interval(0.4, 0.41, 0.42),
            "shorter": interval(0.58, 0.59, 0.6),
        } }))
    };
    check(
        rules::reward_model_of_length,
        &length(0.58),
        Some((NOTE, "shorter answer wins")),
    );
    check(rules::reward_model_of_length, &length(0.6), None);
}

#[test]
fn a_tax_is_a_tenth_of_a_nat() {
    let eval =
        |ppo: f64| with_eval(json!({ "sft": { "pretrain_perplexity": 2.0 }, "ppo": { "pretrain_perplexity": ppo } }));
    check(rules::alignment_tax, &eval(2.4), Some((NOTE, "2.00 to 2.40")));
    check(rules::alignment_tax, &eval(2.1), None);
}

#[test]
fn held_out_loss_that_rises_is_named_with_its_stage() {
    let mut run = RunFolder::default();
    add_curve(&mut run, "sft", "loss/validation", [1.0, 0.5, 0.6].into_iter());
    check(
        rules::overfitted,
        &run,
        Some((NOTE, "In sft from 0.500 at step 1 to 0.600")),
    );
    add_curve(&mut run, "sft", "loss/validation", [1.0, 0.5, 0.505].into_iter());
    check(rules::overfitted, &run, None);
}

#[test]
fn metrics_that_are_no_numbers_are_named() {
    let mut run = RunFolder::default();
    add_curve(&mut run, "ppo", "loss/value", [1.0, f64::NAN].into_iter());
    check(rules::not_finite, &run, Some((NOTE, "ppo: loss/value")));
    add_curve(&mut run, "ppo", "loss/value", [1.0, 2.0].into_iter());
    check(rules::not_finite, &run, None);
}

#[test]
fn an_empty_run_has_no_findings_and_the_urgent_come_first() {
    assert_eq!(findings(&RunFolder::default()), []);
    let mut run = with_curve("objective/kl", 0.0, 90.0);
    run.eval = json!({ "sft": { "pretrain_perplexity": 2.0 }, "ppo": { "pretrain_perplexity": 4.0 } });
    let urgencies: Vec<Urgency> = findings(&run).iter().map(|finding| finding.urgency).collect();
    assert_eq!(urgencies, [WARNING, NOTE]);
}
