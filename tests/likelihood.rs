//! Likelihood evaluations against those of transformers, on small checkpoints and files in the formats of the benchmarks:
//! `tests/golden/likelihood/README.md` says how the numbers were made.

use std::path::PathBuf;

use rlhf_core::StopFlag;
use rlhf_data::{Documents, Tokenizer, read_text};
use rlhf_eval::{LikelihoodScorer, TaskReport, TextReport};
use rlhf_likelihood::{Questions, Scored, Style, Task, WindowRule};
use rlhf_model::{CausalLm, load_causal_lm, load_config};
use serde_json::Value;

use crate::fixtures::{json, path};
use crate::tiny::device;

/// Between these log-probabilities and transformers', in nats; the issue asks for 1e-3.
const TOLERANCE: f64 = 1e-3;

const MODELS: [&str; 3] = ["qwen2-f32", "llama-f32", "spm-stories260k-q4_0"];

fn file(task: Task) -> PathBuf {
    let name = match task {
        Task::Lambada => "lambada.jsonl",
        Task::Truthfulqa => "truthfulqa.csv",
        Task::Winogender => "winogender.tsv",
        Task::CrowsPairs => "crows_pairs.csv",
        Task::ModelWritten => "model_written.jsonl",
        Task::Choices => "choices.jsonl",
    };
    path("likelihood").join(name)
}

/// A checkpoint, its tokenizer and its context.
fn checkpoint(name: &str) -> (CausalLm, Tokenizer, usize) {
    let file = path("gguf").join(format!("{name}.gguf"));
    let context = load_config(&file).expect("a configuration").max_seq_len();
    let (model, _) = load_causal_lm(&file, &device()).expect("a model");
    (model, Tokenizer::load(&file).expect("a tokenizer"), context)
}

fn with_scorer<R>(name: &str, run: impl FnOnce(&LikelihoodScorer<'_>) -> R) -> R {
    let (model, tokenizer, context) = checkpoint(name);
    run(&LikelihoodScorer {
        model: &model,
        tokenizer: &tokenizer,
        context,
        stop: StopFlag::new(),
        told: &|_, _| (),
    })
}

fn questions(task: Task) -> Questions {
    task.read(&file(task), Style::Plain).expect("rows of the task")
}

fn near(what: &str, found: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().expect("a number");
    assert!(
        (found - expected).abs() <= tolerance,
        "{what}: {found} is not {expected}"
    );
}

fn check_scored(what: &str, found: &[Vec<Scored>], expected: &Value) {
    let expected = expected.as_array().expect("a list of questions");
    assert_eq!(found.len(), expected.len(), "{what}");
    for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
        let expected = expected.as_array().expect("a list of requests");
        assert_eq!(found.len(), expected.len(), "{what} {number}");
        for (found, expected) in found.iter().zip(expected) {
            let what = format!("{what} {number}");
            assert_eq!(found.tokens as u64, expected["tokens"], "{what}: tokens");
            near(&what, found.logprob, &expected["logprob"], TOLERANCE);
            if let Some(greedy) = found.greedy {
                assert_eq!(greedy, expected["greedy"], "{what}: greedy");
            }
        }
    }
}

/// A figure by the name that the script gives it: that of all questions, or `stereotype` and a kind of bias.
fn figure(report: &TaskReport, name: &str) -> f64 {
    match name.split_once(' ') {
        None => report.figures[name].value,
        Some((figure, group)) => report.groups["bias_type"][group][figure].value,
    }
}

