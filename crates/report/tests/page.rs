//! Pages of made-up runs, from none of their files to all of them.

use std::fs;
use std::path::{Path, PathBuf};

use rlhf_report::{Error, MOST_RUNS, REPORT, Urgency, write};
use serde_json::{Value, json};

/// A folder of a run that is being made up.
struct Made(tempfile::TempDir);

impl Made {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str, text: &str) -> &Self {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a folder");
        fs::write(path, text).expect("a file");
        self
    }

    fn json(&self, name: &str, value: &Value) -> &Self {
        self.file(name, &value.to_string())
    }

    fn page(&self) -> String {
        let page = self.path().join(REPORT);
        write(&[self.path()], &page).expect("a page");
        fs::read_to_string(page).expect("it is written")
    }
}

fn interval(value: f64) -> Value {
    json!({ "value": value, "low": value - 0.05, "high": value + 0.05, "n": 500 })
}

fn mark(seed: u64, seconds: f64) -> Value {
    json!({
        "fingerprint": { "sha256": "00", "fields": {} },
        "seed": seed,
        "inputs": { "data/prompts.jsonl": "abc123", "pretrain/model.safetensors": "def456" },
        "versions": { "rlhf": "0.1.0", "burn": "0.22.1" },
        "seconds": seconds,
    })
}

fn rows(steps: usize, value: impl Fn(usize) -> Value) -> String {
    (0..steps).map(|step| format!("{}\n", value(step))).collect()
}

fn sample(id: usize, kind: &str, text: &str) -> Value {
    json!({
        "id": format!("p{id}"),
        "kind": kind,
        "messages": [{ "role": "user", "content": text }],
        "base": { "completion": text, "gold": 0.1, "score": 0.0, "untrue": false },
        "sft": { "completion": format!("{text} of old"), "gold": 0.5, "score": 0.1, "untrue": false },
        "best_of_n": { "completion": text, "gold": 0.5, "score": 0.1, "untrue": false },
        "ppo": { "completion": format!("{text} of late"), "gold": 0.7, "score": 0.9, "untrue": true },
        "ppo_ema": { "completion": text, "gold": 0.5, "score": 0.1, "untrue": false },
    })
}

/// A run with everything that a page tells.
fn whole(seed: u64) -> Made {
    let run = Made::new();
    run.file(
        "config.toml",
        &format!("seed = {seed}  # --set\ndevice = \"flex\"  # default\n[ppo]\nsteps = 3  # default\n"),
    );
    for stage in rlhf_report::STAGES {
        run.json(&format!("{stage}/complete.json"), &mark(seed, 60.0));
        run.json(
            &format!("{stage}/cost.json"),
            &json!({ "schema": "rlhf-cost/1", "seconds": 90.0, "peak_memory": 412_000_000, "processes": 2 }),
        );
    }
    run.file(
        "sft/metrics.jsonl",
        &rows(
            900,
            |step| json!({ "step": step, "loss/train": 7.0 / (1.0 + step as f64) }),
        ),
    );
    run.file(
        "ppo/metrics.jsonl",
        &rows(
            40,
            |step| json!({ "step": step, "objective/kl": 0.5 * step as f64, "objective/scores": 0.1 * step as f64 }),
        ),
    );
    run.json(
        "reward/report.json",
        &json!({
            "pair_accuracy": interval(0.73),
            "by_labeler": { "labeler-00": interval(0.7) },
            "calibration": [{ "predicted": 0.6, "observed": interval(0.62) }, { "predicted": 0.9, "observed": interval(0.88) }],
            "calibration_error": 0.02,
        }),
    );
    run.json("label/report.json", &json!({ "gold_accuracy": interval(0.82) }));
    let model = |gold: f64| {
        json!({
            "mean_gold": interval(gold), "win_rate_vs_sft": interval(gold), "kl_to_sft": 2.0, "eos_fraction": 0.99,
            "mean_length": 30.0, "pretrain_perplexity": 2.4, "gold_by_kind": { "fact": gold, "list": gold },
        })
    };
    run.json(
        "eval/summary.json",
        &json!({
            "prompts": 500, "best_of_n_samples": 19, "base": model(0.1), "sft": model(0.5), "ppo": model(0.75),
            "matrices": [{
                "judge": "gold", "models": ["sft", "ppo"],
                "pairs": [{ "a": "ppo", "b": "sft", "win_rate": interval(0.65) }],
                "ratings": [{ "model": "ppo", "rating": interval(0.6) }, { "model": "sft", "rating": interval(0.0) }],
            }],
        }),
    );
    let row = |kl: f64| json!({ "n": 4, "update": 3, "kl": kl, "proxy": interval(kl), "gold": interval(0.5) });
    run.json(
        "overopt/summary.json",
        &json!({
            "schema": "rlhf-overopt/1", "proxy": "the proxy", "gold": "the judge", "best_of_n": [row(0.0), row(1.0)], "ppo": [row(4.0)],
            "fits": [{ "method": "best_of_n", "score": "gold", "alpha": 0.1, "alpha_error": 0.01, "beta": 0.02, "beta_error": 0.01 }],
            "peak": { "update": 12 }, "kept": null,
        }),
    );
    run.file(
        "eval/samples.jsonl",
        &rows(100, |id| sample(id, ["fact", "list"][id % 2], "The mint")),
    );
    run
}

