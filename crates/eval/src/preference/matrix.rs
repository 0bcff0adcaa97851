//! Every two of several models.

use std::fmt::{self, Display, Formatter};

use rlhf_core::stats::{Interval, bootstrap_intervals, bootstrap_share};
use rlhf_preference::ratings;
use serde::{Deserialize, Serialize};

use super::length::LengthControl;
use super::outcomes::Outcomes;

/// What one judge says of every two of several models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreferenceMatrix {
    /// Who judged.
    pub judge: String,
    /// The models, in the order in which they were named.
    pub models: Vec<String>,
    /// Every two of them once, the former named first.
    pub pairs: Vec<PairPreference>,
    /// Bradley-Terry ratings, in that order.
    pub ratings: Vec<ModelRating>,
}

/// Two models on the same prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairPreference {
    /// The one.
    pub a: String,
    /// The other.
    pub b: String,
    /// The share of prompts on which the judge prefers the answer of `a`, a tie counting half, with the interval of a bootstrap over prompts.
    pub win_rate: Interval,
    /// The share of those prompts that are ties; nothing without any.
    #[serde(default)]
    pub ties: Option<f64>,
    /// Prompts on which the judge gave no verdict; they are in no figure.
    #[serde(default)]
    pub missing: usize,
    /// The win rate as it would be at equal lengths in characters, by a logistic regression (Dubois et al. 2024); nothing where lengths are not known, or
    /// differ by the same number everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length_controlled: Option<Interval>,
}

/// The strength of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRating {
    /// Its name.
    pub model: String,
    /// Its Bradley-Terry rating on Elo's scale, 400 points for tenfold odds; the mean of all models is 0. The interval is that of a bootstrap over
    /// prompts, and of a rating beside that mean: whether two models differ is told by their own win rate.
    pub rating: Interval,
}

impl PreferenceMatrix {
    /// The figures of `outcomes` between the models of these names; `lengths` are those of each model's answers in characters, if they are known.
    ///
    /// The order of the models changes no figure of any two of them, save for which is the first.
    ///
    /// # Panics
    /// If there are not as many names, or lists of lengths, as models.
    pub fn new(judge: &str, models: &[String], outcomes: &Outcomes, lengths: Option<&[Vec<usize>]>, seed: u64) -> Self {
        assert_eq!(models.len(), outcomes.models(), "a name for each model");
        let every_two = (0..models.len()).flat_map(|a| (a + 1..models.len()).map(move |b| (a, b)));
        let pairs = every_two.map(|(a, b)| pair([a, b], models, outcomes, lengths, seed));
        let of_models = model_ratings(outcomes, seed);
        let named = models.iter().zip(of_models);
        Self {
            judge: judge.to_owned(),
            models: models.to_vec(),
            pairs: pairs.collect(),
            ratings: named
                .map(|(model, rating)| ModelRating {
                    model: model.clone(),
                    rating,
                })
                .collect(),
        }
    }

    /// The win rate of one model against another.
    pub fn win_rate(&self, a: &str, b: &str) -> Option<Interval> {
        self.of_pair(a, b, |pair| Some(pair.win_rate))
    }

    /// The same at equal lengths.
    pub fn length_controlled(&self, a: &str, b: &str) -> Option<Interval> {
        self.of_pair(a, b, |pair| pair.length_controlled)
    }

    fn of_pair(&self, a: &str, b: &str, figure: impl Fn(&PairPreference) -> Option<Interval>) -> Option<Interval> {
        self.pairs.iter().find_map(|pair| {
            if pair.a == a && pair.b == b {
                figure(pair)
            } else if pair.a == b && pair.b == a {
                figure(pair).map(|rate| Interval {
                    value: 1.0 - rate.value,
                    low: 1.0 - rate.high,
                    high: 1.0 - rate.low,
                    n: rate.n,
                })
            } else {
                None
            }
        })
    }
}

