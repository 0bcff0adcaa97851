//! Answers side by side, with what differs between them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::folder::RunFolder;
use crate::models::{MODELS, models};
use crate::number::{fixed, number};

/// Prompts that a page shows: enough to read for ten minutes, and a page of less than 3 MB.
const SHOWN: usize = 60;
/// Characters of a prompt or of an answer that is compared.
const LONGEST: usize = 1200;
/// Characters of other answers.
const LONGEST_OTHER: usize = 600;
/// Texts that have less than this share of their letters in common are different texts, and marking all of them says nothing.
const LEAST_IN_COMMON: f64 = 0.25;

/// A part of a text, marked if the other text does not have it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Part {
    pub(crate) text: String,
    pub(crate) differs: bool,
}

/// An answer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Answer {
    pub(crate) model: String,
    pub(crate) parts: Vec<Part>,
    /// Gold, score and whatever else was said of it, as words.
    pub(crate) figures: String,
    pub(crate) wins: bool,
}

/// A prompt with its answers.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sample {
    pub(crate) prompt: String,
    pub(crate) kind: String,
    /// Place of the winner among the two, `tie`, or `unknown` where nobody judged.
    pub(crate) outcome: &'static str,
    pub(crate) outcome_text: String,
    pub(crate) left: Answer,
    pub(crate) right: Answer,
    pub(crate) others: Vec<Answer>,
}

/// Samples of a page.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Samples {
    pub(crate) shown: Vec<Sample>,
    /// Prompts that there are.
    pub(crate) of: usize,
    pub(crate) kinds: Vec<String>,
    pub(crate) left: String,
    pub(crate) right: String,
    /// Who says which answer is better.
    pub(crate) judge: String,
}

/// Which of the two stands where, and what else there is to show.
struct Pair<'a> {
    prompt: &'a Value,
    left: &'a Value,
    right: &'a Value,
    others: Vec<(&'static str, &'a Value)>,
}

/// SFT beside PPO of one run, or the last models of two runs on the prompts that both have.
pub(crate) fn samples(runs: &[RunFolder]) -> Samples {
    match runs {
        [run] => of_one(run),
        [first, second, ..] => of_two(first, second),
        [] => Samples::default(),
    }
}

fn of_one(run: &RunFolder) -> Samples {
    let there: Vec<&'static str> = (MODELS.iter().map(|model| model.0))
        .filter(|key| run.samples.iter().any(|row| row[*key].is_object()))
        .collect();
    let has = |key: &&&str| there.contains(*key);
    let left = ["sft", "base"].iter().find(has);
    let right = ["ppo", "ppo_ema", "best_of_n"].iter().find(has);
    let (Some(left), Some(right)) = (left, right) else {
        return Samples::default();
    };
    let pairs = run.samples.iter().map(|row| Pair {
        prompt: row,
        left: &row[*left],
        right: &row[*right],
        others: (there.iter())
            .filter(|key| **key != *left && **key != *right)
            .map(|key| (*key, &row[*key]))
            .collect(),
    });
    let names: BTreeMap<&str, String> = (models(&run.eval).into_iter())
        .map(|(key, name, _)| (key, name))
        .collect();
    let name = |key: &str| names.get(key).cloned().unwrap_or_else(|| crate::models::called(key));
    chosen(pairs.collect(), name(left), name(right), &name)
}

fn of_two(first: &RunFolder, second: &RunFolder) -> Samples {
    let key = |row: &Value| (row["id"].as_str().unwrap_or_default().to_owned(), prompt_of(row));
    let theirs: BTreeMap<_, &Value> = second.samples.iter().map(|row| (key(row), row)).collect();
    let last = |row: &'_ Value| ["ppo", "sft", "base"].into_iter().find(|model| row[*model].is_object());
    let pairs = first.samples.iter().filter_map(|row| {
        let other = *theirs.get(&key(row))?;
        Some(Pair {
            prompt: row,
            left: &row[last(row)?],
            right: &other[last(other)?],
            others: Vec::new(),
        })
    });
    let name = |run: &RunFolder| format!("PPO · {}", run.name);
    chosen(pairs.collect(), name(first), name(second), &crate::models::called)
}

