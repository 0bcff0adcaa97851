//! Figures of models by evaluation, with their intervals.

use std::collections::BTreeMap;

use rlhf_core::stats::{Interval, bootstrap_mean, bootstrap_share};
use rlhf_likelihood::{Encoded, Mean, Questions, Scored, Style, Task};
use serde::{Deserialize, Serialize};

use crate::likelihood::text::TextReport;

/// The first field of a `summary.json`.
pub const SCHEMA: &str = "rlhf-eval-likelihood/1";

/// What `rlhf eval likelihood` found, written as `summary.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LikelihoodSummary {
    /// [`SCHEMA`].
    pub schema: String,
    /// The models' names, as they were given; the others are compared with the first.
    pub order: Vec<String>,
    /// Figures by model.
    pub models: BTreeMap<String, ModelLikelihoods>,
    /// How they were asked.
    pub settings: LikelihoodSettings,
    /// Versions of the program.
    pub versions: BTreeMap<String, String>,
}

/// What figures depend on, beside models and files.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LikelihoodSettings {
    /// Questions of each file at most, the first of them; nothing where all were asked.
    pub limit: Option<usize>,
    /// How contexts of questions were written.
    pub style: Style,
    /// Seed of the bootstrap.
    pub seed: u64,
}

/// Figures of one model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelLikelihoods {
    /// The folder or file it was given as.
    pub path: String,
    /// Tokens that it reads at once.
    pub context: usize,
    /// Tokens that a text with nothing before it was read after.
    pub before_text: Vec<u32>,
    /// Questions, file by file.
    pub tasks: Vec<TaskReport>,
    /// Texts, file by file.
    pub texts: Vec<TextReport>,
}

/// Figures of a model on a file of questions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskReport {
    /// The evaluation.
    pub task: Task,
    /// The file.
    pub file: String,
    /// Questions asked.
    pub questions: usize,
    /// Requests whose context lost its beginning, being longer than the model reads.
    pub truncated: usize,
    /// By name, each with the interval of a bootstrap over questions.
    pub figures: BTreeMap<String, Interval>,
    /// The same by kind of group and group.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub groups: BTreeMap<String, BTreeMap<String, BTreeMap<String, Interval>>>,
    /// Of other models than the first: what is added to the first one's figure, for a perplexity what it is multiplied by, with the
    /// interval of a bootstrap over the questions, which are the same for both.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub beside_first: Option<BTreeMap<String, Interval>>,
}

/// What each question says of each figure.
pub(crate) type Values = Vec<Vec<Option<f64>>>;

impl TaskReport {
    /// Figures from the tokens of each question and what a model said of them.
    pub fn new(questions: &Questions, encoded: &[Vec<Encoded>], scored: &[Vec<Scored>], seed: u64) -> Self {
        let values = values(questions, scored);
        let mut groups: BTreeMap<String, BTreeMap<String, Values>> = BTreeMap::new();
        for (question, values) in questions.questions.iter().zip(&values) {
            for group in &question.groups {
                let of_kind = groups.entry(group.by.to_owned()).or_default();
                of_kind.entry(group.name.clone()).or_default().push(values.clone());
            }
        }
        let figures_of = |values: &Values| figures(questions.task, values, seed);
        Self {
            task: questions.task,
            file: questions.path.display().to_string(),
            questions: scored.len(),
            truncated: encoded.iter().flatten().filter(|request| request.dropped > 0).count(),
            figures: figures_of(&values),
            groups: (groups.into_iter())
                .map(|(by, groups)| {
                    (
                        by,
                        groups
                            .into_iter()
                            .map(|(name, values)| (name, figures_of(&values)))
                            .collect(),
                    )
                })
                .collect(),
            beside_first: None,
        }
    }
}

fn values(questions: &Questions, scored: &[Vec<Scored>]) -> Values {
    let of_question = |(question, scored): (&rlhf_likelihood::Question, &Vec<Scored>)| question.figures(scored);
    questions.questions.iter().zip(scored).map(of_question).collect()
}

/// What those who took part in a figure say.
fn column(values: &Values, figure: usize) -> Vec<f64> {
    values.iter().filter_map(|values| values[figure]).collect()
}

fn figures(task: Task, values: &Values, seed: u64) -> BTreeMap<String, Interval> {
    let figure = |(number, figure): (usize, &rlhf_likelihood::Figure)| {
        let values = column(values, number);
        let interval = match figure.mean {
            Mean::Share => bootstrap_share(&values.iter().map(|&value| (value, 1)).collect::<Vec<_>>(), seed),
            Mean::Plain => bootstrap_mean(&values, seed),
            Mean::Perplexity => perplexity(bootstrap_mean(&values, seed)),
        };
        (figure.name.to_owned(), interval)
    };
    task.figures().iter().enumerate().map(figure).collect()
}

