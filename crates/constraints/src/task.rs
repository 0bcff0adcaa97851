//! The judged task: anybody's rows with constraints on top.

use std::sync::Arc;

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use rlhf_data::{Demonstration, Message, Prompt, Role};
use rlhf_tasks::{GoldJudge, JudgedTask, PromptSet, stream};

use crate::config::ConstraintsConfig;
use crate::conflict::compatible;
use crate::constraint::Constraint;
use crate::deal::Dealer;
use crate::demonstrate::demonstrate;
use crate::error::{Error, Result};
use crate::judge::{ConstraintJudge, ConstraintsAsked};
use crate::text::words;
use crate::wordings::WORDINGS;

/// One prompt in so many of a set that measures has a kind that is held out.
const HELD_OUT: usize = 3;
/// Draws of a second constraint that goes with the first.
const PARTNERS: usize = 8;

/// Somebody's rows, split into those that train and those that measure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserRows {
    /// Texts to pretrain on.
    pub documents: Vec<String>,
    /// Texts for validation perplexity.
    pub validation_documents: Vec<String>,
    /// Conversations of which demonstrations for SFT are made.
    pub demonstrations: Vec<Demonstration>,
    /// Conversations for the validation loss of SFT.
    pub validation_demonstrations: Vec<Demonstration>,
    /// Prompts for comparisons.
    pub reward_prompts: Vec<Prompt>,
    /// Prompts for comparisons that only measure.
    pub validation_reward_prompts: Vec<Prompt>,
    /// Prompts for PPO.
    pub ppo_prompts: Vec<Prompt>,
    /// Prompts for the final evaluation.
    pub held_out_prompts: Vec<Prompt>,
}

/// A task made of somebody's rows: do what the request says, and keep a constraint or two.
///
/// The rows of each list are used alone for that list, so texts that the user keeps apart stay apart. Where a list has
/// fewer rows than asked for, its rows are used again with other constraints.
#[derive(Clone, Debug)]
pub struct ConstraintTask {
    judge: ConstraintJudge,
    documents: Vec<String>,
    validation_documents: Vec<String>,
    demonstrations: Vec<Demonstration>,
    validation_demonstrations: Vec<Demonstration>,
    /// The prompts of each set, in the order of [`SETS`].
    prompts: [Vec<Prompt>; 4],
}

/// The sets of prompts.
const SETS: [PromptSet; 4] = [
    PromptSet::Reward,
    PromptSet::RewardValidation,
    PromptSet::Ppo,
    PromptSet::HeldOut,
];

impl ConstraintTask {
    /// Puts constraints on rows; the same seed gives the same task.
    ///
    /// # Errors
    /// Faults of the configuration, or a list of rows none of which takes a constraint. A list without rows stays empty.
    pub fn new(rows: UserRows, config: &ConstraintsConfig, seed: u64) -> Result<Self> {
        config.validate().into_result()?;
        let writer = Writer {
            config,
            training: config.training_kinds(),
            held_out: config.kinds_held_out(),
            seed,
        };
        let demonstrations = writer.demonstrations("constraint", &rows.demonstrations, config.demonstrations)?;
        let validation_demonstrations = writer.demonstrations(
            "constraint-validation",
            &rows.validation_demonstrations,
            config.validation_demonstrations,
        )?;
        let prompts = |set| match set {
            PromptSet::Reward => writer.prompts(set, &rows.reward_prompts, config.reward_prompts),
            PromptSet::RewardValidation => {
                writer.prompts(set, &rows.validation_reward_prompts, config.validation_reward_prompts)
            }
            PromptSet::Ppo => writer.prompts(set, &rows.ppo_prompts, config.ppo_prompts),
            PromptSet::HeldOut => writer.prompts(set, &rows.held_out_prompts, config.held_out_prompts),
        };
        let [reward, reward_validation, ppo, held_out] = SETS.map(prompts);
        Ok(Self {
            judge: ConstraintJudge::new(config.shaping),
            documents: rows.documents,
            validation_documents: rows.validation_documents,
            demonstrations,
            validation_demonstrations,
            prompts: [reward?, reward_validation?, ppo?, held_out?],
        })
    }
}

impl JudgedTask for ConstraintTask {
    /// The user's, unchanged.
    fn documents(&self) -> &[String] {
        &self.documents
    }

    /// The user's, unchanged.
    fn validation_documents(&self) -> &[String] {
        &self.validation_documents
    }

    /// Requests with constraints of training kinds, and answers that keep them.
    fn demonstrations(&self) -> &[Demonstration] {
        &self.demonstrations
    }

    /// The same of the rows kept for validation.
    fn validation_demonstrations(&self) -> &[Demonstration] {
        &self.validation_demonstrations
    }

    /// Requests with constraints; in sets that measure every third has one of a kind that is held out.
    fn prompts(&self, set: PromptSet) -> Vec<Prompt> {
        let mut lists = SETS.iter().zip(&self.prompts);
        let found = lists.find(|(other, _)| **other == set);
        found.map(|(_, prompts)| prompts.clone()).unwrap_or_default()
    }

    fn judge(&self) -> Arc<dyn GoldJudge> {
        Arc::new(self.judge)
    }
}

/// Puts constraints on rows.
struct Writer<'a> {
    config: &'a ConstraintsConfig,
    training: Vec<&'static str>,
    held_out: Vec<&'static str>,
    seed: u64,
}

