//! `rlhf generate`.

use std::path::PathBuf;

use rlhf_core::StopFlag;
use rlhf_data::Row;
use rlhf_inference::{Completion, GenerateOptions, Generator};
use rlhf_pipeline::Locations;
use serde_json::{Map, Value, json};

use super::input::{check_tokens, fault, located, read_rows, sequence};
use super::model::{ModelArgs, ModelFolder};
use super::output::Output;
use super::sampling::SamplingArgs;
use super::{ROWS_AT_ONCE, break_if, check_stop};
use crate::error::{Error, Result};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// Completions of each prompt
    #[arg(short, long, value_name = "K", default_value_t = 1)]
    n: usize,
    /// Tokens of a completion at most
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_new_tokens: usize,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Print JSON rows that `rlhf score` reads: {"prompt","completion"}, or {"prompt","completions"} with --n above 1
    #[arg(long)]
    json: bool,
    /// Complete the prompt as plain text, without the chat format
    #[arg(long)]
    raw: bool,
}

/// Source of prompts.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct SourceArgs {
    /// The prompt
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// JSON lines of {"prompt"}, {"messages"}, {"text"} or {"input_ids"}; - is standard input
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
}

const EXPECTED: &str = "JSON lines of {\"prompt\"}, {\"messages\"}, {\"text\"} or {\"input_ids\"}";

/// A prompt, as it was given and as tokens.
struct Prompt {
    field: &'static str,
    given: Value,
    ids: Vec<u32>,
}

pub(super) fn run(args: &Args, locations: &Locations) -> Result<()> {
    if args.n == 0 || args.max_new_tokens == 0 {
        let option = if args.n == 0 { "--n" } else { "--max-new-tokens" };
        return Err(Error::Usage(format!("{option}: 0, expected at least 1")));
    }
    let sampling = args.sampling.sampling()?;
    let folder = ModelFolder::open(&args.model, locations)?;
    let mut options = GenerateOptions {
        max_new_tokens: args.max_new_tokens,
        eos_token_id: folder.eos_token_id()?,
        stop_token_ids: folder.stop_token_ids(),
        sampling,
        seed: args.sampling.seed,
        batch_size: ROWS_AT_ONCE,
        ..GenerateOptions::default()
    };
    let prompts = rows(args)?
        .iter()
        .map(|row| prompt(row, args, &folder))
        .collect::<Result<Vec<_>>>()?;
    let generator = Generator::new(&folder.causal_lm()?);
    let mut output = Output::open();
    let is_single = prompts.len() == 1 && args.n == 1;
    for some in prompts.chunks(ROWS_AT_ONCE.div_ceil(args.n)) {
        let ids: Vec<&[u32]> = some
            .iter()
            .flat_map(|prompt| std::iter::repeat_n(prompt.ids.as_slice(), args.n))
            .collect();
        let completions = generate(&generator, &ids, &options)?;
        // A completion depends on the place of its prompt alone, not on how many are answered at once.
        options.first_stream += ids.len() as u64;
        for (prompt, completions) in some.iter().zip(completions.chunks(args.n)) {
            if args.json {
                output.row(&as_row(prompt, completions, &folder))?;
            } else {
                output.text(&as_text(prompt, completions, is_single, &folder))?;
            }
        }
        output.flush()?;
    }
    Ok(())
}

fn generate(generator: &Generator, ids: &[&[u32]], options: &GenerateOptions) -> Result<Vec<Completion>> {
    let stop = StopFlag::process();
    let completions = generator.generate_streaming(ids, options, &mut |_, _| break_if(stop.requested()))?;
    check_stop()?;
    Ok(completions)
}

fn rows(args: &Args) -> Result<Vec<Row>> {
    match (&args.source.prompt, &args.source.input) {
        (_, Some(path)) => read_rows(path, EXPECTED),
        (prompt, None) => {
            let text = prompt.clone().unwrap_or_default();
            Ok(vec![Row::new(
                std::path::Path::new("--prompt"),
                1,
                Map::from_iter([("prompt".to_owned(), Value::from(text))]),
            )])
        }
    }
}

