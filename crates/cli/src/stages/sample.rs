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
use crate::stages::Stage;
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
    let tokenizer = work.tokenizer(Stage::Sft)?;
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
        let (ids, kept) = work.prompt_ids(&tokenizer, rows, settings.max_new_tokens, config.max_seq_len())?;
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

/// Where an answer stands among those of all prompts, and the index of its prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    answer: usize,
    prompt: usize,
}

/// The answers that fall to each of `ways` ways of choosing tokens: those of a prompt take them in turn.
fn turns(counts: &[usize], ways: usize) -> Vec<Vec<Place>> {
    let mut places = vec![Vec::new(); ways];
    let mut answer = 0;
    for (prompt, &count) in counts.iter().enumerate() {
        for turn in 0..count {
            places[turn % ways].push(Place { answer, prompt });
            answer += 1;
        }
    }
    places
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
    let mut texts = vec![String::new(); counts.iter().sum()];
    let mut stream = first_stream;
    for (sampling, places) in settings.sampling.iter().zip(turns(counts, settings.sampling.len())) {
        let prompts: Vec<&Vec<u32>> = places.iter().map(|place| &ids[place.prompt]).collect();
        let options = GenerateOptions {
            max_new_tokens: settings.max_new_tokens,
            eos_token_id: tokenizer.eos_token_id(),
            sampling: sampling.clone(),
            seed: work.config.seed,
            first_stream: stream,
            ..GenerateOptions::default()
        };
        stream += places.len() as u64;
        for (place, completion) in places.iter().zip(generator.generate(&prompts, &options)?) {
            texts[place.answer] = tokenizer.decode(&completion.tokens, true);
        }
    }
    Ok(texts)
}

/// K of a prompt, drawn evenly from `k_min ..= k_max`.
fn number_of_answers(work: &Workspace, file: &str, row: usize) -> usize {
    let mut rng = rng(work.config.seed, "sample.k", &[file.len() as u64, row as u64]);
    rng.random_range(work.config.sample.k_min..=work.config.sample.k_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_a_prompt_take_the_ways_in_turn_from_the_first() {
        let place = |(answer, prompt)| Place { answer, prompt };
        // Prompt 0 has answers 0 to 2, prompt 1 answers 3 to 6: ways 0 1 0 and again from the first 0 1 0 1.
        let expected = [
            [(0, 0), (2, 0), (3, 1), (5, 1)].map(place).to_vec(),
            [(1, 0), (4, 1), (6, 1)].map(place).to_vec(),
        ];
        assert_eq!(turns(&[3, 4], 2), expected);
        assert_eq!(turns(&[1], 3), [vec![place((0, 0))], vec![], vec![]]);
    }
}