impl Writer<'_> {
    fn prompts(&self, set: PromptSet, rows: &[Prompt], wanted: usize) -> Result<Vec<Prompt>> {
        let usable = rows.iter().filter(|row| self.is_short(&row.messages));
        let mut dealer = Dealer::new(usable, wanted, stream(self.seed, set.as_str(), 0));
        if dealer.is_empty() && !rows.is_empty() && wanted > 0 {
            return Err(Error::NoPrompts {
                set,
                rows: rows.len(),
                max_prompt_words: self.config.max_prompt_words,
            });
        }
        let with_held_out = if set.is_held_out() && !self.held_out.is_empty() {
            wanted / HELD_OUT
        } else {
            0
        };
        let make = |kind: &'static str, row: &Prompt, rng: &mut ChaCha8Rng| self.prompt(kind, row, rng);
        let mut made = dealer.deal(&self.held_out, with_held_out, make);
        made.extend(dealer.deal(&self.training, wanted - with_held_out, make));
        made.shuffle(&mut stream(self.seed, set.as_str(), 1));
        for (index, prompt) in made.iter_mut().enumerate() {
            prompt.id = format!("{}-{index:05}", set.as_str());
        }
        Ok(made)
    }

    fn demonstrations(&self, name: &str, rows: &[Demonstration], wanted: usize) -> Result<Vec<Demonstration>> {
        let usable = rows.iter().filter(|row| self.is_short(row.prompt()));
        let mut dealer = Dealer::new(usable, wanted, stream(self.seed, name, 0));
        let make = |kind: &'static str, row: &Demonstration, rng: &mut ChaCha8Rng| self.demonstration(kind, row, rng);
        let mut made = dealer.deal(&self.training, wanted, make);
        if made.is_empty() && !rows.is_empty() && wanted > 0 {
            return Err(Error::NoDemonstrations {
                rows: rows.len(),
                max_prompt_words: self.config.max_prompt_words,
            });
        }
        for (index, demonstration) in made.iter_mut().enumerate() {
            demonstration.id = format!("{name}-{index:05}");
        }
        Ok(made)
    }

    /// True of a conversation that ends with a request that is not too long.
    fn is_short(&self, messages: &[Message]) -> bool {
        let most = self.config.max_prompt_words;
        request_of(messages).is_some_and(|request| (1..=most).contains(&words(request).len()))
    }

    fn prompt(&self, kind: &str, row: &Prompt, rng: &mut ChaCha8Rng) -> Option<(String, Prompt)> {
        let request = request_of(&row.messages)?;
        let mut constraints = vec![Constraint::draw(kind, request, rng)?];
        if rng.random_bool(self.config.combined) {
            let second = (0..PARTNERS).find_map(|_| {
                let drawn = Constraint::draw(self.training.choose(rng)?, request, rng)?;
                compatible(&constraints[0], &drawn).then_some(drawn)
            });
            constraints.extend(second);
        }
        let asked = ConstraintsAsked::new(request, constraints, &self.held_out);
        let prompt = Prompt {
            id: String::new(),
            messages: with_instructions(&row.messages, &asked, rng),
            task: Some(asked.stored()),
            origin: row.origin.clone(),
        };
        Some((likeness(&row.messages, &asked), prompt))
    }

    fn demonstration(&self, kind: &str, row: &Demonstration, rng: &mut ChaCha8Rng) -> Option<(String, Demonstration)> {
        let request = request_of(row.prompt())?;
        let (first, mut answer) = demonstrate(kind, request, row.completion(), rng)?;
        let mut constraints = vec![first];
        if rng.random_bool(self.config.combined) {
            let second = (0..PARTNERS).find_map(|_| {
                let (second, both) = demonstrate(self.training.choose(rng)?, request, &answer, rng)?;
                let keeps_first = constraints[0].check(request, &both).met;
                (compatible(&constraints[0], &second) && keeps_first).then_some((second, both))
            });
            if let Some((second, both)) = second {
                constraints.push(second);
                answer = both;
            }
        }
        let asked = ConstraintsAsked::new(request, constraints, &self.held_out);
        let mut messages = with_instructions(row.prompt(), &asked, rng);
        let last = row.learnt().last()?;
        messages.push(Message {
            content: answer,
            ..last.clone()
        });
        let demonstration = Demonstration {
            id: String::new(),
            messages,
            task: Some(asked.stored()),
            origin: row.origin.clone(),
        };
        Some((likeness(row.prompt(), &asked), demonstration))
    }
}

/// The text of the last message, if it is the user's.
fn request_of(messages: &[Message]) -> Option<&str> {
    let last = messages.last().filter(|message| message.role == Role::User);
    last.map(|message| message.content.trim())
}

/// A text that is the same for rows that ask the same in any wording.
fn likeness(messages: &[Message], asked: &ConstraintsAsked) -> String {
    let said: Vec<&str> = messages.iter().map(|message| message.content.trim()).collect();
    let constraints = serde_json::to_string(&asked.constraints).expect("constraints are plain data");
    format!("{}\n{constraints}", said.join("\n"))
}

/// The messages with the instructions behind the request.
fn with_instructions(messages: &[Message], asked: &ConstraintsAsked, rng: &mut ChaCha8Rng) -> Vec<Message> {
    let mut instructions: Vec<String> = Vec::new();
    for constraint in &asked.constraints {
        instructions.push(constraint.instruction(rng.random_range(0..WORDINGS)));
    }
    let request = &asked.request;
    let finished = request.ends_with(['.', '!', '?']) && !request.contains('\n');
    let gap = match (finished, rng.random_bool(0.5)) {
        (true, true) => " ",
        (_, true) => "\n",
        (_, false) => "\n\n",
    };
    // Phrases end an instruction without a mark of its own, so that a second one begins a line.
    let content = format!(
        "{request}{gap}{}",
        instructions.join(if gap == " " { " " } else { "\n" })
    );
    let mut messages = messages.to_vec();
    if let Some(last) = messages.last_mut() {
        last.content = content;
    }
    messages
}
