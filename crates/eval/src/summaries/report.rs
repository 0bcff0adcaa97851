//! What `rlhf eval summaries` finds: `summary.json`.

use std::collections::BTreeMap;

use rlhf_core::stats::{Interval, bootstrap_mean, mean};
use serde::{Deserialize, Serialize};

use super::figures::{Prepared, SummarisedArticle, SummaryOptions, WrittenSummary};

/// The form of a [`SummariesSummary`].
pub const SCHEMA: &str = "rlhf-eval-summaries/1";

/// Figures by name, of an article.
type Figures = BTreeMap<String, f64>;

/// Systems that summed up the same articles. Displayed, it is Markdown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SummariesSummary {
    /// [`SCHEMA`].
    pub schema: String,
    /// Names of the systems, in the order in which they were named.
    pub order: Vec<String>,
    /// Each system's figures.
    pub models: BTreeMap<String, SummarySystem>,
    /// Of the references: length, and what of them is copied.
    pub references: BTreeMap<String, Interval>,
    /// The systems in pairs, on the articles that both summed up.
    pub pairs: Vec<SummaryPair>,
    /// How summaries were made and figures taken.
    pub settings: SummariesSettings,
    /// What a reader should know before believing the figures.
    pub warnings: Vec<String>,
    /// Versions of what made it.
    pub versions: BTreeMap<String, String>,
}

/// A system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SummarySystem {
    /// Where it, or the file of its summaries, was named to lie.
    pub source: String,
    /// Articles that it summed up.
    pub articles: usize,
    /// Summaries that it wrote of them.
    pub summaries: usize,
    /// Share of summaries that ended by themselves and not at the limit, where it wrote them here.
    pub eos_fraction: Option<f64>,
    /// Means over articles by the names that [`summary_figures`](super::summary_figures) has, with intervals of a bootstrap over articles.
    pub figures: BTreeMap<String, Interval>,
}

/// Two systems on the same articles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SummaryPair {
    /// One of them.
    pub a: String,
    /// The other.
    pub b: String,
    /// Mean of `a` minus `b` over articles, by the name of the figure.
    pub differences: BTreeMap<String, Interval>,
}

/// How summaries were made and figures taken.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SummariesSettings {
    /// True if ROUGE compares words without their endings.
    pub stemmed: bool,
    /// Seed of sampling and of the bootstrap.
    pub seed: u64,
    /// Tokens of a summary at most, where a model wrote them here.
    pub max_new_tokens: Option<usize>,
    /// Temperature of sampling, where a model wrote them here; 0 is greedy.
    pub temperature: Option<f64>,
    /// Whose tokens are counted.
    pub tokenizer: Option<String>,
}

/// A system to be evaluated.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SummaryInput {
    /// Its name.
    pub name: String,
    /// Where it, or the file of its summaries, was named to lie.
    pub source: String,
    /// What it wrote.
    pub summaries: Vec<WrittenSummary>,
}

/// Takes the figures of all systems.
pub fn evaluate_summaries(
    articles: &[SummarisedArticle],
    systems: &[SummaryInput],
    settings: SummariesSettings,
    options: SummaryOptions<'_>,
) -> SummariesSummary {
    let prepared: Vec<Prepared> = articles.iter().map(|article| Prepared::new(article, options)).collect();
    let by_article: Vec<BTreeMap<usize, Figures>> = systems
        .iter()
        .map(|system| of_articles(system, &prepared, options))
        .collect();
    let mut models = BTreeMap::new();
    for (system, by_article) in systems.iter().zip(&by_article) {
        let finished: Vec<f64> = (system.summaries.iter())
            .filter_map(|summary| summary.finished.map(f64::from))
            .collect();
        let report = SummarySystem {
            source: system.source.clone(),
            articles: by_article.len(),
            summaries: system.summaries.len(),
            eos_fraction: (!finished.is_empty()).then(|| mean(&finished)),
            figures: intervals(by_article.values(), options.seed),
        };
        models.insert(system.name.clone(), report);
    }
    let mut pairs = Vec::new();
    for (second, b) in systems.iter().enumerate() {
        for (first, a) in systems[..second].iter().enumerate() {
            let differences: Vec<Figures> = differences(&by_article[first], &by_article[second]);
            pairs.push(SummaryPair {
                a: a.name.clone(),
                b: b.name.clone(),
                differences: intervals(differences.iter(), options.seed),
            });
        }
    }
    let references: Vec<Figures> = (articles.iter().zip(&prepared))
        .filter_map(|(article, prepared)| {
            let each = article
                .references
                .iter()
                .map(|text| prepared.own_figures(text, options));
            mean_figures(&each.collect::<Vec<_>>())
        })
        .collect();
    let mut summary = SummariesSummary {
        schema: SCHEMA.to_owned(),
        order: systems.iter().map(|system| system.name.clone()).collect(),
        models,
        references: intervals(references.iter(), options.seed),
        pairs,
        settings,
        warnings: Vec::new(),
        versions: BTreeMap::new(),
    };
    summary.warnings = warnings(articles, systems, &summary);
    summary
}

