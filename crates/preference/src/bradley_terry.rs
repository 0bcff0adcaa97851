//! Ratings from how often each beats each (Bradley and Terry 1952).

use rlhf_core::stats::Interval;
use serde::{Deserialize, Serialize};

/// Points of a rating by which odds are tenfold, as Elo had it.
const SCALE: f64 = 400.0;
/// Points of a rating by which odds are e-fold.
const POINTS: f64 = SCALE / std::f64::consts::LN_10;
/// A gradient this small, as a share of all games, is nothing.
const SETTLED: f64 = 1e-10;
const STEPS_AT_MOST: usize = 200;

/// The ratings, with a mean of 0, under which the wins are most likely: contestant a beats b in 1 / (1 + 10^((b - a) / 400)) of all cases. `wins` is how
/// often each of `models` beats each, row by row, ties as half a win for either.
///
/// Every two models are counted as having tied once more than they did, so that ratings are finite though one wins always, or two never met; of hundreds of
/// comparisons that is next to nothing.
pub fn ratings(wins: &[f64], models: usize) -> Vec<f64> {
    let wins = with_a_tie(wins, models);
    let settled = SETTLED * (1.0 + wins.iter().sum::<f64>());
    let mut strengths = vec![0.0; models];
    let mut likelihood = log_likelihood(&wins, &strengths);
    for _ in 0..STEPS_AT_MOST {
        let (gradient, curvature) = derivatives(&wins, &strengths);
        if gradient.iter().all(|slope| slope.abs() < settled) {
            break;
        }
        let step = solve(curvature, gradient);
        // Newton's step, halved until it is one uphill: far from the top it may go too far.
        let mut share = 1.0;
        loop {
            let next: Vec<f64> = strengths.iter().zip(&step).map(|(s, d)| s + share * d).collect();
            let found = log_likelihood(&wins, &next);
            if found >= likelihood || share < 1e-6 {
                (strengths, likelihood) = (next, found);
                break;
            }
            share /= 2.0;
        }
    }
    let mean = strengths.iter().sum::<f64>() / models.max(1) as f64;
    strengths.iter().map(|strength| (strength - mean) * POINTS).collect()
}

/// The wins with a tie more between every two.
fn with_a_tie(wins: &[f64], models: usize) -> Vec<f64> {
    let of = |place: usize| {
        if place / models == place % models {
            0.0
        } else {
            wins[place] + 0.5
        }
    };
    (0..models * models).map(of).collect()
}

/// A comparison of two contestants.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Game {
    /// What belongs together: the prompt, or the person who was asked.
    pub cluster: usize,
    /// The one.
    pub a: usize,
    /// The other.
    pub b: usize,
    /// 1 if `a` won, 0 if `b` did, a half for a tie.
    pub score: f64,
}

/// A contestant's rating on Elo's scale, beside a mean of 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Strength {
    /// The rating with its 95 % interval, over so many games of the contestant.
    pub rating: Interval,
    /// Standard error.
    pub error: f64,
}

/// The ratings of `contestants` from their games, with intervals from the sandwich `H^-1 (sum over clusters of g g^T) H^-1` of curvature and gradients
/// (White 1982; clusters as Liang and Zeger 1986), scaled by c / (c - 1) for c clusters: they hold though the model of one strength each is wrong, which
/// intervals from the curvature alone do not, and count what belongs together once. As in [`ratings`] a tie is added between every two.
///
/// # Panics
/// If a game names a contestant that there is not.
pub fn bradley_terry(games: &[Game], contestants: usize) -> Vec<Strength> {
    let mut wins = vec![0.0; contestants * contestants];
    let mut played = vec![0; contestants];
    for game in games {
        wins[game.a * contestants + game.b] += game.score;
        wins[game.b * contestants + game.a] += 1.0 - game.score;
        played[game.a] += 1;
        played[game.b] += 1;
    }
    let rated = ratings(&wins, contestants);
    let strengths: Vec<f64> = rated.iter().map(|rating| rating / POINTS).collect();
    let (_, curvature) = derivatives(&with_a_tie(&wins, contestants), &strengths);
    let errors = sandwich(games, &strengths, &curvature);
    let strength = |((rating, error), n): ((f64, f64), usize)| {
        let half = 1.959_963_984_540_054 * error;
        let rating = Interval {
            value: rating,
            low: rating - half,
            high: rating + half,
            n,
        };
        Strength { rating, error }
    };
    rated.into_iter().zip(errors).zip(played).map(strength).collect()
}

