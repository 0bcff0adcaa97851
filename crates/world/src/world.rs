//! The world as a whole: facts, texts, prompts and demonstrations, and the split between training and held-out.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rlhf_data::{Demonstration, Message, Prompt};
use rlhf_tasks::{GoldJudge, JudgedTask, PromptSet, stable_hash, stream};
use serde_json::Value;

use crate::config::WorldConfig;
use crate::demonstrations::{Writer, writers};
use crate::documents;
use crate::facts::Facts;
use crate::judge::Judge;
use crate::task::{Flaw, Task};
use crate::tasks::{self, Draft, Manner, WEIGHTS};

/// One signature in this many is kept from training.
const HELD_OUT_ONE_IN: u64 = 8;

/// An invented valley: its facts, and every text and prompt made of them.
///
/// The same seed and configuration give the same world, byte for byte.
#[derive(Clone, Debug)]
pub struct World {
    seed: u64,
    facts: Facts,
    documents: Vec<String>,
    validation_documents: Vec<String>,
    demonstrations: Vec<Demonstration>,
    validation_demonstrations: Vec<Demonstration>,
    prompts: [(PromptSet, Vec<Prompt>); 4],
}

/// True of signatures on the held-out side of the split.
fn is_held_out(seed: u64, signature: &str) -> bool {
    stable_hash(&[&seed.to_string(), "held-out", signature]).is_multiple_of(HELD_OUT_ONE_IN)
}

/// The stored form of a task, with what a demonstration adds to it.
fn stored(task: &Task, writer: Option<&Writer>, flaw: Option<Flaw>) -> Option<Value> {
    let mut value = serde_json::to_value(task).ok()?;
    let fields = value.as_object_mut()?;
    if let Some(writer) = writer {
        fields.insert("writer".to_owned(), writer.id.clone().into());
    }
    if let Some(flaw) = flaw {
        fields.insert("flaw".to_owned(), serde_json::to_value(flaw).ok()?);
    }
    Some(value)
}

/// Hands out prompts that have not been seen, on one side of the split.
struct Press<'a> {
    seed: u64,
    facts: &'a Facts,
    seen: BTreeSet<String>,
}

impl Press<'_> {
    fn draft(&mut self, rng: &mut ChaCha8Rng, held_out: bool) -> Draft {
        loop {
            let kind = WEIGHTS.choose_weighted(rng, |w| w.1).map_or(WEIGHTS[0].0, |w| w.0);
            // A kind may have said everything it can on this side of the split; then another kind's turn comes.
            for _ in 0..200 {
                let draft = tasks::draft(rng, self.facts, kind);
                if is_held_out(self.seed, &draft.signature) != held_out {
                    continue;
                }
                // The text of the whole conversation; the first user turn alone decides splits elsewhere.
                let key = match draft.messages.as_slice() {
                    [only] => only.content.clone(),
                    all => all.iter().map(|m| m.content.as_str()).collect::<Vec<_>>().join("\n"),
                };
                if self.seen.insert(key) {
                    return draft;
                }
            }
        }
    }

    fn prompts(&mut self, set: PromptSet, count: usize) -> Vec<Prompt> {
        (0..count)
            .map(|i| {
                let mut rng = stream(self.seed, set.as_str(), i as u64);
                let draft = self.draft(&mut rng, set.is_held_out());
                Prompt {
                    id: format!("{}-{i:05}", set.as_str()),
                    task: stored(&draft.task, None, None),
                    origin: Default::default(),
                    messages: draft.messages,
                }
            })
            .collect()
    }

    fn demonstrations(&mut self, name: &str, count: usize, share: f64, held_out: bool) -> Vec<Demonstration> {
        let writers = writers(self.seed);
        (0..count)
            .map(|i| {
                let mut rng = stream(self.seed, name, i as u64);
                let draft = self.draft(&mut rng, held_out);
                let writer = &writers[rng.random_range(0..writers.len())];
                let flaw = writer.slip(&mut rng, draft.task.kind(), share);
                let answer = tasks::answer(&mut rng, self.facts, &draft.task, &writer.manner, flaw);
                let mut messages = draft.messages;
                messages.push(Message::assistant(answer));
                Demonstration {
                    id: format!("{name}-{i:05}"),
                    messages,
                    task: stored(&draft.task, Some(writer), flaw),
                    origin: Default::default(),
                }
            })
            .collect()
    }
}

