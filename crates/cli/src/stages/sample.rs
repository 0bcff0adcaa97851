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
            let mut texts = answers(work, &tokenizer, &generator, ids, &counts, stream)?.into_iter();
            stream += counts.iter().sum::<usize>() as u64;
            for (&row, &k) in kept.iter().zip(&counts) {
                answered.push(Answered {
                    prompt: rows[row].clone(),
                    completions: texts.by_ref().take(k).collect(),
                });
            }
            done += kept.len() as u64;
            work.bar.report(done, total, "prompts answered");
        }
        work.write_rows(&work.dir.path().join(file), &answered)?;
    }
    Ok(())
}

/// `counts[i]` answers to prompt `ids[i]`, those of a prompt together; the ways of choosing tokens take turns.
fn answers(
    work: &Workspace,
    tokenizer: &Tokenizer,
    generator: &Generator,
    ids: &[Vec<u32>],
    counts: &[usize],
    first_stream: u64,
) -> Result<Vec<String>> {
    let settings = &work.config.sample;
    // One entry an answer: its prompt, and how many answers of that prompt come before it.
    let slots: Vec<(&Vec<u32>, usize)> = ids
        .iter()
        .zip(counts)
        .flat_map(|(ids, &k)| (0..k).map(move |turn| (ids, turn)))
        .collect();
    let mut texts = vec![String::new(); slots.len()];
    let mut stream = first_stream;
    for (way, sampling) in settings.sampling.iter().enumerate() {
        let places: Vec<usize> = (0..slots.len())
            .filter(|&slot| slots[slot].1 % settings.sampling.len() == way)
            .collect();
        let prompts: Vec<&Vec<u32>> = places.iter().map(|&slot| slots[slot].0).collect();
        let options = GenerateOptions {
            max_new_tokens: settings.max_new_tokens,
            eos_token_id: tokenizer.eos_token_id(),
            sampling: sampling.clone(),
            seed: work.config.seed,
            first_stream: stream,
            ..GenerateOptions::default()
        };
        stream += places.len() as u64;
        for (slot, completion) in places.into_iter().zip(generator.generate(&prompts, &options)?) {
            texts[slot] = tokenizer.decode(&completion.tokens, true);
        }
    }
    Ok(texts)
}

/// K of a prompt, drawn evenly from `k_min ..= k_max`.
fn number_of_answers(work: &Workspace, file: &str, row: usize) -> usize {
    let mut rng = rng(work.config.seed, "sample.k", &[file.len() as u64, row as u64]);
    rng.random_range(work.config.sample.k_min..=work.config.sample.k_max)
}
