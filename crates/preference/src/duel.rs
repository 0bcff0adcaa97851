//! Whether a new version beats the old one, looked at as often as one likes.

use serde::{Deserialize, Serialize};

/// Blind votes between two versions, one a person and prompt, ties apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duel {
    /// Votes for the new version.
    pub wins: u64,
    /// Votes for the old one.
    pub losses: u64,
}

impl Duel {
    /// Evidence against "the new version wins at most half of the votes", as odds: the E-process
    ///
    /// ```text
    /// E = 2^(n+1) B(w+1, l+1) (1 - I_1/2(w+1, l+1)),   n = w + l
    /// ```
    ///
    /// the likelihood of the votes under win rates spread evenly over 1/2 to 1, over that under 1/2. Under the hypothesis it is a supermartingale
    /// that starts at 1, so that it ever reaches 20 with a chance of at most 1 in 20 (Ville 1939): votes may be counted after each of them, and
    /// counting may end whenever one likes. A 95 % interval that is looked at again and again has no such bound.
    ///
    /// The binomial sum behind the regularised incomplete beta function is exact for whole numbers: `1 - I_1/2(w+1, l+1)` is the chance of at most w
    /// heads in n + 1 throws.
    pub fn evidence(self) -> f64 {
        let (wins, throws) = (self.wins, self.wins + self.losses + 1);
        // ln B(w+1, l+1) = -ln((n+1) C(n, w)); ln C(n+1, k) goes up one k at a time.
        let mut ln_beta = -(throws as f64).ln();
        for k in 1..=wins {
            ln_beta -= ((throws - k) as f64 / k as f64).ln();
        }
        let (mut ln_choose, mut largest, mut terms) = (0.0_f64, f64::NEG_INFINITY, Vec::new());
        for k in 0..=wins {
            if k > 0 {
                ln_choose += ((throws - k + 1) as f64 / k as f64).ln();
            }
            largest = largest.max(ln_choose);
            terms.push(ln_choose);
        }
        let sum: f64 = terms.iter().map(|term| (term - largest).exp()).sum();
        (ln_beta + largest + sum.ln()).exp()
    }

    /// The odds from which a version is promoted: at most 1 in 20 versions that are no better ever is.
    pub const ENOUGH: f64 = 20.0;

    /// True if the evidence is enough, and stays so without any one person: `without` are the votes of each.
    pub fn promotes(self, without: impl IntoIterator<Item = Self>) -> bool {
        let rest = |person: Self| Self {
            wins: self.wins.saturating_sub(person.wins),
            losses: self.losses.saturating_sub(person.losses),
        };
        let is_enough = |duel: Self| duel.evidence() >= Self::ENOUGH;
        is_enough(self) && without.into_iter().map(rest).all(is_enough)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;
    use rlhf_core::rng;

    fn duel(wins: u64, losses: u64) -> Duel {
        Duel { wins, losses }
    }

    #[test]
    fn the_evidence_is_the_integral_that_it_stands_for() {
        for (wins, losses) in [(0, 0), (1, 0), (0, 3), (7, 2), (30, 10), (55, 45)] {
            // 2 ∫ from 1/2 to 1 of (2 p)^w (2 (1 - p))^l dp, by Simpson's rule.
            let steps = 20_000;
            let width = 0.5 / f64::from(steps);
            let value = |step: i32| {
                let p = 0.5 + f64::from(step) * width;
                (2.0 * p).powi(wins as i32) * (2.0 * (1.0 - p)).powi(losses as i32)
            };
            let weight = |step: i32| match step {
                0 => 1.0,
                _ if step == steps => 1.0,
                _ if step % 2 == 1 => 4.0,
                _ => 2.0,
            };
            let expected = 2.0 * width / 3.0 * (0..=steps).map(|step| weight(step) * value(step)).sum::<f64>();
            let found = duel(wins, losses).evidence();
            assert!(
                (found / expected - 1.0).abs() < 1e-9,
                "{wins} {losses}: {found} and {expected}"
            );
        }
    }

    #[test]
    fn nothing_is_evidence_of_nothing_and_large_numbers_do_not_overflow() {
        assert!((duel(0, 0).evidence() - 1.0).abs() < 1e-12);
        assert!(duel(100_000, 100).evidence().is_infinite() || duel(100_000, 100).evidence() > 1e100);
        assert!(duel(100, 100_000).evidence() < 1e-3);
        assert!(duel(50_000, 50_000).evidence() < 1.0);
    }

    /// Of equal versions at most one in twenty is ever promoted, though every vote is looked at; a Wilson interval above one half, looked at after every
    /// fifth vote, promotes many more.
    #[test]
    fn equal_versions_are_promoted_at_most_once_in_twenty() {
        let (runs, votes) = (2000, 400);
        let (mut by_evidence, mut by_interval) = (0, 0);
        for run in 0..runs {
            let mut rng = rng(5, "duel.null", &[run]);
            let (mut found, mut is_promoted, mut is_above) = (Duel::default(), false, false);
            for vote in 1..=votes {
                if rng.random_bool(0.5) {
                    found.wins += 1;
                } else {
                    found.losses += 1;
                }
                is_promoted |= found.evidence() >= Duel::ENOUGH;
                is_above |= vote % 5 == 0 && rlhf_core::stats::wilson(found.wins as f64, vote as usize).low > 0.5;
            }
            by_evidence += usize::from(is_promoted);
            by_interval += usize::from(is_above);
        }
        assert!(by_evidence <= runs as usize / 20, "{by_evidence} of {runs}");
        assert!(by_interval > runs as usize / 10, "{by_interval} of {runs}");
    }

    #[test]
    fn a_better_version_is_promoted_and_not_for_one_persons_sake() {
        assert!(duel(70, 30).promotes([duel(5, 5); 10]));
        // One person's forty votes are all there is.
        assert!(duel(60, 20).evidence() >= Duel::ENOUGH);
        assert!(!duel(60, 20).promotes([duel(40, 0), duel(20, 20)]));
        assert!(!duel(50, 50).promotes([]));
    }
}
