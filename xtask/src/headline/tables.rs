//! The findings of `cargo xtask headline` as tables: sizes, the alignment tax, the weight of the KL penalty.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Args, SMALL, WITHOUT_PTX, compared, of_kl};
use crate::process::{Failure, Result};

/// A `summary.json`.
struct Summary {
    path: PathBuf,
    value: Value,
}

impl Summary {
    fn read(path: PathBuf) -> Result<Self> {
        let text = fs::read_to_string(&path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        let value =
            serde_json::from_str(&text).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        Ok(Self { path, value })
    }

    fn at(&self, pointer: &str) -> Result<&Value> {
        let found = self.value.pointer(pointer);
        found.ok_or_else(|| Failure::new(format!("{}: there is no {pointer}", self.path.display())))
    }

    /// A number, or the value of an interval.
    fn number(&self, pointer: &str) -> Result<f64> {
        let found = self.at(pointer)?;
        let number = found.as_f64().or_else(|| found["value"].as_f64());
        number.ok_or_else(|| Failure::new(format!("{}: {pointer} is no number", self.path.display())))
    }

    /// A share with its interval, in per cent.
    fn share(&self, pointer: &str) -> Result<String> {
        let [value, low, high] = ["value", "low", "high"].map(|bound| self.number(&format!("{pointer}/{bound}")));
        Ok(format!(
            "{:.1} ({:.1} to {:.1})",
            100.0 * value?,
            100.0 * low?,
            100.0 * high?
        ))
    }
}

/// All tables, as Markdown.
pub(super) fn markdown(args: &Args) -> Result<String> {
    let mut text = String::new();
    let folders = || {
        args.seeds
            .iter()
            .map(|seed| (seed, args.run.join(format!("seed-{seed}"))))
    };
    sizes(args, &mut text)?;
    text.push_str(
        "\n| seed | gold: SFT | PPO | PPO-ptx | perplexity: base | SFT | PPO | PPO-ptx |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (seed, folder) in folders() {
        line(&mut text, &[seed.to_string(), tax(&folder)?]);
    }
    text.push_str(
        "\n| seed | weight of the KL penalty | KL, nats | score | gold | % preferred to SFT | untrue | ended |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (seed, folder) in folders() {
        for (weight, run) in sweep(args, &folder)? {
            line(
                &mut text,
                &[seed.to_string(), weight.to_string(), penalty(&folder, &run)?],
            );
        }
    }
    Ok(text)
}

fn line(text: &mut String, cells: &[String]) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

/// Gold of every model, and how often the small one after PPO-ptx is preferred to each.
fn sizes(args: &Args, text: &mut String) -> Result<()> {
    let models: Vec<String> = compared(&args.larger).into_iter().map(|(name, _)| name).collect();
    let hero = "small-ppo-ptx";
    let others = || models.iter().filter(|name| *name != hero);
    let gold = models.iter().map(|name| format!("gold of {name}"));
    let wins = others().map(|name| format!("% {hero} over {name}"));
    let header: Vec<String> = ["seed".to_owned()].into_iter().chain(gold).chain(wins).collect();
    text.push('\n');
    line(text, &header);
    let rule = |index: usize| if index == 0 { "---" } else { "---:" }.to_owned();
    line(text, &(0..header.len()).map(rule).collect::<Vec<_>>());
    for seed in &args.seeds {
        let found = Summary::read(args.run.join(format!("seed-{seed}/preference/summary.json")))?;
        let mut cells = vec![seed.to_string()];
        for name in &models {
            cells.push(format!("{:.3}", found.number(&format!("/models/{name}/mean_score"))?));
        }
        for name in others() {
            cells.push(preferred(&found, hero, name)?);
        }
        line(text, &cells);
    }
    Ok(())
}

/// How often one model is preferred to another, in per cent with its interval.
fn preferred(found: &Summary, model: &str, to: &str) -> Result<String> {
    let pairs = found.at("/matrices/0/pairs")?;
    let place = pairs.as_array().and_then(|pairs| {
        let is_it = |pair: &Value| pair["a"] == model && pair["b"] == to;
        pairs.iter().position(is_it)
    });
    if let Some(place) = place {
        return found.share(&format!("/matrices/0/pairs/{place}/win_rate"));
    }
    let place = pairs.as_array().and_then(|pairs| {
        let is_it = |pair: &Value| pair["a"] == to && pair["b"] == model;
        pairs.iter().position(is_it)
    });
    let place =
        place.ok_or_else(|| Failure::new(format!("{}: {model} and {to} are not compared", found.path.display())))?;
    let at = |bound: &str| found.number(&format!("/matrices/0/pairs/{place}/win_rate/{bound}"));
    Ok(format!(
        "{:.1} ({:.1} to {:.1})",
        100.0 * (1.0 - at("value")?),
        100.0 * (1.0 - at("high")?),
        100.0 * (1.0 - at("low")?)
    ))
}

fn evaluation(folder: &Path, run: &str) -> Result<Summary> {
    Summary::read(folder.join(run).join("eval/summary.json"))
}

/// What PPO costs in perplexity of text, without and with the pretraining mix.
fn tax(folder: &Path) -> Result<String> {
    let [with, without] = [evaluation(folder, SMALL)?, evaluation(folder, WITHOUT_PTX)?];
    let perplexity = "pretrain_perplexity";
    Ok(format!(
        "{:.3} | {:.3} | {:.3} | {:.2} | {:.2} | {:.2} | {:.2}",
        with.number("/sft/mean_gold")?,
        without.number("/ppo/mean_gold")?,
        with.number("/ppo/mean_gold")?,
        with.number(&format!("/base/{perplexity}"))?,
        with.number(&format!("/sft/{perplexity}"))?,
        without.number(&format!("/ppo/{perplexity}"))?,
        with.number(&format!("/ppo/{perplexity}"))?,
    ))
}

/// The runs that differ in the weight of the KL penalty, by that weight; the configured one among them.
fn sweep(args: &Args, folder: &Path) -> Result<Vec<(f64, String)>> {
    let path = folder.join(SMALL).join("config.toml");
    let text = fs::read_to_string(&path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    let mut runs: Vec<(f64, String)> = args.kl.iter().map(|&kl| (kl, of_kl(kl))).collect();
    if let Some(configured) = kl_of(&text) {
        runs.push((configured, SMALL.to_owned()));
    }
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(runs)
}

/// `coef` of the section `[ppo.kl]`, of a configuration as a run writes it.
fn kl_of(config: &str) -> Option<f64> {
    let (_, section) = config.split_once("\n[ppo.kl]")?;
    let section = section.split("\n[").next()?;
    let value = section.lines().find_map(|line| line.strip_prefix("coef = "))?;
    value.split_whitespace().next()?.parse().ok()
}

fn penalty(folder: &Path, run: &str) -> Result<String> {
    let found = evaluation(folder, run)?;
    Ok(format!(
        "{:.2} | {:+.2} | {:.3} | {} | {:.1} % | {:.1} %",
        found.number("/ppo/kl_to_sft")?,
        found.number("/ppo/mean_score")?,
        found.number("/ppo/mean_gold")?,
        found.share("/ppo/win_rate_vs_sft")?,
        100.0 * found.number("/ppo/untrue")?,
        100.0 * found.number("/ppo/eos_fraction")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_is_read_in_either_order() {
        let value = serde_json::json!({"matrices": [{"pairs": [
            {"a": "x", "b": "y", "win_rate": {"value": 0.25, "low": 0.2, "high": 0.35}},
        ]}]});
        let found = Summary {
            path: "summary.json".into(),
            value,
        };
        assert_eq!(preferred(&found, "x", "y").as_deref(), Ok("25.0 (20.0 to 35.0)"));
        assert_eq!(preferred(&found, "y", "x").as_deref(), Ok("75.0 (65.0 to 80.0)"));
        assert!(preferred(&found, "x", "z").is_err());
    }

    #[test]
    fn the_weight_is_that_of_the_section() {
        let config =
            "[ppo]\n\n[ppo.ptx]\ncoef = 0.1\n\n[ppo.kl]\n# Weight.\ncoef = 0.2  # default\n[ppo.ema]\ncoef = 3\n";
        assert_eq!(kl_of(config), Some(0.2));
        assert_eq!(kl_of("[ppo]\ncoef = 1\n"), None);
    }
}