fn pair(
    [a, b]: [usize; 2],
    models: &[String],
    outcomes: &Outcomes,
    lengths: Option<&[Vec<usize>]>,
    seed: u64,
) -> PairPreference {
    let shares: Vec<(usize, f64)> = (0..outcomes.prompts())
        .filter_map(|prompt| Some((prompt, outcomes.share(prompt, a, b)?)))
        .collect();
    let clusters: Vec<(f64, usize)> = shares.iter().map(|&(_, share)| (share, 1)).collect();
    let ties = shares.iter().filter(|(_, share)| *share == 0.5).count();
    let win_rate = bootstrap_share(&clusters, seed);
    let controlled = lengths.and_then(|lengths| {
        let rows = shares
            .iter()
            .map(|&(prompt, share)| (prompt, [lengths[a][prompt], lengths[b][prompt]], share));
        let control = LengthControl::new(rows)?;
        let value = control.win_rate(|_| 1.0);
        // Where all prompts say the same, drawing them shows no difference: the ends are those of the win rate.
        if shares.iter().all(|row| row.1 == shares[0].1) {
            return Some(Interval {
                value,
                low: win_rate.low.min(value),
                high: win_rate.high.max(value),
                n: win_rate.n,
            });
        }
        // Of the prompts that were judged, so that the draws are of them alone.
        let mut place = vec![0; outcomes.prompts()];
        for (at, &(prompt, _)) in shares.iter().enumerate() {
            place[prompt] = at;
        }
        let found = bootstrap_intervals(&[value], shares.len(), seed, |drawn| {
            vec![control.win_rate(|prompt| f64::from(drawn[place[prompt]]))]
        });
        found.into_iter().next()
    });
    PairPreference {
        a: models[a].clone(),
        b: models[b].clone(),
        win_rate,
        ties: (!shares.is_empty()).then(|| ties as f64 / shares.len() as f64),
        missing: outcomes.prompts() - shares.len(),
        length_controlled: controlled,
    }
}

/// The rating of each model, with intervals of a bootstrap over prompts.
fn model_ratings(outcomes: &Outcomes, seed: u64) -> Vec<Interval> {
    let models = outcomes.models();
    let wins = |times: &dyn Fn(usize) -> f64| {
        let mut wins = vec![0.0; models * models];
        for prompt in 0..outcomes.prompts() {
            let weight = times(prompt);
            if weight == 0.0 {
                continue;
            }
            for a in 0..models {
                for b in 0..models {
                    wins[a * models + b] += weight * outcomes.share(prompt, a, b).filter(|_| a != b).unwrap_or(0.0);
                }
            }
        }
        wins
    };
    let of_all = ratings(&wins(&|_| 1.0), models);
    bootstrap_intervals(&of_all, outcomes.prompts(), seed, |drawn| {
        ratings(&wins(&|prompt| f64::from(drawn[prompt])), models)
    })
}

impl Display for PreferenceMatrix {
    /// Markdown: how often the model of each row is preferred to that of each column.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "preferred by {}, 95 % intervals over prompts:\n", self.judge)?;
        self.write_rates(f, |a, b| self.win_rate(a, b))?;
        if self.pairs.iter().any(|pair| pair.length_controlled.is_some()) {
            writeln!(f, "\nat equal lengths (logistic regression):\n")?;
            self.write_rates(f, |a, b| self.length_controlled(a, b))?;
        }
        writeln!(f)?;
        for ModelRating { model, rating } in &self.ratings {
            let Interval { value, low, high, .. } = rating;
            writeln!(f, "rating of {model}: {value:+.0} ({low:+.0} to {high:+.0})")?;
        }
        Ok(())
    }
}

