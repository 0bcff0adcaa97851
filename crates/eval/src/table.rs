//! The table at the end.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

use rlhf_core::stats::Interval;
use serde_json::Value;

use crate::summary::{ALL_PROMPTS, BASE, BEST_OF_N, ModelSummary, PPO, PPO_EMA, SFT, Summary};

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
        self.write_win_rates(f)?;
        self.write_ratings(f)?;
        self.write_gains(f)?;
        self.write_opinions(f)?;
        let (reward, labelers) = (&self.reward, &self.labeler_agreement);
        for (what, value) in [
            ("reward model, pairs of test prompts", &reward["pair_accuracy"]),
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
    /// The models there are: name, what the table calls it, figures.
    fn rows(&self) -> impl Iterator<Item = (&'static str, String, &ModelSummary)> {
        ROWS.into_iter().filter_map(|(name, label)| {
            let label = match name {
                BEST_OF_N => format!("{label} {}", self.best_of_n_samples),
                _ => label.to_owned(),
            };
            Some((name, label, self.models.get(name)?))
        })
    }

    /// Who judged the win rates of the table, and those by the reward model where that was another.
    fn write_win_rates(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let compared = self.rows().filter(|(name, ..)| *name != SFT);
        let compared: Vec<_> = compared.filter(|(.., model)| model.win_rate_vs_sft.is_some()).collect();
        if compared.is_empty() {
            return Ok(());
        }
        let is_judged = compared.iter().any(|(.., model)| model.mean_gold.is_some());
        let by = if is_judged {
            "judge of the task"
        } else {
            "reward model of the run"
        };
        writeln!(f, "win rates by the {by}")?;
        let by_score = compared.iter().filter_map(|(_, label, model)| {
            let rate = model.win_rate_by_score.as_ref()?;
            Some(format!("{label} {}", percent(rate)))
        });
        let by_score: Vec<String> = by_score.collect();
        if !by_score.is_empty() {
            writeln!(f, "win rates by the reward model of the run: {}", by_score.join("; "))?;
        }
        Ok(())
    }

    /// The ratings of all models by each judge, which are those of every two of them together.
    fn write_ratings(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for matrix in &self.matrices {
            let of_model = |(name, label, _): (&str, String, _)| {
                let found = matrix.ratings.iter().find(|rating| rating.model == name)?;
                let [value, low, high] = [found.rating.value, found.rating.low, found.rating.high];
                Some(format!("{label} {value:+.0} ({low:+.0} to {high:+.0})"))
            };
            let ratings: Vec<String> = self.rows().filter_map(of_model).collect();
            writeln!(f, "ratings by {}: {}", matrix.judge, ratings.join("; "))?;
        }
        Ok(())
    }

    /// What each model gains over the base model on the same prompts, by group, where there is more than one group.
    fn write_gains(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (_, label, model) in self.rows().filter(|(.., model)| model.gains.len() > 1) {
            for (group, gain) in &model.gains {
                let (prompts, gold) = (gain.prompts, gain.gold.unwrap_or(f64::NAN));
                if let Some(difference) = &gain.gold_gain {
                    let gained = points(difference);
                    writeln!(
                        f,
                        "{label} on {group} ({prompts}): {:.1} % kept, {gained} over the base",
                        100.0 * gold
                    )?;
                }
                if let Some(difference) = gain.score_gain.as_ref().filter(|_| group == ALL_PROMPTS) {
                    writeln!(f, "{label} by the reward model: {} over the base", signed(difference))?;
                }
            }
        }
        Ok(())
    }

    /// What second judges say, each judge by itself.
    fn write_opinions(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let judges: BTreeSet<&String> = self.models.values().flat_map(|model| model.second.keys()).collect();
        for judge in judges {
            for (name, label, model) in self.rows() {
                let Some(opinion) = model.second.get(judge) else {
                    continue;
                };
                write!(
                    f,
                    "{judge}, {} prompts: {label} {:.3}",
                    opinion.mean.n, opinion.mean.value
                )?;
                if name != BASE {
                    write!(f, ", {} over the base", signed(&opinion.over_base))?;
                }
                if name != BASE && name != SFT {
                    let wins = percent(&opinion.win_rate_vs_sft);
                    write!(f, ", {} over SFT, better on {wins}", signed(&opinion.over_sft))?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }

    /// A row for each model, in Markdown.
    pub fn table(&self) -> String {
        let rows = self.rows().map(|(name, label, model)| row(&label, model, name == SFT));
        std::iter::once(HEAD.to_owned()).chain(rows).collect()
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
    let score = or_dash(model.mean_score.map(|score| format!("{score:+.3}")));
    let win = or_dash(model.win_rate_vs_sft.as_ref().filter(|_| !is_reference).map(percent));
    let kl = or_dash(model.kl_to_sft.map(|kl| format!("{kl:.2}")));
    format!(
        "| {label} | {gold} | {score} | {win} | {kl} | {untrue} | {:.0} % | {:.1} | {perplexity} |\n",
        100.0 * model.eos_fraction,
        model.mean_length,
    )
}

fn interval(value: &Value) -> Option<Interval> {
    serde_json::from_value(value.clone()).ok()
}

/// A difference of scores.
fn signed(interval: &Interval) -> String {
    let [value, low, high] = [interval.value, interval.low, interval.high];
    format!("{value:+.3} ({low:+.3} to {high:+.3})")
}

/// A difference of shares, in points of a hundred.
fn points(interval: &Interval) -> String {
    let [value, low, high] = [interval.value, interval.low, interval.high].map(|x| 100.0 * x);
    format!("{value:+.1} points ({low:+.1} to {high:+.1})")
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
            mean_score: Some(0.5),
            win_rate_vs_sft: Some(wilson(2.0, 4)),
            win_rate_by_score: judged.then(|| wilson(3.0, 4)),
            kl_to_sft: Some(kl_to_sft),
            eos_fraction: 0.75,
            mean_length: 12.3,
            pretrain_perplexity: judged.then_some(40.0),
            untrue: judged.then(|| wilson(1.0, 8)),
            gold_by_kind: Default::default(),
            gains: Default::default(),
            second: Default::default(),
        }
    }

    fn summary(models: &[(&str, ModelSummary)]) -> Summary {
        Summary {
            prompts: 4,
            models: models
                .iter()
                .map(|(name, model)| ((*name).to_owned(), model.clone()))
                .collect(),
            matrices: Vec::new(),
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
            "\nreward model, pairs of test prompts: 75.0 % (30.1 to 95.4)\nmean score of demonstrations: +0.0000\n"
        );
    }

    #[test]
    fn win_rates_say_whose_they_are() {
        let judged = summary(&[
            (SFT, model(0.0, true)),
            (BEST_OF_N, model(1.2, true)),
            (PPO, model(1.0, true)),
        ])
        .to_string();
        let lines: Vec<&str> = judged.lines().filter(|line| line.starts_with("win rates")).collect();
        assert_eq!(
            lines,
            [
                "win rates by the judge of the task",
                "win rates by the reward model of the run: best of 8 75.0 % (30.1 to 95.4); PPO 75.0 % (30.1 to 95.4)",
            ]
        );
        let scored = summary(&[(PPO, model(1.0, false))]).to_string();
        let lines: Vec<&str> = scored.lines().filter(|line| line.starts_with("win rates")).collect();
        assert_eq!(lines, ["win rates by the reward model of the run"]);
    }

    #[test]
    fn what_is_gained_over_the_base_is_told_by_group() {
        let share = |value: f64| Interval {
            value,
            low: value - 0.05,
            high: value + 0.05,
            n: 4,
        };
        let gain = |prompts, gold, gained| crate::Gain {
            prompts,
            gold: Some(gold),
            gold_gain: Some(share(gained)),
            score_gain: Some(share(-0.2)),
        };
        let mut ppo = model(1.0, true);
        ppo.gains = [
            (ALL_PROMPTS.to_owned(), gain(4, 0.5, 0.25)),
            ("held-out kinds".to_owned(), gain(1, 0.25, 0.0)),
        ]
        .into();
        let text = summary(&[(PPO, ppo)]).to_string();
        for line in [
            "PPO on all prompts (4): 50.0 % kept, +25.0 points (+20.0 to +30.0) over the base",
            "PPO by the reward model: -0.200 (-0.250 to -0.150) over the base",
            "PPO on held-out kinds (1): 25.0 % kept, +0.0 points (-5.0 to +5.0) over the base",
        ] {
            assert!(text.contains(line), "{line}:\n{text}");
        }
    }

    #[test]
    fn each_second_judge_has_a_line_for_each_model() {
        let share = |value: f64| Interval {
            value,
            low: value - 0.5,
            high: value + 0.5,
            n: 7,
        };
        let opinion = |mean| crate::SecondOpinion {
            mean: share(mean),
            over_base: share(0.25),
            over_sft: share(0.125),
            win_rate_vs_sft: wilson(2.0, 4),
        };
        let judged = |mean| {
            let mut model = model(1.0, true);
            model.second.insert("people".to_owned(), opinion(mean));
            model
        };
        let text = summary(&[(PPO, judged(1.5)), (BASE, judged(1.0)), (SFT, model(0.0, true))]).to_string();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("people")).collect();
        assert_eq!(
            lines,
            [
                "people, 7 prompts: base 1.000",
                "people, 7 prompts: PPO 1.500, +0.250 (-0.250 to +0.750) over the base, +0.125 (-0.375 to +0.625) over SFT, better \
                 on 50.0 % (15.0 to 85.0)",
            ]
        );
    }
}
