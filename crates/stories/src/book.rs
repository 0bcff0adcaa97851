//! Stories, and the tasks made of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rlhf_data::{Demonstration, Message, Prompt};
use rlhf_tasks::{GoldJudge, JudgedTask, PromptSet, stable_hash};

use crate::config::StoriesConfig;
use crate::error::{Error, Result};
use crate::judge::{StoryJudge, words_of};
use crate::task::{StoryTask, WORDS};

/// One pair of words in so many is held out.
const HELD_OUT: u64 = 5;
/// One story in so many is kept from training.
const VALIDATION: u64 = 25;

/// Somebody's stories, split into those that train and those that measure, with the demonstrations made of them.
#[derive(Clone, Debug)]
pub struct StoryBook {
    config: StoriesConfig,
    seed: u64,
    documents: Vec<String>,
    validation_documents: Vec<String>,
    demonstrations: Vec<Demonstration>,
    validation_demonstrations: Vec<Demonstration>,
}

impl StoryBook {
    /// Splits stories by a hash of their text and makes demonstrations of their beginnings.
    ///
    /// # Errors
    /// [`Error::NoDemonstrations`] when no story that may train qualifies as a demonstration.
    pub fn new(stories: Vec<String>, config: &StoriesConfig, seed: u64) -> Result<Self> {
        let count = stories.len();
        let (validation_documents, documents): (Vec<String>, Vec<String>) = stories
            .into_iter()
            .partition(|story| stable_hash(&[story]).is_multiple_of(VALIDATION));
        let demonstrations =
            Telling::new(seed, "story", false, config).demonstrations(&documents, config.demonstrations);
        if demonstrations.is_empty() {
            return Err(Error::NoDemonstrations {
                stories: count,
                max_chars: config.max_chars,
            });
        }
        let validation_demonstrations = Telling::new(seed, "story-validation", true, config)
            .demonstrations(&validation_documents, config.validation_demonstrations);
        Ok(Self {
            config: config.clone(),
            seed,
            documents,
            validation_documents,
            demonstrations,
            validation_demonstrations,
        })
    }

    fn size(&self, set: PromptSet) -> usize {
        match set {
            PromptSet::Reward => self.config.reward_prompts,
            PromptSet::RewardValidation => self.config.validation_reward_prompts,
            PromptSet::Ppo => self.config.ppo_prompts,
            PromptSet::HeldOut => self.config.held_out_prompts,
        }
    }
}

impl JudgedTask for StoryBook {
    /// Stories that may train.
    fn documents(&self) -> &[String] {
        &self.documents
    }

    /// Stories that only measure.
    fn validation_documents(&self) -> &[String] {
        &self.validation_documents
    }

    /// Beginnings of stories behind the prompt that asks for two of their words; no pair of words is held out.
    fn demonstrations(&self) -> &[Demonstration] {
        &self.demonstrations
    }

    /// The same of the validation stories and of held-out words.
    fn validation_demonstrations(&self) -> &[Demonstration] {
        &self.validation_demonstrations
    }

    /// Prompts of a set: pairs of words in an order of the seed, each pair once; fewer than configured where there are no
    /// more pairs.
    fn prompts(&self, set: PromptSet) -> Vec<Prompt> {
        let name = set.as_str();
        let mut rng = stream(self.seed, name);
        let mut tasks: Vec<StoryTask> = pairs()
            .map(|[a, b]| {
                if rng.random_bool(0.5) {
                    StoryTask::new(a, b)
                } else {
                    StoryTask::new(b, a)
                }
            })
            .filter(|task| is_held_out(task) == set.is_held_out())
            .collect();
        tasks.shuffle(&mut rng);
        tasks.truncate(self.size(set));
        let prompt = |(index, task): (usize, StoryTask)| Prompt {
            id: format!("{name}-{index:05}"),
            messages: vec![task.message()],
            task: Some(task.stored()),
            origin: Default::default(),
        };
        tasks.into_iter().enumerate().map(prompt).collect()
    }

    /// A judge who has read the stories that may train.
    fn judge(&self) -> Arc<dyn GoldJudge> {
        Arc::new(StoryJudge::new(&self.documents, &self.config))
    }
}

/// Makes demonstrations of beginnings of stories.
struct Telling {
    name: &'static str,
    held_out: bool,
    max_chars: usize,
    rng: ChaCha8Rng,
}

impl Telling {
    fn new(seed: u64, name: &'static str, held_out: bool, config: &StoriesConfig) -> Self {
        Self {
            name,
            held_out,
            max_chars: config.max_chars,
            rng: stream(seed, name),
        }
    }

