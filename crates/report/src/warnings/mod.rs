//! What a reader should know before believing a table: rules on the numbers of a run, each with its threshold and its reason.

mod rules;
#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::folder::RunFolder;

pub(crate) use rules::calibration_bins;

/// Urgency of a [`Finding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    /// A result is not what it seems, or training went wrong.
    Warning,
    /// Worth knowing.
    Note,
}

/// Something that a rule found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub urgency: Urgency,
    /// The finding in a few words.
    pub title: String,
    /// What was measured, why it matters, and what helps.
    pub text: String,
}

impl Finding {
    fn warning(title: &str, text: String) -> Option<Self> {
        Some(Self {
            urgency: Urgency::Warning,
            title: title.to_owned(),
            text,
        })
    }

    fn note(title: &str, text: String) -> Option<Self> {
        Some(Self {
            urgency: Urgency::Note,
            title: title.to_owned(),
            text,
        })
    }
}

/// A rule, and what it watches for, for a reader of a page without findings.
struct Rule {
    watches: &'static str,
    look: fn(&RunFolder) -> Option<Finding>,
}

const fn rule(watches: &'static str, look: fn(&RunFolder) -> Option<Finding>) -> Rule {
    Rule { watches, look }
}

const RULES: [Rule; 16] = [
    rule("win rates by what was optimised", rules::judged_by_the_optimised),
    rule(
        "the judge's opinion falling while the score rises",
        rules::over_optimised,
    ),
    rule("PPO worse than SFT", rules::worse_than_sft),
    rule("KL running away", rules::kl_running_away),
    rule("length drift", rules::length_drift),
    rule("answers that do not end", rules::eos_never_learned),
    rule("entropy collapsing", rules::entropy_collapse),
    rule("updates too large", rules::clipped_too_often),
    rule("a value function that foresees nothing", rules::value_function_blind),
    rule("a reward model at chance", rules::reward_model_at_chance),
    rule(
        "a reward model that is too sure of itself",
        rules::reward_model_over_confident,
    ),
    rule(
        "a reward model no better than the length",
        rules::reward_model_of_length,
    ),
    rule("an alignment tax", rules::alignment_tax),
    rule("a difference that is not shown", rules::difference_not_shown),
    rule("held-out loss rising", rules::overfitted),
    rule("metrics that are no numbers", rules::not_finite),
];

/// What the rules find in a run, the most urgent first.
pub(crate) fn findings(run: &RunFolder) -> Vec<Finding> {
    let mut found: Vec<Finding> = RULES.iter().filter_map(|rule| (rule.look)(run)).collect();
    found.sort_by_key(|finding| finding.urgency);
    found
}

/// What the rules watch for.
pub(crate) fn watched() -> Vec<&'static str> {
    RULES.iter().map(|rule| rule.watches).collect()
}
