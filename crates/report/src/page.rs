//! The page: everything that is told, put into the template.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::curves::Metrics;
use crate::folder::{Problem, RunFolder};
use crate::models::{self, Matrix, Table};
use crate::number::{Interval, count, duration, fixed, number, percent, size};
use crate::panels::{StageFigures, figures};
use crate::quality::{OverOptimisation, RewardModel, over_optimisation, reward_model};
use crate::samples::{Samples, samples};
use crate::settings::{Setting, chosen, differing};
use crate::warnings::{Finding, findings, watched};

const TEMPLATE: &str = include_str!("page/report.html.jinja");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// A figure at the top of the page.
#[derive(Serialize)]
struct Tile {
    name: String,
    value: String,
    about: String,
}

#[derive(Serialize)]
struct StageRow {
    name: String,
    is_complete: bool,
    seconds: String,
    share: String,
    memory: String,
    processes: String,
}

#[derive(Serialize)]
struct RunPart {
    name: String,
    stages: Vec<StageRow>,
    total: String,
    findings: Vec<Finding>,
    by_kind: Table,
    opinions: Table,
    matrices: Vec<Matrix>,
    reward: Option<RewardModel>,
    overopt: Option<OverOptimisation>,
    chosen: Vec<Setting>,
    config: String,
    seed: String,
    versions: Vec<(String, String)>,
    inputs: Vec<(String, String)>,
    problems: Vec<Told>,
}

#[derive(Serialize)]
struct Told {
    file: String,
    what: String,
}

#[derive(Serialize)]
struct Page {
    title: String,
    lead: String,
    style: &'static str,
    script: &'static str,
    script_hash: String,
    compares: bool,
    tiles: Vec<Tile>,
    runs: Vec<RunPart>,
    watched: Vec<&'static str>,
    models: Table,
    judge: &'static str,
    win_rates: Option<String>,
    curves: Vec<StageFigures>,
    samples: Samples,
    differing: Vec<Setting>,
    version: &'static str,
}

/// The page of one run, or of several beside each other.
pub(crate) fn page(runs: &[RunFolder]) -> String {
    let page = Page {
        title: runs
            .iter()
            .map(|run| run.name.as_str())
            .collect::<Vec<_>>()
            .join(" and "),
        lead: lead(runs),
        style: STYLE,
        script: SCRIPT,
        script_hash: STANDARD.encode(Sha256::digest(SCRIPT.as_bytes())),
        compares: runs.len() > 1,
        tiles: if let [run] = runs { tiles(run) } else { Vec::new() },
        runs: runs
            .iter()
            .enumerate()
            .map(|(number, run)| run_part(number, run))
            .collect(),
        watched: watched(),
        models: models::table(runs),
        judge: runs.first().map_or("", |run| models::witness(&run.eval).name()),
        win_rates: models::win_rate_plot(runs),
        curves: curves(runs),
        samples: samples(runs),
        differing: if runs.len() > 1 { differing(runs) } else { Vec::new() },
        version: env!("CARGO_PKG_VERSION"),
    };
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the usual marks differ from each other"));
    let page = environment
        .render_str(TEMPLATE, Serde(page))
        .expect("the template is a part of the program and is given everything that it asks for");
    page.chars().map(picture).collect()
}

/// The character, or a sign for one that HTML does not allow: models say anything.
fn picture(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\0'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}' | '\u{fdd0}'..='\u{fdef}' => char::REPLACEMENT_CHARACTER,
        _ if (c as u32) & 0xfffe == 0xfffe => char::REPLACEMENT_CHARACTER,
        _ => c,
    }
}

/// The curves of every stage that has some in any of the runs, in the order of the recipe.
fn curves(runs: &[RunFolder]) -> Vec<StageFigures> {
    let mut stages: Vec<&str> = crate::folder::STAGES.to_vec();
    for stage in runs.iter().flat_map(|run| run.curves.keys()) {
        if !stages.contains(&stage.as_str()) {
            stages.push(stage);
        }
    }
    let of_stage = |stage: &str| {
        let metrics: Vec<(&str, &Metrics)> = (runs.iter())
            .filter_map(|run| Some((run.name.as_str(), run.curves.get(stage)?)))
            .collect();
        let figures = (!metrics.is_empty()).then(|| figures(stage, &metrics))?;
        let is_empty = figures.figures.is_empty() && figures.further.is_empty();
        (!is_empty).then_some(figures)
    };
    stages.into_iter().filter_map(of_stage).collect()
}

fn total_seconds(run: &RunFolder) -> f64 {
    run.stages.iter().filter_map(|stage| stage.seconds).sum()
}