    fn demonstrations(mut self, stories: &[String], count: usize) -> Vec<Demonstration> {
        let name = self.name;
        stories
            .iter()
            .filter_map(|story| {
                let beginning = beginning(story, self.max_chars)?;
                Some((task_of(beginning, self.held_out, &mut self.rng)?, beginning))
            })
            .take(count)
            .enumerate()
            .map(|(index, (task, beginning))| Demonstration {
                id: format!("{name}-{index:05}"),
                messages: vec![task.message(), Message::assistant(beginning)],
                task: Some(task.stored()),
                origin: Default::default(),
            })
            .collect()
    }
}

/// As many paragraphs of a story as have room in `max_chars` characters, if there is room for the first.
fn beginning(story: &str, max_chars: usize) -> Option<&str> {
    let story = story.trim();
    let breaks = story.match_indices("\n\n").map(|(at, _)| at);
    let ends = breaks.chain([story.len()]);
    let fits = |end: &usize| (1..=max_chars).contains(&story[..*end].chars().count());
    ends.take_while(fits).last().map(|end| &story[..end])
}

/// Two words of a story, in the order in which they are first told, on the wanted side of the split.
fn task_of(story: &str, held_out: bool, rng: &mut ChaCha8Rng) -> Option<StoryTask> {
    let mut seen = BTreeSet::new();
    let words: Vec<String> = words_of(story)
        .filter(|word| WORDS.contains(&word.as_str()) && seen.insert(word.clone()))
        .collect();
    let mut tasks: Vec<StoryTask> = words
        .iter()
        .enumerate()
        .flat_map(|(i, first)| words[i + 1..].iter().map(|second| StoryTask::new(first, second)))
        .filter(|task| is_held_out(task) == held_out)
        .collect();
    tasks.shuffle(rng);
    tasks.into_iter().next()
}

/// Every two words, in alphabetical order.
fn pairs() -> impl Iterator<Item = [&'static str; 2]> {
    WORDS
        .iter()
        .enumerate()
        .flat_map(|(i, first)| WORDS[i + 1..].iter().map(|second| [*first, *second]))
}

fn is_held_out(task: &StoryTask) -> bool {
    stable_hash(&task.pair()).is_multiple_of(HELD_OUT)
}

fn stream(seed: u64, purpose: &str) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(stable_hash(&[&seed.to_string(), purpose]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stories() -> Vec<String> {
        pairs()
            .map(|[a, b]| format!("once there was a {a}. it saw a {b} and was glad. then they went home."))
            .collect()
    }

    fn pair_of(task: &serde_json::Value) -> Vec<String> {
        let mut words: Vec<String> = serde_json::from_value(task["words"].clone()).unwrap();
        words.sort();
        words
    }

    #[test]
    fn words_that_are_held_out_occur_in_no_training_set() {
        let book = StoryBook::new(stories(), &StoriesConfig::default(), 3).unwrap();
        let pairs = |set| -> BTreeSet<Vec<String>> {
            let prompts = book.prompts(set);
            prompts.iter().map(|p| pair_of(p.task.as_ref().unwrap())).collect()
        };
        let held_out = pairs(PromptSet::HeldOut);
        assert_eq!(held_out.len(), 250);
        assert!(pairs(PromptSet::Reward).is_disjoint(&held_out));
        assert!(pairs(PromptSet::Ppo).is_disjoint(&held_out));
        let demonstrated: BTreeSet<_> = book
            .demonstrations()
            .iter()
            .map(|d| pair_of(d.task.as_ref().unwrap()))
            .collect();
        assert!(demonstrated.len() > 500);
        assert!(demonstrated.is_disjoint(&held_out));
    }

    #[test]
    fn a_demonstration_tells_of_the_words_it_was_asked_for() {
        let book = StoryBook::new(stories(), &StoriesConfig::default(), 3).unwrap();
        for row in book.demonstrations() {
            for word in pair_of(row.task.as_ref().unwrap()) {
                assert!(row.messages[0].content.contains(&word), "{row:?}");
                assert!(row.messages[1].content.contains(&word), "{row:?}");
            }
        }
    }

    #[test]
    fn a_beginning_is_as_many_paragraphs_as_have_room() {
        let story = "one two.\n\nthree.\n\nfour five six.\n";
        for (max_chars, expected) in [
            (7, None),
            (8, Some("one two.")),
            (17, Some("one two.\n\nthree.")),
            (99, Some(story.trim())),
        ] {
            assert_eq!(beginning(story, max_chars), expected, "{max_chars}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_rows() {
        let book = |seed| StoryBook::new(stories(), &StoriesConfig::default(), seed).unwrap();
        let prompts = |seed| book(seed).prompts(PromptSet::Ppo);
        assert_eq!(prompts(1), prompts(1));
        assert_ne!(prompts(1), prompts(2));
    }

    #[test]
    fn text_without_such_stories_is_an_error_that_says_what_was_expected() {
        let book = StoryBook::new(vec!["Quarterly figures.".to_owned()], &StoriesConfig::default(), 1);
        let message = book.unwrap_err().to_string();
        assert!(message.contains("expected stories for children"), "{message}");
    }
}
