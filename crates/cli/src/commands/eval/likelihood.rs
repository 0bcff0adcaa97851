//! `rlhf eval likelihood`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rlhf_core::StopFlag;
use rlhf_data::{Documents, read_text};
use rlhf_eval::{
    LIKELIHOOD_SCHEMA, LikelihoodScorer, LikelihoodSettings, LikelihoodSummary, ModelLikelihoods, TaskReport,
    paired_likelihoods,
};
use rlhf_likelihood::{Question, Questions, Scored, Style, Task, WindowRule};
use rlhf_pipeline::{Listener, Locations};
use serde::Serialize;

use super::findings::{Findings, Running, card, json_lines, version};
use super::named::{NamedModel, check_names};
use crate::commands::model::ModelFolder;
use crate::error::{Error, Result};
use crate::progress::{Terminal, note, say};

/// Tokens of a window of text, for models that read so many.
const WINDOW: usize = 1024;
/// A row for every question to every model.
const ROWS: &str = "questions.jsonl";

/// Options of the evaluation.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A checkpoint, as often as you like: a folder, adapters, a GGUF file or `hf://org/name`; others are compared with the first
    #[arg(long = "model", value_name = "NAME=DIR", required = true)]
    models: Vec<NamedModel>,
    /// Text whose perplexity is taken, by token, word and byte: .txt, or rows of {"text"}
    #[arg(long, value_name = "FILE")]
    text: Vec<PathBuf>,
    /// LAMBADA, JSON lines of {"text"}: the last word by greedy decoding, and its perplexity
    #[arg(long, value_name = "FILE")]
    lambada: Vec<PathBuf>,
    /// TruthfulQA.csv: MC1 and MC2 as the paper's code computes them
    #[arg(long, value_name = "FILE")]
    truthfulqa: Vec<PathBuf>,
    /// all_sentences.tsv of Winogender: which pronoun is likelier
    #[arg(long, value_name = "FILE")]
    winogender: Vec<PathBuf>,
    /// crows_pairs_anonymized.csv: how often the sentence with the stereotype is likelier
    #[arg(long, value_name = "FILE")]
    crows_pairs: Vec<PathBuf>,
    /// Model-written evaluations, JSON lines of {"question","answer_matching_behavior","answer_not_matching_behavior"}
    #[arg(long, value_name = "FILE")]
    model_written: Vec<PathBuf>,
    /// Multiple choice: rows of {"ctx","endings","label"}, or {"query"} or {"question"} with {"choices","answer"}
    #[arg(long, value_name = "FILE")]
    choices: Vec<PathBuf>,
    /// Asks the first questions of each file only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Asks questions as conversations, in the model's chat format, where the file has questions
    #[arg(long)]
    chat_template: bool,
    /// Tokens of text that go through the model together; 1024, or its context if that is shorter
    #[arg(long, value_name = "TOKENS")]
    window: Option<usize>,
    /// Tokens that each window of text predicts after the first; half a window
    #[arg(long, value_name = "TOKENS")]
    stride: Option<usize>,
    #[command(flatten)]
    running: Running,
    /// Folder for summary.json, questions.jsonl and model_card.md
    #[arg(long, value_name = "DIR", default_value = "evals/likelihood")]
    out: PathBuf,
}

/// What is asked of every model.
struct Asked {
    questions: Vec<Questions>,
    texts: Vec<(PathBuf, Vec<String>)>,
}

/// A row of `questions.jsonl`.
#[derive(Serialize)]
struct QuestionRow<'a> {
    model: &'a str,
    task: Task,
    file: &'a Path,
    line: Option<usize>,
    logprobs: Vec<f64>,
    tokens: Vec<usize>,
    figures: BTreeMap<&'static str, f64>,
}

/// Evaluates.
pub(crate) fn run(args: &Args, locations: &Locations) -> Result<()> {
    check_names(&args.models)?;
    let asked = Asked::read(args)?;
    // Configurations and tokenizers of all are looked at before the weights of any.
    let folders = args
        .models
        .iter()
        .map(|model| {
            let folder = args.running.open(&model.path, locations)?;
            window_rule(args, folder.context())?;
            Ok((folder.tokenizer()?.before_text(), folder))
        })
        .collect::<Result<Vec<_>>>()?;
    let mut models = BTreeMap::new();
    let mut rows = String::new();
    let mut first: Option<Vec<Vec<Vec<Scored>>>> = None;
    for (named, (before_text, folder)) in args.models.iter().zip(folders) {
        let (tasks, scored) = questions_of(args, named, &folder, &asked, first.as_deref(), &mut rows)?;
        let model = ModelLikelihoods {
            path: named.path.display().to_string(),
            context: folder.context(),
            before_text,
            tasks: tasks.0,
            texts: tasks.1,
        };
        models.insert(named.name.clone(), model);
        first.get_or_insert(scored);
    }
    let summary = LikelihoodSummary {
        schema: LIKELIHOOD_SCHEMA.to_owned(),
        order: args.models.iter().map(|model| model.name.clone()).collect(),
        models,
        settings: LikelihoodSettings {
            limit: args.limit.map(|limit| limit as usize),
            style: args.style(),
            seed: args.running.seed,
        },
        versions: [version()].into(),
    };
    let findings = Findings {
        out: &args.out,
        rows: (ROWS, rows),
        card: card(summary.card_lines()),
    };
    findings.write(&summary)?;
    say(summary.to_string().trim_end())
}