/// Standard errors of all ratings.
fn sandwich(games: &[Game], strengths: &[f64], curvature: &[Vec<f64>]) -> Vec<f64> {
    let contestants = strengths.len();
    let mut gradients: std::collections::BTreeMap<usize, Vec<f64>> = std::collections::BTreeMap::new();
    for game in games {
        let surprise = game.score - chance(strengths[game.a] - strengths[game.b]);
        let of_cluster = gradients.entry(game.cluster).or_insert_with(|| vec![0.0; contestants]);
        of_cluster[game.a] += surprise;
        of_cluster[game.b] -= surprise;
    }
    let clusters = gradients.len() as f64;
    let mut variances = vec![0.0; contestants];
    for gradient in gradients.into_values() {
        // H^-1 g: gradients sum to 0, and so does this, which keeps the mean of the ratings.
        let influence = solve(curvature.to_vec(), gradient);
        for (variance, of_cluster) in variances.iter_mut().zip(influence) {
            *variance += of_cluster * of_cluster;
        }
    }
    let scale = if clusters > 1.0 {
        clusters / (clusters - 1.0)
    } else {
        f64::NAN
    };
    variances
        .iter()
        .map(|variance| (scale * variance).sqrt() * POINTS)
        .collect()
}

fn chance(difference: f64) -> f64 {
    1.0 / (1.0 + (-difference).exp())
}

fn log_likelihood(wins: &[f64], strengths: &[f64]) -> f64 {
    let models = strengths.len();
    let mut sum = 0.0;
    for a in 0..models {
        for b in 0..models {
            let difference = strengths[a] - strengths[b];
            // ln of the chance, without an overflow.
            sum -= wins[a * models + b] * ((-difference.abs()).exp().ln_1p() + (-difference).max(0.0));
        }
    }
    sum
}

/// The gradient of the log-likelihood, and its curvature turned positive; a constant added to all strengths changes nothing, so a mean of 0 is asked for.
fn derivatives(wins: &[f64], strengths: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let models = strengths.len();
    let of_model = |a: usize| {
        let mut slope = 0.0;
        let mut row = vec![1.0 / models as f64; models];
        for b in (0..models).filter(|&b| b != a) {
            let games = wins[a * models + b] + wins[b * models + a];
            let p = chance(strengths[a] - strengths[b]);
            slope += wins[a * models + b] - games * p;
            row[a] += games * p * (1.0 - p);
            row[b] -= games * p * (1.0 - p);
        }
        (slope, row)
    };
    (0..models).map(of_model).unzip()
}