/// The texts of an attribute of the page, in order.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    page.split(start.as_str())
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

#[track_caller]
fn says(page: &str, all: &[&str]) {
    for said in all {
        assert!(page.contains(said), "{said} is not said");
    }
}

#[test]
fn a_whole_run_is_told_whole() {
    let page = whole(7).page();
    says(
        &page,
        &[
            "8 stages in 12 min 00 s · seed 7 · 500 prompts held out",
            "best of 19",
            "75.0 %",
            "Preference matrix, by gold",
            "Gold by kind of prompt",
            "<strong>Loss</strong>",
            "<strong>KL</strong>",
            "Calibration",
            "Gold peaked at update 12.",
            "60 of 100 held-out prompts",
            "412 MB",
            "KL is running away",
            "<code>seed</code>",
            "<mark>late</mark>",
            "burn",
            "abc123",
        ],
    );
    // What the run made itself is no input, and no default was chosen.
    assert!(!page.contains("def456") && !page.contains("<code>device</code>"));
}

#[test]
fn nothing_of_a_page_comes_from_elsewhere() {
    let page = whole(7).page();
    for attribute in ["src", "href"] {
        for place in attributes(&page, attribute) {
            assert!(place.starts_with('#') || place == "data:,", "{attribute}: {place}");
        }
    }
    assert!(
        !page.contains("url(") && !page.contains("@import") && !page.contains("://"),
        "a place elsewhere"
    );
}

#[test]
fn names_of_parts_are_those_of_one_part_and_what_is_pointed_at_is_there() {
    let runs = [whole(7), whole(8)];
    let comparison = runs[0].path().join("both.html");
    write(&[runs[0].path(), runs[1].path()], &comparison).expect("a page");
    for page in [runs[0].page(), fs::read_to_string(comparison).expect("it is written")] {
        let ids = attributes(&page, "id");
        let mut once = ids.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), ids.len(), "a name stands twice: {ids:?}");
        let labels = attributes(&page, "aria-labelledby");
        let targets = labels.iter().flat_map(|names| names.split(' '));
        let links = attributes(&page, "href")
            .into_iter()
            .filter_map(|link| link.strip_prefix('#'));
        for target in targets.chain(links) {
            assert!(ids.contains(&target), "{target} is nowhere");
        }
    }
}

