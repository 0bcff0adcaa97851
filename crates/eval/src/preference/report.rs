//! What `rlhf eval preference` finds: `summary.json`.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use rlhf_core::stats::Interval;
use rlhf_inference::Sampling;
use serde::{Deserialize, Serialize};

use super::matrix::PreferenceMatrix;

/// The form of a [`PreferenceSummary`].
pub const PREFERENCE_SCHEMA: &str = "rlhf-eval-preference/1";

/// Models compared on a file of prompts. Displayed, it is Markdown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreferenceSummary {
    /// [`PREFERENCE_SCHEMA`].
    pub schema: String,
    /// Who judged.
    pub judge: String,
    /// Prompts that every model answered.
    pub prompts: usize,
    /// Figures of each model, by its name.
    pub models: BTreeMap<String, PreferenceModel>,
    /// Win rates and ratings, one matrix for each judge.
    pub matrices: Vec<PreferenceMatrix>,
    /// Comparisons without a verdict, and all there were.
    pub missing: [usize; 2],
    /// How answers were made.
    pub settings: PreferenceSettings,
    /// What the judge cost, where it is asked over a network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<JudgeCost>,
    /// How far the judge went by the place of an answer, where answers were shown in both orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<PositionBias>,
    /// What a reader should know before believing the figures.
    pub warnings: Vec<String>,
    /// Versions of what made it.
    pub versions: BTreeMap<String, String>,
}

/// How answers were made and figures drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreferenceSettings {
    /// The file of prompts, its name alone.
    pub prompts_file: String,
    /// Which of its prompts: `all`, `test` or `development`.
    pub part: String,
    /// Tokens of an answer at most.
    pub max_new_tokens: usize,
    /// The choice of tokens.
    pub sampling: Sampling,
    /// Seed of answers and of intervals.
    pub seed: u64,
    /// The share of comparisons that may be missing.
    pub max_missing: f64,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreferenceModel {
    /// Where it, or the file of its answers, was named to lie.
    pub source: String,
    /// Mean length of its answers in characters.
    pub mean_characters: f64,
    /// Mean length in tokens of its own tokenizer, where it answered here.
    pub mean_tokens: Option<f64>,
    /// The share of answers that ended by themselves and not at the limit, where it answered here.
    pub eos_fraction: Option<f64>,
    /// Mean score by the judge, where it scores; over the prompts it scored.
    pub mean_score: Option<Interval>,
}

/// What was spent on a judge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct JudgeCost {
    /// Requests made now.
    pub requests: u64,
    /// Requests whose verdicts were there from before.
    pub cached_requests: u64,
    /// Price of those made now, in the currency of the settings.
    pub cost: f64,
}

/// Pairs that a judge was shown in both orders. One on which the verdicts differ is a tie in every figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PositionBias {
    /// Pairs that have a verdict in both orders.
    pub pairs: usize,
    /// Share of them on which both verdicts are the same.
    pub agree: f64,
    /// Share on which the answer shown first was preferred both times, whichever it was.
    pub first: f64,
    /// Share on which that shown second was.
    pub second: f64,
}

impl PositionBias {
    /// The shares of counts; nothing of no pairs.
    pub fn new(pairs: usize, agree: usize, first: usize, second: usize) -> Option<Self> {
        let share = |count: usize| count as f64 / pairs as f64;
        (pairs > 0).then(|| Self {
            pairs,
            agree: share(agree),
            first: share(first),
            second: share(second),
        })
    }

    /// A warning, if a fifth of the verdicts or more follow the place.
    pub fn warning(&self) -> Option<String> {
        const MANY: f64 = 0.2;
        let by_place = self.first + self.second;
        (by_place >= MANY).then(|| {
            format!(
                "the judge went by the place and not by the answer on {:.0} % of the pairs (the one shown first on {:.0} %): those are ties, and rates are \
                 drawn towards 50 %",
                100.0 * by_place,
                100.0 * self.first
            )
        })
    }
}

