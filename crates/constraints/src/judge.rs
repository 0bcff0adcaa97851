//! The noise-free judge of checkable instructions.

use rlhf_data::Prompt;
use rlhf_tasks::{GoldJudge, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::check::Check;
use crate::constraint::Constraint;
use crate::error::{Error, Result};
use crate::text::has_word;

/// The task of a prompt, as it is stored beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConstraintsAsked {
    /// The names of the kinds, joined by "+": the name by which tables group prompts.
    pub kind: String,
    /// One constraint or two.
    pub constraints: Vec<Constraint>,
    /// The request without the instructions.
    pub request: String,
    /// True if one of the kinds is held out of training.
    pub held_out_kind: bool,
    /// The same in words: the group by which evaluation sums up.
    pub group: String,
}

impl ConstraintsAsked {
    /// These constraints on top of a request.
    pub(crate) fn new(request: &str, constraints: Vec<Constraint>, held_out: &[&str]) -> Self {
        let kinds: Vec<&str> = constraints.iter().map(Constraint::kind).collect();
        let held_out_kind = kinds.iter().any(|kind| held_out.contains(kind));
        let group = if held_out_kind {
            "held-out kinds"
        } else {
            "kinds trained on"
        };
        Self {
            kind: kinds.join("+"),
            held_out_kind,
            group: group.to_owned(),
            constraints,
            request: request.to_owned(),
        }
    }

    /// The task as it is stored beside a row.
    pub(crate) fn stored(&self) -> Value {
        serde_json::to_value(self).expect("a task is plain data")
    }

    /// A stored task.
    ///
    /// # Errors
    /// [`Error::BadTask`].
    pub fn of_task(task: &Value) -> Result<Self> {
        Self::deserialize(task).map_err(|source| Error::BadTask { source })
    }

    /// The task stored beside a prompt.
    ///
    /// # Errors
    /// [`rlhf_tasks::Error::NoTask`] or [`rlhf_tasks::Error::BadTask`].
    pub fn of_prompt(prompt: &Prompt) -> rlhf_tasks::Result<Self> {
        let id = || prompt.id.clone();
        let task = prompt
            .task
            .as_ref()
            .ok_or_else(|| rlhf_tasks::Error::NoTask { id: id() })?;
        Self::deserialize(task).map_err(|source| rlhf_tasks::Error::BadTask { id: id(), source })
    }

    /// The outcome for each constraint, with its kind.
    pub fn checks(&self, answer: &str) -> Vec<(&'static str, Check)> {
        let check = |constraint: &Constraint| (constraint.kind(), constraint.check(&self.request, answer));
        self.constraints.iter().map(check).collect()
    }
}

/// Checks answers against the constraints that are stored beside their prompts.
#[derive(Clone, Copy, Debug)]
pub struct ConstraintJudge {
    shaping: f64,
}

impl ConstraintJudge {
    /// A judge who gives an answer that does not meet a constraint `shaping` times its degree for it; `shaping` is in
    /// 0..=1.
    pub const fn new(shaping: f64) -> Self {
        Self { shaping }
    }

    /// The reward of an answer to a stored task, in 0..=1: the mean over constraints of 1 if it is met, else of shaping
    /// times degree.
    ///
    /// # Errors
    /// [`Error::BadTask`].
    pub fn reward(&self, task: &Value, answer: &str) -> Result<f64> {
        let asked = ConstraintsAsked::of_task(task)?;
        Ok(self.mean(&asked.checks(answer)))
    }

    fn mean(&self, checks: &[(&str, Check)]) -> f64 {
        let worth = |check: &Check| if check.met { 1.0 } else { self.shaping * check.degree };
        let sum: f64 = checks.iter().map(|(_, check)| worth(check)).sum();
        sum / checks.len().max(1) as f64
    }
}

impl GoldJudge for ConstraintJudge {
    /// `gold` is 1 for an answer that meets every constraint and 0 for any other; `helpful` is the
    /// [reward](ConstraintJudge::reward). Nothing else is looked at: of an answer with a word the other qualities are 1.
    fn assess(&self, prompt: &Prompt, completion: &str) -> rlhf_tasks::Result<Verdict> {
        let asked = ConstraintsAsked::of_prompt(prompt)?;
        if !has_word(completion) {
            return Ok(Verdict::NOTHING);
        }
        let checks = asked.checks(completion);
        let all_met = !checks.is_empty() && checks.iter().all(|(_, check)| check.met);
        Ok(Verdict {
            helpful: self.mean(&checks),
            honest: 1.0,
            harmless: 1.0,
            style: 1.0,
            gold: f64::from(u8::from(all_met)),
            checkable: false,
            untrue: false,
        })
    }

    /// The mean over constraints of 1 if it is met, else of shaping times degree.
    fn reward(&self, prompt: &Prompt, completion: &str) -> rlhf_tasks::Result<f64> {
        Ok(self.assess(prompt, completion)?.helpful)
    }
}

#[cfg(test)]
mod tests {
    use rlhf_data::Message;

    use super::*;

    fn asked() -> ConstraintsAsked {
        let constraints = vec![Constraint::WordsAtMost { n: 2 }, Constraint::LowerCase];
        ConstraintsAsked::new("Explain tides.", constraints, &["lower_case"])
    }

    fn prompt(task: Option<Value>) -> Prompt {
        Prompt {
            id: "p".to_owned(),
            messages: vec![Message::user("Explain tides.")],
            task,
            origin: Default::default(),
        }
    }

    #[test]
    fn gold_is_all_or_nothing_and_helpful_is_shaped() {
        let judge = ConstraintJudge::new(0.5);
        let task = asked().stored();
        let assess = |answer: &str| judge.assess(&prompt(Some(task.clone())), answer).unwrap();
        assert_eq!((assess("moon pulls").gold, assess("moon pulls").helpful), (1.0, 1.0));
        // Words: 2 / 4 · 0.5 = 0.25; small letters: met. (0.25 + 1) / 2
        let long = assess("the moon pulls water");
        assert_eq!((long.gold, long.helpful), (0.0, 0.625));
        assert_eq!(judge.reward(&task, "the moon pulls water").unwrap(), 0.625);
        assert_eq!(assess("...!"), Verdict::NOTHING);
        assert_eq!(judge.reward(&task, "...!").unwrap(), 0.0);
        assert_eq!(
            ConstraintJudge::new(0.0).reward(&task, "the moon pulls water").unwrap(),
            0.5
        );
    }

    #[test]
    fn a_table_learns_each_constraints_outcome() {
        let asked = ConstraintsAsked::of_prompt(&prompt(Some(asked().stored()))).unwrap();
        assert!(asked.held_out_kind);
        assert_eq!(asked.kind, "words_at_most+lower_case");
        let checks = asked.checks("Moon pulls");
        assert_eq!((checks[0].0, checks[0].1.met), ("words_at_most", true));
        assert_eq!((checks[1].0, checks[1].1.met), ("lower_case", false));
    }

    #[test]
    fn a_prompt_without_a_task_is_refused_by_name() {
        let judge = ConstraintJudge::new(0.5);
        let missing = judge.assess(&prompt(None), "a").unwrap_err().to_string();
        assert!(missing.starts_with("row p: no task"), "{missing}");
        let bad = serde_json::json!({ "kind": "story", "words": ["a", "b"] });
        let unread = judge.assess(&prompt(Some(bad.clone())), "a").unwrap_err().to_string();
        assert!(unread.starts_with("row p: its task cannot be read"), "{unread}");
        assert!(matches!(judge.reward(&bad, "a"), Err(Error::BadTask { .. })));
    }
}