#[test]
fn what_a_model_says_cannot_do_anything() {
    let evil = "</script><img src=x onerror=alert(1)>\u{0}\"'&<b>";
    let run = whole(7);
    run.file("eval/samples.jsonl", &rows(3, |id| sample(id, evil, evil)));
    run.file(
        "config.toml",
        "note = \"</pre></code><script>alert(2)</script>\"  # <i>--set</i>\n",
    );
    run.file(
        "ppo/metrics.jsonl",
        "{\"step\":1,\"<b>evil</b>\":1.0}\n{\"step\":2,\"<b>evil</b>\":2.0}\n",
    );
    let page = run.page();
    says(&page, &["&lt;&#x2f;script&gt;&lt;img src=x onerror=alert(1)&gt;", "␀"]);
    assert!(!page.contains("<img") && !page.contains("<b>evil") && !page.contains("<i>--set") && !page.contains('\0'));
    assert_eq!(
        (page.matches("<script").count(), page.matches("</script>").count()),
        (1, 1)
    );
}

#[test]
fn only_the_pages_own_script_may_run() {
    use base64::Engine;
    use sha2::{Digest, Sha256};
    let page = whole(7).page();
    let script = page
        .split("<script>")
        .nth(1)
        .and_then(|rest| rest.split("</script>").next());
    let digest = Sha256::digest(script.expect("there is one").as_bytes());
    let allowed = base64::engine::general_purpose::STANDARD.encode(digest);
    says(
        &page,
        &[&format!("script-src 'sha256-{allowed}'"), "default-src 'none'"],
    );
}

#[test]
fn an_empty_run_has_a_page() {
    let page = Made::new().page();
    says(
        &page,
        &["no stage complete", "Nothing stands out.", "No stage has begun."],
    );
    for absent in [
        "id=\"models\"",
        "id=\"curves\"",
        "id=\"samples\"",
        "id=\"reward\"",
        "id=\"overopt\"",
        "class=\"tiles\"",
    ] {
        assert!(!page.contains(absent), "{absent}");
    }
}

#[test]
fn a_run_of_two_stages_is_told_as_far_as_it_goes() {
    let run = Made::new();
    run.json("tokenizer/complete.json", &mark(3, 2.5));
    run.file(
        "pretrain/metrics.jsonl",
        &rows(5, |step| json!({ "step": step, "loss/train": 3.0 })),
    );
    let page = run.page();
    says(
        &page,
        &[
            "1 stage in 2.5 s · seed 3",
            "not complete",
            "<h3>pretrain</h3>",
            "id=\"curves\"",
        ],
    );
    assert!(!page.contains("id=\"models\""));
}

#[test]
fn numbers_that_are_none_are_left_out_and_told() {
    let run = whole(7);
    run.file(
        "ppo/metrics.jsonl",
        "{\"step\":1,\"loss/value\":1.0}\n{\"step\":2,\"loss/value\":null}\n{\"step\":3,\"loss/value\":NaN}\n{\"step\":4,\"loss/value\":2.0}\n",
    );
    let mut summary: Value =
        serde_json::from_str(&fs::read_to_string(run.path().join("eval/summary.json")).unwrap()).unwrap();
    summary["ppo"]["kl_to_sft"] = Value::Null;
    summary["ppo"]["mean_gold"] = json!({ "value": null, "low": null, "high": null, "n": 0 });
    run.json("eval/summary.json", &summary);
    let page = run.page();
    says(&page, &["Some metrics are no numbers", "ppo: loss&#x2f;value"]);
    assert!(
        !page.contains("NaN"),
        "{}",
        page.split("NaN")
            .next()
            .unwrap_or_default()
            .chars()
            .rev()
            .take(200)
            .collect::<String>()
    );
}