/// e to the negative of a mean log-probability: the interval's ends change places.
fn perplexity(mean: Interval) -> Interval {
    Interval {
        value: (-mean.value).exp(),
        low: (-mean.high).exp(),
        high: (-mean.low).exp(),
        n: mean.n,
    }
}

/// Differences of the figures of a model and of the first on the same questions; the ratio, of a perplexity.
pub fn paired(
    questions: &Questions,
    own: &[Vec<Scored>],
    first: &[Vec<Scored>],
    seed: u64,
) -> BTreeMap<String, Interval> {
    let (own, first) = (values(questions, own), values(questions, first));
    let figure = |(number, figure): (usize, &rlhf_likelihood::Figure)| {
        let pairs = own.iter().zip(&first);
        let differences: Vec<f64> = pairs
            .filter_map(|(own, first)| Some(own[number]? - first[number]?))
            .collect();
        let interval = bootstrap_mean(&differences, seed);
        let interval = if figure.mean == Mean::Perplexity {
            perplexity(interval)
        } else {
            interval
        };
        (figure.name.to_owned(), interval)
    };
    questions.task.figures().iter().enumerate().map(figure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn questions(task: Task, text: &str) -> Questions {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("questions.jsonl");
        std::fs::write(&path, text).expect("it can be written");
        task.read(&path, Style::Plain).expect("rows of the task")
    }

    fn said(logprob: f64, greedy: bool) -> Vec<Scored> {
        vec![Scored {
            logprob,
            tokens: 1,
            greedy: Some(greedy),
        }]
    }

    fn words(count: usize) -> Questions {
        questions(Task::Lambada, &"{\"text\":\"a b\"}\n".repeat(count))
    }

    #[test]
    fn figures_are_means_over_questions_with_their_intervals() {
        let questions = words(4);
        let scored = [said(-1.0, true), said(-3.0, false), said(-1.0, true), said(-3.0, true)];
        let encoded = vec![Vec::new(); 4];
        let report = TaskReport::new(&questions, &encoded, &scored, 7);
        let accuracy = report.figures["accuracy"];
        assert_eq!((accuracy.value, accuracy.n), (0.75, 4));
        assert!(accuracy.low < 0.75 && accuracy.high == 1.0, "{accuracy:?}");
        let perplexity = report.figures["perplexity"];
        assert!((perplexity.value - 2.0_f64.exp()).abs() < 1e-12);
        assert!(perplexity.low < perplexity.value && perplexity.value < perplexity.high);
    }

    #[test]
    fn models_are_compared_question_by_question() {
        // 200 questions of very different difficulty; the second model finds every word half a nat likelier.
        let questions = words(200);
        let hard = |i: usize| -(i as f64) / 10.0;
        let first: Vec<_> = (0..200).map(|i| said(hard(i), i % 2 == 0)).collect();
        let second: Vec<_> = (0..200).map(|i| said(hard(i) + 0.5, i % 2 == 0)).collect();
        let found = paired(&questions, &second, &first, 7);
        let ratio = found["perplexity"];
        assert!((ratio.value - (-0.5_f64).exp()).abs() < 1e-9);
        assert!(
            ratio.high - ratio.low < 1e-9,
            "alike on every question, so there is no doubt: {ratio:?}"
        );
        assert_eq!(found["accuracy"].value, 0.0);
    }

    #[test]
    fn groups_have_figures_of_their_own() {
        let text = "sent_more,sent_less,stereo_antistereo,bias_type\na,b,stereo,age\nc,d,antistereo,age\ne,f,stereo,religion\n";
        let questions = questions(Task::CrowsPairs, text);
        let pair = |more: f64, less: f64| [said(more, false), said(less, false)].concat();
        let scored = [pair(-1.0, -2.0), pair(-2.0, -1.0), pair(-3.0, -1.0)];
        let report = TaskReport::new(&questions, &vec![Vec::new(); 3], &scored, 7);
        assert_eq!(report.groups["bias_type"]["age"]["stereotype"].value, 0.5);
        assert_eq!(report.groups["bias_type"]["religion"]["stereotype"].value, 0.0);
        assert_eq!(report.groups["direction"]["stereo"]["difference"].value, 1.5);
    }
}