/// Figures of a system by article; of several summaries of one, their mean.
fn of_articles(system: &SummaryInput, prepared: &[Prepared], options: SummaryOptions<'_>) -> BTreeMap<usize, Figures> {
    let mut by_article: BTreeMap<usize, Vec<Figures>> = BTreeMap::new();
    for summary in &system.summaries {
        let figures = prepared[summary.article].figures(&summary.text, options);
        by_article.entry(summary.article).or_default().push(figures);
    }
    let means = by_article
        .into_iter()
        .filter_map(|(article, all)| Some((article, mean_figures(&all)?)));
    means.collect()
}

fn mean_figures(all: &[Figures]) -> Option<Figures> {
    let columns = columns(all.iter());
    (!all.is_empty()).then(|| {
        columns
            .into_iter()
            .map(|(name, values)| (name, mean(&values)))
            .collect()
    })
}

/// The values of each figure.
fn columns<'a>(rows: impl Iterator<Item = &'a Figures>) -> BTreeMap<String, Vec<f64>> {
    let mut columns: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (name, value) in rows.flatten() {
        columns.entry(name.clone()).or_default().push(*value);
    }
    columns
}

fn intervals<'a>(rows: impl Iterator<Item = &'a Figures>, seed: u64) -> BTreeMap<String, Interval> {
    let columns = columns(rows).into_iter();
    columns
        .map(|(name, values)| (name, bootstrap_mean(&values, seed)))
        .collect()
}

/// By article, one system's figures minus the other's, of those that both have.
fn differences(a: &BTreeMap<usize, Figures>, b: &BTreeMap<usize, Figures>) -> Vec<Figures> {
    let both = a.iter().filter_map(|(article, a)| Some((a, b.get(article)?)));
    let difference = |(a, b): (&Figures, &Figures)| {
        let of_both = a
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value - b.get(name)?)));
        of_both.collect()
    };
    both.map(difference).collect()
}

