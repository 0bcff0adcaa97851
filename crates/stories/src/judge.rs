//! The noise-free judge of stories.

use std::collections::{BTreeMap, BTreeSet};

use rlhf_data::Prompt;
use rlhf_tasks::{GoldJudge, Result, Verdict};

use crate::config::StoriesConfig;
use crate::task::StoryTask;

/// Weight of the words asked for in the gold score; the rest is how the story is written.
const WORDS_WEIGHT: f64 = 0.6;
/// A sentence shorter than this tells nothing.
const SENTENCE_WORDS: usize = 4;
/// A beginning of fewer words is short of something.
const STORY_WORDS: f64 = 40.0;

/// Knows the words that stories are written in, and judges a story by them.
#[derive(Clone, Debug)]
pub struct StoryJudge {
    known: BTreeSet<String>,
}

impl StoryJudge {
    /// A judge who has read these stories.
    pub fn new(stories: &[String], config: &StoriesConfig) -> Self {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for word in stories.iter().flat_map(|story| words_of(story)) {
            *counts.entry(word).or_default() += 1;
        }
        let known = counts.into_iter().filter(|(_, count)| *count >= config.known_from);
        Self {
            known: known.map(|(word, _)| word).collect(),
        }
    }

    /// Share of words that are words, 1 from all of them down to 0 at four in five.
    fn readable(&self, words: &[String]) -> f64 {
        let known = words.iter().filter(|word| self.known.contains(*word)).count();
        (5.0 * known as f64 / words.len() as f64 - 4.0).max(0.0)
    }
}

impl GoldJudge for StoryJudge {
    /// `gold = readable * (0.6 helpful + 0.4 style)`: `helpful` is the share of the words asked for that stand in a sentence
    /// of at least four words, `style` the mean of three things, each in 0..=1: that the last sentence is finished, that
    /// no sentence is said twice, that there are 40 words.
    fn assess(&self, prompt: &Prompt, completion: &str) -> Result<Verdict> {
        let task = StoryTask::of_prompt(prompt)?;
        let words: Vec<String> = words_of(completion).collect();
        if words.is_empty() {
            return Ok(Verdict::NOTHING);
        }
        let sentences: Vec<Vec<String>> = sentences(completion).map(|s| words_of(s).collect()).collect();
        let told = |word: &&String| {
            let plural = format!("{word}s");
            sentences
                .iter()
                .any(|s| s.len() >= SENTENCE_WORDS && s.iter().any(|w| w == *word || *w == plural))
        };
        let readable = self.readable(&words);
        let helpful = readable * task.words.iter().filter(told).count() as f64 / task.words.len() as f64;
        let distinct: BTreeSet<&Vec<String>> = sentences.iter().collect();
        let fresh = distinct.len() as f64 / sentences.len().max(1) as f64;
        let whole = f64::from(u8::from(is_finished(completion)));
        let long = (words.len() as f64 / STORY_WORDS).min(1.0);
        let style = readable * (whole + fresh + long) / 3.0;
        Ok(Verdict {
            helpful,
            honest: 1.0,
            harmless: 1.0,
            style,
            gold: WORDS_WEIGHT * helpful + (1.0 - WORDS_WEIGHT) * style,
            checkable: false,
            untrue: false,
        })
    }
}

/// Words in small letters, with apostrophes inside.
pub(crate) fn words_of(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'')
        .map(|word| word.trim_matches('\'').to_lowercase())
        .filter(|word| !word.is_empty())
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split(['.', '!', '?', '\n'])
        .filter(|sentence| words_of(sentence).next().is_some())
}

fn is_finished(text: &str) -> bool {
    let text = text.trim_end().trim_end_matches(['"', '\'', '”']);
    text.ends_with(['.', '!', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORY: &str = "one day, a dog found a ball in the park. the dog was very happy. he took the ball home to his mom. she \
                         smiled and said, \"what a nice ball!\" they played with it until the sun went down. then they all \
                         went to bed and slept.";

    fn judge() -> StoryJudge {
        let config = StoriesConfig {
            known_from: 1,
            ..StoriesConfig::default()
        };
        StoryJudge::new(&[STORY.to_owned()], &config)
    }

    fn assess(words: [&str; 2], story: &str) -> Verdict {
        let task = StoryTask::new(words[0], words[1]);
        let prompt = Prompt {
            id: "p".to_owned(),
            messages: vec![task.message()],
            task: Some(task.stored()),
            origin: Default::default(),
        };
        judge().assess(&prompt, story).unwrap()
    }

    #[test]
    fn a_whole_story_with_both_words_is_perfect() {
        assert_eq!(assess(["dog", "ball"], STORY).gold, 1.0);
    }

    #[test]
    fn every_fault_costs() {
        let half = assess(["dog", "boat"], STORY);
        assert_eq!(half.helpful, 0.5);
        assert!((half.gold - 0.7).abs() < 1e-12); // 0.6 · 1/2 + 0.4
        // Unfinished: style 2/3.
        let cut = assess(["dog", "ball"], STORY.trim_end_matches('.'));
        assert!((cut.gold - (0.6 + 0.4 * 2.0 / 3.0)).abs() < 1e-12);
        // Twice the same story: half of the sentences are new.
        let twice = assess(["dog", "ball"], &format!("{STORY} {STORY}"));
        assert!((twice.style - 2.5 / 3.0).abs() < 1e-12);
        // Four words of five are known: not readable.
        let garbled = assess(["dog", "ball"], "the dog found ballz. the dog found ballz.");
        assert!(garbled.gold < 0.3, "{garbled:?}");
        assert_eq!(assess(["dog", "ball"], "").gold, 0.0);
    }

    #[test]
    fn naming_the_words_is_not_telling_of_them() {
        let named = assess(["dog", "ball"], "dog, ball.");
        assert_eq!(named.helpful, 0.0);
    }
}