impl Display for PreferenceSummary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for matrix in &self.matrices {
            writeln!(f, "{matrix}")?;
        }
        let has_scores = self.models.values().any(|model| model.mean_score.is_some());
        writeln!(
            f,
            "| model | score | characters | tokens | ended |\n| --- | ---: | ---: | ---: | ---: |"
        )?;
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        for (name, model) in &self.models {
            let score = model.mean_score.filter(|_| has_scores).map(|score| {
                let Interval { value, low, high, .. } = score;
                format!("{value:.3} ({low:.3} to {high:.3})")
            });
            writeln!(
                f,
                "| {name} | {} | {:.1} | {} | {} |",
                or_dash(score),
                model.mean_characters,
                or_dash(model.mean_tokens.map(|tokens| format!("{tokens:.1}"))),
                or_dash(model.eos_fraction.map(|share| format!("{:.0} %", 100.0 * share))),
            )?;
        }
        let [missing, all] = self.missing;
        writeln!(
            f,
            "\n{} prompts; {missing} of {all} comparisons without a verdict",
            self.prompts
        )?;
        if let Some(JudgeCost {
            requests,
            cached_requests,
            cost,
        }) = self.cost
        {
            writeln!(
                f,
                "{requests} requests to the judge, {cached_requests} verdicts from before; cost {cost:.4}"
            )?;
        }
        if let Some(PositionBias {
            pairs,
            agree,
            first,
            second,
        }) = self.position
        {
            writeln!(
                f,
                "{pairs} pairs shown in both orders: the same verdict on {:.0} %, the one shown first both times on {:.0} %, the second on {:.0} %",
                100.0 * agree,
                100.0 * first,
                100.0 * second
            )?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}

impl PreferenceSummary {
    /// A paragraph for a model card.
    pub fn card(&self) -> String {
        format!(
            "## Preference\n\nJudged by {} on {} prompts of `{}`.\n\n{self}",
            self.judge, self.prompts, self.settings.prompts_file
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preference::Outcomes;

    #[test]
    fn a_summary_begins_with_its_schema_and_is_read_back() {
        let outcomes = Outcomes::of_scores(
            &[vec![Some(1.0), Some(0.0), Some(2.0)], vec![Some(0.0), Some(0.5), None]],
            &[
                ["a", "b", "c"].map(str::to_owned).to_vec(),
                ["x", "y", "z"].map(str::to_owned).to_vec(),
            ],
        );
        let names = ["one".to_owned(), "two".to_owned()];
        let model = |source: &str| PreferenceModel {
            source: source.to_owned(),
            mean_characters: 12.25,
            mean_tokens: Some(3.5),
            eos_fraction: None,
            mean_score: Some(rlhf_core::stats::bootstrap_mean(&[0.25, 0.75], 1)),
        };
        let (missing, all) = outcomes.missing();
        let summary = PreferenceSummary {
            schema: PREFERENCE_SCHEMA.to_owned(),
            judge: "somebody".to_owned(),
            prompts: 3,
            models: [("one".to_owned(), model("a/one")), ("two".to_owned(), model("two"))].into(),
            matrices: vec![PreferenceMatrix::new("somebody", &names, &outcomes, None, 1)],
            missing: [missing, all],
            settings: PreferenceSettings {
                prompts_file: "p.jsonl".to_owned(),
                part: "all".to_owned(),
                max_new_tokens: 8,
                sampling: Sampling::default(),
                seed: 1,
                max_missing: 0.5,
            },
            cost: None,
            position: PositionBias::new(4, 2, 1, 1),
            warnings: vec!["nobody is to be trusted".to_owned()],
            versions: BTreeMap::new(),
        };
        let text = serde_json::to_string(&summary).unwrap();
        assert!(text.starts_with(r#"{"schema":"rlhf-eval-preference/1""#), "{text}");
        assert_eq!(serde_json::from_str::<PreferenceSummary>(&text).unwrap(), summary);
        let shown = summary.card();
        for line in [
            "| one | 0.500 (",
            " | 12.2 | 3.5 | – |",
            "1 of 3 comparisons without",
            "4 pairs shown in both orders: the same verdict on 50 %, the one shown first both times on 25 %",
            "warning: nobody",
        ] {
            assert!(shown.contains(line), "{line}:\n{shown}");
        }
    }

    #[test]
    fn a_judge_that_goes_by_the_place_is_warned_of() {
        let first = PositionBias::new(10, 0, 10, 0).expect("pairs");
        assert!(
            first
                .warning()
                .is_some_and(|text| text.contains("on 100 % of the pairs (the one shown first on 100 %)"))
        );
        // 1 of 10 is a slip.
        assert_eq!(PositionBias::new(10, 9, 1, 0).expect("pairs").warning(), None);
        assert_eq!(PositionBias::new(0, 0, 0, 0), None);
    }
}
