//! Byte-pair merges, learned in an order that the texts alone determine.
//!
//! The trainer of the `tokenizers` crate keeps its queue in hash order, and where one token can be made by two merges
//! the file it writes may differ from run to run. Here the next merge is always the most frequent pair, of equally
//! frequent ones the pair of smallest ids.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

type Pair = (u32, u32);

/// The tokens in order of their ids, and the merges in order of their ranks.
pub(super) struct Merges {
    pub(super) tokens: Vec<String>,
    pub(super) merges: Vec<(String, String)>,
}

struct Word {
    ids: Vec<u32>,
    count: u64,
}

/// Learns merges from `words` and their counts until there are `vocab_size` tokens or no pair occurs `min_frequency`
/// times.
///
/// `tokens` come first; each character of each word must be among them.
pub(super) fn learn(tokens: Vec<String>, words: &[(String, u64)], vocab_size: usize, min_frequency: u64) -> Merges {
    let mut ids: HashMap<String, u32> = (0..).zip(&tokens).map(|(id, token)| (token.clone(), id)).collect();
    let mut corpus = Corpus::new(words, &ids);
    let mut tokens = tokens;
    let mut merges = Vec::new();
    let mut queue: BinaryHeap<(u64, Reverse<Pair>)> = corpus
        .counts
        .iter()
        .map(|(&pair, &count)| (count, Reverse(pair)))
        .collect();

    while tokens.len() < vocab_size {
        let Some((count, Reverse(pair))) = queue.pop() else {
            break;
        };
        let current = corpus.counts.get(&pair).copied().unwrap_or(0);
        if count != current {
            // Other merges took occurrences away, or added some and queued the pair again.
            if current > 0 && current < count {
                queue.push((current, Reverse(pair)));
            }
            continue;
        }
        if count < min_frequency.max(1) {
            break;
        }
        let [left, right] = [pair.0, pair.1].map(|id| tokens[id as usize].clone());
        let merged = format!("{left}{right}");
        let id = *ids.entry(merged).or_insert_with_key(|merged| {
            tokens.push(merged.clone());
            (tokens.len() - 1) as u32
        });
        merges.push((left, right));
        let grown = corpus.merge(pair, id);
        queue.extend(grown.into_iter().map(|pair| (corpus.counts[&pair], Reverse(pair))));
    }
    Merges { tokens, merges }
}

/// Words, and the pairs of neighbouring tokens in them.
struct Corpus {
    words: Vec<Word>,
    counts: HashMap<Pair, u64>,
    /// Words that held the pair at some time: a superset of those that hold it now.
    places: HashMap<Pair, Vec<usize>>,
}

impl Corpus {
    fn new(words: &[(String, u64)], ids: &HashMap<String, u32>) -> Self {
        let id_of = |c: char| ids[c.encode_utf8(&mut [0; 4])];
        let words: Vec<Word> = words
            .iter()
            .map(|(word, count)| Word {
                ids: word.chars().map(id_of).collect(),
                count: *count,
            })
            .collect();
        let mut counts: HashMap<Pair, u64> = HashMap::new();
        let mut places: HashMap<Pair, Vec<usize>> = HashMap::new();
        for (place, word) in words.iter().enumerate() {
            for pair in pairs(&word.ids) {
                *counts.entry(pair).or_default() += word.count;
                places.entry(pair).or_default().push(place);
            }
        }
        Self { words, counts, places }
    }

    /// Makes a pair one token wherever it stands; gives the pairs that occur more often than before.
    fn merge(&mut self, pair: Pair, id: u32) -> HashSet<Pair> {
        let mut grown: HashSet<Pair> = HashSet::new();
        for place in self.places.remove(&pair).unwrap_or_default() {
            let word = &mut self.words[place];
            if !pairs(&word.ids).any(|other| other == pair) {
                continue;
            }
            for old in pairs(&word.ids) {
                if let Some(count) = self.counts.get_mut(&old) {
                    *count -= word.count;
                }
            }
            merge(&mut word.ids, pair, id);
            for new in pairs(&word.ids) {
                *self.counts.entry(new).or_default() += word.count;
                if new.0 == id || new.1 == id {
                    self.places.entry(new).or_default().push(place);
                    grown.insert(new);
                }
            }
        }
        grown
    }
}

