//! Win rates as they would be if both models wrote answers of the same length: the regression of AlpacaEval 2 (Dubois et al. 2024, arXiv 2404.04475).

/// What is known of a pair of models, prompt by prompt: the difference of lengths squeezed into -1 to 1, and the share of a win.
#[derive(Debug, Clone)]
pub(super) struct LengthControl {
    /// Index of the prompt, tanh of the difference, share.
    rows: Vec<(usize, f64, f64)>,
}

impl LengthControl {
    /// From the lengths of both models' answers and the share of a win of the first, for each prompt where somebody judged. Nothing where all answers
    /// of the one are longer by the same number of characters: length cannot be told from the model then.
    pub(super) fn new(rows: impl Iterator<Item = (usize, [usize; 2], f64)>) -> Option<Self> {
        let rows: Vec<(usize, f64, f64)> = rows
            .map(|(prompt, [own, theirs], share)| (prompt, own as f64 - theirs as f64, share))
            .collect();
        let mean = rows.iter().map(|row| row.1).sum::<f64>() / rows.len() as f64;
        let squares: f64 = rows.iter().map(|row| (row.1 - mean).powi(2)).sum();
        let deviation = (squares / (rows.len() as f64 - 1.0)).sqrt();
        let is_told_apart = deviation > 0.0 && deviation.is_finite();
        if !is_told_apart && rows.iter().any(|row| row.1 != 0.0) || rows.is_empty() {
            return None;
        }
        let squeezed = |difference: f64| {
            if is_told_apart {
                (difference / deviation).tanh()
            } else {
                0.0
            }
        };
        let rows = rows
            .into_iter()
            .map(|(prompt, difference, share)| (prompt, squeezed(difference), share));
        Some(Self { rows: rows.collect() })
    }

    /// The share of wins at equal lengths, with every prompt counted as often as `times` says.
    ///
    /// The logistic regression is logit P(win) = θ + φ tanh((l - l') / s), l and l' the lengths of both answers in characters, s the standard deviation
    /// of their difference; the answer is the chance at θ alone. A tie is half a win. So that both are finite though one always wins, or the longer does,
    /// half a tie is added with the first model's answer far longer, and half a tie with it far shorter.
    pub(super) fn win_rate(&self, times: impl Fn(usize) -> f64) -> f64 {
        let mut rows: Vec<[f64; 3]> = self.rows.iter().map(|&(prompt, x, y)| [times(prompt), x, y]).collect();
        rows.extend([[0.5, 1.0, 0.5], [0.5, -1.0, 0.5]]);
        let (theta, _) = fit(&rows);
        1.0 / (1.0 + (-theta).exp())
    }
}

/// θ and φ of the largest likelihood of rows of weight, x and y, by Newton's method.
fn fit(rows: &[[f64; 3]]) -> (f64, f64) {
    let (mut theta, mut phi) = (0.0, 0.0);
    for _ in 0..100 {
        let (mut slope, mut curvature) = ([0.0; 2], [0.0; 3]);
        for &[weight, x, y] in rows.iter().filter(|row| row[0] > 0.0) {
            let p = 1.0 / (1.0 + (-(theta + phi * x)).exp());
            let (left, bent) = (weight * (y - p), weight * p * (1.0 - p));
            slope = [slope[0] + left, slope[1] + left * x];
            curvature = [
                curvature[0] + bent,
                curvature[1] + bent * x,
                curvature[2] + bent * x * x,
            ];
        }
        let determinant = curvature[0] * curvature[2] - curvature[1] * curvature[1];
        let step = [
            (slope[0] * curvature[2] - slope[1] * curvature[1]) / determinant,
            (slope[1] * curvature[0] - slope[0] * curvature[1]) / determinant,
        ];
        // Never so far that the curvature found there would be none.
        let longest = step[0].abs().max(step[1].abs());
        let share = if longest > 2.0 { 2.0 / longest } else { 1.0 };
        theta += share * step[0];
        phi += share * step[1];
        if longest < 1e-10 {
            break;
        }
    }
    (theta, phi)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(rows: &[(usize, usize, f64)]) -> Option<LengthControl> {
        LengthControl::new(
            rows.iter()
                .enumerate()
                .map(|(prompt, &(a, b, share))| (prompt, [a, b], share)),
        )
    }

    #[test]
    fn lengths_that_follow_the_model_are_taken_out_and_what_is_left_is_the_model() {
        // Shares as θ = 0.4 and φ = 1.5 say, of answers that are longer by 100 characters on the mean: the raw rate is far above.
        let differences: Vec<i64> = (0..2000).map(|i| (i * 37) % 401 - 100).collect();
        let mean = differences.iter().sum::<i64>() as f64 / 2000.0;
        let deviation = (differences.iter().map(|d| (*d as f64 - mean).powi(2)).sum::<f64>() / 1999.0).sqrt();
        let rows: Vec<(usize, usize, f64)> = (differences.iter())
            .map(|&d| {
                let chance = 1.0 / (1.0 + (-(0.4 + 1.5 * (d as f64 / deviation).tanh())).exp());
                ((500 + d) as usize, 500, chance)
            })
            .collect();
        let raw = rows.iter().map(|row| row.2).sum::<f64>() / 2000.0;
        let found = control(&rows).expect("lengths differ").win_rate(|_| 1.0);
        let expected = 1.0 / (1.0 + (-0.4_f64).exp());
        assert!(
            (found - expected).abs() < 1e-3 && raw > expected + 0.05,
            "{found} {raw}"
        );
        // The other way about, the rest of one.
        let turned: Vec<_> = rows.iter().map(|&(a, b, share)| (b, a, 1.0 - share)).collect();
        let back = control(&turned).expect("lengths differ").win_rate(|_| 1.0);
        assert!((found + back - 1.0).abs() < 1e-9);
    }

    #[test]
    fn without_a_difference_it_is_the_win_rate_with_a_tie_more() {
        let rows = [(5, 5, 1.0), (7, 7, 1.0), (3, 3, 0.0)];
        let found = control(&rows).expect("no difference to take out").win_rate(|_| 1.0);
        // 2 of 3, and a tie: 2.5 of 4.
        assert!((found - 0.625).abs() < 1e-9, "{found}");
    }

    #[test]
    fn it_is_finite_where_the_longer_always_wins_and_nothing_where_length_is_the_model() {
        let rows = [(9, 5, 1.0), (2, 7, 0.0), (8, 3, 1.0), (1, 6, 0.0)];
        let found = control(&rows).expect("lengths differ").win_rate(|_| 1.0);
        assert!((found - 0.5).abs() < 0.05, "{found}");
        assert!(control(&[(6, 5, 1.0), (8, 7, 0.0)]).is_none() && control(&[]).is_none());
    }

    #[test]
    fn a_prompt_that_was_not_drawn_has_no_say() {
        let rows = [(9, 5, 1.0), (2, 7, 0.0), (8, 3, 1.0), (1, 9, 1.0)];
        let all = control(&rows).expect("lengths differ");
        let without = all.win_rate(|prompt| if prompt == 3 { 0.0 } else { 1.0 });
        let twice = all.win_rate(|prompt| if prompt == 3 { 2.0 } else { 1.0 });
        assert!(without < all.win_rate(|_| 1.0) && all.win_rate(|_| 1.0) < twice);
    }
}