/// What this is, in a sentence.
fn lead(runs: &[RunFolder]) -> String {
    let of = |run: &RunFolder| {
        let done = run.stages.iter().filter(|stage| stage.is_complete).count() as u64;
        let mut words = vec![if done == 0 {
            "no stage complete".to_owned()
        } else {
            format!("{} in {}", count(done, "stage"), duration(total_seconds(run)))
        }];
        words.extend(run.seed().map(|seed| format!("seed {seed}")));
        words.extend(
            run.eval["prompts"]
                .as_u64()
                .map(|prompts| format!("{} held out", count(prompts, "prompt"))),
        );
        words.join(" · ")
    };
    match runs {
        [run] => of(run),
        runs => (runs.iter())
            .map(|run| format!("{}: {}", run.name, of(run)))
            .collect::<Vec<_>>()
            .join("; "),
    }
}

/// The figures that are looked at first.
fn tiles(run: &RunFolder) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut add = |name: &str, value: String, about: String| {
        tiles.push(Tile {
            name: name.to_owned(),
            value,
            about,
        });
    };
    let ppo = &run.eval["ppo"];
    if let Some(rate) = Interval::of(&ppo["win_rate_vs_sft"]) {
        add(
            "PPO wins against SFT",
            percent(rate.value),
            format!(
                "{} to {}, by {}",
                fixed(100.0 * rate.low, 1),
                percent(rate.high),
                models::witness(&run.eval).name()
            ),
        );
    }
    let both = |key: &str| {
        let value = |model: &str| {
            let figure = &run.eval[model][key];
            Interval::of(figure)
                .map(|interval| interval.value)
                .or_else(|| number(figure))
        };
        Some((value("sft")?, value("ppo")?))
    };
    let change = |(sft, ppo): (f64, f64), decimals| format!("{} → {}", fixed(sft, decimals), fixed(ppo, decimals));
    if let Some(gold) = both("mean_gold") {
        add("Gold", change(gold, 3), "SFT to PPO, by the judge of the task".into());
    } else if let Some(score) = both("mean_score") {
        add("Score", change(score, 2), "SFT to PPO, by the reward model".into());
    }
    if let Some(kl) = number(&ppo["kl_to_sft"]) {
        add("KL to SFT", fixed(kl, 2), "nats per answer of PPO".into());
    }
    if let Some(perplexity) = both("pretrain_perplexity") {
        add(
            "Perplexity",
            change(perplexity, 2),
            "SFT to PPO, of pretraining text".into(),
        );
    }
    let accuracy = Interval::of(&run.reward["pair_accuracy"]);
    if let Some(accuracy) = accuracy.filter(|_| tiles.len() < 4) {
        tiles.push(Tile {
            name: "Reward model".into(),
            value: percent(accuracy.value),
            about: format!(
                "of held-out pairs, {} to {}",
                fixed(100.0 * accuracy.low, 1),
                percent(accuracy.high)
            ),
        });
    }
    tiles
}

fn run_part(number: usize, run: &RunFolder) -> RunPart {
    let total = total_seconds(run);
    let row = |stage: &crate::folder::StageRecord| StageRow {
        name: stage.name.clone(),
        is_complete: stage.is_complete,
        seconds: stage.seconds.map(duration).unwrap_or_default(),
        share: (stage.seconds.filter(|_| total > 0.0))
            .map(|seconds| percent(seconds / total))
            .unwrap_or_default(),
        memory: stage.peak_memory.map(size).unwrap_or_default(),
        processes: stage.processes.map(|count| count.to_string()).unwrap_or_default(),
    };
    let mut versions: Vec<(String, String)> = run.stages.iter().flat_map(|stage| stage.versions.clone()).collect();
    versions.sort();
    versions.dedup();
    // What the run made itself is told by its stages already.
    let mut inputs: Vec<(String, String)> = (run.stages.iter())
        .flat_map(|stage| stage.inputs.clone())
        .filter(|(file, _)| {
            !crate::folder::STAGES
                .iter()
                .any(|stage| file.starts_with(&format!("{stage}/")))
        })
        .collect();
    inputs.sort();
    inputs.dedup();
    let told = |problem: &Problem| Told {
        file: problem.file.clone(),
        what: problem.what.clone(),
    };
    RunPart {
        name: run.name.clone(),
        stages: run.stages.iter().map(row).collect(),
        total: duration(total),
        findings: findings(run),
        by_kind: models::gold_by_kind(&run.eval),
        opinions: models::opinions(&run.eval),
        matrices: models::matrices(&format!("r{number}"), &run.eval),
        reward: reward_model(&format!("rm{number}"), &run.reward, &run.labels),
        overopt: over_optimisation(&format!("oo{number}"), &run.overopt),
        chosen: chosen(run),
        config: run.config_text.as_deref().map(shortened).unwrap_or_default(),
        seed: run.seed().map(|seed| seed.to_string()).unwrap_or_default(),
        versions,
        inputs,
        problems: run.problems.iter().map(told).collect(),
    }
}

/// Characters of a configuration that a page holds; one with every comment has a fifth of them.
const LONGEST_CONFIG: usize = 200_000;

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_CONFIG).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_no_page_may_hold_are_pictured() {
        let pictured: String = "ab\u{0}c\u{b}\r\u{85}\u{fffe}\n".chars().map(picture).collect();
        assert_eq!(pictured, "ab␀c␋␍\u{fffd}\u{fffd}\n");
    }
}