/// The solution of a positive definite system, by elimination.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for pivot in 0..n {
        let (above, below) = matrix.split_at_mut(pivot + 1);
        let of_pivot = &above[pivot];
        for (row, values) in below.iter_mut().enumerate() {
            let factor = values[pivot] / of_pivot[pivot];
            for (value, above) in values.iter_mut().zip(of_pivot).skip(pivot) {
                *value -= factor * above;
            }
            right[pivot + 1 + row] -= factor * right[pivot];
        }
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|column| matrix[row][column] * right[column]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: &[f64], expected: &[f64], tolerance: f64) {
        assert_eq!(found.len(), expected.len());
        let is_near = |(a, b): (&f64, &f64)| (a - b).abs() <= tolerance;
        assert!(found.iter().zip(expected).all(is_near), "{found:?} is not {expected:?}");
    }

    #[test]
    fn two_models_are_as_far_apart_as_their_odds() {
        // With the tie that is added: 75 of 100 wins become 75.5 to 25.5, odds 2.9608; 400 log10 of that is 188.57.
        near(&ratings(&[0.0, 75.0, 25.0, 0.0], 2), &[94.28, -94.28], 0.01);
        near(&ratings(&[0.0, 7.0, 7.0, 0.0], 2), &[0.0, 0.0], 1e-9);
        // 1000 of 1000: 1000.5 to 0.5 and finite, 400 log10 2001 = 1320.5.
        near(&ratings(&[0.0, 1000.0, 0.0, 0.0], 2), &[660.26, -660.26], 0.05);
        near(&ratings(&[0.0], 1), &[0.0], 0.0);
    }

    #[test]
    fn wins_as_the_model_says_give_its_ratings_back() {
        let truth = [250.0, 40.0, -90.0, -200.0];
        let mut wins = vec![0.0; 16];
        for a in 0..4 {
            for b in (0..4).filter(|&b| b != a) {
                wins[a * 4 + b] = 1e7 / (1.0 + 10_f64.powf((truth[b] - truth[a]) / 400.0));
            }
        }
        near(&ratings(&wins, 4), &truth, 1e-3);
    }

    #[test]
    fn the_gradient_vanishes_where_it_ends_though_one_always_wins() {
        // A circle of the last three, and a first who wins always; the fit is checked by its own equations: expected wins are observed ones.
        let wins = [
            0.0, 40.0, 40.0, 40.0, 0.0, 0.0, 30.0, 12.0, 0.0, 10.0, 0.0, 25.0, 0.0, 28.0, 15.0, 0.0,
        ];
        let found = ratings(&wins, 4);
        for a in 0..4 {
            let (mut expected, mut observed) = (0.0, 0.0);
            for b in (0..4).filter(|&b| b != a) {
                let games = wins[a * 4 + b] + wins[b * 4 + a] + 1.0;
                expected += games / (1.0 + 10_f64.powf((found[b] - found[a]) / 400.0));
                observed += wins[a * 4 + b] + 0.5;
            }
            assert!((expected - observed).abs() < 1e-6, "{a}: {expected} and {observed}");
        }
        assert!(found[0] > found[1].max(found[2]).max(found[3]) && found.iter().sum::<f64>().abs() < 1e-9);
    }
    /// The interval covers the truth where the games are as the model says, where prompts have tastes of their own, and where games come in lumps.
    #[test]
    fn the_interval_covers_the_truth_at_93_to_97_per_cent() {
        use rand::Rng;
        let (runs, prompts, truth) = (2000, 120, [80.0, 0.0, -80.0]);
        for (name, taste, each) in [("as the model says", 0.0, 1), ("tastes", 150.0, 1), ("lumps", 150.0, 3)] {
            let mut covered = 0;
            // With tastes a rating is what is expected of many prompts.
            let many = if taste > 0.0 { 40_000 } else { 0 };
            let games = |seed: u64, prompts: usize| {
                let mut rng = rlhf_core::rng(seed, "bradley_terry", &[each as u64, taste as u64]);
                let mut games = Vec::new();
                for cluster in 0..prompts {
                    let of_prompt: Vec<f64> = truth.iter().map(|t| t + taste * rng.random_range(-1.0..1.0)).collect();
                    for _ in 0..each {
                        let (a, b) = [(0, 1), (0, 2), (1, 2)][rng.random_range(0..3)];
                        let wins = rng.random_bool(chance((of_prompt[a] - of_prompt[b]) / POINTS));
                        games.push(Game {
                            cluster,
                            a,
                            b,
                            score: f64::from(u8::from(wins)),
                        });
                    }
                }
                games
            };
            let expected = match many {
                0 => truth.to_vec(),
                many => bradley_terry(&games(9_999, many), 3)
                    .iter()
                    .map(|s| s.rating.value)
                    .collect(),
            };
            for run in 0..runs {
                let found = bradley_terry(&games(run, prompts), 3)[0].rating;
                covered += usize::from((found.low..=found.high).contains(&expected[0]));
            }
            let share = covered as f64 / runs as f64;
            assert!((0.93..=0.97).contains(&share), "{name}: {share}");
        }
    }

    #[test]
    fn a_cluster_counts_once() {
        let game = |cluster, a, b, score| Game { cluster, a, b, score };
        let apart: Vec<Game> = (0..40)
            .map(|i| game(i, 0, 1, if i % 4 == 0 { 0.0 } else { 1.0 }))
            .collect();
        let lumps: Vec<Game> = (0..40)
            .map(|i| game(i / 4 * 4 % 40, 0, 1, if i < 10 { 0.0 } else { 1.0 }))
            .collect();
        let [apart, lumps] = [apart, lumps].map(|games| bradley_terry(&games, 2)[0]);
        assert!((apart.rating.value - lumps.rating.value).abs() < 1e-9);
        assert!(lumps.error > 1.5 * apart.error, "{lumps:?} {apart:?}");
        assert_eq!(apart.rating.n, 40);
        // Of one cluster nothing is known of the error.
        assert!(bradley_terry(&[game(0, 0, 1, 1.0)], 2)[0].error.is_nan());
    }
}