impl PreferenceMatrix {
    fn write_rates(&self, f: &mut Formatter<'_>, rate: impl Fn(&str, &str) -> Option<Interval>) -> fmt::Result {
        let heads: Vec<String> = self.models.iter().map(|model| format!(" {model} |")).collect();
        writeln!(f, "| % of prompts |{}", heads.concat())?;
        writeln!(f, "| --- |{}", " ---: |".repeat(self.models.len()))?;
        for a in &self.models {
            write!(f, "| {a} |")?;
            for b in &self.models {
                match rate(a, b) {
                    Some(found) if a != b => {
                        let [value, low, high] = [found.value, found.low, found.high].map(|share| 100.0 * share);
                        write!(f, " {value:.1} ({low:.1} to {high:.1}) |")?;
                    }
                    _ => write!(f, " – |")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering::{Equal, Greater, Less};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Scores of three models on so many prompts, of which the first is best on the mean.
    fn scores(prompts: usize) -> (Vec<Vec<Option<f64>>>, Vec<Vec<String>>) {
        let score = |model: usize, prompt: usize| ((prompt * (7 + 4 * model) + 3 * model) % 11) as f64 - model as f64;
        let scores: Vec<Vec<Option<f64>>> = (0..3)
            .map(|model| (0..prompts).map(|prompt| Some(score(model, prompt))).collect())
            .collect();
        let text = |model: usize, prompt: usize| format!("{}{prompt}", "x".repeat(1 + (prompt * (model + 2)) % 13));
        let texts = (0..3)
            .map(|model| (0..prompts).map(|prompt| text(model, prompt)).collect())
            .collect();
        (scores, texts)
    }

    fn matrix_in(order: [usize; 3]) -> PreferenceMatrix {
        let (scores, texts) = scores(60);
        let all = ["one", "two", "three"];
        let pick = |model: usize| (scores[model].clone(), texts[model].clone());
        let (scores, texts): (Vec<_>, Vec<_>) = order.map(pick).into_iter().unzip();
        let lengths: Vec<Vec<usize>> = texts
            .iter()
            .map(|texts: &Vec<String>| texts.iter().map(|t| t.chars().count()).collect())
            .collect();
        let outcomes = Outcomes::of_scores(&scores, &texts);
        PreferenceMatrix::new(
            "a test",
            &names(&order.map(|model| all[model])),
            &outcomes,
            Some(&lengths),
            5,
        )
    }

    #[test]
    fn the_order_of_the_models_changes_nothing() {
        let first = matrix_in([0, 1, 2]);
        let near = |a: Interval, b: Interval| {
            let is_near = |(x, y): (f64, f64)| (x - y).abs() < 1e-6;
            a.n == b.n
                && [(a.value, b.value), (a.low, b.low), (a.high, b.high)]
                    .into_iter()
                    .all(is_near)
        };
        for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let other = matrix_in(order);
            for (a, b) in [("one", "two"), ("three", "one"), ("two", "three")] {
                assert!(
                    near(first.win_rate(a, b).unwrap(), other.win_rate(a, b).unwrap()),
                    "{order:?}"
                );
                let [own, theirs] = [&first, &other].map(|m| m.length_controlled(a, b).unwrap());
                assert!(near(own, theirs), "{order:?} {own:?} {theirs:?}");
            }
            for ModelRating { model, rating } in &first.ratings {
                let found = other.ratings.iter().find(|other| other.model == *model).unwrap();
                assert!(near(*rating, found.rating), "{order:?} {model}");
            }
        }
    }

    #[test]
    fn a_model_against_itself_ties_everywhere() {
        let (scores, texts) = scores(40);
        let outcomes = Outcomes::of_scores(
            &[scores[0].clone(), scores[1].clone()],
            &[texts[0].clone(), texts[0].clone()],
        );
        let found = PreferenceMatrix::new("a test", &names(&["x", "y"]), &outcomes, None, 1);
        assert_eq!((found.pairs[0].win_rate.value, found.pairs[0].ties), (0.5, Some(1.0)));
        assert!(found.ratings.iter().all(|rating| rating.rating.value == 0.0));
        assert!(found.pairs[0].win_rate.low < 0.5 && found.pairs[0].length_controlled.is_none());
        // At equal lengths it is known no better.
        let lengths = vec![vec![3; 40]; 2];
        let found = PreferenceMatrix::new("a test", &names(&["x", "y"]), &outcomes, Some(&lengths), 1);
        let controlled = found.pairs[0].length_controlled.unwrap();
        assert_eq!((controlled.value, controlled.low), (0.5, found.pairs[0].win_rate.low));
    }

    #[test]
    fn what_nobody_judged_is_in_no_figure() {
        let mut outcomes = Outcomes::new(2, 6);
        for (prompt, outcome) in [Greater, Greater, Less, Equal].into_iter().enumerate() {
            outcomes.set(prompt, 0, 1, Some(outcome));
        }
        let found = PreferenceMatrix::new("a test", &names(&["x", "y"]), &outcomes, None, 1);
        let pair = &found.pairs[0];
        // (1 + 1 + 0 + 1/2) of 4.
        assert_eq!(
            (pair.win_rate.value, pair.win_rate.n, pair.missing, pair.ties),
            (0.625, 4, 2, Some(0.25))
        );
    }

    #[test]
    fn it_is_written_as_agreed_and_read_back() {
        let found = matrix_in([0, 1, 2]);
        let text = serde_json::to_string(&found).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["models"][0], "one");
        assert!(value["pairs"][0]["win_rate"]["low"].is_f64() && value["ratings"][2]["rating"]["high"].is_f64());
        assert_eq!(serde_json::from_str::<PreferenceMatrix>(&text).unwrap(), found);
        let old = r#"{"judge":"j","models":[],"pairs":[{"a":"x","b":"y","win_rate":{"value":0.5,"low":0.4,"high":0.6,"n":9}}],"ratings":[]}"#;
        assert_eq!(
            serde_json::from_str::<PreferenceMatrix>(old).unwrap().pairs[0].missing,
            0
        );
        let shown = found.to_string();
        assert!(
            shown.contains("| % of prompts | one | two | three |") && shown.contains("rating of three: -"),
            "{shown}"
        );
    }

    #[test]
    fn intervals_of_ratings_and_of_rates_at_equal_lengths_cover_the_truth() {
        // Fewer repetitions than those of plain means, for each is a bootstrap of fits: between 92 and 98 of a hundred.
        use rand::Rng;
        let mut rng = rlhf_core::rng(3, "preference.coverage", &[]);
        let (theta, phi) = (0.5_f64, 0.8_f64);
        let (mut rating_hits, mut controlled_hits) = (0, 0);
        let repetitions = 250;
        for repetition in 0..repetitions {
            let mut outcomes = Outcomes::new(2, 80);
            let mut lengths = vec![Vec::new(), Vec::new()];
            let (mut differences, mut squares) = (0.0, 0.0);
            for _ in 0..80 {
                let longer = rng.random_range(-50..=50_i64);
                lengths[0].push((100 + longer) as usize);
                lengths[1].push(100);
                differences += longer as f64;
                squares += (longer * longer) as f64;
            }
            let deviation = ((squares - differences * differences / 80.0) / 79.0).sqrt();
            for (prompt, &length) in lengths[0].iter().enumerate() {
                let x = ((length as f64 - 100.0) / deviation).tanh();
                let is_won = rng.random::<f64>() < 1.0 / (1.0 + (-(theta + phi * x)).exp());
                outcomes.set(prompt, 0, 1, Some(if is_won { Greater } else { Less }));
            }
            let found = PreferenceMatrix::new("a test", &names(&["x", "y"]), &outcomes, Some(&lengths), repetition);
            // Lengths are symmetric: the share of wins is the mean of the chances at x and at -x, over all x.
            let chance = |x: f64| 1.0 / (1.0 + (-(theta + phi * x)).exp());
            let true_deviation = (100.0_f64 * 102.0 / 12.0).sqrt();
            let share = (-50..=50)
                .map(|d| chance((f64::from(d) / true_deviation).tanh()))
                .sum::<f64>()
                / 101.0;
            let rating = 200.0 * (share / (1.0 - share)).log10();
            let holds = |found: Interval, truth: f64| usize::from(found.low <= truth && truth <= found.high);
            rating_hits += holds(found.ratings[0].rating, rating);
            controlled_hits += holds(found.pairs[0].length_controlled.unwrap(), chance(0.0));
        }
        for (what, hits) in [("ratings", rating_hits), ("equal lengths", controlled_hits)] {
            let share = hits as f64 / repetitions as f64;
            assert!((0.92..=0.98).contains(&share), "{what}: {share}");
        }
    }
}
