//! `rlhf eval summaries`.

mod read;
mod write;

use std::path::PathBuf;

use rlhf_data::Tokenizer;
use rlhf_eval::{SummariesSettings, SummaryInput, SummaryOptions, WrittenSummary, evaluate_summaries, summary_figures};
use rlhf_hub::Want;
use rlhf_pipeline::Locations;
use rlhf_rouge::Stemming;
use serde_json::json;

use self::read::Asked;
use super::findings::{Findings, Running, card, json_lines, version};
use super::named::{NamedModel, check_names};
use crate::error::{Error, Result};
use crate::progress::say;

/// A row for every summary.
const ROWS: &str = "summaries.jsonl";

/// Options of the evaluation.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Summaries that are there already: rows of {"article" or "prompt", "summary" or "completion"}, perhaps with "reference" or "references";
    /// a row with "summaries", an object, has those of several systems by name; may be given several times
    #[arg(long, value_name = "NAME=FILE")]
    answers: Vec<NamedModel>,
    /// A checkpoint that sums up the articles of --prompts: a folder, a GGUF file or hf://org/name; may be given several times
    #[arg(long = "model", value_name = "NAME=DIR")]
    models: Vec<NamedModel>,
    /// Articles and references: rows of {"article" or "prompt"}, with "reference", "references", "completion" or "summary" as reference
    #[arg(long, value_name = "FILE")]
    prompts: Vec<PathBuf>,
    /// Only the first articles of --prompts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Compares words with their endings; without it ROUGE compares what Porter's stemmer leaves of words of more than three letters
    #[arg(long)]
    no_stemmer: bool,
    /// Counts tokens by the tokenizer of this model; without it by that of the first --model
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// Tokens of a summary at most
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_new_tokens: usize,
    /// Divides the logits; 0 always takes the most likely token
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    temperature: f64,
    /// Prompts of more tokens lose the end of their last question, as in a run with this data.max_prompt_tokens
    #[arg(long, value_name = "N")]
    max_prompt_tokens: Option<usize>,
    /// Models read articles as plain text, without the chat format
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    running: Running,
    /// Folder for summary.json, summaries.jsonl and model_card.md
    #[arg(long, value_name = "DIR", default_value = "evals/summaries")]
    out: PathBuf,
}

/// Evaluates.
pub(crate) fn run(args: &Args, locations: &Locations) -> Result<()> {
    check_names(&args.models)?;
    if args.max_new_tokens == 0 {
        return Err(Error::Usage("--max-new-tokens: 0, expected at least 1".to_owned()));
    }
    let mut asked = Asked::read(args)?;
    let of_tokens = tokenizer(args, locations)?;
    let mut systems = std::mem::take(&mut asked.systems);
    for model in &args.models {
        if systems.iter().any(|system| system.name == model.name) {
            return Err(Error::Usage(format!(
                "--model: {} is the name of what --answers has already",
                model.name
            )));
        }
        systems.push(write::summaries(args, model, &asked, locations)?);
    }
    let count = of_tokens
        .as_ref()
        .map(|(_, tokenizer)| |text: &str| tokenizer.encode(text.trim()).len());
    let options = SummaryOptions {
        stemming: if args.no_stemmer {
            Stemming::None
        } else {
            Stemming::Porter
        },
        tokens: count.as_ref().map(|count| count as &dyn Fn(&str) -> usize),
        seed: args.running.seed,
    };
    let has_models = !args.models.is_empty();
    let settings = SummariesSettings {
        stemmed: !args.no_stemmer,
        seed: args.running.seed,
        max_new_tokens: has_models.then_some(args.max_new_tokens),
        temperature: has_models.then_some(args.temperature),
        tokenizer: of_tokens.as_ref().map(|(path, _)| path.display().to_string()),
    };
    let mut summary = evaluate_summaries(&asked.articles, &systems, settings, options);
    summary.warnings.extend(asked.warnings.iter().cloned());
    summary.versions.extend([version()]);
    let findings = Findings {
        out: &args.out,
        rows: (ROWS, rows(&asked, &systems, options)?),
        card: card(summary.card_lines()),
    };
    findings.write(&summary)?;
    say(summary.to_string().trim_end())?;
    say(&format!("\nfindings in {}", args.out.display()))
}

/// The tokenizer that lengths are counted by, and where it was named to lie.
fn tokenizer(args: &Args, locations: &Locations) -> Result<Option<(PathBuf, Tokenizer)>> {
    let first = args.models.first().map(|model| &model.path);
    let Some(named) = args.tokenizer.as_ref().or(first) else {
        return Ok(None);
    };
    let dir = locations.model(named, Want::Tokenizer)?;
    match Tokenizer::load_optional(&dir)? {
        Some(tokenizer) => Ok(Some((named.clone(), tokenizer))),
        None if args.tokenizer.is_none() => Ok(None),
        None => Err(Error::Usage(format!(
            "--tokenizer: {}: there is no tokenizer",
            dir.display()
        ))),
    }
}

/// A row for every summary, with its own figures.
fn rows(asked: &Asked, systems: &[SummaryInput], options: SummaryOptions<'_>) -> Result<String> {
    let of_system = |system: &'_ SummaryInput| {
        let row = |summary: &WrittenSummary| {
            let article = &asked.articles[summary.article];
            json!({
                "model": system.name,
                "article": article.text,
                "references": article.references,
                "summary": summary.text,
                "finished": summary.finished,
                "figures": summary_figures(article, &summary.text, options),
            })
        };
        system.summaries.iter().map(row).collect::<Vec<_>>()
    };
    json_lines(ROWS, systems.iter().flat_map(of_system))
}