fn pairs(ids: &[u32]) -> impl Iterator<Item = Pair> + '_ {
    ids.windows(2).map(|pair| (pair[0], pair[1]))
}

/// Replaces each occurrence of `pair`, from the left, by `id`.
fn merge(ids: &mut Vec<u32>, pair: Pair, id: u32) {
    let mut kept = 0;
    let mut at = 0;
    while at < ids.len() {
        if at + 1 < ids.len() && (ids[at], ids[at + 1]) == pair {
            ids[kept] = id;
            at += 2;
        } else {
            ids[kept] = ids[at];
            at += 1;
        }
        kept += 1;
    }
    ids.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(words: &[(&str, u64)], size: usize, min_frequency: u64, expected: &[&str]) {
        let alphabet = ["a", "b", "c", "d"].map(String::from).to_vec();
        let words: Vec<(String, u64)> = words.iter().map(|&(word, count)| (word.to_owned(), count)).collect();
        let learned = learn(alphabet, &words, size, min_frequency);
        assert_eq!(learned.tokens[4..], *expected);
        assert!(learned.merges.len() >= expected.len());
    }

    #[test]
    fn the_most_frequent_pair_comes_first() {
        // ab 5 + 2 = 7, bc 5, cd 2. After ab: (ab)c 5, (ab)d 2.
        check(&[("abc", 5), ("abd", 2)], 6, 1, &["ab", "abc"]);
    }

    #[test]
    fn of_equal_pairs_the_smaller_ids_come_first() {
        check(&[("cd", 3), ("ab", 3), ("bd", 3)], 7, 1, &["ab", "bd", "cd"]);
    }

    #[test]
    fn rare_pairs_are_not_merged() {
        check(&[("ab", 4), ("cd", 3)], 100, 4, &["ab"]);
    }

    #[test]
    fn overlapping_pairs_are_counted_as_they_can_be_merged() {
        // aaaa: aa merges twice, then (aa)(aa) once.
        check(&[("aaaa", 2)], 100, 2, &["aa", "aaaa"]);
        let mut ids = vec![1, 1, 1];
        merge(&mut ids, (1, 1), 9);
        assert_eq!(ids, [9, 1]);
    }

    /// Counts every pair anew before each merge.
    fn learn_slowly(tokens: Vec<String>, words: &[(String, u64)], vocab_size: usize, min_frequency: u64) -> Merges {
        let mut learned = Merges {
            tokens,
            merges: Vec::new(),
        };
        let id = |tokens: &[String], text: &str| tokens.iter().position(|token| token == text).map(|id| id as u32);
        let mut split: Vec<(Vec<u32>, u64)> = words
            .iter()
            .map(|(word, n)| {
                (
                    word.chars()
                        .filter_map(|c| id(&learned.tokens, &c.to_string()))
                        .collect(),
                    *n,
                )
            })
            .collect();
        while learned.tokens.len() < vocab_size {
            let mut counts = std::collections::BTreeMap::new();
            for (ids, n) in &split {
                pairs(ids).for_each(|pair| *counts.entry(pair).or_insert(0) += n);
            }
            let best = counts.into_iter().max_by_key(|&(pair, n)| (n, Reverse(pair)));
            let Some((pair, _)) = best.filter(|&(_, n)| n >= min_frequency) else {
                break;
            };
            let [left, right] = [pair.0, pair.1].map(|id| learned.tokens[id as usize].clone());
            let merged = format!("{left}{right}");
            if id(&learned.tokens, &merged).is_none() {
                learned.tokens.push(merged.clone());
            }
            let new = id(&learned.tokens, &merged).expect("just added");
            split.iter_mut().for_each(|(ids, _)| merge(ids, pair, new));
            learned.merges.push((left, right));
        }
        learned
    }

    proptest! {
        #[test]
        fn counting_as_it_goes_equals_counting_anew(
            words in prop::collection::btree_map("[abc]{1,12}", 1_u64..9, 0..12), size in 3_usize..40, least in 1_u64..4,
        ) {
            let words: Vec<(String, u64)> = words.into_iter().collect();
            let alphabet = ["a", "b", "c"].map(String::from).to_vec();
            let fast = learn(alphabet.clone(), &words, size, least);
            let slow = learn_slowly(alphabet, &words, size, least);
            prop_assert_eq!(fast.tokens, slow.tokens);
            prop_assert_eq!(fast.merges, slow.merges);
        }
    }
}
