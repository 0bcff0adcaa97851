//! The figures of one summary.

use std::collections::BTreeMap;

use rlhf_rouge::{Rouge, Stemming, Text, copied};

/// An article, and what people made of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SummarisedArticle {
    /// The text.
    pub text: String,
    /// Reference summaries, if there are any.
    pub references: Vec<String>,
}

/// What a system made of an article.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WrittenSummary {
    /// Place of the article in the list of all.
    pub article: usize,
    /// The summary.
    pub text: String,
    /// True if it ended by itself and not at the limit, where that is known.
    pub finished: Option<bool>,
}

/// How figures are taken.
#[derive(Clone, Copy)]
pub struct SummaryOptions<'a> {
    /// Treatment of endings by ROUGE.
    pub stemming: Stemming,
    /// Counts the tokens of a text, where there is a tokenizer.
    pub tokens: Option<&'a dyn Fn(&str) -> usize>,
    /// Seed of the bootstrap.
    pub seed: u64,
}

/// An article with its texts taken apart, once for all of its summaries.
pub(super) struct Prepared {
    article: Text,
    /// As ROUGE compares them.
    references: Vec<Text>,
    /// Means over the references.
    words: Option<f64>,
    tokens: Option<f64>,
}

impl Prepared {
    pub(super) fn new(article: &SummarisedArticle, options: SummaryOptions<'_>) -> Self {
        let of_references = |count: &dyn Fn(&str) -> usize| {
            let counts = article.references.iter().map(|reference| count(reference) as f64);
            (!article.references.is_empty()).then(|| counts.sum::<f64>() / article.references.len() as f64)
        };
        Self {
            article: Text::new(&article.text, Stemming::None),
            references: (article.references.iter())
                .map(|reference| Text::new(reference, options.stemming))
                .collect(),
            words: of_references(&words),
            tokens: options.tokens.and_then(of_references),
        }
    }

    /// The figures of a summary beside its references.
    pub(super) fn figures(&self, summary: &str, options: SummaryOptions<'_>) -> BTreeMap<String, f64> {
        let mut figures = self.own_figures(summary, options);
        let compared = Text::new(summary, options.stemming);
        for rouge in Rouge::REPORTED {
            if let Some(score) = rouge.best(&self.references, &compared) {
                let name = rouge.name();
                figures.insert(format!("{name}_precision"), score.precision);
                figures.insert(format!("{name}_recall"), score.recall);
                figures.insert(name, score.f1);
            }
        }
        for (name, of_references) in [("words", self.words), ("tokens", self.tokens)] {
            if let (Some(theirs), Some(ours)) = (of_references, figures.get(name)) {
                figures.insert(format!("{name}_minus_reference"), ours - theirs);
            }
        }
        figures
    }

    /// The figures of a text that need no reference.
    pub(super) fn own_figures(&self, summary: &str, options: SummaryOptions<'_>) -> BTreeMap<String, f64> {
        let mut figures = BTreeMap::from([("words".to_owned(), words(summary) as f64)]);
        if let Some(tokens) = options.tokens {
            figures.insert("tokens".to_owned(), tokens(summary) as f64);
        }
        if let Some(copied) = copied(&self.article, &Text::new(summary, Stemming::None)) {
            for (n, share) in (1..).zip(copied.ngrams) {
                figures.extend(share.map(|share| (format!("copied_{n}"), share)));
            }
            figures.insert("longest_copied_run".to_owned(), copied.longest_run as f64);
            figures.insert("coverage".to_owned(), copied.coverage);
            figures.insert("density".to_owned(), copied.density);
        }
        figures
    }
}

/// Words as people count them: what stands between white space.
fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// The figures of one summary by name: `rouge1`, `rouge2`, `rougeL` and `rougeLsum` (F-measure, with `_precision` and `_recall`; the best over
/// references), `words` and `tokens` with `_minus_reference`, `copied_1` to `copied_4`, `longest_copied_run`, `coverage`, `density`. What cannot be said of
/// it is not there.
pub fn summary_figures(
    article: &SummarisedArticle,
    summary: &str,
    options: SummaryOptions<'_>,
) -> BTreeMap<String, f64> {
    Prepared::new(article, options).figures(summary, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_texts() {
        let article = SummarisedArticle {
            text: "The ferry ran aground. Divers searched.".to_owned(),
            references: vec!["Divers search a ferry now".to_owned(), "Nothing".to_owned()],
        };
        let count = |text: &str| text.len();
        let options = SummaryOptions {
            stemming: Stemming::Porter,
            tokens: Some(&count),
            seed: 0,
        };
        let found = summary_figures(&article, "the ferry searched", options);
        // search and ferry, of three words and of five; F is 2·2 / (3 + 5).
        assert!((found["rouge1"] - 0.5).abs() < 1e-12);
        assert!((found["rouge1_recall"] - 0.4).abs() < 1e-12);
        assert_eq!(found["words_minus_reference"], 3.0 - 3.0);
        assert_eq!(found["tokens_minus_reference"], 18.0 - 16.0);
        // "the ferry" and "searched" are fragments; nothing is stemmed there.
        assert_eq!((found["coverage"], found["longest_copied_run"]), (1.0, 2.0));
        assert!((found["density"] - 5.0 / 3.0).abs() < 1e-12);
        assert_eq!(
            (found["copied_1"], found["copied_2"], found["copied_3"]),
            (1.0, 0.5, 0.0)
        );
        assert!(!found.contains_key("copied_4"));
        let alone = SummarisedArticle {
            references: Vec::new(),
            ..article
        };
        let without = summary_figures(
            &alone,
            "…",
            SummaryOptions {
                tokens: None,
                ..options
            },
        );
        assert_eq!(without.into_iter().collect::<Vec<_>>(), [("words".to_owned(), 1.0)]);
    }
}
