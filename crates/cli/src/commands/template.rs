//! `rlhf template`.

use std::path::PathBuf;

use rlhf_data::{Chat, ChatTemplate, Clock, EncodedChat, MarkedTokens, Role, Row, Tokenizer};
use rlhf_hub::Want;
use rlhf_pipeline::Locations;
use serde::Serialize;

use super::input::{located, raw_messages, read_rows};
use super::output::Output;
use crate::error::Result;

const EXPECTED: &str = "JSON lines of {\"messages\"}";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of a model or of a stage, with its tokenizer and chat template, or `hf://org/name[@revision]`
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// JSON lines of {"messages":[…]}, or - for standard input
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// End each text where the assistant is to begin
    #[arg(long)]
    add_generation_prompt: bool,
    /// Chat template to use instead of the model's own
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// For people: the text with [[ ]] around what is the assistant's, and a line for each token
    #[arg(long)]
    table: bool,
    /// Date that the template is told, such as 2026-01-31; without it today's
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
}

/// The answer to a row.
#[derive(Serialize)]
struct Rendered {
    text: String,
    input_ids: Vec<u32>,
    assistant_mask: Vec<u8>,
}

impl Rendered {
    fn new(text: String, chat: EncodedChat) -> Self {
        Self {
            text,
            input_ids: chat.input_ids,
            assistant_mask: chat.assistant_mask.into_iter().map(u8::from).collect(),
        }
    }

    fn table(&self, tokenizer: &Tokenizer) -> String {
        let mask = self.assistant_mask.iter().map(|&mark| mark == 1).collect();
        let tokens = MarkedTokens::new(tokenizer, self.input_ids.clone(), mask);
        format!("{}\n\n{}\n", tokens.marked_text(), tokens.table("assistant"))
    }
}

pub(super) fn run(args: &Args, locations: &Locations) -> Result<()> {
    let mut tokenizer = Tokenizer::load(locations.model(&args.model, Want::Tokenizer)?)?;
    if let Some(path) = &args.template {
        tokenizer = tokenizer.with_chat_template(ChatTemplate::from_file(path)?);
    }
    if let Some(date) = &args.date {
        tokenizer = tokenizer.with_clock(Clock::fixed(date, "--date")?);
    }
    let rows = read_rows(&args.input, EXPECTED)?;
    let mut output = Output::open();
    for row in &rows {
        super::check_stop()?;
        let rendered = match tokenizer.chat_template() {
            Some(template) => by_template(row, template, &tokenizer, args.add_generation_prompt)?,
            None => by_role_tokens(row, &tokenizer, args.add_generation_prompt)?,
        };
        if args.table {
            output.text(&rendered.table(&tokenizer))?;
        } else {
            output.row(&rendered)?;
        }
    }
    output.flush()
}

fn by_template(row: &Row, template: &ChatTemplate, tokenizer: &Tokenizer, prompt: bool) -> Result<Rendered> {
    let messages = raw_messages(row, "messages")?;
    let tools = row.get("tools");
    if let Some(tools) = tools.filter(|tools| !tools.is_array()) {
        return Err(row.wrong("tools", "an array", Some(tools)).into());
    }
    let chat = Chat {
        tools,
        add_generation_prompt: prompt,
        ..Chat::new(messages)
    };
    let rendered = located(row, template.render(&chat))?;
    let encoded = tokenizer.encode_rendered(&rendered);
    Ok(Rendered::new(rendered.text, encoded))
}

fn by_role_tokens(row: &Row, tokenizer: &Tokenizer, prompt: bool) -> Result<Rendered> {
    row.refuse_tools()?;
    let messages = row.messages("messages")?;
    let mut chat = located(row, tokenizer.encode_conversation(&messages))?;
    if let Some(assistant) = tokenizer.role_token_id(Role::Assistant).filter(|_| prompt) {
        chat.input_ids.push(assistant);
        chat.assistant_mask.push(false);
    }
    Ok(Rendered::new(tokenizer.decode(&chat.input_ids, false), chat))
}
