//! The curves, their fits, and what they say.

use std::fmt::{self, Display, Formatter};

use rand::Rng;
use rlhf_core::rng;
use rlhf_core::stats::{Interval, bootstrap_mean, mean};
use serde::{Deserialize, Serialize};

use super::best_of_n::{BestOfN, best_of_n_weights};
use super::fit::Form;
use crate::kl::best_of_n_kl;

/// The name of the format of [`Overopt`] in JSON.
pub const OVEROPT_SCHEMA: &str = "rlhf-overopt/1";
/// Resamples behind the errors of fits.
const RESAMPLES: usize = 200;

/// What is optimised and what was meant, of the best of n.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProxyAndGold {
    /// Answers of which the best is taken.
    pub n: usize,
    /// KL divergence from the first model in nats: ln n - (n - 1) / n, an upper bound where answers repeat.
    pub kl: f64,
    /// Mean score by what is optimised.
    pub proxy: Interval,
    /// Mean score by what was meant.
    pub gold: Interval,
}

/// The same of a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyPoint {
    /// Updates that it has learnt from.
    pub update: u64,
    /// Mean summed log-ratio to the first model, in nats an answer; absent where answers are no samples of the policy.
    pub kl: Option<f64>,
    /// Mean score by what is optimised.
    pub proxy: Interval,
    /// Mean score by what was meant.
    pub gold: Interval,
    /// Tokens of an answer.
    pub length: f64,
    /// Share of answers that end.
    pub eos_fraction: f64,
}

/// A fit of one of Gao's forms to a curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OveroptFit {
    /// The curve: that of best of n, or of the policies.
    pub method: Form,
    /// `proxy` or `gold`.
    pub score: String,
    /// Slope at the start.
    pub alpha: f64,
    /// Standard error of a bootstrap over prompts.
    pub alpha_error: f64,
    /// Fall of the slope.
    pub beta: f64,
    /// Standard error of a bootstrap over prompts.
    pub beta_error: f64,
}

/// The policy with the highest gold score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OveroptPeak {
    /// Updates that it has learnt from.
    pub update: u64,
    /// Its mean gold score.
    pub gold: f64,
    /// Mean difference of the last policy's gold score from it, on the same prompts.
    pub last_less_peak: Interval,
    /// The same of the policy that PPO kept by its rule, if it is among those measured.
    pub kept_less_peak: Option<Interval>,
}

/// Findings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overopt {
    /// [`OVEROPT_SCHEMA`].
    pub schema: String,
    /// What is optimised, in words.
    pub proxy: String,
    /// Who says what was meant, in words.
    pub gold: String,
    /// Prompts.
    pub prompts: usize,
    /// Best of n of the first model's answers.
    pub best_of_n: Vec<ProxyAndGold>,
    /// The policies, by their updates; the first is the model that PPO began with.
    pub ppo: Vec<PolicyPoint>,
    /// Fits of both curves and both scores, where there are enough points.
    pub fits: Vec<OveroptFit>,
    /// Where gold was highest among the policies.
    pub peak: Option<OveroptPeak>,
    /// The update whose policy PPO kept.
    pub kept: Option<u64>,
}

/// What one prompt says of every point of a curve.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledPrompt {
    /// Proxy score at each point: n of best of n, or policy.
    pub proxy: Vec<f64>,
    /// Gold score at each.
    pub gold: Vec<f64>,
}

impl SampledPrompt {
    /// Best of each of `ns` for a prompt's answers.
    pub fn best_of(ns: &[usize], proxy: &[f64], gold: &[f64]) -> Self {
        let answers = BestOfN::new(proxy, gold);
        let worth = |&n: &usize| answers.worth(&best_of_n_weights(n, answers.len()));
        let (proxy, gold) = ns.iter().map(worth).unzip();
        Self { proxy, gold }
    }
}

/// A curve by prompts.
struct Curve<'a> {
    method: Form,
    /// KL divergence at each point.
    kl: Vec<f64>,
    prompts: &'a [SampledPrompt],
}

impl Curve<'_> {
    fn scores(&self, of: fn(&SampledPrompt) -> &Vec<f64>, point: usize) -> Vec<f64> {
        self.prompts.iter().map(|prompt| of(prompt)[point]).collect()
    }

    /// Gains over the first point at d, of the prompts at `rows`.
    fn gains(&self, of: fn(&SampledPrompt) -> &Vec<f64>, rows: &[usize]) -> Vec<(f64, f64)> {
        let gain = |point: usize| {
            let differences = rows.iter().map(|&row| {
                let scores = of(&self.prompts[row]);
                scores[point] - scores[0]
            });
            mean(&differences.collect::<Vec<f64>>())
        };
        let points = self.kl.iter().enumerate();
        points.map(|(point, kl)| (kl.max(0.0).sqrt(), gain(point))).collect()
    }

    fn fit(&self, score: &str, of: fn(&SampledPrompt) -> &Vec<f64>, seed: u64) -> Option<OveroptFit> {
        let count = self.prompts.len();
        let all: Vec<usize> = (0..count).collect();
        let fit = self.method.fit(&self.gains(of, &all))?;
        let mut rng = rng(seed, "overopt.fit", &[count as u64]);
        let refits = (0..RESAMPLES).filter_map(|_| {
            let rows: Vec<usize> = (0..count).map(|_| rng.random_range(0..count)).collect();
            self.method.fit(&self.gains(of, &rows))
        });
        let (alphas, betas): (Vec<f64>, Vec<f64>) = refits.map(|fit| (fit.alpha, fit.beta)).unzip();
        let error = |values: &[f64]| rlhf_core::stats::mean_std(values).1;
        Some(OveroptFit {
            method: self.method,
            score: score.to_owned(),
            alpha: fit.alpha,
            alpha_error: error(&alphas),
            beta: fit.beta,
            beta_error: error(&betas),
        })
    }

    fn fits(&self, seed: u64) -> impl Iterator<Item = OveroptFit> {
        let proxy = self.fit("proxy", |prompt| &prompt.proxy, seed);
        proxy.into_iter().chain(self.fit("gold", |prompt| &prompt.gold, seed))
    }
}

