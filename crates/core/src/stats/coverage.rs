//! Whether intervals of 95 % hold the truth in 95 of 100 cases: what is known to be true is drawn from 2000 times.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::*;

const REPETITIONS: u64 = 2000;

/// The share of intervals that hold `truth`; `draw` gives one each time.
fn covered(truth: f64, mut draw: impl FnMut(&mut ChaCha8Rng, u64) -> Interval) -> f64 {
    let mut rng = rng(11, "stats.coverage", &[]);
    let mut hits = 0;
    for repetition in 0..REPETITIONS {
        let found = draw(&mut rng, repetition);
        hits += usize::from(found.low <= truth && truth <= found.high);
    }
    hits as f64 / REPETITIONS as f64
}

fn check(what: &str, share: f64) {
    assert!((0.93..=0.97).contains(&share), "{what}: {:.2} %", 100.0 * share);
}

/// A standard normal.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (rng.random_range(f64::EPSILON..1.0), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn exponential(rng: &mut ChaCha8Rng) -> f64 {
    -rng.random_range(f64::EPSILON..1.0_f64).ln()
}

#[test]
fn intervals_of_means_cover_the_truth() {
    for n in [10, 30, 100] {
        let share = covered(0.5, |rng, seed| {
            let values: Vec<f64> = (0..n).map(|_| 0.5 + normal(rng)).collect();
            bootstrap_mean(&values, seed)
        });
        check(&format!("mean of {n} normal values"), share);
    }
    let share = covered(1.0, |rng, seed| {
        let values: Vec<f64> = (0..100).map(|_| exponential(rng)).collect();
        bootstrap_mean(&values, seed)
    });
    check("mean of 100 exponential values", share);
}

#[test]
fn intervals_of_paired_differences_cover_the_truth_though_prompts_differ_more_than_models() {
    let mut unpaired_width = 0.0;
    let mut paired_width = 0.0;
    let share = covered(0.1, |rng, seed| {
        let mut scores = [Vec::new(), Vec::new()];
        for _ in 0..50 {
            let difficulty = 2.0 * normal(rng);
            scores[0].push(difficulty + 0.1 + 0.5 * normal(rng));
            scores[1].push(difficulty + 0.5 * normal(rng));
        }
        let differences: Vec<f64> = scores[0].iter().zip(&scores[1]).map(|(a, b)| a - b).collect();
        let found = bootstrap_mean(&differences, seed);
        if seed < 20 {
            let own = bootstrap_mean(&scores[0], seed);
            unpaired_width += own.high - own.low;
            paired_width += found.high - found.low;
        }
        found
    });
    check("paired differences of 50", share);
    assert!(paired_width < unpaired_width / 2.0);
}

#[test]
fn intervals_of_shares_over_clusters_cover_the_truth() {
    for (clusters, mean_share) in [(40, 0.7), (100, 0.8), (100, 0.5)] {
        // Each cluster has a share of its own about the mean, and one to twelve pairs, independent of it.
        let share = covered(mean_share, |rng, seed| {
            let cluster = |rng: &mut ChaCha8Rng| {
                let own = mean_share + rng.random_range(-0.2..0.2);
                let pairs = rng.random_range(1..=12);
                let successes = (0..pairs).filter(|_| rng.random::<f64>() < own).count();
                (successes as f64, pairs)
            };
            let drawn: Vec<(f64, usize)> = (0..clusters).map(|_| cluster(rng)).collect();
            bootstrap_share(&drawn, seed)
        });
        check(&format!("share {mean_share} over {clusters} clusters"), share);
    }
    // Wins, ties and losses of one comparison a prompt: 0.5, 0.2, 0.3.
    let share = covered(0.6, |rng, seed| {
        let outcome = |u: f64| match u {
            u if u < 0.5 => (1.0, 1),
            u if u < 0.7 => (0.5, 1),
            _ => (0.0, 1),
        };
        let drawn: Vec<(f64, usize)> = (0..60).map(|_| outcome(rng.random())).collect();
        bootstrap_share(&drawn, seed)
    });
    check("win rate with ties over 60 prompts", share);
}

#[test]
fn intervals_that_ignore_clusters_would_not() {
    // Ten labelers of the same pair: Wilson's interval takes them for ten observations.
    let share = covered(0.7, |rng, _| {
        let wins: f64 = (0..60)
            .map(|_| if rng.random::<f64>() < 0.7 { 10.0 } else { 0.0 })
            .sum();
        wilson(wins, 600)
    });
    assert!(share < 0.6, "{share}");
}

#[test]
fn intervals_of_a_ratio_of_several_sums_cover_the_truth() {
    // The statistic that the generic bootstrap is asked for: log-odds of a share of 0.6, of 80 units.
    let truth = (0.6_f64 / 0.4).ln();
    let share = covered(truth, |rng, seed| {
        let units: Vec<f64> = (0..80)
            .map(|_| f64::from(u8::from(rng.random::<f64>() < 0.6)))
            .collect();
        let log_odds = |drawn: &[u32]| {
            let wins: f64 = units
                .iter()
                .zip(drawn)
                .map(|(unit, &times)| unit * f64::from(times))
                .sum();
            vec![((wins + 0.5) / (80.0 - wins + 0.5)).ln()]
        };
        bootstrap_intervals(&log_odds(&[1; 80]), units.len(), seed, log_odds)[0]
    });
    check("log-odds of 80", share);
}

#[test]
fn wilsons_intervals_cover_the_truth() {
    for (n, truth) in [(40, 0.5), (150, 0.3), (400, 0.9), (100, 0.6)] {
        let share = covered(truth, |rng, _| {
            let wins = (0..n).filter(|_| rng.random::<f64>() < truth).count();
            wilson(wins as f64, n)
        });
        check(&format!("Wilson {truth} of {n}"), share);
    }
}
