//! The whole recipe in miniature, through the binary: it ends, and a killed run ends with the same bytes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The names of the stages, in order.
fn stages() -> impl Iterator<Item = &'static str> {
    rlhf_pipeline::STAGES.into_iter().map(rlhf_pipeline::Stage::name)
}

/// Files that a finished run is compared by: all of which a later stage or a user makes something.
const RESULTS: [&str; 18] = [
    "tokenizer/tokenizer.json",
    "pretrain/model.safetensors",
    "pretrain/samples.jsonl",
    "sft/model.safetensors",
    "sft/samples.jsonl",
    "sample/samples.jsonl",
    "sample/validation.jsonl",
    "label/comparisons.jsonl",
    "label/report.json",
    "reward/model.safetensors",
    "reward/report.json",
    "ppo/model.safetensors",
    "ppo/ema_model/model.safetensors",
    "ppo/value_model/model.safetensors",
    "ppo/samples.jsonl",
    "ppo/report.json",
    "eval/samples.jsonl",
    "eval/summary.json",
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn start(stage: &str, run: &Path) -> Child {
    start_with(stage, run, &[])
}

/// A stage with settings on top of `configs/tiny.toml`.
fn start_with(stage: &str, run: &Path, settings: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_rlhf"))
        .arg(stage)
        .arg("--config")
        .arg(repository().join("configs/tiny.toml"))
        .args(settings.iter().flat_map(|setting| ["--set", *setting]))
        .arg("--run")
        .arg(run)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

fn finish(stage: &str, run: &Path) {
    finished(stage, start(stage, run));
}

/// Waits for a stage to end well.
fn finished(stage: &str, child: Child) {
    let output = child.wait_with_output().expect("the binary ends");
    assert!(
        output.status.success(),
        "{stage}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Way in which a process is made to end.
type Ending = fn(&mut Child);

/// SIGKILL.
fn kill(child: &mut Child) {
    child.kill().expect("a process of ours can be killed");
}

/// SIGINT where there is such a thing, as from Ctrl-C.
fn ask_to_stop(child: &mut Child) {
    if cfg!(unix) {
        // It may have ended already, and then there is nobody to ask.
        let _ = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .stderr(Stdio::null())
            .status();
    } else {
        kill(child);
    }
}

/// Metrics without wall-clock fields.
fn curves(run: &Path, stage: &str) -> Vec<rlhf_core::MetricRow> {
    let rows = rlhf_core::read_metrics(run.join(stage).join("metrics.jsonl")).expect("metrics are whole");
    rows.into_iter().map(rlhf_core::MetricRow::without_times).collect()
}

/// Starts a stage three times and ends it: killed, asked to stop and killed, each time a while later.
fn disturb(stage: &str, run: &Path, delay: u64, settings: &[&str]) {
    let endings: [Ending; 3] = [kill, ask_to_stop, kill];
    for (moment, ending) in [30, 190, 520].into_iter().zip(endings) {
        let mut child = start_with(stage, run, settings);
        std::thread::sleep(Duration::from_millis(moment + delay));
        ending(&mut child);
        child.wait().expect("it has ended");
    }
}

/// Asserts that two runs hold the same bytes.
fn assert_same(quiet: &Path, disturbed: &Path, files: &[&str]) {
    for file in files {
        let read = |run: &Path| std::fs::read(run.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(
            read(quiet) == read(disturbed),
            "{file} differs after the run was killed"
        );
    }
}

#[test]
fn a_run_killed_in_every_stage_ends_with_the_bytes_of_an_undisturbed_one() {
    let dir = tempfile::tempdir().unwrap();
    let (quiet, disturbed) = (dir.path().join("quiet"), dir.path().join("disturbed"));
    for (index, stage) in stages().enumerate() {
        finish(stage, &quiet);
        disturb(stage, &disturbed, 37 * index as u64, &[]);
        finish(stage, &disturbed);
    }
    assert_same(&quiet, &disturbed, &RESULTS);
    for stage in ["pretrain", "sft", "reward", "ppo"] {
        assert_eq!(
            curves(&quiet, stage),
            curves(&disturbed, stage),
            "{stage}/metrics.jsonl"
        );
    }
    summary_is_complete(&quiet);
    a_page_tells_of_every_stage_and_what_it_took(&quiet);
    a_finished_stage_is_skipped_and_never_overwritten_unasked(&quiet);
}

/// Adapters in every stage that trains on a model, on layers of their own.
const ADAPTERS: [&str; 3] = [
    "sft.lora.rank=4",
    "reward.lora={ rank = 2, alpha = 2, target_modules = [\"c_attn\", \"mlp.c_proj\"] }",
    "ppo.lora={ rank = 2, rslora = true }",
];

#[test]
fn a_run_with_adapters_killed_in_every_stage_that_trains_ends_with_the_bytes_of_an_undisturbed_one() {
    let dir = tempfile::tempdir().unwrap();
    let (quiet, disturbed) = (dir.path().join("quiet"), dir.path().join("disturbed"));
    for (index, stage) in stages().enumerate() {
        for run in [&quiet, &disturbed] {
            let trains = ["sft", "reward", "ppo"].contains(&stage);
            if trains && run == &disturbed {
                disturb(stage, run, 37 * index as u64, &ADAPTERS);
            }
            finished(stage, start_with(stage, run, &ADAPTERS));
        }
    }
    assert_same(&quiet, &disturbed, &RESULTS);
    // What a stage saves is what its adapters make of the model that they belong to.
    let folders = ["sft", "reward", "ppo", "ppo/ema_model", "ppo/value_model"];
    for (folder, base) in folders.into_iter().zip(["pretrain", "sft", "sft", "sft", "sft"]) {
        let weights = Path::new(folder).join("adapter/adapter_model.safetensors");
        assert_same(&quiet, &disturbed, &[weights.to_str().expect("a plain name")]);
        let merged = dir.path().join(folder.replace('/', "_"));
        let output = Command::new(env!("CARGO_BIN_EXE_rlhf"))
            .args(["merge", "--base"])
            .arg(quiet.join(base))
            .arg("--adapter")
            .arg(quiet.join(folder).join("adapter"))
            .arg("--out")
            .arg(&merged)
            .output()
            .expect("the binary starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for file in ["config.json", "model.safetensors", "tokenizer.json"] {
            let read = |dir: &Path| std::fs::read(dir.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert!(
                read(&merged) == read(&quiet.join(folder)),
                "{folder}: {file} differs from what is merged"
            );
        }
    }
    let frozen = |run: &Path| {
        let checkpoints = run.join("ppo/checkpoints");
        let newest = std::fs::read_dir(checkpoints)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .max()
            .unwrap();
        std::fs::metadata(newest.join("policy.safetensors")).unwrap().len()
    };
    let whole = std::fs::metadata(quiet.join("ppo/model.safetensors")).unwrap().len();
    assert!(frozen(&quiet) < whole / 2, "a checkpoint holds frozen weights");
}

fn summary_is_complete(run: &Path) {
    let text = std::fs::read_to_string(run.join("eval/summary.json")).expect("eval writes its summary");
    let summary: serde_json::Value = serde_json::from_str(&text).expect("the summary is JSON");
    for model in ["base", "sft", "best_of_n", "ppo"] {
        for field in [
            "mean_gold",
            "mean_score",
            "kl_to_sft",
            "eos_fraction",
            "mean_length",
            "pretrain_perplexity",
        ] {
            assert!(!summary[model][field].is_null(), "{model}.{field} is missing");
        }
        for field in ["value", "low", "high", "n"] {
            assert!(
                summary[model]["win_rate_vs_sft"][field].is_number(),
                "{model}.win_rate_vs_sft.{field}"
            );
        }
    }
    let number = |value: &serde_json::Value| value.as_f64().expect("a number");
    let own_kl = number(&summary["sft"]["kl_to_sft"]);
    assert!(own_kl.abs() < 1e-9, "KL of the SFT model with itself: {own_kl}");
    assert!(summary["reward"]["pair_accuracy"]["value"].is_number());
    assert!(number(&summary["reward"]["demonstration_mean"]).abs() < 1e-4);
    // Labelers may find nothing to order in what so small a model writes; the figure is there all the same.
    assert!(summary["labeler_agreement"]["labeler_agreement"]["n"].is_number());
    assert!(number(&summary["labeler_agreement"]["pairs"]) > 0.0);
}

fn a_page_tells_of_every_stage_and_what_it_took(run: &Path) {
    let read = |file: &str| std::fs::read_to_string(run.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    for stage in stages() {
        let json = |file: &str| -> serde_json::Value { serde_json::from_str(&read(file)).expect("JSON") };
        let cost = json(&format!("{stage}/cost.json"));
        assert_eq!(cost["processes"], 1, "{stage} was not disturbed");
        assert_eq!(
            cost["seconds"],
            json(&format!("{stage}/complete.json"))["seconds"],
            "{stage}"
        );
        if cfg!(target_os = "linux") {
            assert!(
                cost["peak_memory"].as_u64().is_some_and(|bytes| bytes > 1_000_000),
                "{stage}: {cost}"
            );
        }
    }
    let page = read("report.html");
    for said in [
        "8 stages in",
        "<strong>Explained variance</strong>",
        "Calibration",
        "beside PPO on",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert!(
        !page.contains("could not be read"),
        "the page of a whole run names damaged files"
    );
}

fn a_finished_stage_is_skipped_and_never_overwritten_unasked(run: &Path) {
    let weights = run.join("ppo/model.safetensors");
    let read = || std::fs::read(&weights).expect("ppo left its weights");
    let before = read();
    finish("ppo", run);
    let other = Command::new(env!("CARGO_BIN_EXE_rlhf"))
        .args(["ppo", "--set", "ppo.cliprange=0.1", "--config"])
        .arg(repository().join("configs/tiny.toml"))
        .arg("--run")
        .arg(run)
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(
        !other.status.success() && said.contains("cliprange") && said.contains("--overwrite"),
        "{said}"
    );
    assert!(read() == before, "a refused stage touched what was there");
}

#[test]
#[cfg(unix)]
fn ctrl_c_writes_a_checkpoint_and_exits_with_130() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    finish("tokenizer", &run);
    let child = Command::new(env!("CARGO_BIN_EXE_rlhf"))
        .args([
            "pretrain",
            "--set",
            "pretrain.epochs=400",
            "--set",
            "pretrain.checkpoint_every=100000",
            "--config",
        ])
        .arg(repository().join("configs/tiny.toml"))
        .arg("--run")
        .arg(&run)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !run.join("pretrain/metrics.jsonl").exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(300));
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted after step"), "{said}");
    let checkpoints = std::fs::read_dir(run.join("pretrain/checkpoints")).unwrap();
    assert_eq!(
        checkpoints
            .filter(|c| c.as_ref().unwrap().path().join("manifest.json").exists())
            .count(),
        1
    );
}

#[test]
fn a_loss_that_is_not_finite_ends_the_stage_and_names_the_step() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    finish("tokenizer", dir.path());
    let output = Command::new(env!("CARGO_BIN_EXE_rlhf"))
        .args(["pretrain", "--set", "pretrain.lr.peak_lr=1e30", "--config"])
        .arg(repository().join("configs/tiny.toml"))
        .arg("--run")
        .arg(dir.path())
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("loss NaN") && said.contains("at step") && said.contains("rows ["),
        "{said}"
    );
    assert!(!dir.path().join("pretrain/model.safetensors").exists());
}