impl Overopt {
    /// Findings of the answers: `best_of` holds each prompt's scores at each of `ns`, `policies` at each of `points`, whose intervals are filled in
    /// here. `kept` is the update whose policy PPO kept.
    pub fn new(
        who: [String; 2],
        (ns, best_of): (&[usize], &[SampledPrompt]),
        (mut points, policies): (Vec<PolicyPoint>, &[SampledPrompt]),
        kept: Option<u64>,
        seed: u64,
    ) -> Self {
        let of_best = Curve {
            method: Form::BestOfN,
            kl: ns.iter().map(|&n| best_of_n_kl(n)).collect(),
            prompts: best_of,
        };
        let of_policies = Curve {
            method: Form::Rl,
            kl: points.iter().map(|point| point.kl.unwrap_or(0.0)).collect(),
            prompts: policies,
        };
        let intervals = |curve: &Curve<'_>, point: usize| {
            [
                bootstrap_mean(&curve.scores(|prompt| &prompt.proxy, point), seed),
                bootstrap_mean(&curve.scores(|prompt| &prompt.gold, point), seed),
            ]
        };
        for (place, point) in points.iter_mut().enumerate() {
            [point.proxy, point.gold] = intervals(&of_policies, place);
        }
        let best_of_n = ns.iter().enumerate().map(|(place, &n)| {
            let [proxy, gold] = intervals(&of_best, place);
            let kl = of_best.kl[place];
            ProxyAndGold { n, kl, proxy, gold }
        });
        let [proxy, gold] = who;
        Self {
            schema: OVEROPT_SCHEMA.to_owned(),
            proxy,
            gold,
            prompts: best_of.len().max(policies.len()),
            best_of_n: best_of_n.collect(),
            fits: of_best.fits(seed).chain(of_policies.fits(seed)).collect(),
            peak: peak(&points, &of_policies, kept, seed),
            ppo: points,
            kept,
        }
    }
}

fn peak(points: &[PolicyPoint], curve: &Curve<'_>, kept: Option<u64>, seed: u64) -> Option<OveroptPeak> {
    let highest = points.iter().enumerate().reduce(|best, next| {
        if next.1.gold.value > best.1.gold.value {
            next
        } else {
            best
        }
    });
    let (place, point) = highest?;
    let less_peak = |other: usize| {
        let pairs = curve
            .prompts
            .iter()
            .map(|prompt| prompt.gold[other] - prompt.gold[place]);
        bootstrap_mean(&pairs.collect::<Vec<f64>>(), seed)
    };
    let place_of = |update: u64| points.iter().position(|point| point.update == update);
    Some(OveroptPeak {
        update: point.update,
        gold: point.gold.value,
        last_less_peak: less_peak(points.len() - 1),
        kept_less_peak: kept.and_then(place_of).map(less_peak),
    })
}

fn signed(interval: &Interval) -> String {
    format!("{:+.3} ({:+.3} to {:+.3})", interval.value, interval.low, interval.high)
}

