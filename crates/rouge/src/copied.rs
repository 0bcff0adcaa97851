//! What of a summary stands in the article.

use std::collections::HashSet;

use crate::text::Text;

/// Lengths of the n-grams that are looked for: 1 to this.
pub const NGRAMS: usize = 4;

/// What of a summary stands in the article.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Copied {
    /// Share of the summary's n-grams that stand in the article, n from 1; nothing where the summary has fewer than n words.
    pub ngrams: [Option<f64>; NGRAMS],
    /// Words of the longest run that stands in the article.
    pub longest_run: usize,
    /// Share of the summary's words that are in an extractive fragment.
    pub coverage: f64,
    /// Mean length of the fragment that a word of the summary is in, 0 for a word in none: sum of squared lengths over the words.
    pub density: f64,
}

/// Compares a summary with the article that it sums up; nothing of a summary without words. Both are best taken without stemming: what is inflected is not
/// copied.
pub fn copied(article: &Text, summary: &Text) -> Option<Copied> {
    let (article, summary) = (article.words(), summary.words());
    if summary.is_empty() {
        return None;
    }
    let share = |n: usize| {
        let there: HashSet<&[String]> = article.windows(n).collect();
        let runs = summary.windows(n);
        let (count, total) = runs.fold((0, 0), |(count, total), run| {
            (count + usize::from(there.contains(run)), total + 1)
        });
        (total > 0).then(|| count as f64 / total as f64)
    };
    let fragments = fragments(article, summary);
    let words = summary.len() as f64;
    Some(Copied {
        ngrams: std::array::from_fn(|i| share(i + 1)),
        longest_run: longest_run(article, summary),
        coverage: fragments.iter().sum::<usize>() as f64 / words,
        density: fragments.iter().map(|length| length * length).sum::<usize>() as f64 / words,
    })
}

/// Lengths of the extractive fragments: from the left of the summary, the longest run that the article has, as figure 3 of the
/// paper finds it. It goes on in the article behind each run that it tries, and so passes over one that overlaps with that.
fn fragments(article: &[String], summary: &[String]) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut rest = summary;
    while !rest.is_empty() {
        let (mut longest, mut place) = (0, 0);
        while place < article.len() {
            let run = common_start(&article[place..], rest);
            longest = longest.max(run);
            place += run.max(1);
        }
        if longest > 0 {
            lengths.push(longest);
        }
        rest = &rest[longest.max(1)..];
    }
    lengths
}

/// Words of the longest run that is in both.
fn longest_run(article: &[String], summary: &[String]) -> usize {
    let starts = (0..article.len()).flat_map(|i| (0..summary.len()).map(move |j| (i, j)));
    let runs = starts.map(|(i, j)| common_start(&article[i..], &summary[j..]));
    runs.max().unwrap_or(0)
}

fn common_start(a: &[String], b: &[String]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Stemming;

    fn of(article: &str, summary: &str) -> Option<Copied> {
        let text = |text| Text::new(text, Stemming::None);
        copied(&text(article), &text(summary))
    }

    #[test]
    fn a_copy_is_one_fragment_and_new_words_are_in_none() {
        let whole = of("a b c d e f", "b c d e").unwrap();
        assert_eq!(whole.ngrams, [Some(1.0); 4]);
        assert_eq!((whole.longest_run, whole.coverage, whole.density), (4, 1.0, 4.0));
        let new = of("a b c d", "x y").unwrap();
        assert_eq!(new.ngrams, [Some(0.0), Some(0.0), None, None]);
        assert_eq!((new.longest_run, new.coverage, new.density), (0, 0.0, 0.0));
    }

    #[test]
    fn fragments_are_the_longest_runs_from_the_left() {
        // "a b", then x, then "d e f": (2 + 3) / 6 and (4 + 9) / 6.
        let found = of("d e f . a b c", "a b x d e f").unwrap();
        assert_eq!(
            (found.longest_run, found.coverage, found.density),
            (3, 5.0 / 6.0, 13.0 / 6.0)
        );
        // Pairs: "a b", "d e", "e f" of five; triples: "d e f" of four.
        assert_eq!(found.ngrams, [Some(5.0 / 6.0), Some(0.6), Some(0.25), Some(0.0)]);
    }

    #[test]
    fn a_fragment_that_overlaps_with_one_that_was_tried_is_passed_over_as_in_the_paper() {
        let found = of("a a a b", "a a b").unwrap();
        assert_eq!(found.longest_run, 3);
        // "a a" and "b".
        assert_eq!(found.density, (4.0 + 1.0) / 3.0);
    }

    #[test]
    fn without_words_nothing_is_copied() {
        assert!(of("a b", "…").is_none());
        assert_eq!(of("", "a").unwrap().coverage, 0.0);
    }
}
