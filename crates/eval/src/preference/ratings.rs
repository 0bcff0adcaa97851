//! Ratings of models from how often each beats each (Bradley and Terry 1952).

/// Points of a rating by which odds are tenfold, as Elo had it.
const SCALE: f64 = 400.0;
/// A gradient this small, as a share of all games, is nothing.
const SETTLED: f64 = 1e-10;
const STEPS_AT_MOST: usize = 200;

/// The ratings, with a mean of 0, under which the wins are most likely: model a beats b in 1 / (1 + 10^((b - a) / 400)) of all cases. `wins` is how
/// often each of `models` beats each, row by row, ties as half a win for either.
///
/// Every two models are counted as having tied once more than they did, so that ratings are finite though one wins always, or two never met; of hundreds of
/// comparisons that is next to nothing.
pub(super) fn ratings(wins: &[f64], models: usize) -> Vec<f64> {
    let wins: Vec<f64> = (0..models * models)
        .map(|place| {
            if place / models == place % models {
                0.0
            } else {
                wins[place] + 0.5
            }
        })
        .collect();
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
    let points = SCALE / std::f64::consts::LN_10;
    strengths.iter().map(|strength| (strength - mean) * points).collect()
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
}