/// The first pairs of every kind in turn: chosen by their place, not by who won.
fn chosen(pairs: Vec<Pair<'_>>, left: String, right: String, name: &dyn Fn(&str) -> String) -> Samples {
    let of = pairs.len();
    let has_gold = pairs.iter().any(|pair| number(&pair.left["gold"]).is_some());
    let measure = if has_gold { "gold" } else { "score" };
    let mut by_kind: BTreeMap<String, Vec<Pair<'_>>> = BTreeMap::new();
    for pair in pairs {
        by_kind.entry(kind_of(pair.prompt)).or_default().push(pair);
    }
    let kinds: Vec<String> = by_kind.keys().cloned().collect();
    let mut by_kind: Vec<_> = by_kind
        .into_iter()
        .map(|(kind, pairs)| (kind, pairs.into_iter()))
        .collect();
    let mut shown = Vec::new();
    while shown.len() < SHOWN {
        let before = shown.len();
        for (kind, pairs) in &mut by_kind {
            if shown.len() < SHOWN
                && let Some(pair) = pairs.next()
            {
                shown.push(sample(&pair, kind, measure, (&left, &right), name));
            }
        }
        if shown.len() == before {
            break;
        }
    }
    Samples {
        shown,
        of,
        kinds,
        left,
        right,
        judge: if has_gold {
            "the judge of the task"
        } else {
            "the reward model"
        }
        .to_owned(),
    }
}

fn kind_of(row: &Value) -> String {
    row["kind"].as_str().unwrap_or("other").replace('_', " ")
}

fn prompt_of(row: &Value) -> String {
    let messages = row["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let turn = |message: &Value| {
        let text = message["content"].as_str().unwrap_or_default();
        match message["role"].as_str() {
            Some("user") | None if messages.len() == 1 => text.to_owned(),
            role => format!("{}: {text}", role.unwrap_or("user")),
        }
    };
    messages.iter().map(turn).collect::<Vec<_>>().join("\n")
}

fn sample(pair: &Pair<'_>, kind: &str, measure: &str, names: (&str, &str), name: &dyn Fn(&str) -> String) -> Sample {
    let text = |answer: &Value| shown(answer["completion"].as_str().unwrap_or_default(), LONGEST);
    let (left, right) = (text(pair.left), text(pair.right));
    let (left_value, right_value) = (number(&pair.left[measure]), number(&pair.right[measure]));
    // The same answer is a tie, whatever rounding says.
    let outcome = match (left_value, right_value) {
        _ if left == right => "tie",
        (Some(ours), Some(theirs)) if ours > theirs => "left",
        (Some(ours), Some(theirs)) if ours < theirs => "right",
        (Some(_), Some(_)) => "tie",
        _ => "unknown",
    };
    let outcome_text = match outcome {
        "left" => format!("{} better", names.0),
        "right" => format!("{} better", names.1),
        "tie" => "no difference".to_owned(),
        _ => "not judged".to_owned(),
    };
    let (left_parts, right_parts) = differences(&left, &right);
    let answer = |model: &str, parts: Vec<Part>, value: &Value, wins: bool| Answer {
        model: model.to_owned(),
        parts,
        figures: figures_of(value),
        wins,
    };
    Sample {
        prompt: shown(&prompt_of(pair.prompt), LONGEST),
        kind: kind.to_owned(),
        outcome,
        outcome_text,
        left: answer(names.0, left_parts, pair.left, outcome == "left"),
        right: answer(names.1, right_parts, pair.right, outcome == "right"),
        others: (pair.others.iter())
            .map(|(key, value)| {
                let text = shown(value["completion"].as_str().unwrap_or_default(), LONGEST_OTHER);
                answer(&name(key), vec![Part { text, differs: false }], value, false)
            })
            .collect(),
    }
}

/// What was said of an answer.
fn figures_of(answer: &Value) -> String {
    let mut words = Vec::new();
    for key in ["gold", "score"] {
        words.extend(number(&answer[key]).map(|value| format!("{key} {}", fixed(value, 2))));
    }
    if answer["untrue"].as_bool() == Some(true) {
        words.push("untrue".to_owned());
    }
    for (judge, score) in answer["second"].as_object().into_iter().flatten() {
        words.extend(number(score).map(|score| format!("{judge} {}", fixed(score, 2))));
    }
    words.join(" · ")
}

