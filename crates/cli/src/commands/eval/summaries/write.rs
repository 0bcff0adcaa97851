//! Summaries that a model writes.

use rlhf_core::StopFlag;
use rlhf_data::{Message, trimmed};
use rlhf_eval::{SummaryInput, WrittenSummary};
use rlhf_inference::{GenerateOptions, Generator, Sampling};
use rlhf_pipeline::{Listener, Locations};

use super::Args;
use super::read::Asked;
use crate::commands::eval::findings::checked;
use crate::commands::eval::named::NamedModel;
use crate::commands::model::ModelFolder;
use crate::commands::{ROWS_AT_ONCE, break_if, check_stop};
use crate::error::{Error, Result};
use crate::progress::{Terminal, note};

/// What a model makes of the articles. Those that leave no room for a summary in its context are left out, and told.
pub(super) fn summaries(args: &Args, named: &NamedModel, asked: &Asked, locations: &Locations) -> Result<SummaryInput> {
    let folder = args.running.open(&named.path, locations)?;
    let mut prompts = Vec::new();
    for &article in &asked.to_write {
        let ids = prompt_ids(args, &asked.prompts[article], &folder)?;
        if ids.len() + args.max_new_tokens <= folder.context() {
            prompts.push((article, ids));
        }
    }
    let too_long = asked.to_write.len() - prompts.len();
    if too_long > 0 {
        note(&format!(
            "{}: {too_long} of {} articles leave no room for {} tokens in the context of {}, and are left out",
            named.name,
            asked.to_write.len(),
            args.max_new_tokens,
            folder.context()
        ));
    }
    Ok(SummaryInput {
        name: named.name.clone(),
        source: named.path.display().to_string(),
        summaries: generate(args, named, &prompts, &folder)?,
    })
}

fn generate(
    args: &Args,
    named: &NamedModel,
    prompts: &[(usize, Vec<u32>)],
    folder: &ModelFolder,
) -> Result<Vec<WrittenSummary>> {
    let mut options = GenerateOptions {
        max_new_tokens: args.max_new_tokens,
        eos_token_id: folder.eos_token_id()?,
        stop_token_ids: folder.stop_token_ids(),
        sampling: checked(Sampling {
            temperature: args.temperature,
            ..Sampling::default()
        })?,
        seed: args.running.seed,
        purpose: "eval.summaries",
        batch_size: ROWS_AT_ONCE,
        ..GenerateOptions::default()
    };
    let generator = Generator::new(&folder.causal_lm()?);
    let stop = StopFlag::process();
    let bar = Terminal.begin("eval");
    let mut written = Vec::new();
    for some in prompts.chunks(ROWS_AT_ONCE) {
        let ids: Vec<&[u32]> = some.iter().map(|(_, ids)| ids.as_slice()).collect();
        let completions = generator.generate_streaming(&ids, &options, &mut |_, _| break_if(stop.requested()))?;
        check_stop()?;
        options.first_stream += ids.len() as u64;
        for ((article, _), completion) in some.iter().zip(&completions) {
            written.push(WrittenSummary {
                article: *article,
                text: folder.tokenizer()?.decode(&completion.tokens, true).trim().to_owned(),
                finished: Some(completion.finished),
            });
        }
        bar.report(written.len() as u64, prompts.len() as u64, &named.name);
    }
    bar.finish();
    Ok(written)
}

fn prompt_ids(args: &Args, prompt: &Vec<Message>, folder: &ModelFolder) -> Result<Vec<u32>> {
    let tokenizer = folder.tokenizer()?;
    match prompt.as_slice() {
        [message] if args.raw => Ok(tokenizer.encode_opening(&message.content)),
        _ if args.raw => Err(Error::Usage("--raw: a conversation is no plain text".to_owned())),
        _ => {
            let max_tokens = args.max_prompt_tokens.unwrap_or(usize::MAX);
            Ok(tokenizer.encode_prompt(&trimmed(tokenizer, prompt, max_tokens)?)?)
        }
    }
}
