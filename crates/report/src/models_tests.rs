//! Tables and plots of models, on made-up figures.

use super::*;
use serde_json::json;

fn interval(value: f64) -> Value {
    json!({ "value": value, "low": value - 0.04, "high": value + 0.04, "n": 500 })
}

fn run(name: &str, eval: Value) -> RunFolder {
    RunFolder {
        name: name.into(),
        eval,
        ..RunFolder::default()
    }
}

fn eval() -> Value {
    json!({
        "prompts": 500,
        "best_of_n_samples": 19,
        "sft": { "mean_gold": interval(0.608), "win_rate_vs_sft": interval(0.5), "kl_to_sft": 0.0 },
        "ppo": { "mean_gold": interval(0.763), "win_rate_vs_sft": interval(0.646), "kl_to_sft": null },
    })
}

#[test]
fn the_table_has_the_models_there_are_and_no_empty_column() {
    let table = table(&[run("a", eval())]);
    let heads: Vec<&str> = table.heads.iter().map(|head| head.name.as_str()).collect();
    assert_eq!(heads, ["gold", "wins against SFT", "KL to SFT"]);
    let names: Vec<&str> = table.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["SFT", "PPO"]);
    let ppo = &table.rows[1].cells;
    assert_eq!(
        (ppo[0].value.as_str(), ppo[0].range.as_str()),
        ("0.763", "0.723 to 0.803")
    );
    assert_eq!(
        (ppo[1].value.as_str(), ppo[1].range.as_str()),
        ("64.6 %", "60.6 to 68.6 %")
    );
    assert_eq!(ppo[2], Cell::default());
    assert_eq!(
        table.rows[0].cells[1],
        Cell::default(),
        "SFT is not compared with itself"
    );
}

#[test]
fn models_of_several_runs_stand_under_each_other() {
    let table = table(&[run("a", eval()), run("b", eval())]);
    let names: Vec<&str> = table.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["SFT · a", "SFT · b", "PPO · a", "PPO · b"]);
}

#[test]
fn a_matrix_shows_each_pair_from_both_sides() {
    let eval = json!({ "matrices": [{
        "judge": "gold",
        "models": ["sft", "ppo"],
        "pairs": [{ "a": "sft", "b": "ppo", "win_rate": { "value": 0.3, "low": 0.2, "high": 0.45, "n": 10 } }],
        "ratings": [{ "model": "ppo", "rating": interval(0.8) }],
    }] });
    let found = matrices("r", &eval);
    let cells = |row: usize, column: usize| {
        let cell = &found[0].table.rows[row].cells[column];
        (cell.value.clone(), cell.range.clone())
    };
    assert_eq!(cells(0, 1), ("30.0 %".into(), "20.0 to 45.0 %".into()));
    assert_eq!(cells(1, 0), ("70.0 %".into(), "55.0 to 80.0 %".into()));
    assert_eq!(cells(0, 0), (String::new(), String::new()));
    assert!(found[0].ratings.as_ref().is_some_and(|svg| svg.contains("PPO: 0.800")));
}

#[test]
fn a_matrix_that_is_damaged_is_left_out() {
    assert!(matrices("r", &json!({ "matrices": [{ "models": 3 }, null] })).is_empty());
    assert!(matrices("r", &Value::Null).is_empty());
}

#[test]
fn win_rates_are_by_the_reward_model_where_nobody_else_judged() {
    assert_eq!(witness(&eval()), Witness::Judge);
    assert_eq!(witness(&json!({ "ppo": { "mean_gold": null } })), Witness::RewardModel);
}
