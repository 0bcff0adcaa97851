//! K answers to each prompt from the SFT model.

use rand::Rng;
use rlhf_core::rng;
use rlhf_data::{Prompt, Tokenizer};
use rlhf_inference::{GenerateOptions, Generator};
use rlhf_model::load_causal_lm;
use serde::{Deserialize, Serialize};

use crate::config::LabelerKind;
use crate::error::Result;
use crate::progress::note;
use crate::run::Workspace;
use rlhf_core::stage::Progress;

/// A prompt with the answers that are to be ranked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answered {
    #[serde(flatten)]
    pub(crate) prompt: Prompt,
    pub(crate) completions: Vec<String>,
}

/// Prompts answered between two looks at the stop flag.
const PROMPTS_AT_ONCE: usize = 64;

pub(crate) fn run(work: &Workspace) -> Result<()> {
    if work.config.label.labeler == LabelerKind::Files {
        note("   sample nothing: people have ranked answers of their own");
        return Ok(());
    }
    let tokenizer = Tokenizer::load(work.path("sft"))?;
    let (model, config) = load_causal_lm(&work.path("sft"), &work.device)?;
    let generator = Generator::new(&model);
    let prompts = work.reward_prompts()?;
    let total = (prompts.train.len() + prompts.validation.len()) as u64;
    let mut done = 0;
    let mut stream = 0;
    for (rows, file) in [
        (&prompts.train, "samples.jsonl"),
        (&prompts.validation, "validation.jsonl"),
    ] {
        let settings = &work.config.sample;
        let (ids, kept) = work.prompt_ids(&tokenizer, rows, settings.max_new_tokens, config.n_positions)?;
        let mut answered = Vec::with_capacity(kept.len());
        for (ids, kept) in ids.chunks(PROMPTS_AT_ONCE).zip(kept.chunks(PROMPTS_AT_ONCE)) {
            work.check_stop()?;
            let counts: Vec<usize> = kept.iter().map(|&row| number_of_answers(work, file, row)).collect();
            let repeated: Vec<&Vec<u32>> = ids
                .iter()
                .zip(&counts)
                .flat_map(|(ids, &k)| std::iter::repeat_n(ids, k))
                .collect();
            let options = GenerateOptions {
                max_new_tokens: settings.max_new_tokens,
                eos_token_id: tokenizer.eos_token_id(),
                sampling: settings.sampling.clone(),
                seed: work.config.seed,
                first_stream: stream,
                ..GenerateOptions::default()
            };
            stream += repeated.len() as u64;
            let mut completions = generator.generate(&repeated, &options)?.into_iter();
            for (&row, &k) in kept.iter().zip(&counts) {
                let texts = completions.by_ref().take(k).map(|c| tokenizer.decode(&c.tokens, true));
                answered.push(Answered {
                    prompt: rows[row].clone(),
                    completions: texts.collect(),
                });
            }
            done += kept.len() as u64;
            work.bar.report(done, total, "prompts answered");
        }
        work.write_rows(&work.dir.path().join(file), &answered)?;
    }
    Ok(())
}

/// K of a prompt, drawn evenly from `k_min ..= k_max`.
fn number_of_answers(work: &Workspace, file: &str, row: usize) -> usize {
    let mut rng = rng(work.config.seed, "sample.k", &[file.len() as u64, row as u64]);
    rng.random_range(work.config.sample.k_min..=work.config.sample.k_max)
}
