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
    let perplexity = or_dash(model.pretrain_perplexity.map(|perplexity| format!("{perplexity:.2}")));
    let win = or_dash((!is_reference).then(|| percent(&model.win_rate_vs_sft)));
    format!(
        "| {label} | {gold} | {:+.3} | {win} | {:.2} | {untrue} | {:.0} % | {:.1} | {perplexity} |\n",
        model.mean_score,
        model.kl_to_sft,
        100.0 * model.eos_fraction,
        model.mean_length,
    )
}

fn interval(value: &Value) -> Option<Interval> {
    serde_json::from_value(value.clone()).ok()
}

fn percent(interval: &Interval) -> String {
    let [value, low, high] = [interval.value, interval.low, interval.high].map(|x| 100.0 * x);
    format!("{value:.1} % ({low:.1} to {high:.1})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlhf_core::stats::wilson;
    use serde_json::json;

    fn model(kl_to_sft: f64, judged: bool) -> ModelSummary {
        ModelSummary {
            mean_gold: judged.then(|| wilson(1.0, 4)),
            mean_score: 0.5,
            win_rate_vs_sft: wilson(2.0, 4),
            kl_to_sft,
            eos_fraction: 0.75,
            mean_length: 12.3,
            pretrain_perplexity: judged.then_some(40.0),
            untrue: judged.then(|| wilson(1.0, 8)),
            gold_by_kind: Default::default(),
        }
    }

    fn summary(models: &[(&str, ModelSummary)]) -> Summary {
        Summary {
            prompts: 4,
            models: models
                .iter()
                .map(|(name, model)| ((*name).to_owned(), model.clone()))
                .collect(),
            best_of_n_samples: 8,
            reward: json!({ "pair_accuracy": wilson(3.0, 4), "demonstration_mean": -1e-9 }),
            labeler_agreement: json!({ "labeler_agreement": null }),
        }
    }

    #[test]
    fn models_stand_in_the_order_of_the_recipe_and_what_is_not_known_is_a_dash() {
        let found = summary(&[
            (PPO, model(1.0, true)),
            (SFT, model(0.0, false)),
            (BEST_OF_N, model(1.2, true)),
        ]);
        let table = found.table();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(rows[0], "| SFT | – | +0.500 | – | 0.00 | – | 75 % | 12.3 | – |");
        assert!(rows[1].starts_with("| best of 8 | 0.250 |"), "{table}");
        assert!(
            rows[2].starts_with("| PPO | 0.250 | +0.500 | 50.0 % (15.0 to 85.0) | 1.00 | 12.5 % |"),
            "{table}"
        );
        assert_eq!(rows.len(), 3);
    }

    #[test]
    fn what_is_known_of_reward_model_and_labelers_follows_the_table() {
        let found = summary(&[(SFT, model(0.0, true))]);
        let text = found.to_string();
        let rest = text.strip_prefix(&found.table()).expect("the table comes first");
        assert_eq!(
            rest,
            "\nreward model, pairs of held-out prompts: 75.0 % (30.1 to 95.4)\nmean score of demonstrations: +0.0000\n"
        );
    }
}
