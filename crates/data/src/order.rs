//! The order of rows, each derived from what it is for.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::sequence::TokenSequence;

/// The numbers below `n`, shuffled by `purpose` and `counters` alone: by the seed of the run first, then say by the epoch.
///
/// Another purpose is an unrelated order, so that no two loops of a run go through their rows in step.
pub fn shuffled_order(n: usize, purpose: &str, counters: &[u64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut rng(purpose, counters));
    order
}

fn rng(purpose: &str, counters: &[u64]) -> ChaCha8Rng {
    let mut hasher = Sha256::new();
    hasher.update(purpose.as_bytes());
    for counter in counters {
        hasher.update(counter.to_le_bytes());
    }
    ChaCha8Rng::from_seed(hasher.finalize().into())
}

/// `count` rows, from place `first` on, of an endless list that goes through the `n` rows in another order at each pass.
pub fn cyclic_rows(n: usize, purpose: &str, seed: u64, first: u64, count: usize) -> Vec<usize> {
    let mut rows = Vec::with_capacity(count);
    let mut pass = (u64::MAX, Vec::new());
    for place in first..first + count as u64 {
        let (epoch, at) = (place / n as u64, place % n as u64);
        if pass.0 != epoch {
            pass = (epoch, shuffled_order(n, purpose, &[seed, epoch]));
        }
        rows.push(pass.1[at as usize]);
    }
    rows
}

/// Windows of text that make up `fraction` of all tokens once they stand among `others`, drawn by `seed`; all of them if they
/// are too few.
///
/// Windows are taken to be as long as the first, as [`pack_documents`](crate::pack_documents) cuts them.
///
/// # Panics
/// If `fraction` is not in [0, 1).
pub fn mixed_in(windows: &[TokenSequence], others: &[TokenSequence], fraction: f64, seed: u64) -> Vec<TokenSequence> {
    assert!(
        (0.0..1.0).contains(&fraction),
        "a share of {fraction} leaves nothing to mix into"
    );
    let Some(window) = windows.first() else {
        return Vec::new();
    };
    let tokens: usize = others.iter().map(TokenSequence::len).sum();
    let wanted = tokens as f64 * fraction / (1.0 - fraction);
    let mut order = shuffled_order(windows.len(), "data.mixed_in", &[seed]);
    order.truncate((wanted / window.len() as f64).ceil() as usize);
    order.into_iter().map(|row| windows[row].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_depends_on_purpose_seed_and_epoch_alone() {
        let order = |purpose, counters: &[u64]| shuffled_order(100, purpose, counters);
        let first = order("a", &[7, 0]);
        assert_eq!(first, order("a", &[7, 0]));
        for other in [order("a", &[7, 1]), order("a", &[8, 0]), order("b", &[7, 0])] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn an_endless_list_goes_through_all_rows_at_each_pass_wherever_it_is_entered() {
        let rows = |first, count| cyclic_rows(5, "a", 7, first, count);
        let whole = rows(0, 15);
        for pass in whole.chunks(5) {
            let mut pass = pass.to_vec();
            pass.sort_unstable();
            assert_eq!(pass, [0, 1, 2, 3, 4]);
        }
        assert_eq!([rows(0, 4), rows(4, 8), rows(12, 3)].concat(), whole);
        assert_ne!(whole, cyclic_rows(5, "b", 7, 0, 15));
    }

    #[test]
    fn what_is_mixed_in_makes_up_its_share() {
        let sequences = |n: usize, len: usize| -> Vec<TokenSequence> {
            let sequence = |first| TokenSequence {
                input_ids: vec![first; len],
                loss_mask: vec![true; len],
            };
            (0..n as u32).map(sequence).collect()
        };
        let (windows, others) = (sequences(50, 20), sequences(40, 9));
        // 360 tokens are nine tenths of 400: 40 more, two windows of 20; a hair more is one window more.
        assert_eq!(mixed_in(&windows, &others, 0.1, 1).len(), 2);
        assert_eq!(mixed_in(&windows, &others, 0.101, 1).len(), 3);
        assert_eq!(mixed_in(&windows, &others, 0.0, 1), []);
        assert_eq!(mixed_in(&[], &others, 0.1, 1), []);
        // No more than there are, each once, in an order of the seed's.
        let mut all = mixed_in(&windows, &others, 0.9, 1);
        assert_ne!(all, mixed_in(&windows, &others, 0.9, 2));
        all.sort_by_key(|window| window.input_ids[0]);
        assert_eq!(all, windows);
    }
}