impl Display for Overopt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let score =
            |interval: &Interval| format!("{:.3} ({:.3} to {:.3})", interval.value, interval.low, interval.high);
        writeln!(
            f,
            "proxy: {}; gold: {}; {} prompts\n",
            self.proxy, self.gold, self.prompts
        )?;
        writeln!(f, "| model | KL | d | proxy (95 %) | gold (95 %) | length | EOS |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |")?;
        for point in &self.best_of_n {
            let (n, kl, d) = (point.n, point.kl, point.kl.sqrt());
            let (proxy, gold) = (score(&point.proxy), score(&point.gold));
            writeln!(f, "| best of {n} | {kl:.2} | {d:.2} | {proxy} | {gold} | – | – |")?;
        }
        for point in &self.ppo {
            let (proxy, gold) = (score(&point.proxy), score(&point.gold));
            let kl = point.kl.map_or("–".to_owned(), |kl| format!("{kl:.2}"));
            let d = point
                .kl
                .map_or("–".to_owned(), |kl| format!("{:.2}", kl.max(0.0).sqrt()));
            let (length, eos) = (point.length, 100.0 * point.eos_fraction);
            writeln!(
                f,
                "| PPO {} | {kl} | {d} | {proxy} | {gold} | {length:.1} | {eos:.0} % |",
                point.update
            )?;
        }
        writeln!(f)?;
        for fit in &self.fits {
            let (name, form) = match fit.method {
                Form::BestOfN => ("best of n", "d (a - b d)"),
                Form::Rl => ("PPO", "d (a - b ln d)"),
            };
            writeln!(
                f,
                "{name}, {}: gain = {form}, a = {:.3} ± {:.3}, b = {:.3} ± {:.3}",
                fit.score, fit.alpha, fit.alpha_error, fit.beta, fit.beta_error
            )?;
        }
        let Some(peak) = &self.peak else { return Ok(()) };
        writeln!(
            f,
            "gold is highest after update {} ({:.3}); the last policy differs from it by {}",
            peak.update,
            peak.gold,
            signed(&peak.last_less_peak)
        )?;
        match (&self.kept, &peak.kept_less_peak) {
            (Some(kept), Some(less)) => {
                writeln!(f, "PPO kept update {kept}, which differs from it by {}", signed(less))
            }
            _ => writeln!(
                f,
                "keep update {}: `--set ppo.select=judge` would have chosen on other prompts",
                peak.update
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(update: u64, kl: f64) -> PolicyPoint {
        PolicyPoint {
            update,
            kl: Some(kl),
            proxy: bootstrap_mean(&[], 0),
            gold: bootstrap_mean(&[], 0),
            length: 10.0,
            eos_fraction: 1.0,
        }
    }

    #[test]
    fn a_curve_that_rises_and_falls_has_its_peak_its_fit_and_the_kept_policy_beside_it() {
        let kl = [0.0, 1.0, 4.0, 9.0, 16.0];
        // d (0.5 - 0.3 ln d) behind 0.4, and prompts that are harder or easier by a constant.
        let gold =
            |d: f64, prompt: usize| 0.4 + 0.01 * prompt as f64 + if d > 0.0 { d * (0.5 - 0.3 * d.ln()) } else { 0.0 };
        let prompts: Vec<SampledPrompt> = (0..20)
            .map(|prompt| SampledPrompt {
                proxy: kl.map(|kl: f64| kl.sqrt()).to_vec(),
                gold: kl.map(|kl: f64| gold(kl.sqrt(), prompt)).to_vec(),
            })
            .collect();
        let points = (0..5).map(|i| point(10 * i, kl[i as usize])).collect();
        let who = ["a proxy".to_owned(), "a judge".to_owned()];
        let found = Overopt::new(who, (&[], &[]), (points, &prompts), Some(20), 1);
        let fit = |score: &str| found.fits.iter().find(|fit| fit.score == score).expect("it fits");
        assert!((fit("gold").alpha - 0.5).abs() < 1e-9 && (fit("gold").beta - 0.3).abs() < 1e-9);
        assert!((fit("proxy").alpha - 1.0).abs() < 1e-9 && fit("proxy").beta.abs() < 1e-9);
        // Constants of prompts cancel: every resample fits alike.
        assert!(fit("gold").alpha_error < 1e-9);
        // d = 2: 0.584; d = 1: 0.5; d = 3: 0.511; d = 4: 0.336.
        let peak = found.peak.as_ref().expect("there are policies");
        assert_eq!(peak.update, 20);
        assert!((peak.last_less_peak.value - (0.336 - 0.584)).abs() < 2e-3, "{peak:?}");
        assert_eq!(peak.kept_less_peak.expect("it is among them").value, 0.0);
        let text = found.to_string();
        assert!(text.contains("gold is highest after update 20"), "{text}");
        assert!(
            text.contains("PPO, gold: gain = d (a - b ln d), a = 0.500 ± 0.000, b = 0.300 ± 0.000"),
            "{text}"
        );
        let json = serde_json::to_value(&found).expect("plain data");
        assert_eq!(
            (&json["schema"], &json["fits"][0]["method"]),
            (&"rlhf-overopt/1".into(), &"ppo".into())
        );
    }

    #[test]
    fn best_of_n_starts_from_the_mean_of_all_answers() {
        let prompt = SampledPrompt::best_of(&[1, 2, 4], &[0.0, 1.0, 2.0, 3.0], &[0.0, 0.2, 0.4, 0.2]);
        assert!((prompt.proxy[0] - 1.5).abs() < 1e-12 && (prompt.gold[0] - 0.2).abs() < 1e-12);
        assert_eq!((prompt.proxy[2], prompt.gold[2]), (3.0, 0.2));
        let who = ["a proxy".to_owned(), "a judge".to_owned()];
        let found = Overopt::new(who, (&[1, 2, 4], &[prompt.clone(), prompt]), (Vec::new(), &[]), None, 1);
        assert_eq!(found.best_of_n.len(), 3);
        assert_eq!(found.best_of_n[0].kl, 0.0);
        assert!(found.peak.is_none() && found.fits.len() == 2, "{found}");
    }
}
