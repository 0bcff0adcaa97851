//! The table at the end.

use std::fmt::{self, Display, Formatter};

use rlhf_core::stats::Interval;
use serde_json::Value;

use crate::summary::{BASE, BEST_OF_N, ModelSummary, PPO, PPO_EMA, SFT, Summary};

/// The models in the order of the recipe, with what the table calls them; that of best-of-n is followed by its n.
const ROWS: [(&str, &str); 5] = [
    (BASE, "base"),
    (SFT, "SFT"),
    (BEST_OF_N, "best of"),
    (PPO, "PPO"),
    (PPO_EMA, "PPO, averaged"),
];

const HEAD: &str = "\
| model | gold | RM score | win rate vs SFT (95 %) | KL to SFT | untrue | EOS | length | pretraining perplexity |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
";

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.table())?;
        let (reward, labelers) = (&self.reward, &self.labeler_agreement);
        for (what, value) in [
            ("reward model, pairs of held-out prompts", &reward["pair_accuracy"]),
            (
                "reward model, held-out labelers",
                &reward["pair_accuracy_held_out_labelers"],
            ),
            ("agreement of two training labelers", &labelers["labeler_agreement"]),
            ("noise-free judge with a labeler", &labelers["gold_accuracy"]),
        ] {
            if let Some(interval) = interval(value) {
                writeln!(f, "{what}: {}", percent(&interval))?;
            }
        }
        if let Some(mean) = reward["demonstration_mean"].as_f64() {
            // Rounded here and not by the format, which would give what is hardly less than zero a sign.
            let mean = (mean * 1e4).round() / 1e4 + 0.0;
            writeln!(f, "mean score of demonstrations: {mean:+.4}")?;
        }
        Ok(())
    }
}

impl Summary {
    /// A row for each model, in Markdown.
    pub fn table(&self) -> String {
        let mut table = HEAD.to_owned();
        for (name, label) in ROWS {
            if let Some(model) = self.models.get(name) {
                let label = match name {
                    BEST_OF_N => format!("{label} {}", self.best_of_n_samples),
                    _ => label.to_owned(),
                };
                table.push_str(&row(&label, model, name == SFT));
            }
        }
        table
    }
}

fn row(label: &str, model: &ModelSummary, is_reference: bool) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let gold = or_dash(model.mean_gold.as_ref().map(|gold| format!("{:.3}", gold.value)));
    let untrue = or_dash(
        model
            .untrue
            .as_ref()
            .map(|share| format!("{:.1} %", 100.0 * share.value)),
    );
    let win = or_dash((!is_reference).then(|| percent(&model.win_rate_vs_sft)));
    format!(
        "| {label} | {gold} | {:+.3} | {win} | {:.2} | {untrue} | {:.0} % | {:.1} | {:.2} |\n",
        model.mean_score,
        model.kl_to_sft,
        100.0 * model.eos_fraction,
        model.mean_length,
        model.pretrain_perplexity,
    )
}

fn interval(value: &Value) -> Option<Interval> {
    serde_json::from_value(value.clone()).ok()
}

fn percent(interval: &Interval) -> String {
    let [value, low, high] = [interval.value, interval.low, interval.high].map(|x| 100.0 * x);
    format!("{value:.1} % ({low:.1} to {high:.1})")
}