/// Two texts with the words marked that the other does not have.
fn differences(left: &str, right: &str) -> (Vec<Part>, Vec<Part>) {
    let unmarked = |text: &str| {
        vec![Part {
            text: text.to_owned(),
            differs: false,
        }]
    };
    let diff = TextDiff::from_unicode_words(left, right);
    // Spaces and stops are in every text.
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count() as f64;
    let same = diff
        .iter_all_changes()
        .filter(|change| change.tag() == ChangeTag::Equal);
    let in_common: f64 = same.map(|change| 2.0 * letters(change.value())).sum();
    if left == right || in_common < LEAST_IN_COMMON * (letters(left) + letters(right)) {
        return (unmarked(left), unmarked(right));
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for change in diff.iter_all_changes() {
        let text = change.value();
        match change.tag() {
            ChangeTag::Delete => push(&mut ours, text, true),
            ChangeTag::Insert => push(&mut theirs, text, true),
            ChangeTag::Equal => {
                push(&mut ours, text, false);
                push(&mut theirs, text, false);
            }
        }
    }
    (ours, theirs)
}

/// Adds a text to the last part if it is of its kind.
fn push(parts: &mut Vec<Part>, text: &str, differs: bool) {
    match parts.last_mut() {
        Some(last) if last.differs == differs => last.text.push_str(text),
        _ => parts.push(Part {
            text: text.to_owned(),
            differs,
        }),
    }
}

/// A text of no more than so many characters.
fn shown(text: &str, longest: usize) -> String {
    let mut shown: String = text.chars().take(longest).collect();
    let rest = text.chars().count().saturating_sub(longest);
    if rest > 0 {
        shown.push_str(&format!("… ({rest} more characters)"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(id: usize, kind: &str, gold: (f64, f64)) -> Value {
        json!({
            "id": format!("p{id}"),
            "kind": kind,
            "messages": [{ "role": "user", "content": format!("Question {id}?") }],
            "base": { "completion": "It.", "gold": 0.0 },
            "sft": { "completion": "The mint likes wet ground.", "gold": gold.0, "untrue": true },
            "ppo": { "completion": "The mint likes dry ground.", "gold": gold.1, "score": 1.5 },
        })
    }

    fn run(samples: Vec<Value>) -> RunFolder {
        RunFolder {
            samples,
            ..RunFolder::default()
        }
    }

    fn texts(parts: &[Part]) -> Vec<(&str, bool)> {
        parts.iter().map(|part| (part.text.as_str(), part.differs)).collect()
    }

    #[test]
    fn words_that_differ_are_marked_on_both_sides() {
        let found = samples(&[run(vec![row(1, "fact", (0.2, 0.9))])]);
        let sample = &found.shown[0];
        assert_eq!(
            texts(&sample.left.parts),
            [("The mint likes ", false), ("wet", true), (" ground.", false)]
        );
        assert_eq!(
            texts(&sample.right.parts),
            [("The mint likes ", false), ("dry", true), (" ground.", false)]
        );
        assert_eq!((sample.outcome, sample.outcome_text.as_str()), ("right", "PPO better"));
        assert!(sample.right.wins && !sample.left.wins);
        assert_eq!(sample.left.figures, "gold 0.20 · untrue");
        assert_eq!(sample.right.figures, "gold 0.90 · score 1.50");
        assert_eq!(sample.others[0].model, "base");
    }

    #[test]
    fn kinds_take_turns_and_no_more_are_shown_than_fit() {
        let mut rows: Vec<Value> = (0..200).map(|id| row(id, "fact", (0.5, 0.5))).collect();
        rows.push(row(200, "list", (0.9, 0.1)));
        let found = samples(&[run(rows)]);
        assert_eq!((found.shown.len(), found.of), (SHOWN, 201));
        assert_eq!(found.kinds, ["fact", "list"]);
        assert_eq!((found.shown[0].outcome, found.shown[1].outcome), ("tie", "left"));
        assert_eq!(found.shown[1].kind, "list");
    }

    #[test]
    fn texts_with_nothing_in_common_are_not_marked() {
        let (left, right) = differences("alpha beta gamma", "one two three four");
        assert!(left.iter().chain(&right).all(|part| !part.differs));
    }

    #[test]
    fn what_nobody_judged_is_not_said_to_be_a_tie() {
        let mut unjudged = row(1, "fact", (0.0, 0.0));
        unjudged["sft"]["gold"] = Value::Null;
        unjudged["ppo"]["gold"] = Value::Null;
        let found = samples(&[run(vec![unjudged])]);
        assert_eq!(found.shown[0].outcome_text, "not judged");
    }

    #[test]
    fn two_runs_are_compared_on_the_prompts_that_both_have() {
        let (mut a, mut b) = (
            run(vec![row(1, "fact", (0.1, 0.2)), row(2, "fact", (0.1, 0.2))]),
            run(vec![row(2, "fact", (0.9, 0.8))]),
        );
        (a.name, b.name) = ("a".into(), "b".into());
        let found = samples(&[a, b]);
        assert_eq!((found.of, found.shown[0].outcome_text.as_str()), (1, "no difference"));
        assert_eq!(found.shown[0].right.model, "PPO · b");
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(shown("abc", 3), "abc");
        assert_eq!(shown("abcdef", 4), "abcd… (2 more characters)");
    }

    #[test]
    fn nothing_is_shown_of_a_run_without_two_models() {
        let alone = json!({ "messages": [], "sft": { "completion": "x" } });
        assert_eq!(samples(&[run(vec![alone])]).shown.len(), 0);
    }
}