type Reports = (Vec<TaskReport>, Vec<rlhf_eval::TextReport>);

/// Asks one model everything.
fn questions_of(
    args: &Args,
    named: &NamedModel,
    folder: &ModelFolder,
    asked: &Asked,
    first: Option<&[Vec<Vec<Scored>>]>,
    rows: &mut String,
) -> Result<(Reports, Vec<Vec<Vec<Scored>>>)> {
    let model = folder.causal_lm()?;
    let bar = Terminal.begin("eval");
    let doing = std::cell::RefCell::new(String::new());
    let told = |done: usize, total: usize| bar.report(done as u64, total as u64, &doing.borrow());
    let scorer = LikelihoodScorer {
        model: &model,
        tokenizer: folder.tokenizer()?,
        context: folder.context(),
        stop: StopFlag::process(),
        told: &told,
    };
    let encoded = (asked.questions.iter().map(|questions| scorer.encode(questions))).collect::<Result<Vec<_>, _>>()?;
    let mut texts = Vec::new();
    for (path, documents) in &asked.texts {
        *doing.borrow_mut() = format!("{}: windows of text", named.name);
        let rule = window_rule(args, folder.context())?;
        texts.push(scorer.text(&path.display().to_string(), documents, rule, args.running.seed)?);
    }
    let (mut tasks, mut all) = (Vec::new(), Vec::new());
    for (number, (questions, encoded)) in asked.questions.iter().zip(&encoded).enumerate() {
        *doing.borrow_mut() = format!("{}: {}", named.name, questions.task.name());
        let scored = scorer.score(encoded, questions.task.asks_for_greedy())?;
        let mut report = TaskReport::new(questions, encoded, &scored, args.running.seed);
        let pair =
            |first: &[Vec<Vec<Scored>>]| paired_likelihoods(questions, &scored, &first[number], args.running.seed);
        report.beside_first = first.map(pair);
        tasks.push(report);
        rows.push_str(&question_rows(&named.name, questions, &scored)?);
        all.push(scored);
    }
    bar.finish();
    Ok(((tasks, texts), all))
}

impl Asked {
    /// Reads every file.
    fn read(args: &Args) -> Result<Self> {
        let files = Task::ALL
            .into_iter()
            .flat_map(|task| args.files(task).iter().map(move |path| (task, path)));
        let questions = files
            .map(|(task, path)| {
                let mut questions = task.read(path, args.style()).map_err(rlhf_eval::Error::from)?;
                if let Some(limit) = args.limit {
                    questions.questions.truncate(limit as usize);
                }
                Ok(questions)
            })
            .collect::<Result<Vec<_>>>()?;
        let texts = (args.text.iter())
            .map(|path| Ok((path.clone(), read_text(path, Documents::Auto)?.rows)))
            .collect::<Result<Vec<_>>>()?;
        if questions.is_empty() && texts.is_empty() {
            let options: Vec<String> = Task::ALL.iter().map(|task| format!("--{} FILE", task.name())).collect();
            return Err(Error::Usage(format!(
                "nothing to evaluate: name a file, --text FILE, {}",
                options.join(", ")
            )));
        }
        for questions in questions.iter().filter(|_| args.chat_template) {
            if !questions.task.has_turns() {
                note(&format!(
                    "--chat-template: {} is text and read as it stands",
                    questions.task.name()
                ));
            }
        }
        Ok(Self { questions, texts })
    }
}

impl Args {
    fn files(&self, task: Task) -> &[PathBuf] {
        match task {
            Task::Lambada => &self.lambada,
            Task::Truthfulqa => &self.truthfulqa,
            Task::Winogender => &self.winogender,
            Task::CrowsPairs => &self.crows_pairs,
            Task::ModelWritten => &self.model_written,
            Task::Choices => &self.choices,
        }
    }

    fn style(&self) -> Style {
        if self.chat_template { Style::Chat } else { Style::Plain }
    }
}

/// Windows of text for a model with such a context.
fn window_rule(args: &Args, context: usize) -> Result<WindowRule> {
    let window = args.window.unwrap_or(WINDOW.min(context));
    let stride = args.stride.unwrap_or(window / 2);
    let rule = WindowRule { window, stride }.check().map_err(rlhf_eval::Error::from)?;
    if window > context {
        return Err(Error::Usage(format!(
            "--window: {window} tokens, expected at most {context}, the model's context"
        )));
    }
    Ok(rule)
}

fn question_rows(model: &str, questions: &Questions, scored: &[Vec<Scored>]) -> Result<String> {
    let row = |(question, scored): (&Question, &Vec<Scored>)| {
        let figures = questions.task.figures().iter().zip(question.figures(scored));
        QuestionRow {
            model,
            task: questions.task,
            file: &questions.path,
            line: question.origin.line(),
            logprobs: scored.iter().map(|scored| scored.logprob).collect(),
            tokens: scored.iter().map(|scored| scored.tokens).collect(),
            figures: figures
                .filter_map(|(figure, value)| Some((figure.name, value?)))
                .collect(),
        }
    };
    json_lines(ROWS, questions.questions.iter().zip(scored).map(row))
}