impl World {
    /// Generates the world of a seed.
    pub fn generate(seed: u64, config: &WorldConfig) -> World {
        let facts = Facts::generate(seed);
        let mut press = Press {
            seed,
            facts: &facts,
            seen: BTreeSet::new(),
        };
        // Held-out sets first, so that their content does not depend on the sizes of the training sets.
        let held_out = press.prompts(PromptSet::HeldOut, config.held_out_prompts);
        let reward_validation = press.prompts(PromptSet::RewardValidation, config.validation_reward_prompts);
        let share = config.flawed_share;
        let validation_demonstrations = press.demonstrations(
            "demonstration-validation",
            config.validation_demonstrations,
            share,
            true,
        );
        let demonstrations = press.demonstrations("demonstration", config.demonstrations, share, false);
        let reward = press.prompts(PromptSet::Reward, config.reward_prompts);
        let ppo = press.prompts(PromptSet::Ppo, config.ppo_prompts);

        let mut seen = BTreeSet::new();
        let may_ask = |signature: &str| !is_held_out(seed, signature);
        let bytes = config.validation_document_bytes;
        let validation_documents = documents::write(seed, "document-validation", &facts, bytes, &mut seen, &may_ask);
        let documents = documents::write(seed, "document", &facts, config.document_bytes, &mut seen, &may_ask);
        let prompts = [
            (PromptSet::Reward, reward),
            (PromptSet::RewardValidation, reward_validation),
            (PromptSet::Ppo, ppo),
            (PromptSet::HeldOut, held_out),
        ];
        World {
            seed,
            facts,
            documents,
            validation_documents,
            demonstrations,
            validation_demonstrations,
            prompts,
        }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The prompts of a set with a good answer each, as a careful writer would give it.
    pub fn references(&self, set: PromptSet) -> Vec<Demonstration> {
        let prompts = self.prompts(set);
        prompts
            .into_iter()
            .filter_map(|prompt| self.reference(&prompt))
            .collect()
    }

    /// A good answer to a prompt of this world; nothing for prompts without a task.
    pub fn reference(&self, prompt: &Prompt) -> Option<Demonstration> {
        let task = Task::of_prompt(prompt).ok()?;
        let mut rng = stream(self.seed, &format!("reference {}", prompt.id), 0);
        let answer = tasks::answer(&mut rng, &self.facts, &task, &Manner::GOOD, None);
        let mut messages = prompt.messages.clone();
        messages.push(Message::assistant(answer));
        Some(Demonstration {
            id: prompt.id.clone(),
            messages,
            task: prompt.task.clone(),
            origin: Default::default(),
        })
    }

    /// An answer with a flaw, or a good one; for tables and tests.
    pub fn answer(&self, prompt: &Prompt, flaw: Option<Flaw>, variant: u64) -> Option<String> {
        let task = Task::of_prompt(prompt).ok()?;
        let mut rng = stream(self.seed, &format!("answer {} {flaw:?}", prompt.id), variant);
        Some(tasks::answer(&mut rng, &self.facts, &task, &Manner::GOOD, flaw))
    }

    /// Number of facts.
    pub fn fact_count(&self) -> usize {
        Facts::all().count()
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }
}

impl JudgedTask for World {
    fn documents(&self) -> &[String] {
        &self.documents
    }

    fn validation_documents(&self) -> &[String] {
        &self.validation_documents
    }

    fn demonstrations(&self) -> &[Demonstration] {
        &self.demonstrations
    }

    fn validation_demonstrations(&self) -> &[Demonstration] {
        &self.validation_demonstrations
    }

    fn prompts(&self, set: PromptSet) -> Vec<Prompt> {
        self.prompts
            .iter()
            .find(|(s, _)| *s == set)
            .map_or_else(Vec::new, |(_, prompts)| prompts.clone())
    }

    fn judge(&self) -> Arc<dyn GoldJudge> {
        Arc::new(Judge::new(self))
    }
}
