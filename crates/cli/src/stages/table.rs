//! The table at the end.

use super::eval::{ModelSummary, Summary};
use crate::error::{Error, Result};
use crate::progress::say;
use crate::run::Workspace;
use rlhf_core::stats::Interval;

/// Rows in the order of the recipe.
const ORDER: [&str; 5] = ["base", "sft", "best_of_n", "ppo", "ppo_ema"];

pub(crate) fn print(work: &Workspace) -> Result<()> {
    let path = work.dir.path().join("summary.json");
    let text = std::fs::read_to_string(&path).map_err(|source| Error::Io {
        path: path.clone(),
        source,
    })?;
    let summary: Summary = serde_json::from_str(&text).map_err(|e| Error::Row {
        path,
        line: e.line(),
        message: e.to_string(),
    })?;
    say("")?;
    say(
        "| model | gold | RM score | win rate vs SFT (95 %) | KL to SFT | untrue | EOS | length | pretraining perplexity |",
    )?;
    say("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")?;
    for name in ORDER {
        if let Some(model) = summary.models.get(name) {
            say(&row(name, model, summary.best_of_n_samples))?;
        }
    }
    say("")?;
    let accuracy = |value: &serde_json::Value| serde_json::from_value::<Interval>(value.clone()).ok();
    let reward = &summary.reward;
    for (what, value) in [
        ("reward model, pairs of held-out prompts", &reward["pair_accuracy"]),
        (
            "reward model, held-out labelers",
            &reward["pair_accuracy_held_out_labelers"],
        ),
        (
            "agreement of two training labelers",
            &summary.labeler_agreement["labeler_agreement"],
        ),
        (
            "noise-free judge with a labeler",
            &summary.labeler_agreement["gold_accuracy"],
        ),
    ] {
        if let Some(interval) = accuracy(value) {
            say(&format!("{what}: {}", percent(&interval)))?;
        }
    }
    if let Some(mean) = reward["demonstration_mean"].as_f64() {
        // Rounded here and not by the format, which would give what is hardly less than zero a sign.
        let mean = (mean * 1e4).round() / 1e4 + 0.0;
        say(&format!("mean score of demonstrations: {mean:+.4}"))?;
    }
    say(&format!(
        "{} held-out prompts; answers side by side in {}",
        summary.prompts,
        work.dir.samples_path().display()
    ))
}

fn row(name: &str, model: &ModelSummary, n: usize) -> String {
    let label = match name {
        "best_of_n" => format!("best of {n}"),
        "ppo_ema" => "PPO, averaged".to_owned(),
        "ppo" => "PPO".to_owned(),
        "sft" => "SFT".to_owned(),
        other => other.to_owned(),
    };
    let gold = model
        .mean_gold
        .as_ref()
        .map_or("–".to_owned(), |g| format!("{:.3}", g.value));
    let untrue = model
        .untrue
        .as_ref()
        .map_or("–".to_owned(), |u| format!("{:.1} %", 100.0 * u.value));
    let win = match name {
        "sft" => "–".to_owned(),
        _ => percent(&model.win_rate_vs_sft),
    };
    format!(
        "| {label} | {gold} | {:+.3} | {win} | {:.2} | {untrue} | {:.0} % | {:.1} | {:.2} |",
        model.mean_score,
        model.kl_to_sft,
        100.0 * model.eos_fraction,
        model.mean_length,
        model.pretrain_perplexity,
    )
}

fn percent(interval: &Interval) -> String {
    let [value, low, high] = [interval.value, interval.low, interval.high].map(|x| 100.0 * x);
    format!("{value:.1} % ({low:.1} to {high:.1})")
}