fn warnings(articles: &[SummarisedArticle], systems: &[SummaryInput], summary: &SummariesSummary) -> Vec<String> {
    let mut warnings = Vec::new();
    let without = articles.iter().filter(|article| article.references.is_empty()).count();
    if without > 0 {
        warnings.push(format!(
            "{without} of {} articles have no reference: ROUGE is of the others",
            articles.len()
        ));
    }
    for system in systems {
        let articles_of = summary.models[&system.name].articles;
        if articles_of < articles.len() {
            warnings.push(format!(
                "{} summed up {articles_of} of {} articles: its means are of those, and only differences in pairs compare like with like",
                system.name,
                articles.len()
            ));
        }
        let empty = system
            .summaries
            .iter()
            .filter(|summary| summary.text.trim().is_empty())
            .count();
        if empty > 0 {
            warnings.push(format!(
                "{empty} summaries of {} are empty: they count 0 in ROUGE and are left out of what is copied",
                system.name
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlhf_rouge::Stemming;

    const OPTIONS: SummaryOptions<'static> = SummaryOptions {
        stemming: Stemming::None,
        tokens: None,
        seed: 3,
    };

    fn system(name: &str, texts: &[(usize, &str)]) -> SummaryInput {
        let written = |&(article, text): &(usize, &str)| WrittenSummary {
            article,
            text: text.to_owned(),
            finished: Some(text.len() > 3),
        };
        SummaryInput {
            name: name.to_owned(),
            source: format!("{name}.jsonl"),
            summaries: texts.iter().map(written).collect(),
        }
    }

    fn articles(n: usize) -> Vec<SummarisedArticle> {
        let article = |i: usize| SummarisedArticle {
            text: format!("alpha beta gamma number{i}"),
            references: vec![format!("alpha beta number{i}")],
        };
        (0..n).map(article).collect()
    }

    #[test]
    fn means_are_over_articles_and_several_summaries_of_one_count_once() {
        // F of "alpha" is 2·1 / (1 + 3); of the whole reference 1.
        let system = system("one", &[(0, "alpha"), (0, "alpha beta number0"), (1, "alpha")]);
        let found = evaluate_summaries(&articles(2), &[system], SummariesSettings::default(), OPTIONS);
        let one = &found.models["one"];
        assert_eq!((one.articles, one.summaries), (2, 3));
        assert!((one.figures["rouge1"].value - (0.75 + 0.5) / 2.0).abs() < 1e-12);
        assert_eq!(one.figures["rouge1"].n, 2);
        assert_eq!(one.eos_fraction, Some(1.0));
        assert_eq!(
            (found.references["words"].value, found.references["coverage"].value),
            (3.0, 1.0)
        );
    }

    #[test]
    fn systems_are_compared_on_the_articles_that_both_have() {
        let better: Vec<(usize, &str)> = (0..20).map(|i| (i, "alpha beta")).collect();
        let worse: Vec<(usize, &str)> = (5..20).map(|i| (i, "alpha")).collect();
        let systems = [system("better", &better), system("worse", &worse)];
        let found = evaluate_summaries(&articles(20), &systems, SummariesSettings::default(), OPTIONS);
        let [pair] = found.pairs.as_slice() else {
            panic!("one pair");
        };
        assert_eq!((pair.a.as_str(), pair.b.as_str()), ("better", "worse"));
        let rouge = pair.differences["rouge1"];
        // 2·2 / (2 + 3) - 2·1 / (1 + 3), of every article.
        assert!((rouge.value - 0.3).abs() < 1e-12 && rouge.low > 0.299 && rouge.high < 0.301 && rouge.n == 15);
        assert_eq!(pair.differences["words"].value, 1.0);
        assert!(
            found
                .warnings
                .iter()
                .any(|warning| warning.contains("worse summed up 15 of 20"))
        );
    }

    #[test]
    fn what_is_missing_is_said() {
        let mut articles = articles(3);
        articles[1].references.clear();
        let found = evaluate_summaries(
            &articles,
            &[system("a", &[(0, "alpha"), (1, "beta"), (2, "")])],
            SummariesSettings::default(),
            OPTIONS,
        );
        assert_eq!(found.models["a"].figures["rouge1"].n, 2);
        assert_eq!(found.models["a"].figures["coverage"].n, 2);
        for said in ["1 of 3 articles have no reference", "1 summaries of a are empty"] {
            assert!(
                found.warnings.iter().any(|warning| warning.contains(said)),
                "{:?}",
                found.warnings
            );
        }
    }

    #[test]
    fn it_begins_with_its_schema_and_is_read_back() {
        let found = evaluate_summaries(
            &articles(4),
            &[system("a", &[(0, "alpha"), (2, "x y z u v")])],
            SummariesSettings::default(),
            OPTIONS,
        );
        let text = serde_json::to_string(&found).unwrap();
        assert!(text.starts_with(r#"{"schema":"rlhf-eval-summaries/1""#), "{text}");
        assert_eq!(serde_json::from_str::<SummariesSummary>(&text).unwrap(), found);
    }
}
