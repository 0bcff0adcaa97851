//! The order of rows in an epoch.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The numbers below `n`, shuffled by `purpose` and `counters` alone.
pub(crate) fn seeded_order(n: usize, purpose: &str, counters: &[u64]) -> Vec<usize> {
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

/// The order in which the `n` rows are visited in `epoch`: another permutation for each seed and epoch.
pub fn shuffled_order(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    seeded_order(n, "data.order", &[seed, epoch])
}

/// `count` rows, from place `first` on, of an endless list that goes through the `n` rows in another order at each pass.
pub fn cyclic_rows(n: usize, seed: u64, first: u64, count: usize) -> Vec<usize> {
    let mut rows = Vec::with_capacity(count);
    let mut pass = (u64::MAX, Vec::new());
    for place in first..first + count as u64 {
        let (epoch, at) = (place / n as u64, place % n as u64);
        if pass.0 != epoch {
            pass = (epoch, shuffled_order(n, seed, epoch));
        }
        rows.push(pass.1[at as usize]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_depends_on_seed_and_epoch_alone() {
        assert_eq!(shuffled_order(100, 7, 0), shuffled_order(100, 7, 0));
        assert_ne!(shuffled_order(100, 7, 0), shuffled_order(100, 7, 1));
        assert_ne!(shuffled_order(100, 7, 0), shuffled_order(100, 8, 0));
    }
}
