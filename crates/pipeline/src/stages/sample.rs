//! K answers to each prompt from the SFT model.

use rand::Rng;
use rlhf_core::rng;
use rlhf_data::Prompt;
use rlhf_inference::{GenerateOptions, Generator};
use rlhf_model::load_causal_lm;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Sft, WEIGHTS};
use crate::config::{Config, LabelerKind};
use crate::error::Result;
use crate::files::write_rows;
use crate::inputs::Inputs;
use crate::rows::{REWARD_PROMPTS, RowsRead};
use crate::settings::Settings;
use crate::stage::Stage;
use crate::workspace::Workspace;

/// Samples answers to rank.
#[derive(Debug, Clone, Copy)]
pub struct Sample;

/// A prompt with the answers that are to be ranked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Answered {
    #[serde(flatten)]
    pub(super) prompt: Prompt,
    pub(super) completions: Vec<String>,
}

/// Prompts answered between two looks at the stop flag.
const PROMPTS_AT_ONCE: usize = 64;

fn reads() -> Vec<RowsRead> {
    vec![REWARD_PROMPTS.both()]
}

/// Nobody ranks, or people have ranked answers of their own, and there is nothing to sample.
fn has_nothing_to_do(config: &Config) -> bool {
    !config.label.labeler.ranks_samples()
}

impl Sample {
    /// Answers to training prompts, in the stage's folder.
    pub(super) const TRAINING: &str = "samples.jsonl";
    /// Answers to validation prompts.
    pub(super) const VALIDATION: &str = "validation.jsonl";
}

impl Stage for Sample {
    fn name(&self) -> &'static str {
        "sample"
    }

    fn about(&self) -> &'static str {
        "Sample K answers to each prompt from the SFT model (step 2)"
    }

    fn settings(&self, config: &Config) -> Value {
        let settings = Settings::new().keys("label", &config.label, &["labeler"]);
        if has_nothing_to_do(config) {
            return settings.into();
        }
        settings
            .section(self.name(), &config.sample)
            .rows(config, &reads())
            .conversations(config, &["long_prompts", "max_seq_len", "chat_date"])
            .into()
    }

    fn inputs<'a>(&self, work: &'a Workspace<'_>) -> Result<Inputs<'a>> {
        if has_nothing_to_do(work.config()) {
            return Ok(work.inputs());
        }
        work.inputs().output(&Sft, WEIGHTS)?.rows(&reads())
    }

    fn run(&self, work: &Workspace<'_>) -> Result<()> {
        if has_nothing_to_do(work.config()) {
            work.note(match work.config().label.labeler {
                LabelerKind::Files => "nothing: people have ranked answers of their own",
                _ => "nothing: nobody ranks (label.labeler)",
            });
            return Ok(());
        }
        let tokenizer = work.tokenizer(&Sft)?;
        let (model, config) = load_causal_lm(&work.folder(&Sft), work.device())?;
        let generator = Generator::new(&model);
        let prompts = work.reward_prompts()?;
        let total = (prompts.train.len() + prompts.validation.len()) as u64;
        let mut done = 0;
        let mut stream = 0;
        for (rows, file) in [
            (&prompts.train, Self::TRAINING),
            (&prompts.validation, Self::VALIDATION),
        ] {
            let settings = &work.config().sample;
            let (ids, kept) = work.prompt_ids(&tokenizer, rows, settings.max_new_tokens, work.max_seq_len(&config))?;
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
                work.report(done, total, "prompts answered");
            }
            write_rows(&work.dir().path().join(file), &answered)?;
        }
        Ok(())
    }
}

/// An answer's index among those of all prompts, and that of its prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AnswerSlot {
    answer: usize,
    prompt: usize,
}

/// The answers that fall to each of `ways` ways of choosing tokens: those of a prompt take them in turn.
fn turns(counts: &[usize], ways: usize) -> Vec<Vec<AnswerSlot>> {
    let mut slots = vec![Vec::new(); ways];
    let mut answer = 0;
    for (prompt, &count) in counts.iter().enumerate() {
        for turn in 0..count {
            slots[turn % ways].push(AnswerSlot { answer, prompt });
            answer += 1;
        }
    }
    slots
}

/// `counts[i]` answers to prompt `ids[i]`, those of a prompt together; the ways of choosing tokens take turns.
fn answers(
    work: &Workspace<'_>,
    tokenizer: &rlhf_data::Tokenizer,
    generator: &Generator,
    ids: &[Vec<u32>],
    counts: &[usize],
    first_stream: u64,
) -> Result<Vec<String>> {
    let settings = &work.config().sample;
    let mut texts = vec![String::new(); counts.iter().sum()];
    let mut stream = first_stream;
    for (sampling, slots) in settings.sampling.iter().zip(turns(counts, settings.sampling.len())) {
        let prompts: Vec<&Vec<u32>> = slots.iter().map(|slot| &ids[slot.prompt]).collect();
        let options = GenerateOptions {
            max_new_tokens: settings.max_new_tokens,
            eos_token_id: tokenizer.eos_token_id(),
            stop_token_ids: tokenizer.other_eos_token_ids().to_vec(),
            batch_size: settings.batch_size,
            sampling: sampling.clone(),
            seed: work.seed(),
            purpose: "sample.answers",
            first_stream: stream,
        };
        stream += slots.len() as u64;
        for (slot, completion) in slots.iter().zip(generator.generate(&prompts, &options)?) {
            texts[slot.answer] = tokenizer.decode(&completion.tokens, true);
        }
    }
    Ok(texts)
}

/// K of a prompt, drawn evenly from `k_min ..= k_max`.
fn number_of_answers(work: &Workspace<'_>, file: &str, row: usize) -> usize {
    let mut rng = rng(work.seed(), "sample.k", &[file.len() as u64, row as u64]);
    rng.random_range(work.config().sample.k_min..=work.config().sample.k_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_a_prompt_take_the_ways_in_turn_from_the_first() {
        let slot = |(answer, prompt)| AnswerSlot { answer, prompt };
        // Prompt 0 has answers 0 to 2, prompt 1 answers 3 to 6: ways 0 1 0 and again from the first 0 1 0 1.
        let expected = [
            [(0, 0), (2, 0), (3, 1), (5, 1)].map(slot).to_vec(),
            [(1, 0), (4, 1), (6, 1)].map(slot).to_vec(),
        ];
        assert_eq!(turns(&[3, 4], 2), expected);
        assert_eq!(turns(&[1], 3), [vec![slot((0, 0))], vec![], vec![]]);
    }
}
