//! The two forms that Gao et al. fit to scores over distance.

use serde::{Deserialize, Serialize};

/// How the gain of a score over that of the first model goes with d, the root of the KL divergence (arXiv 2210.10760, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// d (α - β d), of best of n.
    BestOfN,
    /// d (α - β ln d), of a policy that learns.
    #[serde(rename = "ppo")]
    Rl,
}

/// The coefficients of a [`Form`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// The slope at the start.
    pub alpha: f64,
    /// How fast it falls off.
    pub beta: f64,
}

impl Form {
    /// What α and β multiply at a distance.
    fn regressors(self, d: f64) -> [f64; 2] {
        match self {
            Self::BestOfN => [d, -d * d],
            Self::Rl => [d, -d * d.ln()],
        }
    }

    /// The fit of the least squares to gains at distances; points at 0 say nothing and are left out. Nothing with less than two distances.
    pub fn fit(self, points: &[(f64, f64)]) -> Option<Fit> {
        let (mut xx, mut xy) = ([[0.0; 2]; 2], [0.0; 2]);
        for &(d, gain) in points.iter().filter(|point| point.0 > 0.0) {
            let x = self.regressors(d);
            for row in 0..2 {
                for column in 0..2 {
                    xx[row][column] += x[row] * x[column];
                }
                xy[row] += x[row] * gain;
            }
        }
        let determinant = xx[0][0] * xx[1][1] - xx[0][1] * xx[1][0];
        // Relative to the size of its terms: what is left of the difference of two equal products is no number to divide by.
        if determinant.abs() <= 1e-10 * xx[0][0] * xx[1][1] || !determinant.is_finite() {
            return None;
        }
        Some(Fit {
            alpha: (xy[0] * xx[1][1] - xy[1] * xx[0][1]) / determinant,
            beta: (xy[1] * xx[0][0] - xy[0] * xx[1][0]) / determinant,
        })
    }

    /// The gain that a fit says at a distance.
    pub fn at(self, fit: Fit, d: f64) -> f64 {
        if d <= 0.0 {
            return 0.0;
        }
        let [a, b] = self.regressors(d);
        fit.alpha * a + fit.beta * b
    }

    /// The distance at which a fit is highest, if it has a peak: α / 2β, and e to the α/β - 1.
    pub fn peak(self, fit: Fit) -> Option<f64> {
        (fit.beta > 0.0).then(|| match self {
            Self::BestOfN => fit.alpha / (2.0 * fit.beta),
            Self::Rl => (fit.alpha / fit.beta - 1.0).exp(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_on_a_curve_give_its_coefficients_back() {
        for form in [Form::BestOfN, Form::Rl] {
            let truth = Fit { alpha: 0.7, beta: 0.2 };
            let points: Vec<(f64, f64)> = [0.0, 0.3, 0.9, 1.4, 2.2, 3.1].map(|d| (d, form.at(truth, d))).to_vec();
            let found = form.fit(&points).expect("five distances");
            assert!(
                (found.alpha - 0.7).abs() < 1e-9 && (found.beta - 0.2).abs() < 1e-9,
                "{found:?}"
            );
        }
        // 0.7 d - 0.2 d²: highest at 1.75; d (0.7 - 0.2 ln d): at e^2.5.
        let fit = Fit { alpha: 0.7, beta: 0.2 };
        assert_eq!(Form::BestOfN.peak(fit), Some(1.7499999999999998));
        assert!((Form::Rl.peak(fit).expect("it falls") - 2.5_f64.exp()).abs() < 1e-9);
        assert_eq!(Form::Rl.peak(Fit { alpha: 1.0, beta: 0.0 }), None);
    }

    #[test]
    fn the_peak_is_where_the_curve_is_highest() {
        for (form, fit) in [
            (Form::BestOfN, Fit { alpha: 1.1, beta: 0.4 }),
            (Form::Rl, Fit { alpha: 0.3, beta: 0.5 }),
        ] {
            let d = form.peak(fit).expect("it falls");
            let at = |d| form.at(fit, d);
            assert!(at(d) > at(d * 1.05) && at(d) > at(d * 0.95), "{form:?}");
        }
    }

    #[test]
    fn too_few_distances_fit_nothing() {
        assert_eq!(Form::Rl.fit(&[]), None);
        assert_eq!(Form::BestOfN.fit(&[(0.0, 0.0), (1.5, 0.4), (1.5, 0.5)]), None);
    }
}