#[test]
fn questions_are_answered_as_transformers_answers_them() {
    let expected: Value = json("likelihood/expected.json");
    let mut said = 0;
    for name in MODELS {
        with_scorer(name, |scorer| {
            for task in Task::ALL {
                let questions = questions(task);
                let encoded = scorer.encode(&questions).expect("rows that can be encoded");
                let scored = scorer.score(&encoded, task.asks_for_greedy()).expect("numbers");
                let expected = &expected[name][task.name()];
                let what = format!("{name}, {}", task.name());
                check_scored(&what, &scored, &expected["scored"]);
                let report = TaskReport::new(&questions, &encoded, &scored, 1);
                for (figure_name, expected) in expected["figures"].as_object().expect("figures") {
                    let tolerance = TOLERANCE * expected.as_f64().expect("a number").abs().max(1.0);
                    near(
                        &format!("{what}: {figure_name}"),
                        figure(&report, figure_name),
                        expected,
                        tolerance,
                    );
                }
                if task == Task::Truthfulqa {
                    // The preset alone is longer than 64 tokens; the third model reads 512 and 5 answers on.
                    assert_eq!(report.truncated > 0, scorer.context == 64, "{what}");
                }
                said += scored
                    .iter()
                    .flatten()
                    .filter(|scored| scored.greedy == Some(true))
                    .count();
            }
        });
    }
    assert!(said > 0, "greedy decoding says some words and not others");
}

fn text(scorer: &LikelihoodScorer<'_>, rule: WindowRule) -> TextReport {
    let documents = read_text(path("likelihood").join("text.txt"), Documents::Auto)
        .expect("a text")
        .rows;
    scorer.text("text.txt", &documents, rule, 1).expect("numbers")
}

#[test]
fn text_in_windows_is_as_likely_as_transformers_finds_it() {
    let expected: Value = json("likelihood/expected.json");
    for name in MODELS {
        with_scorer(name, |scorer| {
            let found = text(scorer, WindowRule { window: 32, stride: 12 });
            let (scored, figures) = (&expected[name]["text"]["scored"], &expected[name]["text"]["figures"]);
            near(name, found.logprob, &scored["logprob"], TOLERANCE);
            for (found, unit) in [
                (found.units.tokens, "tokens"),
                (found.units.words, "words"),
                (found.units.bytes, "bytes"),
            ] {
                assert_eq!(found as u64, scored[unit], "{name}: {unit}");
            }
            // Perplexities, by their logarithm: a random model's are huge.
            for (found, unit) in [
                (found.perplexity_per_token, "per_token"),
                (found.perplexity_per_word, "per_word"),
                (found.perplexity_per_byte, "per_byte"),
            ] {
                let expected = figures[unit].as_f64().expect("a number").ln();
                near(
                    &format!("{name}: {unit}"),
                    found.value.ln(),
                    &expected.into(),
                    TOLERANCE,
                );
                assert!(
                    found.low <= found.value && found.value <= found.high,
                    "{name}: {found:?}"
                );
            }
        });
    }
}

#[test]
fn windows_that_see_less_find_a_text_less_likely() {
    with_scorer(MODELS[2], |scorer| {
        let whole = text(
            scorer,
            WindowRule {
                window: 400,
                stride: 200,
            },
        );
        let short = text(scorer, WindowRule { window: 8, stride: 7 });
        assert_eq!(whole.windows, 1);
        assert!(short.windows > 5 && short.units == whole.units);
        assert!(
            short.logprob < whole.logprob - 10.0,
            "{} {}",
            short.logprob,
            whole.logprob
        );
    });
}

#[test]
fn who_is_asked_together_changes_nothing() {
    with_scorer(MODELS[2], |scorer| {
        for task in [Task::Lambada, Task::Truthfulqa] {
            let encoded = scorer.encode(&questions(task)).expect("rows that can be encoded");
            let together = scorer.score(&encoded, true).expect("numbers");
            for (encoded, together) in encoded.iter().zip(&together) {
                for (request, together) in encoded.iter().zip(together) {
                    let alone = scorer.score(&[vec![request.clone()]], true).expect("numbers")[0][0];
                    assert!(
                        (alone.logprob - together.logprob).abs() < 1e-4,
                        "{alone:?} {together:?}"
                    );
                    assert_eq!((alone.tokens, alone.greedy), (together.tokens, together.greedy));
                }
            }
        }
    });
}

#[test]
fn a_stop_ends_the_questions() {
    with_scorer(MODELS[0], |scorer| {
        let encoded = scorer
            .encode(&questions(Task::Choices))
            .expect("rows that can be encoded");
        let stop = StopFlag::new();
        stop.request();
        let stopped = LikelihoodScorer { stop, ..*scorer };
        assert!(matches!(
            stopped.score(&encoded, false),
            Err(rlhf_eval::Error::Interrupted)
        ));
    });
}