#[test]
fn damaged_files_are_named_and_the_rest_is_told() {
    let run = whole(7);
    run.file("eval/summary.json", "{\"prompts\":");
    run.file(
        "sft/metrics.jsonl",
        "{\"step\":1,\"loss/train\":1.0}\n{\"step\":2,\"loss/tr\n{\"step\":3,\"loss/train\":1.0}\n",
    );
    run.file("eval/samples.jsonl", &format!("{}\nno row\n", sample(1, "fact", "x")));
    fs::write(run.path().join("config.toml"), [0xff, 0xfe]).expect("a file");
    let page = run.path().join(REPORT);
    let report = write(&[run.path()], &page).expect("a page");
    let named: Vec<&str> = report.problems[0].iter().map(|problem| problem.file.as_str()).collect();
    for file in [
        "config.toml",
        "eval/summary.json",
        "eval/samples.jsonl",
        "sft/metrics.jsonl",
    ] {
        assert!(named.contains(&file), "{file} is not among {named:?}");
    }
    let page = fs::read_to_string(page).expect("it is written");
    says(
        &page,
        &[
            "Some files could not be read",
            "the first is line 2",
            "Calibration",
            "1 of 1 held-out prompts",
        ],
    );
}

#[test]
fn two_runs_lie_over_each_other_with_what_differs() {
    let (a, b) = (whole(1), whole(2));
    let page = a.path().join("both.html");
    let report = write(&[a.path(), b.path()], &page).expect("a page");
    assert_eq!(report.findings.len(), 2);
    assert!(
        report.findings[0]
            .iter()
            .any(|finding| finding.urgency == Urgency::Warning)
    );
    let text = fs::read_to_string(page).expect("it is written");
    let name = |run: &Made| run.path().file_name().expect("a name").display().to_string();
    says(
        &text,
        &[
            "id=\"differing\"",
            "<code>seed</code></th><td><code>1</code></td><td><code>2</code></td>",
            &format!("PPO · {}", name(&a)),
            &format!("PPO · {}", name(&b)),
            "<strong>Loss, training</strong>",
        ],
    );
    assert!(!text.contains("class=\"tiles\""));
}

#[test]
fn runs_of_one_name_are_told_apart_by_their_folders() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let runs: Vec<PathBuf> = ["x/run", "y/run"].map(|name| parent.path().join(name)).into();
    for run in &runs {
        fs::create_dir_all(run.join("eval")).expect("a folder");
        fs::write(
            run.join("eval/summary.json"),
            json!({ "sft": { "kl_to_sft": 0.0 } }).to_string(),
        )
        .expect("a file");
    }
    let page = parent.path().join("both.html");
    write(&runs, &page).expect("a page");
    let text = fs::read_to_string(page).expect("it is written");
    says(&text, &["x&#x2f;run", "y&#x2f;run"]);
}

#[test]
fn the_page_of_the_longest_run_weighs_less_than_three_megabytes() {
    let run = whole(7);
    let long = "<&\"'> ".repeat(4000);
    run.file(
        "eval/samples.jsonl",
        &rows(400, |id| sample(id, &format!("kind {}", id % 20), &long)),
    );
    for stage in ["pretrain", "sft", "reward", "ppo"] {
        let row = |step: usize| {
            let mut row = json!({ "step": step });
            for metric in 0..30 {
                row[format!("some/metric_{metric}")] = json!(((step * (metric + 3)) as f64).sin());
            }
            row
        };
        run.file(&format!("{stage}/metrics.jsonl"), &rows(3000, row));
    }
    let bytes = run.page().len();
    assert!(bytes < 3_000_000, "{bytes} bytes");
    assert!(bytes > 300_000, "{bytes} bytes cannot hold it");
}

#[test]
fn what_cannot_be_written_or_read_is_an_error_that_names_it() {
    let parent = tempfile::tempdir().expect("a temporary folder");
    let (missing, page) = (parent.path().join("no such run"), parent.path().join("page.html"));
    let said = write(&[&missing], &page).expect_err("it is not there").to_string();
    assert!(
        said.contains("no such run") && said.contains("expected the folder of a run"),
        "{said}"
    );
    assert!(matches!(write(&[] as &[&Path], &page), Err(Error::NoRuns)));
    let many = vec![parent.path(); MOST_RUNS + 1];
    assert!(matches!(write(&many, &page), Err(Error::TooManyRuns { .. })));
    let nowhere = parent.path().join("no/folder/page.html");
    assert!(matches!(write(&[parent.path()], &nowhere), Err(Error::Write { .. })));
    assert!(!page.exists());
}