fn prompt(row: &Row, args: &Args, folder: &ModelFolder) -> Result<Prompt> {
    let given = |field: &'static str| (field, row.get(field).cloned().unwrap_or_default());
    let ((field, given), ids) = if row.has("input_ids") {
        (given("input_ids"), sequence(row, folder)?)
    } else if row.has("text") {
        let text = row.string("text")?;
        (given("text"), folder.tokenizer()?.encode_opening(&text))
    } else if args.raw {
        match row.get("prompt") {
            Some(Value::String(text)) => (
                ("text", Value::from(text.as_str())),
                folder.tokenizer()?.encode_opening(text),
            ),
            other => return Err(row.wrong("prompt", "a string, as --raw asks for", other).into()),
        }
    } else {
        row.refuse_tools()?;
        let (messages, _) = row.prompt()?;
        let given = match (row.get("prompt"), row.get("messages")) {
            // Together they are a conversation that neither of them holds.
            (Some(_), Some(_)) => ("messages", json!(messages)),
            (Some(prompt), None) => ("prompt", prompt.clone()),
            (None, messages) => ("messages", messages.cloned().unwrap_or_default()),
        };
        (given, located(row, folder.tokenizer()?.encode_prompt(&messages))?)
    };
    check_tokens(row, &ids, 1, folder)?;
    let (context, new) = (folder.context(), args.max_new_tokens);
    if ids.len().saturating_add(new) > context {
        let left = context - ids.len();
        let message = format!(
            "the prompt has {} tokens, which leaves room for {left} in the model's context of {context}, and \
             --max-new-tokens is {new}",
            ids.len()
        );
        return Err(fault(row, message));
    }
    Ok(Prompt { field, given, ids })
}

/// The text of a completion, where there is a tokenizer.
fn text_of(completion: &Completion, folder: &ModelFolder) -> Option<String> {
    folder
        .optional_tokenizer()
        .map(|tokenizer| tokenizer.decode(&completion.tokens, true))
}

fn as_row(prompt: &Prompt, completions: &[Completion], folder: &ModelFolder) -> Value {
    let tokens = completions.iter().map(|completion| json!(completion.tokens)).collect();
    let finished = completions
        .iter()
        .map(|completion| json!(completion.finished))
        .collect();
    let texts: Option<Vec<Value>> = completions
        .iter()
        .map(|completion| text_of(completion, folder).map(Value::from))
        .collect();
    // The value of the one completion, or the list of several.
    let value = |mut values: Vec<Value>| match values.len() {
        1 => values.remove(0),
        _ => Value::from(values),
    };
    let mut row = Map::from_iter([(prompt.field.to_owned(), prompt.given.clone())]);
    if let Some(texts) = texts {
        let field = if completions.len() == 1 {
            "completion"
        } else {
            "completions"
        };
        row.insert(field.to_owned(), value(texts));
    }
    row.insert("completion_ids".to_owned(), value(tokens));
    row.insert("finished".to_owned(), value(finished));
    Value::Object(row)
}

fn as_text(prompt: &Prompt, completions: &[Completion], is_single: bool, folder: &ModelFolder) -> String {
    let shown =
        |completion: &Completion| text_of(completion, folder).unwrap_or_else(|| json!(completion.tokens).to_string());
    if is_single {
        return completions.iter().map(shown).collect::<String>() + "\n";
    }
    let asked = match &prompt.given {
        Value::String(text) => text.clone(),
        Value::Array(messages) => match messages.last().and_then(|last| last["content"].as_str()) {
            Some(text) => text.to_owned(),
            None => prompt.given.to_string(),
        },
        other => other.to_string(),
    };
    let mut text = format!("> {}\n", asked.trim().replace('\n', "\n> "));
    for (number, completion) in completions.iter().enumerate() {
        let label = if completions.len() == 1 {
            String::new()
        } else {
            format!("{}. ", number + 1)
        };
        text.push_str(&format!("{label}{}\n", shown(completion)));
    }
    text + "\n"
}
